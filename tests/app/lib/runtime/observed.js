// Arrays, maps, sets and dates that are held in a decorated property: whoever reads one is told of its changes, nested ones too.
// Objects are told of by their own @Trace properties alone, as in ArkUI.
import { fire, readers, track, untracked } from "./signals.js";

const TARGET = Symbol("target");
const proxies = new WeakMap();
const CHANGES = {
  Array: new Set(["push", "pop", "shift", "unshift", "splice", "sort", "reverse", "fill", "copyWithin"]),
  Map: new Set(["set", "delete", "clear"]),
  Set: new Set(["add", "delete", "clear"]),
};

function kindOf(value) {
  if (Array.isArray(value)) return "Array";
  if (value instanceof Map) return "Map";
  if (value instanceof Set) return "Set";
  return value instanceof Date ? "Date" : undefined;
}

/** The value itself behind what `observed` made, as `UIUtils.getTarget` gives it. */
export const target = (value) => (typeof value === "object" && value !== null && value[TARGET]) || value;

export function observed(value) {
  if (typeof value !== "object" || value === null || value[TARGET]) return value;
  const kind = kindOf(value);
  if (kind === undefined) return value;
  const known = proxies.get(value);
  if (known) return known;
  const set = readers();
  const proxy = new Proxy(value, kind === "Array" ? arrayHandler(set) : objectHandler(set, kind));
  proxies.set(value, proxy);
  return proxy;
}

function arrayHandler(set) {
  const wrapped = new Map();
  return {
    get(array, key, proxy) {
      if (key === TARGET) return array;
      const value = array[key];
      if (typeof value === "function" && CHANGES.Array.has(key)) {
        if (!wrapped.has(key)) {
          wrapped.set(key, (...args) =>
            untracked(() => {
              const result = value.apply(array, args);
              fire(set);
              return result === array ? proxy : result;
            }),
          );
        }
        return wrapped.get(key);
      }
      // Other methods run on the proxy, so that nested collections are observed and the reader is noted.
      if (typeof value === "function") return value;
      track(set);
      return observed(value);
    },
    set(array, key, value) {
      if (array[key] === value && key in array) return true;
      array[key] = value;
      fire(set);
      return true;
    },
    deleteProperty(array, key) {
      delete array[key];
      fire(set);
      return true;
    },
    has(array, key) {
      track(set);
      return key in array;
    },
    ownKeys(array) {
      track(set);
      return Reflect.ownKeys(array);
    },
  };
}

function objectHandler(set, kind) {
  return {
    get(object, key, proxy) {
      if (key === TARGET) return object;
      const value = Reflect.get(object, key, object);
      if (typeof value !== "function") {
        track(set);
        return observed(value);
      }
      const changes = kind === "Date" ? String(key).startsWith("set") : CHANGES[kind].has(key);
      return (...args) => {
        if (!changes) {
          track(set);
          const result = value.apply(object, args);
          return key === "get" ? observed(result) : result;
        }
        const [size, time] = [object.size, kind === "Date" ? object.getTime() : 0];
        const same = kind === "Map" && key === "set" && object.has(args[0]) && object.get(args[0]) === args[1];
        const result = value.apply(object, args);
        const changed = kind === "Date" ? object.getTime() !== time : kind === "Map" && key === "set" ? !same : object.size !== size;
        if (changed) fire(set);
        return result === object ? proxy : result;
      };
    },
  };
}
