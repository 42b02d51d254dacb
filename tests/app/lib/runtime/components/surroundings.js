// Attributes that put something under or over a component: a background or an overlay of components.
import { env } from "../env.js";
import { Resource, mediaOf, textOf } from "../resources.js";
import { choose } from "../enumeration.js";
import { untracked } from "../signals.js";

function around(node, key, builder) {
  if (node[key]) return;
  const el = env.document.createElement("div");
  el.setAttribute("class", key);
  node.el.append(el);
  node[key] = el;
  if (typeof builder === "function") (node.overlays ??= []).push(untracked(() => node.draw(el, builder)));
  else el.textContent = textOf(builder);
}

export const surroundings = {
  overlay: (node, content) => around(node, "overlay-content", content?.builder ?? content),
  background: (node, content) => around(node, "background-content", content?.builder ?? content),
  backgroundImage({ css }, source) {
    const { svg, url } = source instanceof Resource ? mediaOf(source) : { url: source?.$url ?? source };
    css["background-image"] = `url("${svg === undefined ? url : `data:image/svg+xml,${encodeURIComponent(svg)}`}")`;
  },
  backgroundImageSize({ css }, value) {
    css["background-size"] =
      typeof value === "number" ? choose("ImageSize", value, { Cover: "cover", Contain: "contain", Auto: "auto", FILL: "100% 100%" }) : "cover";
  },
  backgroundImagePosition: ({ css }) => {
    css["background-position"] = "center";
  },
};
