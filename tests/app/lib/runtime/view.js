// Nodes: what compiled descriptions call. Each node draws itself again when what its arguments and attributes read changes;
// branches and rows stand between comments, so that no element of ours comes between a container and its children.
import { env, guard } from "./env.js";
import { effect, onDispose, scope, untracked } from "./signals.js";
import { box, meta, metaOf, shareBox, start, write } from "./v2.js";
import { lookUp, lookUpAttribute } from "./registry.js";
import { widen } from "./style.js";

/** Where the next node goes. */
let at = { host: undefined, before: null, view: undefined, node: undefined };

export function within(place, fn) {
  const held = at;
  at = { ...held, ...place };
  try {
    return fn();
  } finally {
    at = held;
  }
}
export const here = () => at;

const put = (child) => at.host.insertBefore(child, at.before);

/** One element of ArkUI. */
export class Node {
  constructor(name, def, el, where) {
    Object.assign(this, { name, def, el, where, view: at.view, parent: at.node, css: {}, handlers: new Map(), marks: {} });
    el.$node = this;
  }

  /** Sets the one listener of an event under `key`; a later call replaces it, undefined removes it. */
  on(key, type, handler, options) {
    const known = this.handlers.get(key);
    if (known) {
      known.handler = handler;
      return;
    }
    if (handler === undefined) return;
    const entry = { handler };
    this.handlers.set(key, entry);
    this.el.addEventListener(type, (event) => entry.handler && guard(() => entry.handler(event, this)), options);
  }

  /** Writes what `css` has come to, at once: attributes of elements are dear. */
  commit() {
    let text = "";
    if (this.marks.visibility === 2) this.css.display = "none";
    for (const key in this.css) {
      const value = this.css[key];
      if (value !== undefined && value !== null && value !== "") text += `${key}:${value};`;
    }
    if (text === this.written) return;
    this.written = text;
    if (text === "") this.el.removeAttribute("style");
    else this.el.setAttribute("style", text);
  }

  attribute(name, value) {
    if (value === undefined || value === null || value === false) this.el.removeAttribute(name);
    else if (this.el.getAttribute(name) !== String(value)) this.el.setAttribute(name, String(value));
  }

  /** Draws what a builder describes into `host`, as part of this node or of `node`. Comes to a scope. */
  draw(host, describe, node = this) {
    return untracked(() => scope(() => within({ host, before: null, view: this.view, node }, describe)));
  }

  /** An error that says where. */
  problem(text) {
    return new Error(`${this.where}: ${this.name}: ${text}`);
  }
}

function applied(node, list) {
  for (const [name, ...args] of list) {
    const fn = lookUpAttribute(node.def, name);
    if (!fn) throw node.problem(`the preview has no attribute ${name}`);
    try {
      fn(node, ...args);
    } catch (error) {
      if (error instanceof Error && !error.message.includes(".ets:")) error.message = `${node.where}: ${node.name}.${name}: ${error.message}`;
      throw error;
    }
  }
}
export const applyAttributes = applied;

/** The nearest component above that has a box of its own. */
function boxOf(node) {
  for (let one = node; one; one = one.parent) if (one.el && !(one.el.classList.contains("custom") && !one.el.classList.contains("sized"))) return one;
  return undefined;
}

/** A component of the system. */
export function $n(name, args, attributes, children, where) {
  const def = lookUp(name);
  if (!def) throw new Error(`${where}: the preview has no component ${name}`);
  const tag = typeof def.tag === "function" ? def.tag(args) : (def.tag ?? "div");
  const el = put(env.document.createElement(tag));
  const node = new Node(name, def, el, where);
  el.setAttribute("class", `ark ${name}`);
  node.parentName = boxOf(node.parent)?.name;
  if (def.fills) widen(node);
  fits(node);
  def.init?.(node);
  onDispose(() => {
    node.gone = true;
    def.gone?.(node);
    node.disappear?.();
    node.overlays?.forEach((one) => one.dispose());
  });
  effect(() => {
    node.css = {};
    node.marks = {};
    def.args?.(node, ...args());
    if (attributes) applied(node, attributes());
    def.applied?.(node);
    node.commit();
  });
  if (children) within({ host: def.slot?.(node) ?? el, before: null, node }, children);
  def.done?.(node);
  node.appear?.();
  if (def.single && children) alone(node);
}

/** Refuses what the SDK's compiler would: a component where it may not stand. */
function fits(node) {
  const above = boxOf(node.parent);
  // What a builder draws apart, such as a header or a menu, has no such parent.
  if (
    !above ||
    (node.el.parentNode !== above.el && node.el.parentNode !== above.def.slot?.(above) && !node.el.parentNode?.classList.contains("custom"))
  )
    return;
  const { parents } = node.def;
  if (parents && !parents.includes(above.name)) throw node.problem(`it stands in ${above.name}, and may stand in ${parents.join(" or ")} alone`);
  const takes = above.def.takes;
  if (takes && !takes.includes(node.name)) throw node.problem(`${above.name} takes ${takes.join(" and ")} alone`);
}

function alone(node) {
  const host = node.def.slot?.(node) ?? node.el;
  const count = [...host.children].filter((el) => el.classList.contains("ark")).length;
  if (count > 1) throw node.problem(`it has ${count} children, and takes one`);
  if (count > 0 && node.label !== undefined) throw node.problem("it has a label, so it takes no children");
}

/** A component of ours. `children` is a trailing closure: its one @BuilderParam. */
export function $c(component, params, attributes, children, where) {
  const Class = component();
  if (typeof Class !== "function" || !(Class.prototype instanceof $View)) throw new Error(`${where}: ${Class?.name ?? Class} is no component`);
  const el = put(env.document.createElement("div"));
  const node = new Node(Class.name, lookUp("__Common__"), el, where);
  el.setAttribute("class", attributes ? "ark custom sized" : "ark custom");
  el.setAttribute("data-component", Class.name);
  node.parentName = boxOf(node.parent)?.name;
  const parent = at.view;
  let view;
  effect(() => {
    const given = params();
    if (children)
      untracked(() => {
        given[trailing(Class, where)] = children;
      });
    untracked(() => (view ? update(view, given) : (view = new Class(parent, given, where))));
  });
  node.view = view;
  node.owner = parent;
  view.$node = node;
  begin(view);
  if (attributes) {
    effect(() => {
      node.css = {};
      node.marks = {};
      applied(node, attributes());
      node.commit();
    });
  }
  onDispose(() => {
    node.gone = true;
    node.disappear?.();
    node.overlays?.forEach((one) => one.dispose());
  });
  within({ host: el, before: null, view, node }, () => view.build());
  view.onDidBuild?.();
  node.appear?.();
}

function trailing(Class, where) {
  const names = [...meta(Class.prototype).kinds].filter(([, kind]) => kind === "BuilderParam").map(([key]) => key);
  if (names.length !== 1) throw new Error(`${where}: a trailing closure wants one @BuilderParam in ${Class.name}; it has ${names.length}`);
  return names[0];
}

/** Starts a component: its monitors end with it. */
export function begin(view) {
  start(view);
  view.$ready = true;
  untracked(() => view.aboutToAppear?.());
  onDispose(() => {
    view.$dead = true;
    guard(() => view.aboutToDisappear?.());
  });
}

function update(view, given) {
  const { kinds, once } = metaOf(view);
  for (const key in given) {
    const kind = kinds.get(key);
    if (kind === "Param" && !once.has(key)) write(box(view, key), given[key]);
    else if (kind === "Event") view[key] = given[key];
  }
}

/** What structs become. */
export class $View {
  constructor(parent, given, where) {
    Object.defineProperties(this, {
      $parent: { value: parent },
      $given: { value: given ?? {} },
      $where: { value: where },
      $ready: { value: false, writable: true },
      $node: { value: undefined, writable: true },
      $dead: { value: false, writable: true },
    });
    const { kinds, require } = metaOf(this);
    const name = this.constructor.name;
    for (const key of require) {
      if (this.$given[key] === undefined && !(key in this.$given)) throw new TypeError(`${where}: ${name}: @Require ${key} is missing`);
    }
    for (const key in this.$given) {
      if (!["Param", "Event", "BuilderParam"].includes(kinds.get(key))) {
        throw new TypeError(`${where}: ${name}.${key} is ${kinds.has(key) ? `@${kinds.get(key)}` : "no @Param"}: it cannot be set from outside`);
      }
    }
  }

  /** What was handed in, or the initial value. */
  $param(key, initial) {
    if (key in this.$given) return this.$given[key];
    if (initial) return initial();
    return metaOf(this).kinds.get(key) === "Event" ? () => undefined : undefined;
  }

  /** The nearest provider's value, from here on the same one; the initial value where there is no provider. */
  $consume(key, initial) {
    const alias = metaOf(this).consumers.get(key);
    for (let view = this.$parent; view; view = view.$parent) {
      const own = metaOf(view).providers;
      for (const [name, provided] of own) {
        if (provided !== alias) continue;
        shareBox(this, key, box(view, name));
        return box(view, name).value;
      }
    }
    return initial?.();
  }

  getUIContext() {
    return env.uiContext;
  }

  getUniqueId() {
    return 1;
  }

  queryNavDestinationInfo() {
    for (let node = this.$node; node; node = node.parent) if (node.navPage) return node.navPage.info();
    return undefined;
  }
}

/** `if`, `else if`, `else`: one branch at a time. */
export function $if(choose, arms) {
  const end = put(env.document.createComment("if"));
  const place = { ...at, before: end };
  // The arm's nodes stand between the two comments.
  const first = place.host.insertBefore(env.document.createComment("arm"), end);
  let now = -1;
  let live;
  onDispose(() => live?.dispose());
  effect(() => {
    const next = choose();
    if (next === now) return;
    live?.dispose();
    live = undefined;
    while (first.nextSibling && first.nextSibling !== end) first.nextSibling.remove();
    now = next;
    if (next >= 0) live = scope(() => within(place, arms[next]));
    childrenChanged(place.node);
  });
}

/** Tells a container, such as Tabs, that its children are others now. */
export function childrenChanged(node) {
  for (let one = node; one; one = one.parent) {
    if (one.def?.children) {
      if (one.ready) untracked(() => one.def.children(one));
      return;
    }
    if (!one.el?.classList?.contains("custom")) return;
  }
}

/** One object handed to a builder: its values are read when they are used, so that they stay live. */
export function $ref(values) {
  return new Proxy(
    {},
    {
      get: (_, key) => values()[key],
      has: (_, key) => key in values(),
      set(_, key) {
        throw new TypeError(`${String(key)}: what a builder is given may not be assigned`);
      },
    },
  );
}

/** `a!!` where a component of the system takes it. */
export class TwoWay {
  constructor(read, set) {
    Object.assign(this, { read, set });
  }
}
export const $two = (read, set) => new TwoWay(read, set);
/** The value of what may be bound both ways; read by the node, so that it follows. */
export const valueOf = (bound) => (bound instanceof TwoWay ? bound.read() : bound);
export function setBound(bound, value) {
  if (bound instanceof TwoWay) bound.set(value);
}
