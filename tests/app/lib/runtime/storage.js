// AppStorageV2 and UIUtils.
import { target } from "./observed.js";

const stored = new Map();

export const AppStorageV2 = {
  connect(type, keyOrMake, make) {
    if (typeof type !== "function") throw new TypeError("AppStorageV2.connect wants a class");
    const key = typeof keyOrMake === "string" ? keyOrMake : type.name;
    const create = typeof keyOrMake === "function" ? keyOrMake : make;
    const known = stored.get(key);
    if (known) {
      if (!(known instanceof type)) throw new TypeError(`AppStorageV2: ${key} is a ${known.constructor.name}, no ${type.name}`);
      return known;
    }
    if (!create) return undefined;
    const made = create();
    if (!(made instanceof type)) throw new TypeError(`AppStorageV2: ${key} was made as a ${made?.constructor?.name}, no ${type.name}`);
    stored.set(key, made);
    return made;
  },
  remove: (which) => void stored.delete(typeof which === "string" ? which : which.name),
  keys: () => [...stored.keys()],
};

export const UIUtils = { getTarget: target };

/** What a window's page is given by its ability: `loadContent(path, storage)`. */
export class LocalStorage {
  constructor(initial = {}) {
    Object.defineProperty(this, "values", { value: new Map(Object.entries(initial)) });
  }
  get(name) {
    return this.values.get(name);
  }
  set(name, value) {
    if (!this.values.has(name)) return false;
    this.values.set(name, value);
    return true;
  }
  setOrCreate(name, value) {
    this.values.set(name, value);
    return true;
  }
  has(name) {
    return this.values.has(name);
  }
  delete(name) {
    return this.values.delete(name);
  }
  keys() {
    return this.values.keys();
  }
  size() {
    return this.values.size;
  }
  clear() {
    this.values.clear();
    return true;
  }
}
