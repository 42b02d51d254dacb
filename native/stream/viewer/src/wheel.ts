/**
 * Turns wheel events into whole notches. A mouse sends one event per notch, a trackpad many small
 * ones: those are added up until they make a notch.
 */

/** The fields of a DOM `WheelEvent` that matter here. */
export interface WheelInput {
  readonly deltaX: number;
  readonly deltaY: number;
  /** 0 pixels, 1 lines, 2 pages. */
  readonly deltaMode: number;
  /** Non-standard but everywhere: −120 per notch downwards. */
  readonly wheelDeltaX?: number;
  readonly wheelDeltaY?: number;
}

/** Positive `dy` is towards the user (down), positive `dx` to the right. */
export interface Notches {
  readonly dx: number;
  readonly dy: number;
}

const PIXELS_PER_NOTCH = 100;
const LINES_PER_NOTCH = 3;
const LEGACY_PER_NOTCH = 120;
const LEGACY_PER_PIXEL = 3;
/** One event never scrolls further: it would flood the guest with button events. */
const MOST_NOTCHES = 20;

export class WheelAccumulator {
  #x = 0;
  #y = 0;

  /** The whole notches that have come together; both zero when none has. */
  add(event: WheelInput): Notches {
    const [x, restX] = step(this.#x, notches(event.deltaX, event.wheelDeltaX, event.deltaMode));
    const [y, restY] = step(this.#y, notches(event.deltaY, event.wheelDeltaY, event.deltaMode));
    this.#x = restX;
    this.#y = restY;
    return { dx: x, dy: y };
  }

  reset(): void {
    this.#x = 0;
    this.#y = 0;
  }
}

function notches(delta: number, legacy: number | undefined, mode: number): number {
  if (!Number.isFinite(delta) || delta === 0) return 0;
  // A real wheel says exactly how many notches it made, whatever the distance the system gives one. For a trackpad's pixels it is only
  // three times those, in Firefox, in Safari and in Chromium on macOS, and may happen to divide.
  const ofPixels = mode === 0 && legacy === -LEGACY_PER_PIXEL * delta;
  if (legacy !== undefined && legacy !== 0 && legacy % LEGACY_PER_NOTCH === 0 && !ofPixels) {
    return -legacy / LEGACY_PER_NOTCH;
  }
  if (mode === 1) return delta / LINES_PER_NOTCH;
  if (mode === 2) return delta;
  return delta / PIXELS_PER_NOTCH;
}

function step(rest: number, add: number): [whole: number, rest: number] {
  // What is left over from the other direction must not delay a turn back.
  const start = rest * add < 0 ? 0 : rest;
  const sum = start + add;
  const whole = Math.trunc(sum + Math.sign(sum) * 1e-9);
  const bounded = Math.min(Math.max(whole, -MOST_NOTCHES), MOST_NOTCHES);
  return [bounded === 0 ? 0 : bounded, whole === bounded ? sum - whole : 0];
}
