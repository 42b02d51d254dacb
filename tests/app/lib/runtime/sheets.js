// bindSheet, bindContentCover, bindPopup: content over the pages while a value is true.
import { env, guard } from "./env.js";
import { member } from "./enumeration.js";
import { colorOf, lengthOf, textOf } from "./resources.js";
import { layer, words, button } from "./overlay.js";
import { setBound, valueOf } from "./view.js";
import { untracked } from "./signals.js";
import { Resource } from "./resources.js";

/** Opens or closes as `shown` says; `draw(entry)` opens. An entry lives with its node, which has one of a kind. */
function follow(node, key, bound, options, open) {
  if (node.marks[key]) throw node.problem(`it has a ${key} already: the last one alone counts`);
  node.marks[key] = true;
  const shown = valueOf(bound) === true;
  const held = (node.layers ??= new Map());
  const entry = held.get(key);
  if (entry) {
    entry.options = options;
    entry.bound = bound;
  }
  if (shown && !entry) {
    const made = { options, bound };
    held.set(key, made);
    untracked(() => open(made));
    (node.overlays ??= []).push({ dispose: () => made.end?.() });
  } else if (!shown && entry) {
    held.delete(key);
    untracked(() => entry.end());
  }
}

/** Ends a layer: its content goes, and whoever asked is told. */
function ender(node, key, entry, over, scope) {
  return () => {
    if (entry.ended) return;
    entry.ended = true;
    node.layers.delete(key);
    guard(() => entry.options.onWillDisappear?.());
    over.close();
    scope.dispose();
    if (entry.options.onDisappear) guard(() => entry.options.onDisappear());
  };
}

function dismissal(entry) {
  const REASONS = { back: "PRESS_BACK", mask: "TOUCH_OUTSIDE", close: "CLOSE_BUTTON", slide: "SLIDE_DOWN" };
  return (reason) => {
    const { onWillDismiss, shouldDismiss } = entry.options;
    const dismiss = () => {
      setBound(entry.bound, false);
      entry.end();
    };
    const asked = onWillDismiss ?? shouldDismiss;
    if (asked) {
      asked({ dismiss, springBack() {}, reason: env.enums.DismissReason?.[REASONS[reason]] ?? 0 });
      return false;
    }
    dismiss();
    return false;
  };
}

function detent(value) {
  if (typeof value === "number" && value in SHEET_SIZES) return SHEET_SIZES[value];
  return undefined;
}
// SheetSize: MEDIUM, LARGE, FIT_CONTENT.
const SHEET_SIZES = ["60%", "calc(100% - 8px)", "auto"];

function sheetLooks(over, options) {
  const type = member("SheetType", options.preferType);
  const centred = env.width >= 600 && type !== "BOTTOM";
  over.el.setAttribute("data-type", centred ? (type === "POPUP" ? "popup" : "center") : "bottom");
  const wanted = options.detents?.[0] ?? options.height;
  const height = wanted === undefined ? (centred ? "560px" : SHEET_SIZES[1]) : (detent(wanted) ?? lengthOf(wanted));
  const style = [`height:${height}`];
  if (options.width !== undefined) style.push(`width:${lengthOf(options.width)}`);
  if (options.backgroundColor !== undefined) style.push(`background-color:${colorOf(options.backgroundColor)}`);
  over.host.setAttribute("style", style.join(";"));
}

function head(over, { title, dragBar = true, showClose = true, detents }, entry) {
  if (dragBar && (detents?.length ?? 0) > 1) over.host.append(words("drag-bar", ""));
  const bar = words("sheet-bar", "");
  const closes = showClose !== false;
  if (typeof title === "object" && title !== null && !(title instanceof Resource) && title.title !== undefined) {
    bar.append(words("sheet-title", title.title, "heading"));
    if (title.subtitle !== undefined) bar.append(words("sheet-subtitle", title.subtitle));
  }
  if (closes) {
    const close = button("", "sheet-close", () => over.dismiss("close"));
    close.setAttribute("aria-label", env.language.startsWith("zh") ? "关闭" : "Close");
    bar.append(close);
  }
  over.host.append(bar);
  return typeof title === "function" ? { bar, title, entry } : undefined;
}

function content(over) {
  const el = env.document.createElement("div");
  el.setAttribute("class", "content");
  over.host.append(el);
  return el;
}

const asBuilder = (builder, node) => {
  const found = typeof builder === "function" ? builder : builder?.builder;
  if (typeof found !== "function") throw node.problem("wants a builder");
  return found;
};

export const sheets = {
  bindSheet(node, bound, builder, options = {}) {
    follow(node, "sheet", bound, options, (entry) => {
      const over = layer({
        kind: "sheet",
        modal: true,
        role: "dialog",
        dismiss: dismissal(entry),
        label: options.title?.title === undefined ? undefined : textOf(options.title.title),
        mask: options.enableOutsideInteractive ? false : options.maskColor === undefined ? true : colorOf(options.maskColor),
      });
      guard(() => entry.options.onWillAppear?.());
      sheetLooks(over, options);
      const titled = head(over, options, entry);
      const scopes = [];
      entry.end = ender(node, "sheet", entry, over, { dispose: () => scopes.forEach((one) => one.dispose()) });
      if (titled) scopes.push(node.draw(titled.bar, titled.title));
      scopes.push(node.draw(content(over), asBuilder(builder, node)));
      if (options.onAppear) guard(options.onAppear);
    });
    const entry = node.layers?.get("sheet");
    if (entry) entry.options = options;
  },
  bindContentCover(node, bound, builder, options = {}) {
    follow(node, "cover", bound, typeof options === "object" ? options : {}, (entry) => {
      const over = layer({ kind: "cover", modal: true, role: "dialog", dismiss: dismissal(entry) });
      if (options.backgroundColor !== undefined) over.host.setAttribute("style", `background-color:${colorOf(options.backgroundColor)}`);
      const scopes = [];
      entry.end = ender(node, "cover", entry, over, { dispose: () => scopes.forEach((one) => one.dispose()) });
      guard(() => entry.options.onWillAppear?.());
      scopes.push(node.draw(over.host, asBuilder(builder, node)));
      if (entry.options.onAppear) guard(entry.options.onAppear);
    });
  },
  bindPopup(node, bound, options) {
    const changed = options.onStateChange;
    follow(
      node,
      "popup",
      bound,
      {
        ...options,
        onDisappear: () => changed?.({ isVisible: false }),
      },
      (entry) => {
        const over = layer({ kind: "popup", role: "dialog", mask: "transparent", dismiss: dismissal(entry), host: env.overlays });
        anchorTo(over, node);
        let scope = { dispose() {} };
        entry.end = ender(node, "popup", entry, over, { dispose: () => scope.dispose() });
        if (options.builder) scope = node.draw(over.host, asBuilder(options.builder, node));
        else {
          over.host.append(words("popup-text", options.message));
          for (const one of [options.secondaryButton, options.primaryButton])
            if (one) over.host.append(button(one.value, "text-button", () => one.action()));
        }
        if (changed) guard(() => changed({ isVisible: true }));
      },
    );
  },
};

/** Places a layer's panel beside a component, or at a point. */
export function anchorTo(over, node, point) {
  if (!env.layout) return;
  const box = point ?? node.el.getBoundingClientRect();
  const [left, bottom, top] = point ? [point.x, point.y, point.y] : [box.left, box.bottom, box.top];
  over.host.setAttribute("style", `left:${left}px;top:${bottom + 4}px`);
  env.window.requestAnimationFrame(() => {
    const own = over.host.getBoundingClientRect();
    const x = Math.max(8, Math.min(left, env.width - own.width - 8));
    const y = bottom + 4 + own.height > env.height - 8 ? Math.max(8, top - own.height - 4) : bottom + 4;
    over.host.setAttribute("style", `left:${x}px;top:${y}px`);
  });
}
