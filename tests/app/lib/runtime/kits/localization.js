// Localization kit: resources by name, languages, numbers and dates.
import { env } from "../env.js";
import { Resource, colorOf, find, format, mediaOf, pluralText, resourceOf, textOf, vpOf } from "../resources.js";
import { businessError, strict } from "../strict.js";

const NOT_FOUND = 9001003;
const missing = (what) => businessError(NOT_FOUND, `there is no resource ${what}`);
function get(type, name) {
  const found = find(type, name);
  if (found === undefined) throw missing(`${type}.${name}`);
  return found;
}
/** A resource, or the one of a number. */
function resource(which) {
  const found = which instanceof Resource ? which : resourceOf(which);
  if (!found) throw businessError(9001001, `there is no resource of the number ${which}`);
  return found;
}
const nameOf = (which) => resource(which).name;
const withParams = (which, args) => (args.length === 0 ? which : new Resource(which.origin, which.kind, which.name, args));
const bytes = (text) => new TextEncoder().encode(text);
const decoded = (url) => Uint8Array.from(atob(url.split(",")[1]), (one) => one.charCodeAt(0));
const pictureBytes = (found) => (found.svg !== undefined ? bytes(found.svg) : found.json !== undefined ? bytes(found.json) : decoded(found.url));
const argb = (css) => {
  const [r, g, b, a = 1] = css.match(/[\d.]+/g).map(Number);
  return Math.round(a * 255) * 0x1000000 + r * 0x10000 + g * 0x100 + b;
};
const locale = () => (env.language === "base" ? "en-US" : env.language.replace("_", "-"));

function raw(path) {
  if (!env.rawfile) throw missing(`rawfile ${path}`);
  return env.rawfile(path);
}

export const resourceManager = () =>
  strict("ResourceManager", {
    getStringSync: (which, ...args) => textOf(withParams(resource(which), args)),
    getStringByNameSync: (name, ...args) => format(String(get("string", name)), args),
    getStringValue: async (which) => textOf(resource(which)),
    getStringByName: async (name) => String(get("string", name)),
    getPluralStringByNameSync: (name, count) => format(pluralText(get("plural", name), count), [count]),
    getPluralStringByName: async (name, count) => format(pluralText(get("plural", name), count), [count]),
    getPluralStringValueSync: (which, count) => format(pluralText(get("plural", nameOf(which)), count), [count]),
    getIntPluralStringByNameSync: (name, count, ...args) => format(pluralText(get("plural", name), count), args.length > 0 ? args : [count]),
    getIntPluralStringValueSync: (which, count, ...args) => format(pluralText(get("plural", nameOf(which)), count), args.length > 0 ? args : [count]),
    getStringArrayByNameSync: (name) => get("strarray", name).map((one) => one.value ?? one),
    getColorSync: (which) => argb(colorOf(resource(which))),
    getColorByNameSync: (name) => argb(colorOf(get("color", name))),
    getNumber: (which) => vpOf(resource(which)),
    getNumberByName: (name) => vpOf(find("float", name) ?? get("integer", name)),
    getBoolean: (which) => get("boolean", nameOf(which)),
    getBooleanByName: (name) => get("boolean", name),
    getMediaByNameSync: (name) => pictureBytes(get("media", name)),
    getMediaContentSync: (which) => pictureBytes(mediaOf(resource(which))),
    getMediaContent: async (which) => pictureBytes(mediaOf(resource(which))),
    getRawFileContentSync: (path) => raw(path),
    getRawFileContent: async (path) => raw(path),
    getRawFileListSync: (path) => {
      const start = path === "" ? "" : `${path}/`;
      return [...new Set(env.resources.rawfiles.filter((one) => one.startsWith(start)).map((one) => one.slice(start.length).split("/")[0]))];
    },
    getRawFd: async (path) => ({ fd: -1, offset: 0, length: raw(path).length }),
    getConfigurationSync: () => ({
      direction: 0,
      locale: env.language,
      deviceType: 0,
      screenDensity: 0,
      colorMode: env.dark ? 0 : 1,
      mcc: 0,
      mnc: 0,
    }),
    getDeviceCapabilitySync: () => ({ screenDensity: 0, deviceType: { phone: 0, tablet: 1, "2in1": 7 }[env.device.type ?? "phone"] }),
    getLocales: () => ["en-US", "zh-CN"],
    closeRawFd: async () => {},
  });

class NumberFormat {
  constructor(name, options) {
    this.inner = new Intl.NumberFormat(Array.isArray(name) ? name[0] : name || locale(), options);
  }
  format(value) {
    return this.inner.format(value);
  }
  resolvedOptions() {
    return this.inner.resolvedOptions();
  }
}
class DateTimeFormat {
  constructor(name, options) {
    this.inner = new Intl.DateTimeFormat(Array.isArray(name) ? name[0] : name || locale(), options);
  }
  format(value) {
    return this.inner.format(value);
  }
  formatRange(start, end) {
    return this.inner.formatRange(start, end);
  }
  resolvedOptions() {
    return this.inner.resolvedOptions();
  }
}
class RelativeTimeFormat {
  constructor(name, options) {
    this.inner = new Intl.RelativeTimeFormat(name || locale(), options);
  }
  format(value, unit) {
    return this.inner.format(value, unit);
  }
}
class Collator {
  constructor(name, options) {
    this.inner = new Intl.Collator(name || locale(), options);
  }
  compare(a, b) {
    return this.inner.compare(a, b);
  }
}
class PluralRules {
  constructor(name, options) {
    this.inner = new Intl.PluralRules(name || locale(), options);
  }
  select(count) {
    return this.inner.select(count);
  }
}
class Locale {
  constructor(name) {
    const inner = new Intl.Locale(name ?? locale());
    Object.assign(this, { language: inner.language, script: inner.script ?? "", region: inner.region ?? "", baseName: inner.baseName });
  }
  toString() {
    return this.baseName;
  }
}

const System = strict("i18n.System", {
  getSystemLanguage: () => locale(),
  getSystemLocale: () => locale(),
  getSystemRegion: () => locale().split("-")[1] ?? "US",
  is24HourClock: () => true,
  getPreferredLanguageList: () => [locale()],
  getFirstPreferredLanguage: () => locale(),
  getAppPreferredLanguage: () => locale(),
  getSystemLocaleInstance: () => new Intl.Locale(locale()),
  getUsingLocalDigit: () => false,
});

export const localizationShims = {
  "@ohos.resourceManager": { default: {} },
  "@ohos.i18n": {
    default: {
      System,
      isRTL: () => false,
      getTimeZone: () =>
        strict("TimeZone", {
          getID: () => Intl.DateTimeFormat().resolvedOptions().timeZone,
          getRawOffset: () => -new Date().getTimezoneOffset() * 60_000,
          getOffset: () => -new Date().getTimezoneOffset() * 60_000,
        }),
    },
  },
  "@ohos.intl": { default: { NumberFormat, DateTimeFormat, RelativeTimeFormat, Collator, PluralRules, Locale } },
};
