// The title bar of Navigation and of NavDestination.
import { env, guard } from "../env.js";
import { Resource, lengthOf, mediaOf, textOf } from "../resources.js";
import { untracked } from "../signals.js";
import { reference, same } from "../identity.js";

const make = (tag, className, host) => {
  const el = env.document.createElement(tag);
  el.setAttribute("class", className);
  return host.appendChild(el);
};

/** Makes the bar; `back` is what the arrow does. */
export function bar(node, host, back) {
  node.titleBar = make("div", "title-bar", host);
  if (back) {
    node.backButton = make("button", "back", node.titleBar);
    node.backButton.setAttribute("type", "button");
    node.backButton.setAttribute("aria-label", env.language.startsWith("zh") ? "返回" : "Back");
    node.backButton.addEventListener("click", () => guard(back));
  }
  node.titleHost = make("div", "title", node.titleBar);
  node.menuHost = make("div", "menus", node.titleBar);
}

/** Shows the title and the menus as the attributes have them. */
export function fillTitle(node, isPage = false) {
  const none = node.title === undefined && node.menus === undefined && !isPage;
  node.titleBar.toggleAttribute("hidden", node.titleHidden === true || none);
  node.backButton?.toggleAttribute("hidden", node.noBack === true);
  untracked(() => {
    title(node);
    menus(node);
  });
}

function title(node) {
  const { title: value } = node;
  if (same(node.titleShown, reference(value))) return;
  node.titleShown = reference(value);
  node.titleScope?.dispose();
  node.titleScope = undefined;
  node.titleHost.replaceChildren();
  const builder = typeof value === "function" ? value : typeof value?.builder === "function" ? value.builder : undefined;
  if (builder) {
    node.titleScope = node.draw(node.titleHost, builder);
    (node.overlays ??= []).push(node.titleScope);
    if (typeof value.height === "number") node.titleBar.setAttribute("style", `min-height:${lengthOf(value.height)}`);
    return;
  }
  if (value === undefined) return;
  const parts = typeof value === "object" && !(value instanceof Resource) ? [value.main, value.sub] : [value, node.subtitle];
  parts.forEach((text, index) => {
    if (text === undefined) return;
    const el = make("div", index === 0 ? "title-main" : "title-sub", node.titleHost);
    if (index === 0) el.setAttribute("role", "heading");
    el.textContent = textOf(text);
  });
}

function menus(node) {
  const { menus: value } = node;
  if (same(node.menusShown, reference(value))) return;
  node.menusShown = reference(value);
  node.menuScope?.dispose();
  node.menuScope = undefined;
  node.menuHost.replaceChildren();
  if (typeof value === "function") {
    node.menuScope = node.draw(node.menuHost, value);
    (node.overlays ??= []).push(node.menuScope);
    return;
  }
  for (const item of value ?? []) {
    const button = make("button", "menu-button", node.menuHost);
    button.setAttribute("type", "button");
    button.setAttribute("aria-label", textOf(item.value));
    if (item.icon instanceof Resource) {
      const { svg, url } = mediaOf(item.icon);
      const address = svg === undefined ? url : `data:image/svg+xml,${encodeURIComponent(svg)}`;
      make("i", "icon", button).setAttribute(
        "style",
        `-webkit-mask:url("${address}") center/contain no-repeat;mask:url("${address}") center/contain no-repeat`,
      );
    } else button.textContent = textOf(item.value);
    if (item.isEnabled === false) button.setAttribute("disabled", "");
    button.addEventListener("click", () => item.isEnabled !== false && item.action && guard(() => item.action()));
  }
}
