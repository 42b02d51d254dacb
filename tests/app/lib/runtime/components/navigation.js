// Navigation and its pages. Where there is room its own content stands beside the page on top (Split), else below it (Stack).
import { env, guard } from "../env.js";
import { member } from "../enumeration.js";
import { lengthOf, vpOf } from "../resources.js";
import { effect, onDispose, untracked } from "../signals.js";
import { sightChanged, sizeOf, watchSize } from "../sizes.js";
import { NavPathStack } from "../nav-stack.js";
import { bar, fillTitle } from "./titlebar.js";

const ignore = () => {};
const make = (className, host) => {
  const el = env.document.createElement("div");
  el.setAttribute("class", className);
  return host.appendChild(el);
};

/** From this width on there is room for two, as in ArkUI. */
const SPLIT = 600;

const split = (node) => {
  const mode = node.mode ?? "Auto";
  return mode === "Split" || (mode === "Auto" && sizeOf(node).width >= SPLIT);
};

/** What of a stack is seen, and whether Navigation's own content is. */
function arrange(node) {
  const wide = split(node);
  const pages = node.pages;
  let covered = false;
  for (const page of [...pages].reverse()) {
    setShown(page, !covered);
    if (!page.dialog) covered = true;
  }
  node.nav.toggleAttribute("hidden", node.hideNavBar === true || (covered && !wide));
  node.attribute("data-mode", wide ? "split" : "stack");
  node.attribute("data-depth", pages.length);
  node.stackHost.toggleAttribute("hidden", pages.length === 0 && !wide);
  const seen = !node.nav.hasAttribute("hidden");
  if (seen !== node.navSeen) {
    if (node.navSeen !== undefined) guard(() => node.barChanged?.(seen));
    node.navSeen = seen;
  }
  sightChanged();
  if (wide !== node.wide) {
    node.wide = wide;
    guard(() => node.modeChanged?.(env.enums.NavigationMode[wide ? "Split" : "Stack"]));
  }
}

function setShown(page, shown) {
  if (page.shown === shown) return;
  page.shown = shown;
  page.el.toggleAttribute("hidden", !shown);
  const on = page.node?.life ?? {};
  for (const name of shown ? ["onWillShow", "onShown"] : ["onWillHide", "onHidden"]) if (on[name]) guard(() => on[name]());
}

class Page {
  constructor(navigation, entry) {
    Object.assign(this, { navigation, entry, dialog: false });
    this.el = make("page", navigation.stackHost);
    // The page is part of the Navigation; its parts find it among their parents.
    const host = { parent: navigation, navPage: this, def: {}, marks: {}, el: this.el };
    const { name, param } = entry.info;
    this.scope = navigation.draw(
      this.el,
      () => {
        if (!navigation.destination) throw navigation.problem("a page was pushed, and there is no navDestination");
        navigation.destination(name, param);
      },
      host,
    );
    if (!this.node) env.warn?.(`${navigation.where}: nothing is drawn for the page ${name}`);
  }
  info() {
    const { name, param } = this.entry.info;
    return {
      navDestinationId: String(this.entry.key),
      name,
      param,
      navigationId: this.navigation.el.id,
      index: this.navigation.stack.$entries.indexOf(this.entry),
      state: this.shown ? 0 : 1,
    };
  }
  close() {
    setShown(this, false);
    const on = this.node?.life ?? {};
    if (on.onWillDisappear) guard(() => on.onWillDisappear());
    this.scope.dispose();
    this.el.remove();
  }
}

function update(node) {
  const wanted = node.stack.$read();
  untracked(() => {
    const kept = [];
    for (const page of node.pages) {
      if (wanted.includes(page.entry)) kept.push(page);
      else node.leaving.push(page);
    }
    node.pages = wanted.map((entry) => kept.find((page) => page.entry === entry) ?? new Page(node, entry));
    for (const page of node.pages) node.stackHost.append(page.el);
    for (const page of node.leaving.splice(0)) page.close();
    arrange(node);
  });
}

/** Goes back within a Navigation: asks the page on top, else takes it off. False if there is no page. */
export function goBack(node) {
  const page = node.pages.at(-1);
  if (!page) return false;
  if (page.node?.life.onBackPressed?.() === true) return true;
  node.stack.pop();
  return true;
}

const life = (name) => [
  name,
  (node, handler) => {
    node.life[name] = handler;
  },
];

export const navigation = {
  Navigation: {
    init(node) {
      node.nav = make("nav-bar", node.el);
      node.stackHost = make("nav-stack", node.el);
      bar(node, node.nav);
      node.content = make("nav-content", node.nav);
      node.tools = make("nav-tools", node.nav);
      node.tools.toggleAttribute("hidden", true);
      Object.assign(node, { pages: [], leaving: [], isNavigation: true });
    },
    slot: (node) => node.content,
    args(node, stack) {
      node.stack ??= stack ?? new NavPathStack();
      node.titleHidden = false;
    },
    applied(node) {
      fillTitle(node);
      if (node.ready) untracked(() => arrange(node));
    },
    done(node) {
      for (let above = node.parent; above; above = above.parent) {
        if (!above.isNavigation && !above.navPage) continue;
        node.stack.$parent = (above.navPage?.navigation ?? above).stack;
        break;
      }
      node.ready = true;
      effect(() => update(node));
      watchSize(node, "navigation", () => arrange(node));
      onDispose(() => node.pages.forEach((page) => page.scope.dispose()));
    },
    attributes: {
      title(node, value) {
        node.title = value;
      },
      subTitle(node, value) {
        node.subtitle = value;
      },
      titleMode: (node, value) => node.attribute("data-title", member("NavigationTitleMode", value).toLowerCase()),
      hideTitleBar(node, value) {
        node.titleHidden = value;
      },
      hideBackButton: ignore,
      hideToolBar(node, value) {
        node.tools.toggleAttribute("hidden", value);
      },
      menus(node, value) {
        node.menus = value;
      },
      toolbarConfiguration(node, value) {
        if (typeof value !== "function" || node.toolScope) return;
        node.tools.toggleAttribute("hidden", false);
        node.toolScope = untracked(() => node.draw(node.tools, value));
        (node.overlays ??= []).push(node.toolScope);
      },
      mode(node, value) {
        node.mode = member("NavigationMode", value);
      },
      hideNavBar(node, value) {
        node.hideNavBar = value;
      },
      navBarWidth(node, value) {
        node.css["--nav-width"] = lengthOf(value);
        node.navWidth = vpOf(value);
      },
      navBarWidthRange: ignore,
      minContentWidth: ignore,
      navBarPosition: (node, value) => node.attribute("data-nav", member("NavBarPosition", value).toLowerCase()),
      navDestination(node, builder) {
        node.destination = builder;
      },
      onNavBarStateChange(node, handler) {
        node.barChanged = handler;
      },
      onNavigationModeChange(node, handler) {
        node.modeChanged = handler;
      },
      onTitleModeChange: ignore,
      customNavContentTransition: ignore,
      systemBarStyle: ignore,
      enableDragBar: ignore,
      recoverable: ignore,
      enableToolBarAdaptation: ignore,
      enableModeChangeAnimation: ignore,
      splitPlaceholder: ignore,
    },
  },
  NavDestination: {
    init(node) {
      node.life = {};
      bar(node, node.el, () => {
        const page = pageOf(node);
        if (page) goBack(page.navigation);
      });
      node.content = make("nav-content", node.el);
      const page = pageOf(node);
      if (page) page.node = node;
    },
    slot: (node) => node.content,
    args(node) {
      node.titleHidden = false;
    },
    applied(node) {
      fillTitle(node, true);
      const page = pageOf(node);
      if (!page || node.begun) return;
      node.begun = true;
      page.el.setAttribute("data-page", page.entry.info.name);
      if (page.dialog) page.el.setAttribute("data-dialog", "true");
      const { onReady, onWillAppear } = node.life;
      const context = {
        pathInfo: page.entry.info,
        pathStack: page.navigation.stack,
        navDestinationId: String(page.entry.key),
        mode: page.dialog ? 1 : 0,
        getConfigInRouteMap: () => undefined,
      };
      untracked(() => {
        if (onReady) guard(() => onReady(context));
        if (onWillAppear) guard(() => onWillAppear());
      });
    },
    attributes: {
      title(node, value) {
        node.title = value;
      },
      hideTitleBar(node, value) {
        node.titleHidden = value;
      },
      hideBackButton(node, value) {
        node.noBack = value;
      },
      hideToolBar: ignore,
      toolbarConfiguration: ignore,
      backButtonIcon: ignore,
      menus(node, value) {
        node.menus = value;
      },
      mode(node, value) {
        const page = pageOf(node);
        if (page) page.dialog = member("NavDestinationMode", value) === "DIALOG";
      },
      ...Object.fromEntries(
        [
          "onShown",
          "onHidden",
          "onBackPressed",
          "onReady",
          "onWillAppear",
          "onWillShow",
          "onWillHide",
          "onWillDisappear",
          "onActive",
          "onInactive",
        ].map(life),
      ),
      systemBarStyle: ignore,
      systemTransition: ignore,
      customTransition: ignore,
      recoverable: ignore,
      bindToScrollable: ignore,
      bindToNestedScrollable: ignore,
      onResult: ignore,
      onNewParam: ignore,
      preferredOrientation: ignore,
      enableNavigationIndicator: ignore,
      enableStatusBar: ignore,
    },
  },
};

function pageOf(node) {
  for (let one = node.parent; one; one = one.parent) {
    if (one.navPage) return one.navPage;
    if (one.isNavigation) return undefined;
  }
  return undefined;
}

/** The Navigation that a step back concerns: the last one that is seen and has a page. */
export function backTarget() {
  const all = [...env.document.querySelectorAll(".Navigation")]
    .map((el) => el.$node)
    .filter((node) => node && !node.gone && node.pages.length > 0 && !node.el.closest("[hidden]"));
  return all.at(-1);
}
