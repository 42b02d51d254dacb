// What a person presses, slides and types into.
import { env, guard } from "../env.js";
import { member } from "../enumeration.js";
import { Resource, colorOf, lengthOf, textOf } from "../resources.js";
import { setBound, valueOf } from "../view.js";
import { disabled } from "../events.js";
import { label } from "./text.js";
import { typing } from "./typing.js";

const ignore = () => {};
const isOptions = (value) => typeof value === "object" && value !== null && !(value instanceof Resource);

const button = {
  tag: "button",
  isControl: true,
  init(node) {
    node.isControl = true;
    node.attribute("type", "button");
  },
  args(node, first, second) {
    const options = (isOptions(first) ? first : second) ?? {};
    const hasLabel = first !== undefined && !isOptions(first);
    if (hasLabel) label(node, first);
    node.attribute("data-label", hasLabel ? "true" : undefined);
    looksOf(node, options);
  },
  attributes: {
    type: (node, value) => looksOf(node, { type: value }),
    buttonStyle: (node, value) => looksOf(node, { buttonStyle: value }),
    controlSize: (node, value) => looksOf(node, { controlSize: value }),
    role: (node, value) => node.attribute("data-role", member("ButtonRole", value).toLowerCase()),
    stateEffect: ignore,
    labelStyle: ignore,
    minFontScale: ignore,
    maxFontScale: ignore,
    contentModifier: ignore,
  },
};
function looksOf(node, { type, buttonStyle, controlSize, role }) {
  if (type !== undefined) node.attribute("data-shape", member("ButtonType", type).toLowerCase());
  if (buttonStyle !== undefined) node.attribute("data-style", member("ButtonStyleMode", buttonStyle).toLowerCase());
  if (controlSize !== undefined) node.attribute("data-size", member("ControlSize", controlSize).toLowerCase());
  if (role !== undefined) node.attribute("data-role", member("ButtonRole", role).toLowerCase());
}

/** A control that is on or off: Toggle, Checkbox, Radio. */
function switchLike(role, read, name, { once = false } = {}) {
  return {
    tag: "button",
    init(node) {
      node.isControl = true;
      node.attribute("type", "button");
      node.attribute("role", role);
      node.on("own", "click", (event) => {
        if (disabled(node) || (once && node.on_)) return;
        event.$taken = node;
        set(node, !node.on_);
        setBound(node.bound, node.on_);
        if (once && node.group) siblings(node);
        node.changed?.(node.on_);
      });
    },
    args(node, options = {}) {
      node.bound = read(options);
      if (options.type !== undefined && name === "Toggle") node.attribute("data-type", member("ToggleType", options.type).toLowerCase());
      node.group = options.group;
      node.value = options.value;
      if (node.bound !== undefined) set(node, valueOf(node.bound) === true);
      else if (node.on_ === undefined) set(node, false);
    },
    attributes: {
      onChange(node, handler) {
        node.changed = handler;
      },
      selectedColor: ({ css }, value) => {
        css["--on"] = colorOf(value);
      },
      switchPointColor: ({ css }, value) => {
        css["--point"] = colorOf(value);
      },
      checked(node, value) {
        node.bound = value;
        set(node, valueOf(value) === true);
      },
      select(node, value) {
        node.bound = value;
        set(node, valueOf(value) === true);
      },
      unselectedColor: ignore,
      mark: ignore,
      shape: ignore,
      radioStyle: ignore,
      switchStyle: ignore,
      contentModifier: ignore,
    },
  };
}
function set(node, value) {
  node.on_ = value;
  node.attribute("aria-checked", String(value));
}
function siblings(node) {
  for (const el of env.document.querySelectorAll(".Radio")) {
    const other = el.$node;
    if (other !== node && other?.group === node.group && other.on_) {
      set(other, false);
      setBound(other.bound, false);
      other.changed?.(false);
    }
  }
}

const slider = {
  tag: "input",
  init(node) {
    node.isControl = true;
    node.attribute("type", "range");
    node.attribute("role", "slider");
    const tell = (mode) => {
      const value = Number(node.el.value);
      node.shown = value;
      share(node);
      setBound(node.bound, value);
      node.changed?.(value, mode);
    };
    // SliderChangeMode: Begin 0, Moving 1, End 2, Click 3.
    node.on("own", "input", () => tell(1));
    node.on("own.end", "change", () => tell(2));
  },
  args(node, { value, min = 0, max = 100, step = 1, direction, style } = {}) {
    node.bound = value;
    Object.assign(node, { min, max });
    for (const [name, one] of Object.entries({ min, max, step })) node.attribute(name, one);
    const now = valueOf(value) ?? min;
    if (now !== node.shown) {
      node.shown = now;
      node.el.value = String(now);
      node.attribute("value", now);
    }
    node.attribute("aria-valuenow", now);
    node.attribute("data-direction", direction === undefined ? undefined : member("Axis", direction).toLowerCase());
    node.attribute("data-style", style === undefined ? undefined : member("SliderStyle", style).toLowerCase());
  },
  applied: (node) => share(node, true),
  attributes: {
    onChange(node, handler) {
      node.changed = handler;
    },
    blockColor: ({ css }, value) => {
      css["--block"] = colorOf(value);
    },
    trackColor: ({ css }, value) => {
      css["--track"] = typeof value === "object" && value.angle !== undefined ? "" : colorOf(value);
    },
    selectedColor: ({ css }, value) => {
      css["--on"] = colorOf(value);
    },
    trackThickness: ({ css }, value) => {
      css["--thickness"] = lengthOf(value);
    },
    showSteps: ignore,
    showTips: ignore,
    blockBorderColor: ignore,
    blockBorderWidth: ignore,
    stepColor: ignore,
    trackBorderRadius: ignore,
    selectedBorderRadius: ignore,
    blockSize: ignore,
    blockStyle: ignore,
    stepSize: ignore,
    minLabel: ignore,
    maxLabel: ignore,
    sliderInteractionMode: ignore,
    minResponsiveDistance: ignore,
    slideRange: ignore,
    contentModifier: ignore,
    enableHapticFeedback: ignore,
  },
};
function share(node, later = false) {
  const part = node.max > node.min ? (node.shown - node.min) / (node.max - node.min) : 0;
  node.css["--share"] = `${Math.round(part * 1000) / 10}%`;
  node.attribute("aria-valuenow", node.shown);
  if (!later) node.commit();
}

const select = {
  tag: "select",
  init(node) {
    node.isControl = true;
    node.on("own", "change", () => {
      const index = Number(node.el.value);
      setBound(node.chosen, index);
      node.picked?.(index, textOf(node.options[index]?.value));
    });
  },
  args(node, options) {
    node.options = options;
    const texts = options.map((one) => textOf(one.value));
    if (JSON.stringify(texts) === node.drawn) return;
    node.drawn = JSON.stringify(texts);
    node.el.replaceChildren(
      ...texts.map((one, index) => {
        const option = env.document.createElement("option");
        option.setAttribute("value", index);
        option.textContent = one;
        return option;
      }),
    );
  },
  attributes: {
    selected(node, value) {
      node.chosen = value;
      const index = valueOf(value);
      if (env.layout) node.el.value = String(index);
      [...node.el.children].forEach((option, at) => (at === index ? option.setAttribute("selected", "") : option.removeAttribute("selected")));
    },
    value(node, value) {
      node.attribute("data-value", textOf(valueOf(value)));
    },
    onSelect(node, handler) {
      node.picked = handler;
    },
    font: ignore,
    selectedOptionBgColor: ignore,
    selectedOptionFont: ignore,
    selectedOptionFontColor: ignore,
    optionBgColor: ignore,
    optionFont: ignore,
    optionFontColor: ignore,
    space: ignore,
    arrowPosition: ignore,
    menuAlign: ignore,
    optionWidth: ignore,
    optionHeight: ignore,
    menuBackgroundColor: ignore,
    menuBackgroundBlurStyle: ignore,
    controlSize: ignore,
    divider: ignore,
    menuItemContentModifier: ignore,
  },
};

/** The system's button that allows reading the clipboard once. */
const pasteButton = {
  ...button,
  args(node) {
    label(node, env.language.startsWith("zh") ? "粘贴" : "Paste");
  },
  attributes: {
    onClick: (node, handler) =>
      node.on("click", "click", (event) => {
        event.$taken = node;
        env.pasteAllowed = true;
        guard(() => handler({}, env.enums.PasteButtonOnClickResult.SUCCESS));
      }),
    iconSize: ignore,
    layoutDirection: ignore,
    iconColor: ignore,
    textIconSpace: ignore,
    fontStyle: ignore,
  },
};

export const controls = {
  Button: button,
  PasteButton: pasteButton,
  Toggle: switchLike("switch", (options) => options.isOn, "Toggle"),
  Checkbox: switchLike("checkbox", () => undefined, "Checkbox"),
  Radio: switchLike("radio", () => undefined, "Radio", { once: true }),
  Slider: slider,
  TextInput: typing("TextInput"),
  TextArea: typing("TextArea"),
  Search: typing("Search"),
  Select: select,
};
