// Runs the app as the system does: an ability, its window, its page.
import { env, guard, uncaught } from "./env.js";
import { emitter, strict } from "./strict.js";
import { scope, flush } from "./signals.js";
import { within, $View, begin, Node } from "./view.js";
import { lookUp } from "./registry.js";
import "./components/index.js";
import { makeUiContext } from "./ui-context.js";
import { makeContexts } from "./kits/ability.js";
import { tellInputMethod, tellNetwork } from "./kits/services.js";
import { LocalStorage } from "./storage.js";
import { makeWindow } from "./kits/window.js";
import { systemVariables } from "./system.js";
import { runShortcut } from "./focus.js";
import { dismissTop } from "./overlay.js";
import { backTarget, goBack } from "./components/navigation.js";
import { sightChanged, sizesChanged } from "./sizes.js";
import { configurationChanged } from "./resources.js";

/** `options` go to `env`; `enums` and `resources` are the generated ones. Comes to what the harness drives the app by. */
export function prepare(options, generated) {
  Object.assign(env, options, { enums: generated.enums, kitEnums: generated.kitEnums, resources: generated.resources });
  const { document } = env;
  env.root = document.getElementById("app");
  env.overlays = document.getElementById("overlays");
  env.mainWindow = makeWindow();
  env.uiContext = makeUiContext();
  const events = emitter();
  env.stage = strict("WindowStage", {
    $events: events,
    getMainWindow: async () => env.mainWindow,
    getMainWindowSync: () => env.mainWindow,
    on: (...args) => events.on(...args),
    off: (...args) => events.off(...args),
    loadContent: (path, ...rest) => load(path, rest),
    loadContentByName: (path, ...rest) => load(path, rest),
    createSubWindow: async (name) => makeWindow(name),
    setDefaultDensityEnabled() {},
    setShowOnLockScreen() {},
    setWindowModal: async () => {},
    disableWindowDecor() {},
    setWindowRectAutoSave: async () => {},
    isWindowRectAutoSave: async () => false,
  });
  makeContexts(env.stage);
  env.keepClear = keepClear;
  env.configure = (change) => system.configure(change);
  keepClear();
  colours();
  // Only what is typed into, and what asks for it by `focusOnTouch`, takes the focus when it is pressed.
  document.addEventListener("mousedown", (event) => {
    if (!event.target.closest?.(TAKES_FOCUS)) event.preventDefault();
  });
  // A computer has no gesture for going back: its browsers' keys stand for it. The page's own keys come later.
  document.addEventListener(
    "keydown",
    (event) => {
      const gesture = event.altKey && event.key === "ArrowLeft" && env.device.type !== "2in1";
      if (event.key !== "BrowserBack" && !gesture) return;
      event.preventDefault();
      event.stopImmediatePropagation?.();
      system.back();
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.key === "Escape" && dismissTop()) event.preventDefault();
    else if (!runShortcut(event)) typed(event);
  });
}

/** What takes the focus at a press; texts that can be selected are left to the browser, too. */
export const TAKES_FOCUS = 'input,textarea,select,[contenteditable],[data-focus-on-touch],[style*="user-select: text"],[style*="user-select:text"]';

function colours() {
  const { documentElement } = env.document;
  documentElement.setAttribute(
    "style",
    [...systemVariables().map(([name, value]) => `${name}:${argb(value)}`), `--font-scale:${env.fontScale}`].join(";"),
  );
  documentElement.setAttribute("data-mode", env.dark ? "dark" : "light");
  documentElement.setAttribute("lang", env.language === "base" ? "en" : env.language.replace("_", "-"));
}
const argb = (hex) => (hex.length === 9 ? `#${hex.slice(3)}${hex.slice(1, 3)}` : hex);

/** What a keyboard types goes through the input method while one is attached, as on a device. */
function typed(event) {
  if (!env.softKeyboard || event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT|BUTTON)$/.test(event.target?.tagName)) return;
  if (event.key?.length === 1) system.inputMethod("insertText", event.key);
  else if (event.key === "Backspace") system.inputMethod("deleteLeft", 1);
  else if (event.key === "Delete") system.inputMethod("deleteRight", 1);
  else if (event.key === "Enter") system.inputMethod("sendFunctionKey", { enterKeyType: env.enums.EnterKeyType.Done });
  else return;
  event.preventDefault();
}

/** The page keeps clear of the system's bars, unless the app asked for all of the window. */
export function keepClear() {
  const { top = 0, bottom = 0 } = env.device.safeArea ?? {};
  const whole = env.mainWindow.getWindowProperties().isFullScreen;
  env.root.setAttribute("style", whole || (top === 0 && bottom === 0) ? "" : `padding:${top}px 0 ${bottom}px`);
}

/** Draws a page's struct into the window. */
export function mount(Class, params = {}) {
  const made = scope(() =>
    within({ host: env.root, before: null, view: undefined, node: undefined }, () => {
      const view = new Class(undefined, params, "page");
      view.$node = within({ view }, () => new Node(Class.name, lookUp("__Common__"), env.root, "page"));
      begin(view);
      within({ view, node: view.$node }, () => view.build());
      view.onDidBuild?.();
      env.page = view;
    }),
  );
  env.pageScope = made;
  guard(() => env.page.onPageShow?.());
  return env.page;
}

async function load(path, rest) {
  const callback = rest.find((one) => typeof one === "function");
  env.storage = rest.find((one) => one instanceof LocalStorage);
  const find = env.modules[path];
  if (!find) throw new Error(`loadContent("${path}"): there is no such page`);
  const { $entry } = await find();
  if (!$entry || !($entry.prototype instanceof $View)) throw new Error(`${path} has no @Entry`);
  mount($entry);
  callback?.({ code: 0 });
}

/** Starts an ability: by its module's path. */
export async function launch(path, want = {}) {
  env.want = want;
  const { default: Ability } = await env.modules[path]();
  const ability = new Ability();
  env.ability = ability;
  ability.onCreate(want, { launchReason: 1, lastExitReason: 0, launchReasonMessage: "", lastExitMessage: "" });
  // A page is loaded in the background of this call; whoever waits for it waits for `loaded`.
  const loaded = new Promise((resolve, reject) => {
    const inner = env.stage.loadContent;
    env.stage.loadContent = (...args) => {
      const done = inner(...args);
      done.then(resolve, reject);
      return done;
    };
    env.terminate = () => end();
  });
  ability.onWindowStageCreate(env.stage);
  ability.onForeground();
  env.stage.$events.$tell("windowStageEvent", 1);
  env.stage.$events.$tell("windowStageEvent", 2);
  await loaded;
  return ability;
}

/** What the system does to a running app. */
export const system = {
  background() {
    env.inBackground = true;
    sightChanged();
    guard(() => env.page?.onPageHide?.());
    env.stage.$events.$tell("windowStageEvent", 3);
    env.stage.$events.$tell("windowStageEvent", 4);
    env.mainWindow.$events.$tell("windowEvent", 3);
    guard(() => env.ability?.onBackground());
  },
  foreground() {
    env.inBackground = false;
    sightChanged();
    guard(() => env.ability?.onForeground());
    env.stage.$events.$tell("windowStageEvent", 1);
    env.stage.$events.$tell("windowStageEvent", 2);
    env.mainWindow.$events.$tell("windowEvent", 2);
    guard(() => env.page?.onPageShow?.());
  },
  newWant(want) {
    guard(() => env.ability?.onNewWant(want, { launchReason: 1, lastExitReason: 0 }));
  },
  /** The soft keyboard tells those who listen: "insertText" with a text, "deleteLeft" with a count, "sendFunctionKey", … */
  inputMethod(type, ...args) {
    guard(() => tellInputMethod(type, ...args));
  },
  /** The network has changed. */
  network({ online = true, metered = false }) {
    Object.assign(env.device, { online, metered });
    guard(tellNetwork);
  },
  memoryLevel(level) {
    guard(() => env.ability?.onMemoryLevel(level));
  },
  /** The back gesture. False if the app would leave. */
  back() {
    if (dismissTop()) return true;
    const target = backTarget();
    if (target && goBack(target)) return true;
    return env.page?.onBackPress?.() === true;
  },
  resize(width, height) {
    Object.assign(env, { width, height });
    sizesChanged();
    const size = { width: width * env.density, height: height * env.density };
    env.mainWindow.$events.$tell("windowSizeChange", size);
  },
  /** The soft keyboard covers this much, in vp. */
  keyboard(height) {
    env.keyboardHeight = height;
    env.mainWindow.$events.$tell("keyboardHeightChange", height * env.density);
    env.mainWindow.$events.$tell("avoidAreaChange", { type: 3, area: env.mainWindow.getWindowAvoidArea(3) });
  },
  configure({ dark, language, fontScale }) {
    if (dark !== undefined) env.dark = dark;
    if (language !== undefined) env.language = language;
    if (fontScale !== undefined) env.fontScale = fontScale;
    colours();
    const configuration = env.abilityContext.config;
    Object.assign(configuration, {
      colorMode: env.dark ? 0 : 1,
      language: env.language === "base" ? "en-US" : env.language.replace("_", "-"),
      fontSizeScale: env.fontScale,
    });
    configurationChanged();
    guard(() => env.ability?.onConfigurationUpdate(configuration));
    env.applicationContext.$events.$tell("environment", configuration);
  },
  async prepareToTerminate() {
    return env.ability?.onPrepareToTerminateAsync ? env.ability.onPrepareToTerminateAsync() : (env.ability?.onPrepareToTerminate() ?? false);
  },
};

/** Ends the app: its nodes go, then its window, then its ability. */
export async function end() {
  env.pageScope?.dispose();
  env.pageScope = undefined;
  env.root.replaceChildren();
  env.overlays.replaceChildren();
  const { ability } = env;
  env.ability = undefined;
  if (!ability) return;
  if (!env.inBackground) guard(() => ability.onBackground());
  guard(() => ability.onWindowStageWillDestroy(env.stage));
  guard(() => ability.onWindowStageDestroy());
  try {
    await ability.onDestroy();
  } catch (error) {
    uncaught(error);
  }
}
export { env, flush };
export { pending } from "./signals.js";
