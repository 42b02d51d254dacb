// What the kits hand out: our stand-ins together with the enumerations of the declarations; anything else throws where it is used.
import { env } from "../env.js";
import { absent, strict } from "../strict.js";
import { abilityShims } from "./ability.js";
import { localizationShims } from "./localization.js";
import { windowShims } from "./window.js";
import { dataShims } from "./data.js";
import { serviceShims } from "./services.js";
import { mediaShims } from "./media.js";
import { AppStorageV2, UIUtils } from "../storage.js";
import { ComponentContent, promptAction } from "../dialogs.js";

class LengthMetrics {
  constructor(value, unit = 1) {
    Object.assign(this, { value, unit });
  }
  static px(value) {
    return new LengthMetrics(value, 0);
  }
  static vp(value) {
    return new LengthMetrics(value, 1);
  }
  static fp(value) {
    return new LengthMetrics(value, 2);
  }
  static percent(value) {
    return new LengthMetrics(value, 3);
  }
  static lpx(value) {
    return new LengthMetrics(value, 4);
  }
}
class FrameCallback {
  onFrame() {}
  onIdle() {}
}

const shims = {
  ...abilityShims,
  ...localizationShims,
  ...windowShims,
  ...dataShims,
  ...serviceShims,
  ...mediaShims,
  "@ohos.promptAction": { default: promptAction },
  "@ohos.arkui.StateManagement": { AppStorageV2, UIUtils },
  "@ohos.arkui.UIContext": { FrameCallback },
  "@ohos.arkui.node": { ComponentContent, LengthMetrics },
  "@ohos.arkui.ComponentContent": { ComponentContent },
  "@ohos.graphics.common2D": { default: {} },
};

/** A kit's export `name`, which is `inner` of `module`. */
export function kitMember(kit, name, module, inner, enums) {
  const own = Object.getOwnPropertyDescriptor(shims[module] ?? {}, inner);
  const whole = `${kit}.${name}`;
  if (inner !== "default") return own ? (own.value ?? own.get()) : (enums[inner] ?? LengthNames[inner] ?? absent(whole));
  if (own?.get) return lazily(whole, own.get, enums);
  if (typeof own?.value === "function") return own.value;
  if (own === undefined && Object.keys(enums).length === 0) return absent(whole);
  // An object of the system such as `promptAction` is strict by itself.
  return strict(whole, Object.assign(Object.create(own?.value ?? null), enums));
}
const LengthNames = { LengthMetrics, ComponentContent, AppStorageV2, UIUtils, FrameCallback };

/** What depends on what the harness decides later. */
function lazily(whole, get, enums) {
  return new Proxy(
    {},
    {
      get(_, key) {
        const now = { ...enums, ...get() };
        if (typeof key === "symbol" || key === "then" || key in now) return now[key];
        return strict(whole, now)[key];
      },
    },
  );
}

export const native = new Proxy(
  {},
  {
    get(_, key) {
      if (typeof key === "symbol" || key === "then") return undefined;
      if (!env.native) throw new Error("libsampan.so: the harness was given no native module");
      const found = env.native[key];
      if (found === undefined) throw new Error(`libsampan.so has no ${key}`);
      return found;
    },
  },
);
