// Tabs: a bar, and one content at a time.
import { env, guard } from "../env.js";
import { member } from "../enumeration.js";
import { Resource, colorOf, lengthOf, mediaOf, textOf, vpOf } from "../resources.js";
import { untracked } from "../signals.js";
import { sightChanged } from "../sizes.js";
import { setBound, valueOf } from "../view.js";

const ignore = () => {};

export class TabsController {
  changeIndex(index) {
    if (!this.$node) throw new Error("the controller has no Tabs yet");
    show(this.$node, index);
  }
  async preloadItems() {}
  setTabBarTranslate() {}
  setTabBarOpacity() {}
}
class BarStyle {
  constructor(icon, text) {
    Object.assign(this, text === undefined && !(icon instanceof Resource && icon.kind === "media") ? { text: icon } : { icon, text });
  }
}
for (const name of [
  "labelStyle",
  "padding",
  "layoutMode",
  "verticalAlign",
  "symmetricExtensible",
  "id",
  "indicator",
  "selectedMode",
  "board",
  "iconStyle",
]) {
  BarStyle.prototype[name] = function () {
    return this;
  };
}
export class BottomTabBarStyle extends BarStyle {
  static of(icon, text) {
    return new BottomTabBarStyle(icon, text);
  }
}
export class SubTabBarStyle extends BarStyle {
  static of(content) {
    return new SubTabBarStyle(content);
  }
}

const contents = (node) => [...node.body.children].filter((el) => el.$node?.name === "TabContent").map((el) => el.$node);

function show(node, index) {
  if (index === node.index || index < 0 || index >= contents(node).length) return;
  node.index = index;
  select(node);
  setBound(node.bound, index);
  if (node.changed) guard(() => node.changed(index));
}

function select(node) {
  contents(node).forEach((one, at) => {
    const shown = at === node.index;
    one.attribute("hidden", shown ? undefined : "");
    const before = one.shown;
    one.shown = shown;
    if (before !== undefined && before !== shown) (shown ? one.willShow : one.willHide)?.();
    else if (before === undefined && shown) one.willShow?.();
    one.tab?.setAttribute("aria-selected", String(shown));
    one.tab?.setAttribute("tabindex", shown ? "0" : "-1");
  });
  sightChanged();
}

/** Makes the bar anew after the contents have changed. */
function rebuild(node) {
  const all = contents(node);
  node.bar.replaceChildren(
    ...all.map((one, index) => {
      one.tab ??= entry(node, one);
      one.tab.$index = index;
      return one.tab;
    }),
  );
  if (node.index >= all.length) node.index = Math.max(0, all.length - 1);
  select(node);
}

function entry(node, content) {
  const el = env.document.createElement("button");
  el.setAttribute("class", "tab");
  el.setAttribute("role", "tab");
  el.setAttribute("type", "button");
  el.addEventListener("click", (event) => {
    event.$taken = node;
    guard(() => {
      node.clicked?.(el.$index);
      show(node, el.$index);
    });
  });
  el.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = contents(node);
    const next = all[(el.$index + step + all.length) % all.length];
    guard(() => show(node, next.tab.$index));
    next.tab.focus?.();
  });
  content.tab = el;
  label(content);
  return el;
}

function label(content) {
  const { bar, tab } = content;
  if (!tab) return;
  content.tabScope?.dispose();
  content.tabScope = undefined;
  tab.replaceChildren();
  if (typeof bar === "function" || typeof bar?.builder === "function") {
    content.tabScope = content.draw(tab, typeof bar === "function" ? bar : bar.builder);
    return;
  }
  if (bar === undefined) return;
  const { icon, text } = typeof bar === "object" && !(bar instanceof Resource) ? bar : { text: bar };
  if (icon !== undefined) {
    const picture = env.document.createElement("i");
    picture.setAttribute("class", "icon");
    const { svg, url } = mediaOf(icon);
    const address = svg === undefined ? url : `data:image/svg+xml,${encodeURIComponent(svg)}`;
    picture.setAttribute("style", `-webkit-mask:url("${address}") center/contain no-repeat;mask:url("${address}") center/contain no-repeat`);
    tab.append(picture);
  }
  const words = env.document.createElement("span");
  words.textContent = textOf(text);
  tab.append(words);
}

export const tabs = {
  Tabs: {
    init(node) {
      for (const part of ["body", "bar"]) {
        node[part] = node.el.appendChild(env.document.createElement("div"));
        node[part].setAttribute("class", `tabs-${part}`);
      }
      node.bar.setAttribute("role", "tablist");
    },
    slot: (node) => node.body,
    args(node, { barPosition, index, controller } = {}) {
      node.attribute("data-bar", barPosition === undefined ? "start" : member("BarPosition", barPosition).toLowerCase());
      node.attribute("data-vertical", undefined);
      if (controller) controller.$node = node;
      node.bound = index;
      const given = valueOf(index) ?? 0;
      if (node.ready && given !== node.given) untracked(() => show(node, given));
      else if (!node.ready) node.index = given;
      node.given = given;
      node.barCss = {};
    },
    applied(node) {
      node.bar.setAttribute(
        "style",
        Object.entries(node.barCss)
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => `${key}:${value}`)
          .join(";"),
      );
      const width = node.vertical && node.barWidth !== undefined ? node.barWidth : 0;
      // An estimate of the contents' width, where there is no layout.
      node.taken = width;
    },
    done(node) {
      node.ready = true;
      untracked(() => rebuild(node));
    },
    children: rebuild,
    attributes: {
      vertical(node, value) {
        node.vertical = value;
        node.attribute("data-vertical", value ? "true" : undefined);
      },
      barPosition: (node, value) => node.attribute("data-bar", member("BarPosition", value).toLowerCase()),
      barWidth(node, value) {
        node.barWidth = vpOf(value);
        node.barCss.width = lengthOf(value);
      },
      barHeight(node, value) {
        node.barCss.height = lengthOf(value);
        if (vpOf(value) === 0) node.barCss.display = "none";
      },
      barBackgroundColor(node, value) {
        node.barCss["background-color"] = colorOf(value);
      },
      barMode: (node, value) => node.attribute("data-bar-mode", member("BarMode", value).toLowerCase()),
      scrollable: ignore,
      animationDuration: ignore,
      animationMode: ignore,
      edgeEffect: ignore,
      barBackgroundBlurStyle: ignore,
      fadingEdge: ignore,
      divider: ignore,
      barOverlap: (node, value) => node.attribute("data-overlap", value ? "true" : undefined),
      barGridAlign: ignore,
      customContentTransition: ignore,
      onAnimationStart: ignore,
      onAnimationEnd: ignore,
      onGestureSwipe: ignore,
      onUnselected: ignore,
      onSelected: ignore,
      onContentWillChange: ignore,
      cachedMaxCount: ignore,
      pageFlipMode: ignore,
      nestedScroll: ignore,
      onChange(node, handler) {
        node.changed = handler;
      },
      onTabBarClick(node, handler) {
        node.clicked = handler;
      },
    },
  },
  TabContent: {
    init: (node) => node.attribute("role", "tabpanel"),
    args() {},
    gone(node) {
      node.tabScope?.dispose();
    },
    attributes: {
      tabBar(node, bar) {
        node.bar = bar;
        untracked(() => label(node));
      },
      onWillShow(node, handler) {
        node.willShow = () => guard(handler);
      },
      onWillHide(node, handler) {
        node.willHide = () => guard(handler);
      },
    },
  },
};
