// Objects of the system whose missing members are errors: a page that asks for more than the preview has is told so at once.

export class NotInPreview extends Error {
  constructor(name) {
    super(`the preview has no ${name}`);
    this.name = "NotInPreview";
  }
}

/** `object`, which throws for a member that it lacks. */
export function strict(name, object) {
  return new Proxy(object, {
    get(target, key, receiver) {
      if (typeof key === "symbol" || key in target || key === "then" || key === "toJSON" || key.startsWith("$"))
        return Reflect.get(target, key, receiver);
      throw new NotInPreview(`${name}.${key}`);
    },
  });
}

/** Stands for a member that is exported and not there: whoever uses it is told. */
export function absent(name) {
  const fail = () => {
    throw new NotInPreview(name);
  };
  return new Proxy(function absentMember() {}, {
    get: (_, key) => (key === "then" || typeof key === "symbol" ? undefined : fail()),
    apply: fail,
    construct: fail,
  });
}

/** A function, or an object, that listens: `on`, `off` and a way to tell. */
export function emitter() {
  const listeners = new Map();
  return {
    on(type, ...rest) {
      const callback = rest.at(-1);
      if (!listeners.has(type)) listeners.set(type, new Set());
      listeners.get(type).add(callback);
    },
    off(type, ...rest) {
      const callback = rest.find((one) => typeof one === "function");
      if (callback) listeners.get(type)?.delete(callback);
      else listeners.delete(type);
    },
    $tell(type, ...args) {
      for (const one of [...(listeners.get(type) ?? [])]) one(...args);
    },
    $listeners: (type) => listeners.get(type)?.size ?? 0,
  };
}

/** An Error as the system's: its code is a number. */
export const businessError = (code, message) => Object.assign(new Error(message), { code });
