// Kits of the device: what it is, notices, background, input methods, network, input, logs, forms, access.
import { env } from "../env.js";
import { emitter, strict } from "../strict.js";
import { noted, notedAsync, record } from "./record.js";

const deviceInfo = () => ({
  deviceType: env.device.type ?? "phone",
  sdkApiVersion: env.device.api ?? 12,
  firstApiVersion: 12,
  brand: "preview",
  productModel: "preview",
  marketName: env.device.name ?? "Preview",
  osFullName: "OpenHarmony-5.0.0",
  displayVersion: "5.0.0",
  majorVersion: 5,
  seniorVersion: 0,
  featureVersion: 0,
  buildVersion: 0,
  abiList: "arm64-v8a",
  manufacture: "preview",
  distributionOSName: "OpenHarmony",
  distributionOSVersion: "5.0.0",
  distributionOSApiVersion: 50000,
  ODID: "0",
  hardwareModel: "preview",
  softwareModel: "preview",
  versionId: "preview",
  buildType: "default",
});

const input = emitter();
const controller = strict("InputMethodController", {
  on: (...args) => input.on(...args),
  off: (...args) => input.off(...args),
  $events: input,
  async attach(show) {
    env.softKeyboard = show;
    record("inputMethod.attach", show);
  },
  async detach() {
    env.softKeyboard = false;
    record("inputMethod.detach");
  },
  async showTextInput() {
    env.softKeyboard = true;
  },
  async hideTextInput() {
    env.softKeyboard = false;
  },
  async showSoftKeyboard() {
    env.softKeyboard = true;
  },
  async hideSoftKeyboard() {
    env.softKeyboard = false;
  },
  async stopInputSession() {
    env.softKeyboard = false;
    return true;
  },
  async setCallingWindow() {},
  async updateCursor() {},
  async changeSelection() {},
  async updateAttribute() {},
  async discardTypingText() {},
});
/** A harness types by it: `tell("insertText", "a")`. */
export const tellInputMethod = (type, ...args) => input.$tell(type, ...args);

const net = { netId: 100 };
const network = emitter();
/** A harness has the network change by it. */
export const tellNetwork = () => network.$tell(env.device.online === false ? "netLost" : "netCapabilitiesChange", { netHandle: net, netCap: capabilities() });
const capabilities = () => ({
  bearerTypes: env.device.metered ? [0] : [1],
  networkCap: env.device.metered ? [12] : [11, 12],
  linkUpBandwidthKbps: 0,
  linkDownBandwidthKbps: 0,
});
const address = () => ({
  interfaceName: "wlan0",
  domains: "",
  linkAddresses: [{ address: { address: env.device.address ?? "192.168.1.5", family: 1, port: 0 }, prefixLength: 24 }],
  dnses: [],
  routes: [],
  mtu: 1500,
});

const logs =
  (level) =>
  (domain, tag, text, ...args) => {
    let next = 0;
    const line = String(text).replace(/%(?:\{(?:public|private)\})?[sdfoOxi]/g, () => String(args[next++]));
    (env.logs ??= []).push({ level, domain, tag, text: line });
    env.onLog?.(level, tag, line);
  };

const accessibilityEvents = emitter();

export const serviceShims = {
  "@ohos.deviceInfo": {
    get default() {
      return deviceInfo();
    },
  },
  "@ohos.base": {},
  "@ohos.batteryInfo": {
    get default() {
      return { batterySOC: 80, chargingStatus: 1, ...env.device.battery };
    },
  },
  "@ohos.power": { default: { getPowerMode: () => 600, isActive: () => true } },
  "@ohos.thermal": { default: { getLevel: () => 0, registerThermalLevelCallback() {}, unregisterThermalLevelCallback() {} } },
  "@ohos.commonEventManager": {
    default: { Support: {}, ...notedAsync("commonEventManager", "createSubscriber", "subscribe", "unsubscribe", "publish") },
  },
  "@ohos.systemDateTime": { default: { getTime: () => Date.now(), getUptime: () => Date.now() } },
  "@ohos.notificationManager": {
    default: {
      isNotificationEnabled: async () => env.device.notifications ?? true,
      isNotificationEnabledSync: () => env.device.notifications ?? true,
      isSupportTemplate: async () => true,
      isDistributedEnabled: async () => false,
      ...notedAsync(
        "notificationManager",
        "publish",
        "cancel",
        "cancelAll",
        "requestEnableNotification",
        "addSlot",
        "setBadgeNumber",
        "getActiveNotificationCount",
        "openNotificationSettings",
        "cancelGroup",
        "removeSlot",
        "getSlots",
      ),
    },
  },
  "@ohos.resourceschedule.backgroundTaskManager": {
    default: {
      requestSuspendDelay: (reason, callback) => {
        record("backgroundTaskManager.requestSuspendDelay", reason, callback);
        return { requestId: 1, actualDelayTime: 180_000 };
      },
      getRemainingDelayTime: async () => 180_000,
      on() {},
      off() {},
      ...noted("backgroundTaskManager", "cancelSuspendDelay"),
      ...notedAsync("backgroundTaskManager", "startBackgroundRunning", "stopBackgroundRunning", "updateBackgroundRunning", "getAllContinuousTasks"),
    },
  },
  "@ohos.inputMethod": {
    default: {
      getController: () => controller,
      getSetting: () => strict("InputMethodSetting", { on() {}, off() {}, showOptionalInputMethods: async () => true }),
    },
  },
  "@ohos.net.connection": {
    default: {
      hasDefaultNetSync: () => env.device.online ?? true,
      hasDefaultNet: async () => env.device.online ?? true,
      getDefaultNet: async () => net,
      getDefaultNetSync: () => net,
      getAllNetsSync: () => [net],
      getAllNets: async () => [net],
      isDefaultNetMetered: async () => env.device.metered ?? false,
      isDefaultNetMeteredSync: () => env.device.metered ?? false,
      getNetCapabilities: async () => capabilities(),
      getNetCapabilitiesSync: capabilities,
      getConnectionProperties: async () => address(),
      getConnectionPropertiesSync: address,
      createNetConnection: () =>
        strict("NetConnection", {
          on: (...args) => network.on(...args),
          register: (callback) => callback?.(),
          unregister: (callback) => callback?.(),
        }),
    },
  },
  "@ohos.net.mdns": { default: notedAsync("mdns", "addLocalService", "removeLocalService", "resolveLocalService") },
  "@ohos.multimodalInput.pointer": {
    default: {
      ...notedAsync("pointer", "setPointerStyle", "setPointerVisible", "setCustomCursor"),
      ...noted("pointer", "setPointerStyleSync", "setPointerVisibleSync"),
      isPointerVisible: async () => true,
      isPointerVisibleSync: () => true,
      getPointerStyleSync: () => 0,
    },
  },
  "@ohos.multimodalInput.inputDevice": {
    default: { getDeviceList: async () => [], getDeviceInfo: async () => ({}), getKeyboardType: async () => 0, on() {}, off() {} },
  },
  "@ohos.hilog": {
    default: {
      debug: logs("debug"),
      info: logs("info"),
      warn: logs("warn"),
      error: logs("error"),
      fatal: logs("fatal"),
      isLoggable: () => true,
      setMinLogLevel() {},
    },
  },
  "@ohos.hidebug": {
    default: { getSystemCpuUsage: () => 0, getAppMemoryLimit: () => ({ rssLimit: 0n, vssLimit: 0n, vmHeapLimit: 0n, vmTotalHeapSize: 0n }) },
  },
  "@ohos.app.form.FormExtensionAbility": {
    default: class FormExtensionAbility {
      constructor() {
        this.context = env.abilityContext;
      }
      onAddForm() {}
      onUpdateForm() {}
      onRemoveForm() {}
      onFormEvent() {}
      onCastToNormalForm() {}
      onChangeFormVisibility() {}
      onAcquireFormState() {
        return 1;
      }
    },
  },
  "@ohos.app.form.formBindingData": {
    default: { createFormBindingData: (data) => ({ data: typeof data === "string" ? data : JSON.stringify(data ?? {}) }) },
  },
  "@ohos.app.form.formInfo": { default: {} },
  "@ohos.app.form.formProvider": {
    default: notedAsync("formProvider", "updateForm", "setFormNextRefreshTime", "requestPublishForm", "openFormManager", "getPublishedFormInfos"),
  },
  "@ohos.accessibility": {
    default: {
      isOpenAccessibilitySync: () => env.device.screenReader ?? false,
      isOpenTouchGuideSync: () => env.device.screenReader ?? false,
      isScreenReaderOpenSync: () => env.device.screenReader ?? false,
      isAnimationReduceEnabled: () => env.device.reduceMotion ?? false,
      on: (...args) => accessibilityEvents.on(...args),
      off: (...args) => accessibilityEvents.off(...args),
      sendAccessibilityEvent: async (info) => {
        record("accessibility.announce", info);
      },
      EventInfo: class EventInfo {
        constructor(type, bundleName, triggerAction) {
          Object.assign(this, typeof type === "object" ? type : { type, bundleName, triggerAction });
        }
      },
    },
  },
  "@ohos.vibrator": {
    default: {
      ...notedAsync("vibrator", "startVibration", "stopVibration", "isSupportEffect"),
      isSupportEffectSync: () => true,
      vibrate: async () => record("vibrator.vibrate"),
      stopVibrationSync() {},
    },
  },
  "@ohos.security.cryptoFramework": {
    default: {
      createMd(name) {
        if (name !== "SHA256") throw new TypeError(`the preview has no ${name}`);
        let all = new Uint8Array();
        return {
          update: async ({ data }) => {
            all = Uint8Array.from([...all, ...data]);
          },
          digest: async () => ({ data: new Uint8Array(await crypto.subtle.digest("SHA-256", all)) }),
        };
      },
    },
  },
  "@ohos.web.webview": {
    default: {
      WebviewController: class WebviewController {
        loadUrl(url) {
          this.$node?.el.setAttribute("src", url);
        }
        refresh() {}
        stop() {}
        runJavaScript() {
          return Promise.resolve("");
        }
        accessBackward() {
          return false;
        }
        accessForward() {
          return false;
        }
        backward() {}
        forward() {}
        onActive() {}
        onInactive() {}
        setCustomUserAgent() {}
        zoom() {}
        getUrl() {
          return this.$node?.el.getAttribute("src") ?? "";
        }
        requestFocus() {}
        clearHistory() {}
        clearSslCache() {
          record("webview.clearSslCache");
        }
        /** A browser tells pages nothing of certificates: a test gives one in DER. */
        getCertificate() {
          return Promise.resolve(env.certificate ? [{ getEncoded: async () => ({ data: env.certificate, encodingFormat: 0 }) }] : []);
        }
      },
    },
  },
};
