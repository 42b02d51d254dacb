// Focus and shortcuts.
import { env, guard } from "./env.js";

const shortcuts = new Map();

/** A key with modifiers clicks the component or runs `action`, wherever the focus is. Without a key it is taken off. */
export function shortcut(node, key, modifiers, action) {
  if (key === "" || key === undefined) shortcuts.delete(node);
  else
    shortcuts.set(node, {
      key: typeof key === "number" ? functionKey(key) : key.toLowerCase(),
      modifiers: modifiers.map((one) => one.toLowerCase()),
      action,
    });
}
const functionKey = (key) => {
  const name = Object.entries(env.enums.FunctionKey).find(([, value]) => value === key)?.[0] ?? "";
  return name
    .toLowerCase()
    .replace("esc", "escape")
    .replace(/^dpad_/, "arrow")
    .replace(/^page_/, "page")
    .replace("forward_del", "delete");
};

/** Takes a keydown of the window. */
export function runShortcut(event) {
  for (const [node, { key, modifiers, action }] of [...shortcuts].reverse()) {
    if (node.gone) {
      shortcuts.delete(node);
      continue;
    }
    // What lies under a dialog or a sheet, or on a page that is not seen, hears nothing.
    if (node.el.closest("[inert],[hidden]")) continue;
    const pressed = { ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey };
    if (event.key?.toLowerCase() !== key || Object.keys(pressed).some((one) => pressed[one] !== modifiers.includes(one))) continue;
    event.preventDefault();
    if (action) guard(action);
    else node.el.click();
    return true;
  }
  return false;
}

export const focusController = {
  requestFocus(id) {
    const el = env.document.getElementById(id);
    if (!el) throw Object.assign(new Error(`there is no component ${id}`), { code: 150003 });
    (el.matches("input,textarea,button,canvas") || el.hasAttribute("tabindex")
      ? el
      : (el.querySelector("input,textarea,button,[tabindex]") ?? el)
    ).focus?.();
  },
  clearFocus: () => env.document.activeElement?.blur?.(),
  setAutoFocusTransfer() {},
  activate() {},
  isActive: () => true,
};
