// Containers: they place their children as ArkUI does, see style.css for what is fixed.
import { choose, member } from "../enumeration.js";
import { colorOf, lengthOf } from "../resources.js";
import { alignment } from "../style.js";
import { guard } from "../env.js";

const FLEX = {
  Start: "flex-start",
  Center: "center",
  End: "flex-end",
  SpaceBetween: "space-between",
  SpaceAround: "space-around",
  SpaceEvenly: "space-evenly",
};
const ITEM = { Auto: undefined, Start: "flex-start", Center: "center", End: "flex-end", Stretch: "stretch", Baseline: "baseline" };
const gap = (node, options) => {
  node.css.gap = options?.space === undefined ? undefined : lengthOf(options.space);
};
const justifyContent = ({ css }, value) => {
  css["justify-content"] = choose("FlexAlign", value, FLEX);
};

const linear = (alignItems, type) => ({
  args: gap,
  attributes: {
    alignItems: ({ css }, value) => {
      css["align-items"] = choose(type, value, alignItems);
    },
    justifyContent,
    reverse: ({ css, name }, value = true) => {
      if (value) css["flex-direction"] = name === "Row" ? "row-reverse" : "column-reverse";
    },
    pointLight() {},
  },
});

/** What Scroll, List and Grid share. */
export class Scroller {
  scrollTo({ xOffset = 0, yOffset = 0 }) {
    this.$do((el) => el.scrollTo?.({ left: Number.parseFloat(xOffset), top: Number.parseFloat(yOffset) }));
  }
  scrollEdge(edge) {
    const name = member("Edge", edge);
    this.$do((el) => el.scrollTo?.(name === "Top" || name === "Start" ? { top: 0, left: 0 } : { top: el.scrollHeight, left: el.scrollWidth }));
  }
  scrollPage({ next }) {
    this.$do((el) => el.scrollBy?.({ top: (next ? 1 : -1) * el.clientHeight }));
  }
  scrollBy(dx, dy) {
    this.$do((el) => el.scrollBy?.({ left: Number.parseFloat(dx), top: Number.parseFloat(dy) }));
  }
  scrollToIndex(index) {
    this.$do((el) => rowsOf(el)[index]?.scrollIntoView?.({ block: "nearest" }));
  }
  currentOffset() {
    const el = this.$el;
    return { xOffset: el?.scrollLeft ?? 0, yOffset: el?.scrollTop ?? 0 };
  }
  isAtEnd() {
    const el = this.$el;
    return !el || el.scrollTop + el.clientHeight >= el.scrollHeight - 1;
  }
  fling() {}
  getItemRect(index) {
    const { left = 0, top = 0, width = 0, height = 0 } = rowsOf(this.$el)[index]?.getBoundingClientRect?.() ?? {};
    return { x: left, y: top, width, height };
  }
  $do(fn) {
    if (this.$el) fn(this.$el);
  }
}
const rowsOf = (el) => [...(el?.querySelectorAll?.(".ListItem, .GridItem") ?? [])];

const scrolling = {
  scrollBar: ({ css }, value) => {
    if (member("BarState", value) === "Off") css["scrollbar-width"] = "none";
  },
  scrollBarColor() {},
  scrollBarWidth() {},
  edgeEffect() {},
  nestedScroll() {},
  enableScrollInteraction({ css }, value) {
    if (!value) css.overflow = "hidden";
  },
  friction() {},
  fadingEdge() {},
  flingSpeedLimit() {},
  cachedCount() {},
  clipContent() {},
  scrollSnap() {},
  enablePaging() {},
  digitalCrownSensitivity() {},
  onScroll: (node, handler) => node.on("scroll", "scroll", () => handler(node.el.scrollLeft, node.el.scrollTop)),
  onDidScroll: (node, handler) =>
    node.on("didScroll", "scroll", () => {
      const last = node.lastTop ?? 0;
      node.lastTop = node.el.scrollTop;
      handler(0, node.lastTop - last, 1);
    }),
  onWillScroll() {},
  onScrollFrameBegin() {},
  onScrollStart() {},
  onScrollStop() {},
  onScrollEdge() {},
  onReachStart: (node, handler) => node.on("reachStart", "scroll", () => node.el.scrollTop <= 0 && handler()),
  onReachEnd: (node, handler) =>
    node.on("reachEnd", "scroll", () => node.el.scrollTop + node.el.clientHeight >= node.el.scrollHeight - 1 && handler()),
  onScrollIndex: (node, handler) =>
    node.on("scrollIndex", "scroll", () => {
      const { top, bottom } = node.el.getBoundingClientRect?.() ?? { top: 0, bottom: 0 };
      const seen = rowsOf(node.el)
        .map((row, index) => [index, row.getBoundingClientRect()])
        .filter(([, box]) => box.bottom > top && box.top < bottom);
      if (seen.length > 0) handler(seen[0][0], seen.at(-1)[0], seen[Math.floor(seen.length / 2)][0]);
    }),
};

function control(node, scroller) {
  if (scroller) scroller.$el = node.el;
}

const axis = (node, value) => {
  const horizontal = value !== undefined && typeof value === "number" && member("Axis", value) === "Horizontal";
  node.attribute("data-axis", horizontal ? "horizontal" : undefined);
};

export const layout = {
  Column: linear({ Start: "flex-start", Center: "center", End: "flex-end" }, "HorizontalAlign"),
  Row: linear({ Top: "flex-start", Center: "center", Bottom: "flex-end" }, "VerticalAlign"),
  Stack: {
    stack: true,
    args(node, options) {
      const [block, inline] = alignment(options?.alignContent ?? 4);
      Object.assign(node.css, { "align-items": block, "justify-items": inline });
    },
    attributes: {
      alignContent(node, value) {
        const [block, inline] = alignment(value);
        Object.assign(node.css, { "align-items": block, "justify-items": inline });
      },
    },
  },
  Flex: {
    args({ css }, { direction, wrap, justifyContent: justify, alignItems, alignContent, space } = {}) {
      Object.assign(css, {
        "flex-direction": choose("FlexDirection", direction, {
          Row: "row",
          Column: "column",
          RowReverse: "row-reverse",
          ColumnReverse: "column-reverse",
        }),
        "flex-wrap": choose("FlexWrap", wrap, { NoWrap: "nowrap", Wrap: "wrap", WrapReverse: "wrap-reverse" }),
        "justify-content": choose("FlexAlign", justify, FLEX),
        "align-items": choose("ItemAlign", alignItems, ITEM),
        "align-content": choose("FlexAlign", alignContent, FLEX),
        gap: space && `${lengthOf(space.cross) ?? 0} ${lengthOf(space.main) ?? 0}`,
      });
    },
  },
  RelativeContainer: { args() {}, attributes: { alignRules() {} } },
  Blank: {
    args({ css }, min) {
      if (min !== undefined) css["min-width"] = lengthOf(min);
    },
    attributes: {
      color: ({ css }, value) => {
        css["background-color"] = colorOf(value);
      },
    },
  },
  Divider: {
    args(node) {
      node.attribute("aria-hidden", "true");
    },
    attributes: {
      vertical: (node, value) => node.attribute("data-vertical", value ? "true" : undefined),
      color: ({ css }, value) => {
        css["--line"] = colorOf(value);
      },
      strokeWidth: ({ css }, value) => {
        css["--stroke"] = lengthOf(value);
      },
      lineCap() {},
    },
  },
  Scroll: {
    args: (node, scroller) => control(node, scroller),
    attributes: {
      ...scrolling,
      scrollable(node, value) {
        const way = member("ScrollDirection", value);
        node.attribute("data-axis", way === "Horizontal" ? "horizontal" : undefined);
        if (way === "None") node.css.overflow = "hidden";
      },
      initialOffset() {},
    },
  },
  List: {
    args(node, options) {
      gap(node, options);
      control(node, options?.scroller);
      node.attribute("role", "list");
    },
    attributes: {
      ...scrolling,
      listDirection: axis,
      divider(node, value) {
        node.attribute("data-divider", value ? "true" : undefined);
        if (value)
          Object.assign(node.css, {
            "--line": colorOf(value.color),
            "--stroke": lengthOf(value.strokeWidth),
            "--line-start": lengthOf(value.startMargin ?? 0),
            "--line-end": lengthOf(value.endMargin ?? 0),
          });
      },
      alignListItem: ({ css }, value) => {
        css["align-items"] = choose("ListItemAlign", value, { Start: "flex-start", Center: "center", End: "flex-end" });
      },
      lanes(node, value, space) {
        if (typeof value !== "number" && !value?.minLength) return;
        node.attribute("data-lanes", "true");
        node.css["grid-template-columns"] =
          typeof value === "number" ? `repeat(${value}, minmax(0, 1fr))` : `repeat(auto-fill, minmax(${lengthOf(value.minLength)}, 1fr))`;
        if (space !== undefined) node.css["column-gap"] = lengthOf(space);
      },
      sticky() {},
      contentStartOffset: ({ css }, value) => {
        css["padding-top"] = lengthOf(value);
      },
      contentEndOffset: ({ css }, value) => {
        css["padding-bottom"] = lengthOf(value);
      },
      multiSelectable() {},
      chainAnimation() {},
      childrenMainSize() {},
      maintainVisibleContentPosition() {},
      onItemMove() {},
      onItemDragStart() {},
      onItemDrop() {},
    },
  },
  ListItem: {
    args(node) {
      node.attribute("role", "listitem");
    },
    attributes: {
      swipeAction(node, value) {
        node.swipe = value;
      },
      selected: (node, value) => node.attribute("aria-selected", value ? "true" : undefined),
      selectable() {},
      onSelect() {},
    },
  },
  ListItemGroup: {
    init(node) {
      const [head, body, foot] = ["header", "rows", "footer"].map((part) => {
        const el = node.el.ownerDocument.createElement("div");
        el.setAttribute("class", `group-${part}`);
        return node.el.appendChild(el);
      });
      Object.assign(node, { head, body, foot });
    },
    slot: (node) => node.body,
    args(node, options = {}) {
      if (node.begun) return;
      node.begun = true;
      node.overlays = [];
      if (options.space !== undefined) node.body.setAttribute("style", `gap:${lengthOf(options.space)}`);
      for (const [el, builder] of [
        [node.head, options.header],
        [node.foot, options.footer],
      ]) {
        if (builder) node.overlays.push(node.draw(el, builder));
      }
    },
    attributes: { divider() {}, childrenMainSize() {} },
  },
  Grid: {
    args(node, scroller) {
      control(node, scroller);
      node.attribute("role", "list");
    },
    attributes: {
      ...scrolling,
      columnsTemplate: ({ css }, value) => {
        css["grid-template-columns"] = template(value);
      },
      rowsTemplate: ({ css }, value) => {
        css["grid-template-rows"] = template(value);
      },
      columnsGap: ({ css }, value) => {
        css["column-gap"] = lengthOf(value);
      },
      rowsGap: ({ css }, value) => {
        css["row-gap"] = lengthOf(value);
      },
      layoutDirection() {},
      maxCount() {},
      minCount() {},
      cellLength() {},
      editMode() {},
      supportAnimation() {},
      multiSelectable() {},
      alignItems: ({ css }, value) => {
        css["align-items"] = choose("GridItemAlignment", value, { DEFAULT: "start", STRETCH: "stretch" });
      },
      onItemDragStart() {},
      onItemDrop() {},
    },
  },
  GridItem: {
    args(node) {
      node.attribute("role", "listitem");
    },
    attributes: {
      rowStart: ({ css }, value) => {
        css["grid-row-start"] = value + 1;
      },
      rowEnd: ({ css }, value) => {
        css["grid-row-end"] = value + 2;
      },
      columnStart: ({ css }, value) => {
        css["grid-column-start"] = value + 1;
      },
      columnEnd: ({ css }, value) => {
        css["grid-column-end"] = value + 2;
      },
      selected: (node, value) => node.attribute("aria-selected", value ? "true" : undefined),
      selectable() {},
      forceRebuild() {},
      onSelect() {},
    },
  },
  Badge: {
    args(node, { value, count, maxCount = 99, style } = {}) {
      const text = value ?? (count === undefined ? "" : count > maxCount ? `${maxCount}+` : count === 0 ? undefined : String(count));
      node.attribute("data-badge", text);
      if (style?.badgeColor) node.css["--badge"] = colorOf(style.badgeColor);
    },
  },
  Refresh: {
    args() {},
    attributes: {
      onRefreshing(node, handler) {
        node.refresh = () => guard(handler);
      },
      onStateChange() {},
      refreshOffset() {},
      pullToRefresh() {},
      onOffsetChange() {},
    },
  },
  __Common__: {},
};

/** `1fr 2fr`, `repeat(auto-fill, 100)`: the same as in CSS, but for lengths without a unit. */
const template = (text) =>
  text
    .replace(/(\d)(vp)?(?=[\s,)]|$)/g, "$1px")
    .replace(/(\d)px(?=fr)/g, "$1")
    .replace(/repeat\((\d+)px/g, "repeat($1")
    .replace(/(^|\s)([\d.]+)fr/g, "$1minmax(0, $2fr)");
