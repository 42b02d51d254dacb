// ArkUI kit: windows and displays.
import { env } from "../env.js";
import { emitter, strict } from "../strict.js";
import { noted, notedAsync, record } from "./record.js";

const none = () => ({ left: 0, top: 0, width: 0, height: 0 });

/** The app's window. `$events` is how a harness tells it of the system. */
export function makeWindow(name = "main") {
  const events = emitter();
  const rect = () => ({ left: 0, top: 0, width: env.width * env.density, height: env.height * env.density });
  const state = { fullScreen: false, status: env.device.type === "2in1" ? 4 : 1 };
  const area = (type) => {
    const { top = 0, bottom = 0 } = env.device.safeArea ?? {};
    const [above, below] = type === 0 ? [top, 0] : type === 4 ? [0, bottom] : type === 3 ? [0, env.keyboardHeight ?? 0] : [0, 0];
    return {
      visible: true,
      leftRect: none(),
      rightRect: none(),
      topRect: { ...none(), width: above ? env.width * env.density : 0, height: above * env.density },
      bottomRect: { ...none(), width: below ? env.width * env.density : 0, height: below * env.density },
    };
  };
  return strict("Window", {
    $events: events,
    $name: name,
    on: (type, callback) => events.on(type, callback),
    off: (type, callback) => events.off(type, callback),
    getWindowProperties: () => ({
      windowRect: rect(),
      drawableRect: rect(),
      type: 0,
      isFullScreen: state.fullScreen,
      isLayoutFullScreen: true,
      focusable: true,
      touchable: true,
      brightness: -1,
      isKeepScreenOn: env.keepScreenOn === true,
      isPrivacyMode: false,
      isTransparent: false,
      id: 1,
      displayId: 0,
      name,
    }),
    getWindowAvoidArea: area,
    getUIContext: () => env.uiContext,
    getWindowStatus: () => state.status,
    isWindowShowing: () => true,
    isFocused: () => true,
    async setWindowKeepScreenOn(value) {
      env.keepScreenOn = value;
      record("window.setWindowKeepScreenOn", value);
    },
    async maximize(presentation) {
      state.status = 2;
      record("window.maximize", presentation);
    },
    async recover() {
      state.status = 4;
      record("window.recover");
    },
    async setWindowLayoutFullScreen(value) {
      state.fullScreen = value;
      env.keepClear?.();
      record("window.setWindowLayoutFullScreen", value);
    },
    getWindowDecorHeight: () => 37,
    getTitleButtonRect: () => ({ right: 0, top: 0, width: 120, height: 37 }),
    getPreferredOrientation: () => 0,
    getWindowLimits: () => ({ minWidth: 320, minHeight: 240, maxWidth: 4000, maxHeight: 4000 }),
    getImmersiveModeEnabledState: () => state.fullScreen,
    ...noted(
      "window",
      "setWindowDecorVisible",
      "setWindowDecorHeight",
      "setWindowBackgroundColor",
      "setWindowTitleMoveEnabled",
      "setWindowTitleButtonVisible",
      "setImmersiveModeEnabledState",
      "setDecorButtonStyle",
      "setRaiseByClickEnabled",
      "startMoving",
      "setSubWindowModal",
    ),
    ...notedAsync(
      "window",
      "setWindowSystemBarEnable",
      "setSpecificSystemBarEnabled",
      "setWindowSystemBarProperties",
      "setPreferredOrientation",
      "setWindowPrivacyMode",
      "setWindowBrightness",
      "setWindowFocusable",
      "setWindowTouchable",
      "setWindowTitle",
      "minimize",
      "restore",
      "resize",
      "resizeAsync",
      "moveWindowTo",
      "moveWindowToAsync",
      "setWindowLimits",
      "setResizeByDragEnabled",
      "destroyWindow",
      "showWindow",
      "setGestureBackEnabled",
      "setWindowGrayScale",
      "loadContent",
      "setUIContent",
      "snapshot",
      "shiftAppWindowFocus",
      "setWindowShadowRadius",
      "setWindowCornerRadius",
    ),
  });
}

const display = () => ({
  id: 0,
  name: "built-in",
  alive: true,
  state: 1,
  refreshRate: 60,
  rotation: env.width > env.height ? 1 : 0,
  width: env.width * env.density,
  height: env.height * env.density,
  densityDPI: env.density * 160,
  densityPixels: env.density,
  scaledDensity: env.density,
  xDPI: 300,
  yDPI: 300,
  orientation: env.width > env.height ? 1 : 0,
  colorSpaces: [],
  hdrFormats: [],
  availableWidth: env.width * env.density,
  availableHeight: env.height * env.density,
  getCutoutInfo: async () => ({ boundingRects: [] }),
  on() {},
  off() {},
});

const events = emitter();
export const displayEvents = events;

export const windowShims = {
  "@ohos.window": {
    default: {
      getLastWindow: async () => env.mainWindow,
      findWindow: () => env.mainWindow,
      createWindow: async (options) => makeWindow(options.name),
      shiftAppWindowFocus: async () => {},
      ...notedAsync("window", "minimizeAll"),
    },
  },
  "@ohos.display": {
    default: {
      getDefaultDisplaySync: display,
      getAllDisplays: async () => [display()],
      getPrimaryDisplaySync: display,
      getDisplayByIdSync: display,
      isFoldable: () => env.device.foldable === true,
      getFoldStatus: () => 0,
      getFoldDisplayMode: () => 0,
      on: (...args) => events.on(...args),
      off: (...args) => events.off(...args),
      isCaptured: () => false,
    },
  },
};
