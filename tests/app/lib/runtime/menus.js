// bindMenu, bindContextMenu and the components of menus.
import { env, guard } from "./env.js";
import { member } from "./enumeration.js";
import { Resource, colorOf, lengthOf, mediaOf, textOf } from "./resources.js";
import { weight as fontWeight } from "./style.js";
import { layer } from "./overlay.js";
import { anchorTo } from "./sheets.js";
import { disabled } from "./events.js";
import { TwoWay, setBound, valueOf } from "./view.js";
import { untracked } from "./signals.js";

/** A press this long opens a context menu. */
const LONG_PRESS = 500;

function entryOf(item, over) {
  const el = env.document.createElement("button");
  el.setAttribute("type", "button");
  el.setAttribute("role", "menuitem");
  el.setAttribute("class", "menu-item");
  if (item.icon instanceof Resource) picture(el, item.icon);
  const text = env.document.createElement("span");
  text.textContent = textOf(item.value);
  el.append(text);
  if (item.enabled === false) el.setAttribute("disabled", "");
  el.addEventListener("click", (event) => {
    event.stopPropagation();
    if (item.enabled === false) return;
    over.close();
    guard(() => item.action?.());
  });
  return el;
}
export function picture(el, icon) {
  const { svg, url } = mediaOf(icon);
  const address = svg === undefined ? url : `data:image/svg+xml,${encodeURIComponent(svg)}`;
  const i = env.document.createElement("i");
  i.setAttribute("class", "icon");
  i.setAttribute("style", `-webkit-mask:url("${address}") center/contain no-repeat;mask:url("${address}") center/contain no-repeat`);
  el.append(i);
}

function open(node, content, options, { point, bound } = {}) {
  node.menu?.close();
  const over = layer({ kind: "menu", role: "menu", mask: "transparent" });
  node.menu = over;
  let scope;
  over.closed = () => {
    node.menu = undefined;
    scope?.dispose();
    setBound(bound, false);
    guard(() => options.aboutToDisappear?.());
    guard(() => options.onDisappear?.());
  };
  (node.overlays ??= []).push({ dispose: () => over.close() });
  over.el.$menu = over;
  guard(() => options.aboutToAppear?.());
  if (Array.isArray(content)) {
    if (options.title !== undefined) {
      const title = env.document.createElement("div");
      title.setAttribute("class", "menu-title");
      title.textContent = textOf(options.title);
      over.host.append(title);
    }
    over.host.append(...content.map((item) => entryOf(item, over)));
  } else {
    const builder = typeof content === "function" ? content : content?.builder;
    if (typeof builder !== "function") throw node.problem("a menu wants items or a builder");
    scope = node.draw(over.host, builder);
  }
  anchorTo(over, node, point);
  guard(() => options.onAppear?.());
  over.host.querySelector(".menu-item:not([disabled])")?.focus?.();
  over.host.addEventListener("keydown", (event) => move(over.host, event));
}

function move(host, event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...host.querySelectorAll(".menu-item:not([disabled])")];
  const at = all.indexOf(env.document.activeElement);
  all[(at + step + all.length) % all.length]?.focus?.();
}

/** Menus that a value opens: `(shown, content, options)`; others: `(content, options)`. */
const parts = (args) => (typeof args[0] === "boolean" || args[0] instanceof TwoWay ? args : [undefined, ...args]);

function followShown(node, bound, content, options) {
  const shown = valueOf(bound);
  if (shown && !node.menu) untracked(() => open(node, content, options, { bound }));
  else if (!shown && node.menu && node.menuShown) untracked(() => node.menu.close());
  node.menuShown = shown;
}

export const menus = {
  bindMenu(node, ...args) {
    const [bound, content, options = {}] = parts(args);
    if (bound !== undefined) followShown(node, bound, content, options);
    node.attribute("aria-haspopup", "menu");
    if (bound instanceof TwoWay || bound !== undefined) return;
    node.on("menu", "click", (event) => {
      if (disabled(node)) return;
      event.stopPropagation();
      if (node.menu) node.menu.close();
      else open(node, content, options);
    });
    if (!node.isControl && !node.notFocusable) node.attribute("tabindex", node.tabIndex ?? 0);
  },
  bindContextMenu(node, ...args) {
    const [bound, content, second, third] =
      typeof args[0] === "boolean" || args[0] instanceof TwoWay ? [args[0], args[1], undefined, args[2]] : [undefined, ...args];
    const options = third ?? (typeof second === "object" ? second : undefined) ?? {};
    if (bound !== undefined) {
      followShown(node, bound, content, options);
      return;
    }
    const way = second === undefined || typeof second === "object" ? "LongPress" : member("ResponseType", second);
    node.attribute("data-context-menu", "true");
    node.on(`menu.${way}`, "contextmenu", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (way === "RightClick" && !disabled(node)) open(node, content, options, { point: pointOf(event) });
    });
    if (way !== "LongPress") return;
    node.on("menu.press", "pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button !== 0) return;
      const point = pointOf(event);
      clearTimeout(node.pressing);
      node.pressing = setTimeout(() => {
        if (node.gone || disabled(node)) return;
        // The click that follows the finger's leaving is no click.
        const swallow = (click) => {
          click.stopPropagation();
          click.preventDefault();
        };
        node.el.addEventListener("click", swallow, { capture: true, once: true });
        setTimeout(() => node.el.removeEventListener("click", swallow, { capture: true }), LONG_PRESS);
        guard(() => open(node, content, options, { point }));
      }, LONG_PRESS);
      node.pressedAt = point;
    });
    node.on("menu.move", "pointermove", (event) => {
      if (node.pressedAt && Math.hypot(event.clientX - node.pressedAt.x, event.clientY - node.pressedAt.y) > 10) clearTimeout(node.pressing);
    });
    for (const type of ["pointerup", "pointercancel"]) node.on(`menu.${type}`, type, () => clearTimeout(node.pressing));
  },
};
const pointOf = (event) => ({ x: event.clientX ?? 0, y: event.clientY ?? 0 });

const ignore = () => {};
const fontOf = ({ size, weight }) => ({
  "font-size": size === undefined ? undefined : lengthOf(size, "fp"),
  "font-weight": weight === undefined ? undefined : fontWeight(weight),
});
/** The looks of one text of an item. */
function paint(node, part, looks) {
  const el = node.el.querySelector(`.${part}`);
  const text = Object.entries(looks).flatMap(([key, value]) => (value === undefined ? [] : [`${key}:${value}`]));
  el?.setAttribute("style", [el.getAttribute("style") ?? "", ...text].filter(Boolean).join(";"));
}
/** Closes the menu that a component stands in. */
function closeAround(node) {
  node.el.closest(".overlay.menu")?.$menu?.close();
}

export const menuComponents = {
  Menu: {
    args: ignore,
    attributes: {
      font: ignore,
      fontSize: ignore,
      radius: ignore,
      menuItemDivider: ignore,
      menuItemGroupDivider: ignore,
      subMenuExpandingMode: ignore,
    },
  },
  MenuItemGroup: {
    args(node, { header } = {}) {
      if (header === undefined || typeof header === "function" || node.headed) return;
      node.headed = true;
      const el = env.document.createElement("div");
      el.setAttribute("class", "menu-title");
      el.textContent = textOf(header);
      node.el.append(el);
    },
    attributes: {},
  },
  MenuItem: {
    tag: "button",
    init(node) {
      node.isControl = true;
      node.attribute("type", "button");
      node.attribute("role", "menuitem");
      node.attribute("class", "ark MenuItem menu-item");
      // After the app's own click handlers, which are registered later.
      node.el.addEventListener("click", () => queueMicrotask(() => !node.builder && closeAround(node)));
      node.on("own", "click", () => {
        if (disabled(node)) return;
        const next = !(valueOf(node.selectedValue) === true);
        if (node.selectedValue !== undefined) setBound(node.selectedValue, next);
        node.changed?.(next);
      });
    },
    args(node, options = {}) {
      if (typeof options === "function") {
        if (!node.drawn) (node.overlays ??= []).push(node.draw(node.el, options));
        node.drawn = true;
        return;
      }
      node.builder = typeof options.builder === "function" ? options.builder : undefined;
      node.el.replaceChildren();
      if (options.startIcon instanceof Resource) picture(node.el, options.startIcon);
      for (const [name, text] of [
        ["content", options.content],
        ["label", options.labelInfo],
      ]) {
        if (text === undefined) continue;
        const span = env.document.createElement("span");
        span.setAttribute("class", name);
        span.textContent = textOf(text);
        node.el.append(span);
      }
      if (options.endIcon instanceof Resource) picture(node.el, options.endIcon);
      if (node.builder) {
        node.attribute("aria-haspopup", "menu");
        node.on("sub", "click", (event) => {
          event.stopPropagation();
          const parent = node.el.closest(".overlay.menu")?.$menu;
          open(node, node.builder, {});
          if (node.menu) {
            const { closed } = node.menu;
            node.menu.closed = () => {
              closed();
            };
            node.menu.el.addEventListener("click", (click) => click.target.closest?.(".menu-item") && queueMicrotask(() => parent?.close()));
          }
        });
      }
    },
    attributes: {
      selected(node, value) {
        node.selectedValue = value;
        node.attribute("aria-checked", valueOf(value) ? "true" : undefined);
      },
      onChange(node, handler) {
        node.changed = handler;
      },
      selectIcon: ignore,
      contentFontColor: (node, value) => paint(node, "content", { color: colorOf(value) }),
      labelFontColor: (node, value) => paint(node, "label", { color: colorOf(value) }),
      contentFont: (node, font) => paint(node, "content", fontOf(font)),
      labelFont: (node, font) => paint(node, "label", fontOf(font)),
    },
  },
};
