// What a UIContext shows: alerts, dialogs, menus of actions, toasts.
import { env, guard } from "./env.js";
import { member } from "./enumeration.js";
import { colorOf, lengthOf, textOf } from "./resources.js";
import { button, layer, words } from "./overlay.js";
import { scope, unowned, untracked } from "./signals.js";
import { within } from "./view.js";
import { businessError, strict } from "./strict.js";

/** The system's own, where nothing else is said. */
const TOAST = 1500;
/** The code of the system for a dialog that a person dismissed. */
const CANCELLED = 103301;

function frame(over, { title, subtitle, message }) {
  if (title !== undefined && title !== "") over.host.append(words("dialog-title", title, "heading"));
  if (subtitle !== undefined) over.host.append(words("dialog-subtitle", subtitle));
  if (message !== undefined) over.host.append(words("dialog-message", message));
}

function buttonsOf(options) {
  if (options.buttons) return options.buttons;
  if (options.primaryButton) return [options.primaryButton, options.secondaryButton].filter(Boolean);
  return options.confirm ? [options.confirm] : [];
}

/** AlertDialog: several buttons with an action each. */
export function showAlertDialog(options) {
  const over = layer({
    kind: "dialog",
    modal: true,
    role: "alertdialog",
    mask: true,
    label: textOf(options.title ?? options.message),
    dismiss(reason) {
      if (options.onWillDismiss) {
        options.onWillDismiss({ dismiss: () => over.close(), reason: env.enums.DismissReason[reason === "back" ? "PRESS_BACK" : "TOUCH_OUTSIDE"] });
        return false;
      }
      if (options.autoCancel === false && reason !== "back") return false;
      if (options.cancel) guard(options.cancel);
      return true;
    },
  });
  frame(over, options);
  const row = words("dialog-buttons", "");
  for (const one of buttonsOf(options)) {
    const role = one.style === undefined ? "" : member("DialogButtonStyle", one.style).toLowerCase();
    const el = button(one.value, `dialog-button ${role}`, () => {
      over.close();
      guard(() => one.action?.());
    });
    if (one.fontColor !== undefined) el.setAttribute("style", `color:${colorOf(one.fontColor)}`);
    if (one.enabled === false) el.setAttribute("disabled", "");
    if (one.defaultFocus || one.primary) el.setAttribute("data-default", "true");
    row.append(el);
  }
  over.host.append(row);
  (row.querySelector("[data-default]") ?? row.querySelector("button"))?.focus?.();
}

function showActionSheet(options) {
  const over = layer({
    kind: "dialog",
    modal: true,
    role: "dialog",
    mask: true,
    dismiss: () => {
      guard(() => options.cancel?.());
      return true;
    },
  });
  frame(over, options);
  for (const sheet of options.sheets) {
    over.host.append(
      button(sheet.title, "dialog-button", () => {
        over.close();
        sheet.action();
      }),
    );
  }
  if (options.confirm) {
    over.host.append(
      button(options.confirm.value, "dialog-button", () => {
        over.close();
        options.confirm.action();
      }),
    );
  }
}

function choices(options, className, buttons, more = []) {
  return new Promise((resolve, reject) => {
    const over = layer({
      kind: className,
      modal: true,
      role: "dialog",
      mask: true,
      dismiss() {
        reject(businessError(CANCELLED, "cancel"));
        return true;
      },
    });
    frame(over, options);
    const row = words("dialog-buttons", "");
    buttons.forEach((one, index) => {
      const el = button(one.text, "dialog-button", () => {
        over.close();
        resolve({ index });
      });
      if (one.color !== undefined) el.setAttribute("style", `color:${colorOf(one.color)}`);
      row.append(el);
    });
    for (const text of more) row.append(button(text, "dialog-button", () => over.dismiss("close")));
    over.host.append(row);
    row.querySelector("button")?.focus?.();
  });
}

export function toast({ message, duration = TOAST, bottom }) {
  const over = layer({ kind: "toast", role: "status", keepFocus: true });
  over.host.append(words("toast-text", message));
  if (bottom !== undefined) over.host.setAttribute("style", `bottom:${lengthOf(bottom)}`);
  setTimeout(() => over.close(), Math.min(10_000, Math.max(TOAST, duration)));
  return over;
}

/** What a builder and its argument are for a place that has no component of its own. */
export class ComponentContent {
  constructor(uiContext, builder, args) {
    Object.assign(this, { builder: builder.builder ?? builder, args });
  }
  $draw(host) {
    this.host = host;
    this.end?.dispose();
    host.replaceChildren();
    this.end = unowned(() =>
      untracked(() => scope(() => within({ host, before: null, view: undefined, node: undefined }, () => this.builder(this.args)))),
    );
  }
  update(args) {
    this.args = args;
    if (this.host) this.$draw(this.host);
  }
  reuse() {}
  recycle() {}
  dispose() {
    this.end?.dispose();
  }
  updateConfiguration() {}
}

const custom = new Map();
let nextDialog = 1;

async function openCustomDialog(first, second = {}) {
  const isContent = first instanceof ComponentContent;
  const options = isContent ? second : first;
  const id = nextDialog++;
  const over = layer({
    kind: `dialog custom-dialog${isContent || options.alignment === undefined ? "" : ` at-${member("DialogAlignment", options.alignment).toLowerCase()}`}`,
    modal: options.isModal !== false,
    role: "dialog",
    mask: options.isModal === false ? false : options.maskColor === undefined ? true : colorOf(options.maskColor),
    dismiss(reason) {
      if (options.onWillDismiss) {
        options.onWillDismiss({ dismiss: () => over.close(), reason: env.enums.DismissReason[reason === "back" ? "PRESS_BACK" : "TOUCH_OUTSIDE"] });
        return false;
      }
      return options.autoCancel !== false || reason === "back";
    },
  });
  if (options.width !== undefined) over.host.setAttribute("style", `width:${lengthOf(options.width)}`);
  if (options.alignment !== undefined) over.el.setAttribute("data-align", member("DialogAlignment", options.alignment).toLowerCase());
  guard(() => options.onWillAppear?.());
  const content = isContent ? first : new ComponentContent(undefined, options.builder, undefined);
  content.$draw(over.host);
  custom.set(id, { over, content });
  over.closed = () => {
    custom.delete(id);
    guard(() => options.onWillDisappear?.());
    if (!isContent) content.dispose();
    guard(() => options.onDidDisappear?.());
  };
  guard(() => options.onDidAppear?.());
  return id;
}

async function closeCustomDialog(which) {
  const found = typeof which === "number" ? custom.get(which) : [...custom.values()].find((one) => one.content === which);
  if (!found) throw businessError(103302, "there is no such dialog");
  found.over.close();
}

const openToasts = new Map();
let nextToast = 1;

export const promptAction = strict("PromptAction", {
  showToast: (options) => void toast(options),
  async openToast(options) {
    const id = nextToast++;
    openToasts.set(id, toast(options));
    return id;
  },
  closeToast: (id) => openToasts.get(id)?.close(),
  showDialog(options, callback) {
    const shown = choices(options, "dialog", options.buttons ?? []);
    if (!callback) return shown;
    shown.then(
      (value) => callback(undefined, value),
      (error) => callback(error),
    );
    return undefined;
  },
  showActionMenu(options, callback) {
    const shown = choices(options, "dialog action-menu", options.buttons, [env.language.startsWith("zh") ? "取消" : "Cancel"]);
    if (typeof callback !== "function") return shown;
    shown.then(
      (value) => callback(undefined, value),
      (error) => callback(error),
    );
    return undefined;
  },
  openCustomDialog,
  closeCustomDialog,
  async updateCustomDialog() {},
});

export const dialogs = { showAlertDialog, showActionSheet };
