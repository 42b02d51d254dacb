// Ability kit: abilities, their context, permissions, the bundle.
import { env } from "../env.js";
import { businessError, emitter, strict } from "../strict.js";
import { noted, notedAsync, record } from "./record.js";
import { resourceManager } from "./localization.js";

const folders = () => {
  const base = env.device.base ?? "/data/storage/el2/base";
  return {
    filesDir: env.device.files ?? `${base}/haps/entry/files`,
    cacheDir: `${base}/haps/entry/cache`,
    tempDir: `${base}/haps/entry/temp`,
    preferencesDir: `${base}/haps/entry/preferences`,
    databaseDir: `${base}/database`,
    distributedFilesDir: `${base}/distributedfiles`,
    bundleCodeDir: "/data/storage/el1/bundle",
    resourceDir: "/data/storage/el1/bundle/entry/resources/resfile",
    cloudFileDir: `${base}/cloud`,
  };
};

const applicationInfo = () => ({
  name: env.device.bundleName ?? "app.sampan",
  bundleName: env.device.bundleName ?? "app.sampan",
  nativeLibraryPath: env.device.libraries ?? "",
  debug: true,
  accessTokenId: 1,
  process: "app.sampan",
  codePath: "",
  entryDir: "",
  uid: 1,
  iconId: 0,
  labelId: 0,
});

function makeApplicationContext() {
  const events = emitter();
  return strict("ApplicationContext", {
    ...folders(),
    applicationInfo: applicationInfo(),
    resourceManager: resourceManager(),
    area: 1,
    eventHub: eventHub(),
    on(type, callback) {
      events.on(type, callback);
      return 1;
    },
    off: (type, callback) => events.off(type, typeof callback === "function" ? callback : undefined),
    $events: events,
    setColorMode(mode) {
      record("applicationContext.setColorMode", mode);
      // -1 is the system's: what the preview was started with.
      env.systemDark ??= env.dark;
      const dark = mode === -1 ? env.systemDark : mode === 0;
      if (dark !== env.dark) env.configure({ dark });
    },
    setLanguage: (language) => void record("applicationContext.setLanguage", language),
    setFontSizeScale: (scale) => void record("applicationContext.setFontSizeScale", scale),
    getApplicationContext: () => env.applicationContext,
    ...notedAsync(
      "applicationContext",
      "killAllProcesses",
      "getRunningProcessInformation",
      "clearUpApplicationData",
      "restartApp",
      "setSupportedProcessCache",
    ),
  });
}

function eventHub() {
  const events = emitter();
  return strict("EventHub", {
    on: (name, fn) => events.on(name, fn),
    off: (name, fn) => events.off(name, fn),
    emit: (name, ...args) => events.$tell(name, ...args),
  });
}

/** The contexts of a run of the app. */
export function makeContexts(window) {
  env.applicationContext = makeApplicationContext();
  env.abilityContext = strict("UIAbilityContext", {
    ...folders(),
    applicationInfo: applicationInfo(),
    resourceManager: resourceManager(),
    area: 1,
    eventHub: eventHub(),
    windowStage: window,
    abilityInfo: { name: "EntryAbility", bundleName: env.device.bundleName ?? "app.sampan", moduleName: "entry", process: "app.sampan", uid: 1 },
    currentHapModuleInfo: { name: "entry", mainElementName: "EntryAbility" },
    config: {
      language: env.language === "base" ? "en-US" : env.language.replace("_", "-"),
      colorMode: env.dark ? 0 : 1,
      direction: 0,
      screenDensity: env.density,
      displayId: 0,
      hasPointerDevice: env.device.type === "2in1",
      fontSizeScale: env.fontScale,
    },
    getApplicationContext: () => env.applicationContext,
    createModuleContext: () => env.abilityContext,
    createAreaModeContext: () => env.abilityContext,
    isTerminating: () => false,
    getWindowStage: () => window,
    async terminateSelf() {
      record("context.terminateSelf");
      await env.terminate?.();
    },
    async startAbility(want, options) {
      record("context.startAbility", want, options);
      // Where there are no other windows, no other ability can be started.
      if (!env.startAbility?.(want)) throw businessError(16000001, "the ability does not exist");
    },
    ...notedAsync(
      "context",
      "startAbilityForResult",
      "terminateSelfWithResult",
      "openLink",
      "requestDialogService",
      "setMissionLabel",
      "setMissionIcon",
      "moveAbilityToBackground",
      "showAbility",
      "hideAbility",
      "startAbilityByType",
      "backToCallerAbilityWithResult",
      "setMissionContinueState",
      "reportDrawnCompleted",
      "connectServiceExtensionAbility",
      "setAbilityInstanceInfo",
      "requestModalUIExtension",
    ),
    ...noted("context", "restoreWindowStage"),
  });
}

export class UIAbility {
  constructor() {
    this.context = env.abilityContext;
    this.launchWant = env.want ?? {};
    this.lastRequestWant = this.launchWant;
    this.callee = { on() {}, off() {} };
  }
  onCreate() {}
  onWindowStageCreate() {}
  onWindowStageWillDestroy() {}
  onWindowStageDestroy() {}
  onWindowStageRestore() {}
  onForeground() {}
  onBackground() {}
  onDestroy() {}
  onNewWant() {}
  onContinue() {
    return 0;
  }
  onMemoryLevel() {}
  onConfigurationUpdate() {}
  onBackPressed() {
    return true;
  }
  onPrepareToTerminate() {
    return false;
  }
}

export class AbilityStage {
  constructor() {
    this.context = env.abilityContext;
  }
  onCreate() {}
  onDestroy() {}
  onAcceptWant() {
    return "";
  }
  onConfigurationUpdate() {}
  onMemoryLevel() {}
}

const granted = (permission) => ((env.device.permissions?.[permission] ?? true) ? 0 : -1);
const atManager = strict("AtManager", {
  async requestPermissionsFromUser(context, permissions) {
    record("permissions.request", permissions);
    return { permissions, authResults: permissions.map(granted), dialogShownResults: permissions.map(() => true) };
  },
  checkAccessTokenSync: (token, permission) => granted(permission),
  verifyAccessTokenSync: (token, permission) => granted(permission),
  checkAccessToken: async (token, permission) => granted(permission),
  requestPermissionOnSetting: async (context, permissions) => permissions.map(granted),
});

const bundle = () => ({
  name: applicationInfo().bundleName,
  versionName: env.device.version ?? "0.1.0",
  versionCode: 1,
  vendor: "",
  appInfo: { ...applicationInfo(), accessTokenId: 1 },
  hapModulesInfo: [],
  reqPermissionDetails: [],
  permissionGrantStates: [],
});

export const abilityShims = {
  "@ohos.app.ability.UIAbility": { default: UIAbility },
  "@ohos.app.ability.AbilityStage": { default: AbilityStage },
  "@ohos.app.ability.common": { default: {} },
  "@ohos.abilityAccessCtrl": { default: { createAtManager: () => atManager } },
  "@ohos.bundle.bundleManager": { default: { getBundleInfoForSelf: async () => bundle(), getBundleInfoForSelfSync: () => bundle() } },
  "@ohos.app.ability.wantAgent": { default: { getWantAgent: async (info) => ({ $info: info }), trigger() {} } },
  "@ohos.app.ability.errorManager": { default: { on: () => 1, off() {} } },
  "@ohos.app.ability.appManager": { default: notedAsync("appManager", "getRunningProcessInformation", "isRunningInStabilityTest") },
};
