// UIContext: what a page asks of the window that it is in.
import { env, guard } from "./env.js";
import { flush } from "./signals.js";
import { focusController } from "./focus.js";
import { dialogs, promptAction } from "./dialogs.js";
import { dismissTop, layers } from "./overlay.js";
import { strict } from "./strict.js";
import { lengthOf } from "./resources.js";

const number = (text) => Number.parseFloat(text);
const CURSORS = {
  DEFAULT: "default",
  HAND_POINTING: "pointer",
  TEXT_CURSOR: "text",
  CROSS: "crosshair",
  MOVE: "move",
  WEST_EAST: "ew-resize",
  NORTH_SOUTH: "ns-resize",
  HAND_OPEN: "grab",
  HAND_GRABBING: "grabbing",
  LOADING: "progress",
};

/** Runs `fn`; what it changes is drawn at once instead of gliding there. */
export function animateTo(options, fn) {
  fn();
  flush();
  if (options.onFinish) setTimeout(() => guard(options.onFinish), Math.min(options.duration ?? 1000, 1000));
}

/** WidthBreakpoint: XS, SM, MD, LG, XL. */
const breakpoint = (width) => [320, 600, 840, 1440].filter((edge) => width >= edge).length;

export function makeUiContext() {
  return strict("UIContext", {
    getPromptAction: () => promptAction,
    ...dialogs,
    animateTo,
    keyframeAnimateTo(options, frames) {
      for (const frame of frames) frame.event();
      if (options.onFinish) setTimeout(() => guard(options.onFinish), 0);
    },
    getFocusController: () => strict("FocusController", focusController),
    getHostContext: () => env.abilityContext,
    getSharedLocalStorage: () => env.storage,
    getWindowName: () => "main",
    getWindowId: () => 1,
    getWindowWidthBreakpoint: () => breakpoint(env.width),
    getWindowHeightBreakpoint: () => (env.height / env.width < 0.8 ? 0 : env.height / env.width < 1.2 ? 1 : 2),
    vp2px: (value) => value * env.density,
    px2vp: (value) => value / env.density,
    fp2px: (value) => value * env.fontScale * env.density,
    px2fp: (value) => value / env.density / env.fontScale,
    lpx2px: (value) => number(lengthOf(`${value}lpx`)) * env.density,
    px2lpx: (value) => (value / env.density / env.width) * 720,
    runScopedTask: (fn) => fn(),
    isFollowingSystemFontScale: () => true,
    getMaxFontScale: () => 2,
    postFrameCallback: (callback) => void setTimeout(() => guard(() => callback.onFrame(Date.now() * 1e6)), 16),
    postDelayedFrameCallback: (callback, delay) => void setTimeout(() => guard(() => callback.onFrame(Date.now() * 1e6)), delay),
    setKeyboardAvoidMode() {},
    getKeyboardAvoidMode: () => 0,
    getCursorController: () =>
      strict("CursorController", {
        setCursor(style) {
          const name = Object.entries(env.kitEnums?.["@ohos.multimodalInput.pointer"]?.PointerStyle ?? {}).find(([, value]) => value === style)?.[0];
          env.document.documentElement.style.cursor = CURSORS[name] ?? "default";
        },
        restoreDefault() {
          env.document.documentElement.style.cursor = "";
        },
      }),
    getContextMenuController: () =>
      strict("ContextMenuController", {
        close() {
          layers()
            .filter((one) => one.kind === "menu")
            .forEach((one) => one.close());
        },
      }),
    getComponentUtils: () =>
      strict("ComponentUtils", {
        getRectangleById(id) {
          const { width = 0, height = 0, left = 0, top = 0 } = env.document.getElementById(id)?.getBoundingClientRect?.() ?? {};
          const at = { x: left * env.density, y: top * env.density };
          return {
            size: { width: width * env.density, height: height * env.density },
            localOffset: at,
            windowOffset: at,
            screenOffset: at,
            translate: { x: 0, y: 0, z: 0 },
            scale: { x: 1, y: 1, z: 1, centerX: 0, centerY: 0 },
            rotate: { x: 0, y: 0, z: 0, angle: 0, centerX: 0, centerY: 0 },
            transform: [],
          };
        },
      }),
    getUIInspector: () => strict("UIInspector", { createComponentObserver: () => ({ on() {}, off() {} }) }),
    getUIObserver: () => strict("UIObserver", { on() {}, off() {} }),
    getMediaQuery: () => strict("MediaQuery", { matchMediaSync: () => ({ matches: env.dark, on() {}, off() {} }) }),
    getOverlayManager: () => strict("OverlayManager", { addComponentContent() {}, removeComponentContent() {} }),
    getRouter: () => strict("Router", {}),
    $dismissTop: dismissTop,
  });
}
