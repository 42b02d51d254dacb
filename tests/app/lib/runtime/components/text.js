// Text, pictures and what shows progress.
import { env, guard } from "../env.js";
import { choose, member } from "../enumeration.js";
import { Resource, colorOf, lengthOf, mediaOf, textOf } from "../resources.js";

const DECORATION = { None: "none", Underline: "underline", LineThrough: "line-through", Overline: "overline" };

const typography = {
  textAlign: ({ css }, value) => {
    css["text-align"] = choose("TextAlign", value, { Start: "start", Center: "center", End: "end", JUSTIFY: "justify" });
  },
  textVerticalAlign() {},
  maxLines({ css }, value) {
    if (value !== undefined)
      Object.assign(css, {
        "-webkit-line-clamp": value,
        "--clamp": value,
        display: "-webkit-box",
        "-webkit-box-orient": "vertical",
        overflow: "hidden",
      });
  },
  textOverflow({ css }, { overflow }) {
    if (member("TextOverflow", overflow) === "Ellipsis") css["text-overflow"] = "ellipsis";
  },
  lineHeight: ({ css }, value) => {
    css["line-height"] = lengthOf(value, "fp");
  },
  letterSpacing: ({ css }, value) => {
    css["letter-spacing"] = lengthOf(value);
  },
  lineSpacing() {},
  lineBreakStrategy() {},
  baselineOffset() {},
  textIndent: ({ css }, value) => {
    css["text-indent"] = lengthOf(value);
  },
  decoration({ css }, { type, color }) {
    css["text-decoration"] = `${choose("TextDecorationType", type, DECORATION)} ${color === undefined ? "" : colorOf(color)}`.trim();
  },
  textCase: ({ css }, value) => {
    css["text-transform"] = choose("TextCase", value, { Normal: "none", LowerCase: "lowercase", UpperCase: "uppercase" });
  },
  wordBreak: ({ css }, value) => {
    css["word-break"] = choose("WordBreak", value, { NORMAL: "normal", BREAK_ALL: "break-all", BREAK_WORD: "break-word", HYPHENATION: "normal" });
  },
  copyOption: ({ css }, value) => {
    if (member("CopyOptions", value) !== "None") css["user-select"] = "text";
  },
  font({ css }, { size, weight, family }) {
    if (size !== undefined) css["font-size"] = lengthOf(size, "fp");
    if (weight !== undefined) css["font-weight"] = weight;
    if (family !== undefined) css["font-family"] = textOf(family);
  },
  minFontSize() {},
  maxFontSize({ css }, value) {
    css["font-size"] ??= lengthOf(value, "fp");
  },
  heightAdaptivePolicy() {},
  ellipsisMode() {},
  fontFeature() {},
  minFontScale() {},
  maxFontScale(node, value) {
    const size = Number.parseFloat(node.css["font-size"]);
    if (Number.isNaN(size)) throw node.problem("the preview wants fontSize before maxFontScale");
    if (env.fontScale > value) node.css["font-size"] = `${(size * value) / env.fontScale}px`;
  },
  textShadow() {},
  halfLeading() {},
  textSelectable() {},
  selection() {},
  enableDataDetector() {},
  dataDetectorConfig() {},
  privacySensitive() {},
  selectedBackgroundColor() {},
  caretColor: ({ css }, value) => {
    css["caret-color"] = colorOf(value);
  },
  textBackgroundStyle({ css }, { color, radius }) {
    Object.assign(css, { "background-color": colorOf(color), "border-radius": lengthOf(radius) });
  },
  onCopy() {},
  onTextSelectionChange() {},
  bindSelectionMenu() {},
  marqueeOptions() {},
  editMenuOptions() {},
};

export function label(node, value) {
  const text = textOf(value);
  if (node.label !== text) {
    node.label = text;
    if (node.text) node.text.data = text;
    else node.text = node.el.insertBefore(node.el.ownerDocument.createTextNode(text), node.el.firstChild);
  }
}

const FIT = { Contain: "contain", Cover: "cover", Auto: "cover", Fill: "fill", ScaleDown: "scale-down", None: "none" };

/** A picture's source: a resource, a PixelMap, or an address. */
function picture(node, source) {
  node.source = source;
  if (source === undefined || source === null || source === "") return show(node, {});
  if (source instanceof Resource) return show(node, mediaOf(source));
  if (typeof source === "string") {
    if (!/^(data:|https?:|file:|\/)/.test(source)) throw new TypeError(`${source}: no address of a picture`);
    return show(node, { url: source });
  }
  if (source.$url) return show(node, { url: source.$url });
  throw new TypeError("no picture: neither a resource, an address nor a PixelMap");
}

function show(node, { svg, url }) {
  const address = svg === undefined ? url : `data:image/svg+xml,${encodeURIComponent(svg)}`;
  node.attribute("data-media", node.source instanceof Resource ? node.source.name : address ? "picture" : undefined);
  node.url = address;
  node.svg = svg;
}

function drawPicture(node) {
  const url = node.url && `url("${node.url}")`;
  const fit = node.fit ?? "cover";
  const size = fit === "fill" ? "100% 100%" : fit === "none" ? "auto" : fit === "scale-down" ? "contain" : fit;
  const natural = svgSize(node.svg);
  if (natural) {
    node.css.width ??= node.css["aspect-ratio"] === undefined || node.css.height === undefined ? natural[0] : undefined;
    node.css.height ??= node.css["aspect-ratio"] === undefined ? natural[1] : undefined;
  }
  if (url === undefined) return;
  if (node.fill !== undefined && node.svg !== undefined) {
    Object.assign(node.css, {
      "-webkit-mask": `${url} center / ${size} no-repeat`,
      mask: `${url} center / ${size} no-repeat`,
      "background-color": node.fill,
    });
  } else
    Object.assign(node.css, { "background-image": url, "background-size": size, "background-position": "center", "background-repeat": "no-repeat" });
}
function svgSize(svg) {
  const found = svg && [/\swidth="([\d.]+)/.exec(svg), /\sheight="([\d.]+)/.exec(svg)];
  return found && found[0] && found[1] ? [`${found[0][1]}px`, `${found[1][1]}px`] : undefined;
}

const image = {
  objectFit: (node, value) => {
    node.fit = choose("ImageFit", value, FIT);
  },
  fillColor: (node, value) => {
    node.fill = colorOf(value);
  },
  alt() {},
  interpolation: ({ css }, value) => {
    if (member("ImageInterpolation", value) === "None") css["image-rendering"] = "pixelated";
  },
  renderMode() {},
  objectRepeat() {},
  sourceSize() {},
  autoResize() {},
  syncLoad() {},
  matchTextDirection() {},
  fitOriginalSize() {},
  colorFilter() {},
  copyOption() {},
  dynamicRangeMode() {},
  resizable() {},
  orientation() {},
  enableAnalyzer() {},
  analyzerConfig() {},
  verticalAlign() {},
  onComplete(node, handler) {
    if (node.url && node.told !== node.url) {
      node.told = node.url;
      queueMicrotask(() =>
        guard(() =>
          handler({
            width: 1,
            height: 1,
            componentWidth: 1,
            componentHeight: 1,
            loadingStatus: 1,
            contentWidth: 1,
            contentHeight: 1,
            contentOffsetX: 0,
            contentOffsetY: 0,
          }),
        ),
      );
    }
  },
  onError() {},
  onFinish() {},
};

const pictureNode = {
  args(node, source) {
    node.fit = undefined;
    node.fill = undefined;
    if (!node.el.hasAttribute("role")) node.attribute("role", "img");
    picture(node, source);
  },
  applied: drawPicture,
  attributes: image,
};

export const text = {
  Text: {
    args(node, value, options) {
      if (options?.controller) options.controller.$node = node;
      if (value !== undefined) label(node, value);
    },
    attributes: typography,
  },
  Span: { tag: "span", args: label, attributes: typography },
  ImageSpan: pictureNode,
  ContainerSpan: { tag: "span", args() {}, attributes: typography },
  Image: pictureNode,
  LoadingProgress: {
    args: (node) => node.attribute("role", "progressbar"),
    attributes: {
      color: ({ css }, value) => {
        css.color = colorOf(value);
      },
      enableLoading() {},
    },
  },
  Progress: {
    init(node) {
      node.bar = node.el.appendChild(env.document.createElement("i"));
      node.attribute("role", "progressbar");
    },
    args(node, { value = 0, total = 100, type, style }) {
      Object.assign(node, { value, total });
      node.attribute("data-type", (member("ProgressType", type) ?? member("ProgressStyle", style) ?? "Linear").toLowerCase());
      node.attribute("aria-valuemin", 0);
      node.attribute("aria-valuemax", total);
      node.attribute("aria-valuenow", value);
    },
    applied(node) {
      const share = node.total > 0 ? Math.min(1, Math.max(0, node.value / node.total)) : 0;
      node.css["--share"] = `${Math.round(share * 10000) / 100}%`;
      node.attribute("aria-valuenow", node.value);
    },
    attributes: {
      value(node, value) {
        node.value = value;
      },
      color: ({ css }, value) => {
        css["--bar"] = colorOf(value);
      },
      style(node, value) {
        if (value?.strokeWidth !== undefined) node.css["--stroke"] = lengthOf(value.strokeWidth);
        if (value?.strokeRadius !== undefined) node.css["--radius"] = lengthOf(value.strokeRadius);
      },
    },
  },
  QRCode: {
    args(node, value) {
      const content = textOf(value);
      if (content.length > 512) throw new RangeError(`${content.length} characters: a QRCode shows 512 at most`);
      node.attribute("data-value", content);
      node.attribute("role", "img");
    },
    attributes: {
      color: ({ css }, value) => {
        css.color = colorOf(value);
      },
      contentOpacity() {},
    },
  },
  SymbolGlyph: {
    args() {
      throw new TypeError("symbols of HarmonyOS are not in OpenHarmony");
    },
  },
};
