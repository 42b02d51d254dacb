// Sizes of elements. Without a layout (linkedom) they are estimated: what was set, else what the parent has, else the window.
import { env, guard } from "./env.js";

const watched = new Map();
let observer;

function set(value, whole) {
  if (typeof value === "number") return value;
  const parts = typeof value === "string" && /^([\d.]+)(vp|fp|px|%)?$/.exec(value);
  if (!parts) return undefined;
  return parts[2] === "%" ? (whole * Number(parts[1])) / 100 : Number(parts[1]);
}

/** `{ width, height, x, y }` in vp. */
export function sizeOf(node) {
  if (env.layout) {
    const { width, height, left, top } = node.el.getBoundingClientRect();
    return { width, height, x: left, y: top };
  }
  const outer = node.parent ? sizeOf(node.parent) : { width: env.width, height: env.height };
  return {
    width: set(node.marks?.width, outer.width) ?? node.shareOfWidth ?? outer.width,
    height: set(node.marks?.height, outer.height) ?? outer.height,
    x: 0,
    y: 0,
  };
}

/** Calls `handler(old, new)` now and whenever the element's size changes, until the node goes. */
export function watchSize(node, key, handler) {
  let entries = watched.get(node);
  if (!entries) {
    watched.set(node, (entries = { handlers: new Map(), last: undefined }));
    if (env.layout) {
      observer ??= new env.window.ResizeObserver((changes) => {
        for (const { target } of changes) if (target.$node) tell(target.$node);
      });
      observer.observe(node.el);
    }
    queueMicrotask(() => guard(() => tell(node)));
  }
  entries.handlers.set(key, handler);
}

function tell(node) {
  const entries = watched.get(node);
  if (!entries) return;
  if (node.gone) {
    watched.delete(node);
    observer?.unobserve(node.el);
    return;
  }
  const size = sizeOf(node);
  const last = entries.last;
  if (last && last.width === size.width && last.height === size.height) return;
  entries.last = size;
  for (const handler of entries.handlers.values()) guard(() => handler(last ?? { width: 0, height: 0, x: 0, y: 0 }, size));
}

/** Where there is no layout, the harness says that the window has another size. */
export function sizesChanged() {
  for (const node of [...watched.keys()]) tell(node);
}

const seen = new Map();

/** Calls `tell(ratio)` when a node comes into sight or goes; where there is no layout, by what is hidden. */
export function watchSight(node, ratios, tell) {
  if (env.layout) {
    const watcher = new env.window.IntersectionObserver(
      (changes) => {
        if (node.gone) watcher.disconnect();
        else tell(changes[changes.length - 1].intersectionRatio);
      },
      { threshold: ratios },
    );
    watcher.observe(node.el);
    return;
  }
  seen.set(node, { tell, last: undefined });
  queueMicrotask(sightChanged);
}

/** A container has hidden or shown something. */
export function sightChanged() {
  for (const [node, entry] of [...seen]) {
    if (node.gone) {
      seen.delete(node);
      continue;
    }
    const ratio = node.el.closest("[hidden]") || env.inBackground ? 0 : 1;
    if (ratio === entry.last) continue;
    entry.last = ratio;
    entry.tell(ratio);
  }
}
