/** Keys that a phone lacks, or that the browser or the system keeps for itself, as buttons. */
import { element } from "./dom.ts";
import type { Keyboard } from "./keyboard.ts";
import { strings } from "./strings.ts";
import type { Modifier, Sticky } from "./sticky.ts";

interface KeyButton {
  readonly label: string;
  readonly codes: readonly string[];
  /** What a screen reader says of a label that is a sign. */
  readonly name?: string;
}

const HELD: readonly { readonly label: string; readonly modifier: Modifier }[] = [
  { label: "Ctrl", modifier: "ControlLeft" },
  { label: "Shift", modifier: "ShiftLeft" },
  { label: "Alt", modifier: "AltLeft" },
  { label: "AltGr", modifier: "AltRight" },
  { label: "Meta", modifier: "MetaLeft" },
];

/** A finger that stays this long holds the key. */
const HOLD_MS = 300;

const one = (label: string, code = label, name?: string): KeyButton =>
  ({ label, codes: [code], ...(name !== undefined && { name }) });

const NEAR: readonly KeyButton[] = [
  one("Esc", "Escape"), one("Tab"),
  one("←", "ArrowLeft", strings.arrows.left), one("↑", "ArrowUp", strings.arrows.up),
  one("↓", "ArrowDown", strings.arrows.down), one("→", "ArrowRight", strings.arrows.right),
];

const FAR: readonly KeyButton[] = [
  one("Home"), one("End"), one("PgUp", "PageUp"), one("PgDn", "PageDown"), one("Ins", "Insert"), one("Del", "Delete"),
  one("Menu", "ContextMenu"), one("Print", "PrintScreen"), one("Pause"), one("Scroll", "ScrollLock"),
  one("Num", "NumLock"), one("Caps", "CapsLock"),
];

const FUNCTION_KEYS: readonly KeyButton[] = Array.from({ length: 12 }, (_, index) => one(`F${index + 1}`));

const CHORDS: readonly KeyButton[] = [
  { label: "Ctrl-Alt-Del", codes: ["ControlLeft", "AltLeft", "Delete"] },
  { label: "Ctrl-Alt-⌫", codes: ["ControlLeft", "AltLeft", "Backspace"] },
  { label: "Ctrl-W", codes: ["ControlLeft", "KeyW"] },
  { label: "Ctrl-T", codes: ["ControlLeft", "KeyT"] },
  { label: "Ctrl-N", codes: ["ControlLeft", "KeyN"] },
  { label: "Alt-Tab", codes: ["AltLeft", "Tab"] },
  { label: "Alt-F4", codes: ["AltLeft", "F4"] },
  { label: "Meta-L", codes: ["MetaLeft", "KeyL"] },
];

export class KeyMenu {
  readonly root = element("div", {
    class: "panel keys",
    id: "keys",
    role: "group",
    "aria-label": strings.keysHint,
    hidden: true,
  });
  readonly #sticky: Sticky;
  readonly #keyboard: Keyboard;
  readonly #held = new Map<Modifier, HTMLButtonElement>();

  constructor(keyboard: Keyboard, sticky: Sticky) {
    this.#keyboard = keyboard;
    this.#sticky = sticky;
    for (const { label, modifier } of HELD) {
      const button = element("button", {
        type: "button", title: strings.stickyHint, "aria-pressed": "false", "data-code": modifier,
      }, label);
      button.addEventListener("click", () => keyboard.modify(modifier));
      this.#held.set(modifier, button);
    }
    const row = (...buttons: readonly HTMLButtonElement[]) => element("div", { class: "row" }, ...buttons);
    this.root.append(
      row(...this.#held.values(), ...NEAR.map((key) => this.#button(key))),
      row(...[...FAR, ...FUNCTION_KEYS].map((key) => this.#button(key))),
      row(...CHORDS.map((key) => this.#button(key))),
    );
    // A press here leaves the focus, and so the phone's keyboard and what is held, where it is.
    for (const name of ["mousedown", "pointerdown"]) {
      this.root.addEventListener(name, (event) => event.preventDefault());
    }
    this.root.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  toggle(): boolean {
    this.root.hidden = !this.root.hidden;
    return !this.root.hidden;
  }

  /** What is held has changed. */
  update(): void {
    for (const [modifier, button] of this.#held) {
      const how = this.#sticky.how(modifier);
      button.setAttribute("aria-pressed", String(how !== "off"));
      button.classList.toggle("locked", how === "locked");
      const label = button.textContent ?? "";
      button.setAttribute("aria-label", how === "off" ? label : strings.held[how](label));
    }
  }

  /** A button that is held holds its keys, so that the guest repeats them. */
  #button(key: KeyButton): HTMLButtonElement {
    const button = element("button", { type: "button", "aria-label": strings.press(key.name ?? key.label) }, key.label);
    let down = false;
    let waiting: number | undefined;
    const press = () => {
      waiting = undefined;
      down = true;
      this.#keyboard.hold(key.codes, true);
    };
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      // A finger may be about to scroll the row.
      if (event.pointerType === "touch") waiting = window.setTimeout(press, HOLD_MS);
      else press();
    });
    button.addEventListener("pointerup", () => {
      if (waiting === undefined) return;
      window.clearTimeout(waiting);
      press();
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      button.addEventListener(name, () => {
        window.clearTimeout(waiting);
        waiting = undefined;
        if (down) this.#keyboard.hold(key.codes, false);
        down = false;
      });
    }
    // By a keyboard or a screen reader: no pointer was there.
    button.addEventListener("click", (event) => {
      if (event.detail === 0) this.#keyboard.tap(key.codes);
    });
    return button;
  }
}
