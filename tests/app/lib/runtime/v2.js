// The decorators of state management V2. What they note stands in `meta` of the prototype; values stand in boxes of the object.
import { COMPUTED, Effect, MONITOR, fire, readers, track, unowned, untracked } from "./signals.js";
import { observed } from "./observed.js";

const META = Symbol("meta");
const BOXES = Symbol("boxes");

/** What the decorators noted of a class, those of its ancestors included. */
export function meta(proto) {
  if (!Object.hasOwn(proto, META)) {
    const above = proto[META];
    Object.defineProperty(proto, META, {
      value: {
        kinds: new Map(above?.kinds),
        require: new Set(above?.require),
        once: new Set(above?.once),
        providers: new Map(above?.providers),
        consumers: new Map(above?.consumers),
        monitors: [...(above?.monitors ?? [])],
        computed: new Map(above?.computed),
      },
    });
  }
  return proto[META];
}
export const metaOf = (object) => meta(Object.getPrototypeOf(object));

export function box(object, key) {
  if (!Object.hasOwn(object, BOXES)) Object.defineProperty(object, BOXES, { value: new Map() });
  let found = object[BOXES].get(key);
  if (!found) object[BOXES].set(key, (found = { value: undefined, readers: readers() }));
  return found;
}
/** Makes a property of one object the same value as one of another: a consumer and its provider. */
export function shareBox(object, key, shared) {
  box(object, key);
  object[BOXES].set(key, shared);
}
export function write(held, value) {
  const next = observed(value);
  if (Object.is(held.value, next)) return;
  held.value = next;
  fire(held.readers);
}

function signal(proto, key, check) {
  Object.defineProperty(proto, key, {
    enumerable: true,
    configurable: true,
    get() {
      const held = box(this, key);
      track(held.readers);
      return held.value;
    },
    set(value) {
      check?.(this, key);
      write(box(this, key), value);
    },
  });
}

const property = (kind, check) => (proto, key) => {
  const { kinds } = meta(proto);
  // @Require and @Once stand beside another decorator.
  if (kinds.has(key) && Object.hasOwn(proto, key)) throw new TypeError(`${proto.constructor.name}.${key}: @${kind} beside @${kinds.get(key)}`);
  kinds.set(key, kind);
  signal(proto, key, check);
};

function inside(object, key) {
  if (object.$ready && !metaOf(object).once.has(key)) {
    throw new TypeError(`${object.constructor.name}.${key}: a @Param may not be assigned from inside; use an @Event`);
  }
}

export const Trace = property("Trace");
export const Local = property("Local");
export const Param = property("Param", inside);
export const Require = (proto, key) => void meta(proto).require.add(key);
export const Once = (proto, key) => void meta(proto).once.add(key);
export const Event = (proto, key) => void meta(proto).kinds.set(key, "Event");
export const BuilderParam = (proto, key) => void meta(proto).kinds.set(key, "BuilderParam");

const named =
  (kind, field) =>
  (...args) => {
    const note = (alias) => (proto, key) => {
      property(kind)(proto, key);
      meta(proto)[field].set(key, alias ?? key);
    };
    return typeof args[1] === "string" && typeof args[0] === "object" ? note(undefined)(args[0], args[1]) : note(args[0]);
  };
export const Provider = named("Provider", "providers");
export const Consumer = named("Consumer", "consumers");

export const Monitor =
  (...paths) =>
  (proto, key) => {
    const at = paths.find((path) => typeof path !== "string" || path === "" || path.includes("*"));
    if (at !== undefined) throw new TypeError(`${proto.constructor.name}.${key}: @Monitor("${at}") is not in API 12`);
    const { monitors } = meta(proto);
    const known = monitors.findIndex((one) => one.method === key);
    if (known >= 0) monitors.splice(known, 1);
    monitors.push({ method: key, paths });
  };

export function Computed(proto, key, descriptor) {
  if (!descriptor?.get) throw new TypeError(`${proto.constructor.name}.${key}: @Computed wants a getter`);
  meta(proto).computed.set(key, descriptor.get);
  return {
    enumerable: descriptor.enumerable,
    configurable: true,
    // Between a change and the next update this is still the old value, as in ArkUI.
    get() {
      if (!this.$started) return descriptor.get.call(this);
      const held = box(this, key);
      track(held.readers);
      return held.value;
    },
    set() {
      throw new TypeError(`${this.constructor.name}.${key}: a @Computed property may not be assigned`);
    },
  };
}

/** Begins an object's computed properties and monitors; for components in the present scope, for models for ever. */
export function start(object) {
  const { computed, monitors } = metaOf(object);
  Object.defineProperty(object, "$started", { value: true });
  for (const [key, get] of computed) {
    const held = box(object, key);
    const effect = new Effect(COMPUTED, () => {
      const value = get.call(object);
      untracked(() => write(held, value));
    });
    untracked(() => effect.run());
  }
  for (const one of monitors) untracked(() => watch(object, one));
}

// Values are compared by identity, as in ArkUI: what is pushed to an array is seen by a monitor on its `length`, not on the array.
function watch(object, { method, paths }) {
  let before;
  const effect = new Effect(MONITOR, () => {
    const now = paths.map((path) => at(object, path));
    const dirty = before === undefined ? [] : paths.filter((_, index) => !Object.is(now[index], before[index]));
    const was = before;
    before = now;
    if (dirty.length === 0) return;
    untracked(() =>
      object[method]({
        dirty,
        value(path = dirty[0]) {
          const index = paths.indexOf(path);
          return index < 0 || !dirty.includes(path) ? undefined : { before: was[index], now: now[index], path };
        },
      }),
    );
  });
  effect.run();
}

const at = (object, path) => path.split(".").reduce((value, key) => value?.[key], object);

/** Classes whose objects begin their monitors once the outermost constructor is through. */
export function ObservedV2(Class) {
  const Observed = {
    [Class.name]: class extends Class {
      constructor(...args) {
        super(...args);
        if (new.target === Observed) unowned(() => start(this));
      }
    },
  }[Class.name];
  return Observed;
}

export const ComponentV2 = (...args) => (typeof args[0] === "function" ? undefined : () => undefined);
export const Entry = (...args) => {
  const mark = (Class) => void Object.defineProperty(Class, "$entry", { value: true });
  return typeof args[0] === "function" ? mark(args[0]) : mark;
};
export const Type = () => () => undefined;
