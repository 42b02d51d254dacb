// What lies over the pages: sheets, covers, menus, dialogs, toasts. The newest is closed first by a step back.
import { env, guard } from "./env.js";
import { textOf } from "./resources.js";

const open = [];

/**
 * Puts a layer over the pages. `kind` is its class; `modal` dims what is below; `dismiss(reason)` is what a person's wish to close
 * it does, and closes it unless it returns false. Comes to `{ host, close }`.
 */
export function layer({ kind, modal = false, mask, dismiss, role, label, host = env.overlays, keepFocus = false }) {
  const el = env.document.createElement("div");
  el.setAttribute("class", `overlay ${kind}`);
  if (mask) {
    const shade = env.document.createElement("div");
    shade.setAttribute("class", "mask");
    if (typeof mask === "string") shade.setAttribute("style", `background:${mask}`);
    shade.addEventListener("click", () => made.dismiss("mask"));
    el.append(shade);
  }
  const body = env.document.createElement("div");
  body.setAttribute("class", "panel");
  if (role) body.setAttribute("role", role);
  if (modal) body.setAttribute("aria-modal", "true");
  if (label) body.setAttribute("aria-label", label);
  el.append(body);
  host.append(el);
  const focused = env.document.activeElement;
  const made = {
    el,
    host: body,
    kind,
    dismiss(reason) {
      if (dismiss && guard(() => dismiss(reason)) === false) return;
      made.close();
    },
    close() {
      const index = open.indexOf(made);
      if (index < 0) return;
      open.splice(index, 1);
      el.remove();
      block();
      made.closed?.();
      if (!keepFocus && focused && focused !== env.document.body) focused.focus?.();
    },
  };
  made.modal = modal;
  open.push(made);
  block();
  return made;
}

/** What lies under a modal layer takes neither focus nor presses. */
function block() {
  const top = topModal();
  env.root.toggleAttribute("inert", top !== undefined);
  for (const one of open) one.el.toggleAttribute("inert", top !== undefined && open.indexOf(one) < open.indexOf(top) && one.kind !== "toast");
}
const topModal = () => open.filter((one) => one.modal).at(-1);

/** Closes what lies on top, as the back gesture does. False if nothing does. */
export function dismissTop() {
  const top = open.filter((one) => one.kind !== "toast").at(-1);
  if (!top) return false;
  top.dismiss("back");
  return true;
}
export const layers = () => [...open];

export function button(text, className, press) {
  const el = env.document.createElement("button");
  el.setAttribute("type", "button");
  el.setAttribute("class", className);
  el.textContent = textOf(text);
  el.addEventListener("click", (event) => {
    event.stopPropagation();
    if (!el.hasAttribute("disabled")) guard(press);
  });
  return el;
}

export function words(className, text, role) {
  const el = env.document.createElement("div");
  el.setAttribute("class", className);
  if (role) el.setAttribute("role", role);
  el.textContent = textOf(text);
  return el;
}
