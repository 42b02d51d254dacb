// The attributes that every component has and that are looks: sizes, places, colours.
import { env } from "./env.js";
import { colorOf, lengthOf, textOf, vpOf } from "./resources.js";
import { Resource } from "./resources.js";

const isObject = (value) => typeof value === "object" && value !== null && !(value instanceof Resource) && !("unit" in value);
const len = (value) => lengthOf(value);

/** `{ top, right, … }` or one length as the four values of CSS. */
export function edges(value) {
  if (!isObject(value)) return len(value);
  const start = value.start ?? value.left;
  const end = value.end ?? value.right;
  return [value.top, end, value.bottom, start].map((one) => len(one) ?? "0").join(" ");
}

const corners = (value) =>
  isObject(value)
    ? [value.topLeft ?? value.topStart, value.topRight ?? value.topEnd, value.bottomRight ?? value.bottomEnd, value.bottomLeft ?? value.bottomStart]
        .map((one) => len(one) ?? "0")
        .join(" ")
    : len(value);

/** Alignment (TopStart 0 … BottomEnd 8) as place of CSS: [block, inline]. */
export const alignment = (value) => [["start", "center", "end"][Math.floor(value / 3)], ["start", "center", "end"][value % 3]];

const BORDER_STYLES = ["dotted", "dashed", "solid"];
function border(css, { width, color, radius, style }) {
  const widths = isObject(width) ? edges(width) : len(width);
  if (widths !== undefined) {
    css["border-width"] = widths;
    css["border-style"] ??= "solid";
  }
  if (style !== undefined) css["border-style"] = isObject(style) ? "solid" : (BORDER_STYLES[2 - style] ?? "solid");
  if (color !== undefined) {
    css["border-color"] = isObject(color)
      ? [color.top, color.end ?? color.right, color.bottom, color.start ?? color.left].map((one) => colorOf(one) ?? "transparent").join(" ")
      : colorOf(color);
  } else css["border-color"] ??= "#000";
  if (radius !== undefined) css["border-radius"] = corners(radius);
}

const SHADOWS = [
  "0 2px 6px rgba(0,0,0,.1)",
  "0 4px 12px rgba(0,0,0,.12)",
  "0 6px 16px rgba(0,0,0,.14)",
  "0 8px 24px rgba(0,0,0,.16)",
  "0 10px 30px rgba(0,0,0,.18)",
  "0 12px 36px rgba(0,0,0,.2)",
];
const transform = (css, text) => {
  css.transform = css.transform ? `${css.transform} ${text}` : text;
};
const gradient = ({ angle = 180, colors, direction, repeating }) => {
  const turn = direction === undefined ? angle : ([270, 0, 90, 180, 315, 45, 225, 135][direction] ?? 180);
  return `${repeating ? "repeating-" : ""}linear-gradient(${turn}deg, ${colors.map(([color, at]) => `${colorOf(color)} ${at * 100}%`).join(", ")})`;
};
const done = () => {};

export const looks = {
  width(node, value) {
    node.css.width = len(value);
    node.marks.width = value;
    if (node.css.width?.endsWith("%")) widen(node);
  },
  height(node, value) {
    node.css.height = len(value);
    node.marks.height = value;
    if (node.css.height?.endsWith("%")) heighten(node, false);
  },
  size(node, { width, height }) {
    if (width !== undefined) looks.width(node, width);
    if (height !== undefined) looks.height(node, height);
  },
  constraintSize({ css }, { minWidth, maxWidth, minHeight, maxHeight }) {
    Object.assign(css, { "min-width": len(minWidth), "max-width": len(maxWidth), "min-height": len(minHeight), "max-height": len(maxHeight) });
  },
  aspectRatio: ({ css }, value) => {
    css["aspect-ratio"] = value;
  },
  padding: ({ css }, value) => {
    css.padding = edges(value);
  },
  margin: ({ css }, value) => {
    css.margin = edges(value);
  },
  safeAreaPadding: ({ css }, value) => {
    css.padding = edges(value);
  },
  expandSafeArea: done,
  ignoreLayoutSafeArea: done,
  layoutWeight(node, value) {
    const { css } = node;
    if (value > 0 && node.parentName === "Row") widen(node);
    if (value > 0 && node.parentName === "Column") heighten(node);
    if (value > 0) Object.assign(css, { flex: `${value} 1 0`, "min-width": css["min-width"] ?? "0", "min-height": css["min-height"] ?? "0" });
  },
  flexGrow: ({ css }, value) => {
    css["flex-grow"] = value;
  },
  flexShrink: ({ css }, value) => {
    css["flex-shrink"] = value;
    if (value > 0) css["min-width"] ??= "0";
  },
  flexBasis: ({ css }, value) => {
    css["flex-basis"] = len(value);
  },
  alignSelf: ({ css }, value) => {
    css["align-self"] = ["auto", "flex-start", "center", "flex-end", "stretch", "baseline"][value];
  },
  align(node, value) {
    const [block, inline] = alignment(value);
    const { css, name } = node;
    // The axis, which says what is along and what across, may be told later: the style sheet knows it.
    if (name === "Scroll") Object.assign(css, { "--block": block, "--inline": inline });
    else if (name === "Text") Object.assign(css, { "align-content": block, "text-align": css["text-align"] ?? inline });
    else if (!["Row", "Column", "Flex", "List"].includes(name)) Object.assign(css, { "align-items": block, "justify-items": inline });
  },
  displayPriority: done,
  position({ css }, value) {
    const { x, y, top, left, right, bottom, start, end } = value;
    Object.assign(css, { position: "absolute", left: len(x ?? left ?? start), top: len(y ?? top), right: len(right ?? end), bottom: len(bottom) });
    if (css.left === undefined && css.right === undefined) css.left = "0";
    if (css.top === undefined && css.bottom === undefined) css.top = "0";
  },
  offset({ css }, { x, y, left, top, right, bottom }) {
    transform(
      css,
      `translate(${len(x ?? left) ?? (right === undefined ? 0 : `-${len(right)}`)}, ${len(y ?? top) ?? (bottom === undefined ? 0 : `-${len(bottom)}`)})`,
    );
  },
  translate: ({ css }, { x = 0, y = 0 }) => transform(css, `translate(${len(x)}, ${len(y)})`),
  scale: ({ css }, { x = 1, y = 1, centerX, centerY }) => {
    transform(css, `scale(${x}, ${y})`);
    if (centerX !== undefined) css["transform-origin"] = `${len(centerX)} ${len(centerY ?? "50%")}`;
  },
  rotate: ({ css }, { x = 0, y = 0, z, angle }) => transform(css, x || y ? `rotate3d(${x},${y},${z ?? 0},${turn(angle)})` : `rotate(${turn(angle)})`),
  markAnchor: ({ css }, { x, y }) => transform(css, `translate(-${len(x ?? 0)}, -${len(y ?? 0)})`),
  zIndex: ({ css }, value) => {
    css["z-index"] = value;
  },
  opacity: ({ css }, value) => {
    css.opacity = value instanceof Resource ? Number.parseFloat(len(value)) : value;
  },
  visibility(node, value) {
    if (![0, 1, 2].includes(value)) throw new TypeError(`${value} is no Visibility`);
    node.marks.visibility = value;
    if (value === 1) node.css.visibility = "hidden";
  },
  clip: ({ css }, value) => {
    if (value) css.overflow = "hidden";
  },
  backgroundColor: ({ css }, value) => {
    css["background-color"] = colorOf(value);
  },
  linearGradient: ({ css }, value) => {
    css["background-image"] = gradient(value);
  },
  backgroundBlurStyle: ({ css }) => {
    css["backdrop-filter"] = "blur(20px)";
  },
  backdropBlur: ({ css }, value) => {
    css["backdrop-filter"] = `blur(${value}px)`;
  },
  blur: ({ css }, value) => {
    css.filter = `blur(${value}px)`;
  },
  brightness: ({ css }, value) => {
    css.filter = `brightness(${value})`;
  },
  saturate: ({ css }, value) => {
    css.filter = `saturate(${value})`;
  },
  grayscale: ({ css }, value) => {
    css.filter = `grayscale(${value})`;
  },
  foregroundColor: ({ css }, value) => {
    css.color = colorOf(value);
  },
  borderRadius: ({ css }, value) => {
    css["border-radius"] = corners(value);
  },
  border: ({ css }, value) => border(css, value),
  borderWidth: ({ css }, value) => border(css, { width: value, color: css["border-color"] }),
  borderColor: ({ css }, value) => border(css, { color: value }),
  borderStyle: ({ css }, value) => border(css, { style: value }),
  outline({ css }, { width, color, radius }) {
    css.outline = `${len(width)} solid ${colorOf(color)}`;
    if (radius !== undefined) css["border-radius"] ??= corners(radius);
  },
  shadow({ css }, value) {
    css["box-shadow"] =
      typeof value === "number"
        ? SHADOWS[value]
        : `${len(value.offsetX ?? 0)} ${len(value.offsetY ?? 0)} ${len(value.radius)} ${colorOf(value.color ?? "#33000000")}`;
  },
  fontSize: ({ css }, value) => {
    css["font-size"] = lengthOf(value, "fp");
  },
  fontWeight: ({ css }, value) => {
    css["font-weight"] = weight(value);
  },
  fontColor: ({ css }, value) => {
    css.color = colorOf(value);
  },
  fontFamily: ({ css }, value) => {
    css["font-family"] = family(textOf(value));
  },
  fontStyle: ({ css }, value) => {
    css["font-style"] = value === 1 ? "italic" : "normal";
  },
  geometryTransition: done,
  transition: done,
  animation: done,
  renderGroup: done,
  focusBox({ css }, { margin, strokeColor, strokeWidth }) {
    if (strokeWidth !== undefined) css["--focus-width"] = len(strokeWidth);
    if (strokeColor !== undefined) css["--focus-color"] = colorOf(strokeColor.color ?? strokeColor);
    if (margin !== undefined) css["--focus-margin"] = len(margin);
  },
  hoverEffect: done,
  clickEffect: done,
  pixelRound: done,
  privacySensitive: done,
  motionBlur: done,
  systemBarEffect: done,
  sharedTransition: done,
  drawModifier: done,
};

/**
 * A share of the parent's width is, in ArkUI, one of what the parent may have; in CSS a parent that takes its content's size would
 * stay small. So such a parent is as wide as it may be, and so on upwards, unless it has a width.
 */
export function widen(node) {
  grow(
    node,
    "wide",
    (above) => above.css.width !== undefined || (above.css.flex !== undefined && above.parentName === "Row") || above.css.position === "absolute",
  );
}
function heighten(node, once = true) {
  grow(
    node,
    "tall",
    (above) =>
      above.css.height !== undefined ||
      above.css["aspect-ratio"] !== undefined ||
      (above.css.flex !== undefined && above.parentName === "Column") ||
      above.css.position === "absolute" ||
      above.parentName === "Scroll",
    once,
  );
}
const PASSING = new Set(["Row", "Column", "Stack", "Scroll", "Button", "Badge", "RelativeContainer"]);
function grow(node, mark, ends, once = false) {
  if (!env.layout) return;
  for (let above = node.parent; above?.el && above.css; above = above.parent) {
    if (above.el.classList.contains("custom") && !above.el.classList.contains("sized")) continue;
    if (!PASSING.has(above.name) && !above.el.classList.contains("sized")) return;
    if (ends(above) || above.el.classList.contains(mark)) return;
    above.el.classList.add(mark);
    if (once) return;
  }
}

const turn = (angle) => (typeof angle === "string" ? angle : `${angle}deg`);
export const weight = (value) => (typeof value === "number" && value < 10 ? FONT_WEIGHTS[value] : String(value));
// FontWeight's members: Lighter, Normal, Regular, Medium, Bold, Bolder.
const FONT_WEIGHTS = [200, 400, 400, 500, 700, 900];
const family = (name) =>
  /mono/i.test(name) ? `"HarmonyOS Sans Mono", "Noto Sans Mono CJK SC", "DejaVu Sans Mono", monospace` : `${JSON.stringify(name)}, sans-serif`;
export { vpOf };
