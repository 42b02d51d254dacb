// Fields to type into, and their controllers.
import { env } from "../env.js";
import { choose, member } from "../enumeration.js";
import { colorOf, lengthOf, textOf } from "../resources.js";
import { setBound, valueOf } from "../view.js";

const ignore = () => {};

export const typing = (kind) => ({
  tag: kind === "TextArea" ? "textarea" : "input",
  init(node) {
    node.isControl = true;
    if (kind === "Search") node.attribute("type", "search");
    node.on("own", "input", () => {
      if (node.limit !== undefined && node.el.value.length > node.limit) node.el.value = node.el.value.slice(0, node.limit);
      if (node.filter && !new RegExp(`^(?:${node.filter})*$`, "u").test(node.el.value)) {
        node.el.value = [...node.el.value].filter((one) => new RegExp(node.filter, "u").test(one)).join("");
      }
      node.shown = node.el.value;
      setBound(node.bound, node.el.value);
      node.changed?.(node.el.value);
    });
    node.on("own.enter", "keydown", (event) => {
      if (event.key !== "Enter" || (kind === "TextArea" && !node.submits) || event.isComposing) return;
      const made = { text: node.el.value, keepEditableState() {} };
      if (kind === "Search") node.submitted?.(node.el.value, made);
      else node.submitted?.(node.enterKey ?? 6, made);
      if (node.submitted) event.stopPropagation();
    });
  },
  args(node, options = {}) {
    node.limit = undefined;
    const bound = kind === "Search" ? options.value : options.text;
    node.bound = bound;
    const value = valueOf(bound);
    if (value !== undefined && textOf(value) !== node.shown) {
      node.shown = textOf(value);
      node.el.value = node.shown;
      if (kind === "TextArea" && !env.layout) node.el.textContent = node.shown;
    }
    node.attribute("placeholder", options.placeholder === undefined ? undefined : textOf(options.placeholder));
    if (options.controller) options.controller.$node = node;
  },
  attributes: {
    type(node, value) {
      const type = member("InputType", value);
      node.attribute(
        "type",
        {
          Password: "password",
          Number: "text",
          NUMBER_PASSWORD: "password",
          PhoneNumber: "tel",
          Email: "email",
          URL: "url",
          NEW_PASSWORD: "password",
        }[type] ?? "text",
      );
      if (["Number", "NUMBER_DECIMAL"].includes(type)) node.attribute("inputmode", "numeric");
      if (type === "Number") node.filter = "[0-9]";
    },
    onChange(node, handler) {
      node.changed = handler;
    },
    onSubmit(node, handler) {
      node.submitted = handler;
      node.submits = kind === "TextArea" && node.enterKey !== undefined;
    },
    onEditChange(node, handler) {
      node.on("edit.in", "focus", () => handler(true));
      node.on("edit.out", "blur", () => handler(false));
    },
    onPaste(node, handler) {
      node.on("paste", "paste", (event) => handler(event.clipboardData?.getData("text") ?? "", { preventDefault: () => event.preventDefault() }));
    },
    maxLength(node, value) {
      node.limit = value;
    },
    inputFilter(node, value) {
      node.filter = value;
    },
    placeholderColor: ({ css }, value) => {
      css["--placeholder"] = colorOf(value);
    },
    placeholderFont: ignore,
    caretColor: ({ css }, value) => {
      css["caret-color"] = colorOf(value);
    },
    caretStyle: ignore,
    enterKeyType(node, value) {
      node.enterKey = value;
    },
    showPasswordIcon: ignore,
    showUnderline: ignore,
    underlineColor: ignore,
    selectionMenuHidden: ignore,
    showCounter: ignore,
    enableKeyboardOnFocus: ignore,
    enableAutoFill: ignore,
    enablePreviewText: ignore,
    contentType: ignore,
    customKeyboard: ignore,
    selectAll: ignore,
    style: ignore,
    barState: ignore,
    cancelButton: ignore,
    searchIcon: ignore,
    searchButton: ignore,
    textFont({ css }, { size, family }) {
      if (size !== undefined) css["font-size"] = lengthOf(size, "fp");
      if (family !== undefined) css["font-family"] = textOf(family);
    },
    textAlign: ({ css }, value) => {
      css["text-align"] = choose("TextAlign", value, { Start: "start", Center: "center", End: "end", JUSTIFY: "justify" });
    },
    showError(node, value) {
      node.attribute("aria-invalid", value ? "true" : undefined);
      node.attribute("data-error", value ? textOf(value) : undefined);
    },
    lineHeight: ({ css }, value) => {
      css["line-height"] = lengthOf(value, "fp");
    },
    letterSpacing: ignore,
    maxLines: ignore,
    wordBreak: ignore,
    copyOption: ignore,
    selectedBackgroundColor: ignore,
    onCopy: ignore,
    onCut: ignore,
    onTextSelectionChange: ignore,
    onContentScroll: ignore,
    passwordIcon: ignore,
    showUnit: ignore,
    lineBreakStrategy: ignore,
    decoration: ignore,
    editMenuOptions: ignore,
    textIndent: ignore,
    cancelButtonStyle: ignore,
    onWillInsert: ignore,
    onDidInsert: ignore,
    onWillDelete: ignore,
    onDidDelete: ignore,
    textOverflow: ignore,
    heightAdaptivePolicy: ignore,
    minFontSize: ignore,
    maxFontSize: ignore,
    onSecurityStateChange: ignore,
    keyboardAppearance: ignore,
    stopBackPress: ignore,
  },
});

/** `TextInputController`, `TextAreaController` and `SearchController`. */
export class TextController {
  caretPosition(at) {
    this.$node?.el.setSelectionRange?.(at, at);
  }
  stopEditing() {
    this.$node?.el.blur?.();
  }
  setTextSelection(start, end) {
    this.$node?.el.setSelectionRange?.(start, end);
  }
  getTextContentLineCount() {
    return (this.$node?.el.value ?? "").split("\n").length;
  }
  getCaretOffset() {
    return { index: this.$node?.el.selectionStart ?? 0, x: 0, y: 0 };
  }
  closeSelectionMenu() {}
  getLayoutManager() {
    return undefined;
  }
  getSelectedText() {
    return this.$node?.el.value.slice(this.$node.el.selectionStart, this.$node.el.selectionEnd) ?? "";
  }
}
