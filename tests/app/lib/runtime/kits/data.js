// Basic services kit: the clipboard. ArkData: preferences.
import { DroppedFile, UnifiedRecord } from "./dropped.js";
import { env } from "../env.js";
import { businessError, emitter, strict } from "../strict.js";

class PasteData {
  constructor(mime, value) {
    this.records =
      mime === undefined
        ? []
        : [{ mimeType: mime, plainText: mime === "text/plain" ? value : undefined, uri: mime === "text/uri" ? value : undefined, value }];
  }
  getPrimaryText() {
    return this.records.find((one) => one.plainText !== undefined)?.plainText ?? "";
  }
  getPrimaryUri() {
    return this.records.find((one) => one.uri !== undefined)?.uri;
  }
  getPrimaryMimeType() {
    return this.records[0]?.mimeType;
  }
  getMimeTypes() {
    return this.records.map((one) => one.mimeType);
  }
  getRecordCount() {
    return this.records.length;
  }
  getRecord(index) {
    return this.records[index];
  }
  hasType(mime) {
    return this.records.some((one) => one.mimeType === mime);
  }
  getProperty() {
    return { timestamp: 0, mimeTypes: this.getMimeTypes(), tag: "", localOnly: false, shareOption: 0 };
  }
  setProperty() {}
}
const clipboardEvents = emitter();
const clipboard = strict("SystemPasteboard", {
  async getData() {
    if (env.device.readPasteboard === false && !env.pasteAllowed) throw businessError(201, "no permission READ_PASTEBOARD");
    return env.clipboard ?? new PasteData();
  },
  getDataSync: () => env.clipboard ?? new PasteData(),
  async setData(data) {
    env.clipboard = data;
    clipboardEvents.$tell("update");
  },
  setDataSync(data) {
    env.clipboard = data;
  },
  hasData: async () => (env.clipboard?.getRecordCount() ?? 0) > 0,
  hasDataSync: () => (env.clipboard?.getRecordCount() ?? 0) > 0,
  hasDataType: (mime) => env.clipboard?.hasType(mime) ?? false,
  async clearData() {
    env.clipboard = undefined;
  },
  clearDataSync() {
    env.clipboard = undefined;
  },
  isRemoteData: () => false,
  getDataSource: () => "",
  on: (type, callback) => clipboardEvents.on(type, callback),
  off: (type, callback) => clipboardEvents.off(type, callback),
});

/** Stored per file name in `env.preferences`, so that a test can begin with some and look at them. */
class Preferences {
  constructor(name) {
    this.values = (env.preferences ??= {})[name] ??= {};
    this.events = emitter();
  }
  getSync(key, initial) {
    return key in this.values ? this.values[key] : initial;
  }
  putSync(key, value) {
    if (value === undefined) throw businessError(401, "undefined cannot be stored");
    this.values[key] = value;
    this.events.$tell("change", key);
  }
  hasSync(key) {
    return key in this.values;
  }
  deleteSync(key) {
    delete this.values[key];
  }
  clearSync() {
    for (const key of Object.keys(this.values)) delete this.values[key];
  }
  getAllSync() {
    return { ...this.values };
  }
  flushSync() {}
  async get(key, initial) {
    return this.getSync(key, initial);
  }
  async put(key, value) {
    this.putSync(key, value);
  }
  async has(key) {
    return this.hasSync(key);
  }
  async delete(key) {
    this.deleteSync(key);
  }
  async clear() {
    this.clearSync();
  }
  async getAll() {
    return this.getAllSync();
  }
  async flush() {}
  on(type, callback) {
    this.events.on(type, callback);
  }
  off(type, callback) {
    this.events.off(type, callback);
  }
}
const opened = new Map();
function preferencesOf(context, which) {
  const name = typeof which === "string" ? which : which.name;
  if (!opened.has(name)) opened.set(name, new Preferences(name));
  return opened.get(name);
}

export const dataShims = {
  "@ohos.pasteboard": {
    default: {
      MIMETYPE_TEXT_PLAIN: "text/plain",
      MIMETYPE_TEXT_HTML: "text/html",
      MIMETYPE_TEXT_URI: "text/uri",
      MIMETYPE_PIXELMAP: "pixelMap",
      getSystemPasteboard: () => clipboard,
      createData: (mime, value) => new PasteData(mime, value),
      createPlainTextData: (text) => new PasteData("text/plain", text),
    },
  },
  "@ohos.data.unifiedDataChannel": { default: { File: DroppedFile, UnifiedRecord } },
  "@ohos.data.preferences": {
    default: {
      getPreferencesSync: preferencesOf,
      getPreferences: async (context, which) => preferencesOf(context, which),
      deletePreferences: async (context, name) => {
        opened.delete(name);
        delete env.preferences?.[name];
      },
      removePreferencesFromCacheSync: (context, name) => void opened.delete(name),
    },
  },
};
