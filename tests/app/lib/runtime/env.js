// What surrounds the app: the document it is drawn on and what the harness decides. Both harnesses fill it before the app is loaded.

export const env = {
  /** `document` of a browser or of linkedom. */
  document: undefined,
  /** Whether there is a layout, with sizes of elements. */
  layout: false,
  width: 360,
  height: 780,
  density: 2,
  fontScale: 1,
  dark: false,
  language: "base",
  /** The module `libsampan.so`. */
  native: undefined,
  resources: { qualifiers: {}, media: {}, rawfiles: [] },
  rawfile: undefined,
  /** What the app may ask of the device: see harness/options. */
  device: {},
  /** Called when a surface is made, changed or goes: `(kind, { id, canvas, width, height })`. */
  onSurface: undefined,
  errors: [],
};

/** Takes an error that nothing catches: on a device the app would crash. The harness throws it where a test waits. */
export function uncaught(error) {
  env.errors.push(error);
  env.onError?.(error);
}

/** Runs what a person or the system called. */
export function guard(fn) {
  try {
    return fn();
  } catch (error) {
    uncaught(error);
    return undefined;
  }
}
