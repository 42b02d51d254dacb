/**
 * A text field that is not seen but while something is composed in it. While it has the focus, the phone's keyboard is up
 * and the system's input method works; what they write goes to the guest as text.
 *
 * Keyboards of phones tell of few keys. They insert, replace and delete, so the field is compared with what it held before.
 */
import { element } from "./dom.ts";
import type { Point } from "./geometry.ts";
import { strings } from "./strings.ts";
import { difference } from "./textdiff.ts";

export interface TextInputEvents {
  text(text: string): void;
  /** Backspace, so often. */
  back(count: number): void;
}

/** Something to delete before the caret. Lines, since keyboards join no word to what stands in another line. */
const EMPTY = "\n".repeat(16);

/** Their input methods turn what was composed into something else, which letter by letter would first be typed and then deleted. */
const COMPOSED = /^(zh|ja|ko|vi|th|hi|bn|ta|te|am)\b/;

export class TextInput {
  readonly root = element("textarea", {
    class: "textinput", rows: "1", cols: "1", "aria-label": strings.textInputLabel, autocomplete: "off",
    autocorrect: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "enter",
  });
  readonly #events: TextInputEvents;
  /** Whether letters that are still composed go at once: phones compose the words of every language. */
  readonly #eager = !navigator.languages.some((tag) => COMPOSED.test(tag.toLowerCase()));
  #known = EMPTY;
  #composing = false;

  constructor(events: TextInputEvents) {
    this.#events = events;
    const { root } = this;
    this.#empty();
    root.addEventListener("compositionstart", () => {
      this.#composing = true;
      root.classList.toggle("composing", !this.#eager);
    });
    root.addEventListener("compositionupdate", ({ data }) => {
      root.style.width = `${Math.min([...data].length + 2, 24)}em`;
    });
    root.addEventListener("compositionend", () => {
      this.#composing = false;
      root.classList.remove("composing");
      this.#take();
    });
    root.addEventListener("input", () => {
      if (!this.#composing || this.#eager) this.#take();
    });
    // The guest's own paste is by its keys; what the phone's keyboard pastes is text.
    root.addEventListener("blur", () => this.#empty());
  }

  focus(): void {
    this.root.focus({ preventScroll: true });
  }

  /** Where the candidates of an input method are to appear, in the window. */
  place(at: Point): void {
    this.root.style.left = `${Math.max(0, Math.min(at.x, window.innerWidth - 160))}px`;
    this.root.style.top = `${Math.max(0, Math.min(at.y + 12, window.innerHeight - 60))}px`;
  }

  #take(): void {
    const { back, text } = difference(this.#known, this.root.value);
    this.#known = this.root.value;
    if (back > 0) this.#events.back(back);
    if (text !== "") this.#events.text(text);
    // A change under an input method's hands would end what it composes.
    if (!this.#composing) this.#empty();
  }

  #empty(): void {
    this.#known = EMPTY;
    this.root.value = EMPTY;
    this.root.setSelectionRange(EMPTY.length, EMPTY.length);
  }
}
