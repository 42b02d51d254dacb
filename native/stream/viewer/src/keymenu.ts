/** Keys the browser or the system keeps for itself, as buttons. */
import { element } from "./dom.ts";
import type { Keyboard } from "./keyboard.ts";
import { strings } from "./strings.ts";

interface KeyButton {
  readonly label: string;
  readonly codes: readonly string[];
}

const CHORDS: readonly KeyButton[] = [
  { label: "Ctrl-Alt-Del", codes: ["ControlLeft", "AltLeft", "Delete"] },
  { label: "Ctrl-Alt-⌫", codes: ["ControlLeft", "AltLeft", "Backspace"] },
  { label: "Alt-Tab", codes: ["AltLeft", "Tab"] },
  { label: "Alt-F4", codes: ["AltLeft", "F4"] },
  { label: "Esc", codes: ["Escape"] },
  { label: "Tab", codes: ["Tab"] },
  { label: "Menu", codes: ["ContextMenu"] },
  { label: "Print", codes: ["PrintScreen"] },
];

const HELD: readonly KeyButton[] = [
  { label: "Ctrl", codes: ["ControlLeft"] },
  { label: "Alt", codes: ["AltLeft"] },
  { label: "AltGr", codes: ["AltRight"] },
  { label: "Meta", codes: ["MetaLeft"] },
];

const FUNCTION_KEYS: readonly KeyButton[] = Array.from({ length: 12 }, (_, index) => ({
  label: `F${index + 1}`,
  codes: [`F${index + 1}`],
}));

export class KeyMenu {
  readonly root = element("div", {
    class: "panel keys",
    id: "keys",
    role: "group",
    "aria-label": strings.keysHint,
    hidden: true,
  });
  readonly #held: HTMLButtonElement[] = [];

  constructor(keyboard: Keyboard, done: () => void) {
    for (const key of HELD) {
      const button = keyButton(key.label, strings.hold(key.label));
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        const down = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(down));
        for (const code of key.codes) keyboard.hold(code, down);
        done();
      });
      this.#held.push(button);
    }
    const taps = (keys: readonly KeyButton[]) =>
      keys.map((key) => {
        const button = keyButton(key.label, strings.press(key.label));
        button.addEventListener("click", () => {
          keyboard.tap(key.codes);
          done();
        });
        return button;
      });
    const row = (buttons: readonly HTMLButtonElement[]) => element("div", { class: "row" }, ...buttons);
    this.root.append(row(this.#held), row(taps(CHORDS)), row(taps(FUNCTION_KEYS)));
  }

  toggle(): boolean {
    this.root.hidden = !this.root.hidden;
    return !this.root.hidden;
  }

  /** Everything was let go of. */
  released(): void {
    for (const button of this.#held) button.setAttribute("aria-pressed", "false");
  }
}

function keyButton(label: string, title: string): HTMLButtonElement {
  return element("button", { type: "button", title }, label);
}
