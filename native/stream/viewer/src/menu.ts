/** What is wanted less often than a button of the bar: the view, pictures, and how the page looks. */
import { canCopy, Recorder } from "./capture.ts";
import { element } from "./dom.ts";
import type { TouchMode } from "./gestures.ts";
import { LANGUAGES, LANGUAGE_NAMES, language, switchLanguage } from "./language.ts";
import type { Language } from "./language.ts";
import { strings } from "./strings.ts";
import { THEMES, chooseTheme, storedTheme } from "./theme.ts";
import type { Theme } from "./theme.ts";

export interface MenuActions {
  /** Each returns whether its thing is now on. */
  follow(): boolean;
  stats(): boolean;
  screenshot(): void;
  copy(): void;
  record(): void;
  touch(mode: TouchMode): void;
  zoomOut(): void;
}

export class Menu {
  readonly root = element("div", {
    class: "panel menu", id: "menu", role: "group", "aria-label": strings.more, hidden: true,
  });
  readonly #record: HTMLButtonElement;
  readonly #zoomOut: HTMLButtonElement;

  constructor(actions: MenuActions, follows: boolean, touch: TouchMode) {
    this.#record = action(strings.record, () => actions.record());
    this.#record.setAttribute("aria-pressed", "false");
    this.#record.hidden = !Recorder.possible;
    this.#zoomOut = action(strings.zoomOut, () => actions.zoomOut());
    this.#zoomOut.hidden = true;
    const copy = action(strings.copyPicture, () => actions.copy());
    copy.hidden = !canCopy();
    const modes: readonly TouchMode[] = ["direct", "trackpad"];
    const fingers = choice(strings.touchMode, modes, strings.touchModes, touch, (mode) => actions.touch(mode));
    // Seen only by those who have fingers for it.
    fingers.hidden = !matchMedia("(any-pointer: coarse)").matches;
    this.root.append(
      this.#zoomOut,
      toggle(strings.follow, follows, actions.follow),
      toggle(strings.stats, false, actions.stats),
      action(strings.screenshot, () => actions.screenshot()),
      copy,
      this.#record,
      fingers,
      choice<Theme>(strings.theme, THEMES, strings.themes, storedTheme(), chooseTheme),
      choice<Language>(strings.language, LANGUAGES, LANGUAGE_NAMES, language, switchLanguage),
    );
  }

  toggle(): boolean {
    this.root.hidden = !this.root.hidden;
    return !this.root.hidden;
  }

  recording(on: boolean): void {
    this.#record.setAttribute("aria-pressed", String(on));
    this.#record.textContent = on ? strings.stopRecording : strings.record;
  }

  zoomed(on: boolean): void {
    this.#zoomOut.hidden = !on;
  }
}

function action(label: string, act: () => void): HTMLButtonElement {
  const button = element("button", { type: "button" }, label);
  button.addEventListener("click", act);
  return button;
}

function toggle(label: string, on: boolean, act: () => boolean): HTMLButtonElement {
  const button = element("button", { type: "button", role: "switch", "aria-checked": String(on) }, label);
  button.addEventListener("click", () => button.setAttribute("aria-checked", String(act())));
  return button;
}

function choice<Name extends string>(
  label: string,
  names: readonly Name[],
  words: Readonly<Record<Name, string>>,
  now: Name,
  choose: (name: Name) => void,
): HTMLLabelElement {
  const select = element("select", {},
    ...names.map((name) => element("option", { value: name, selected: name === now }, words[name])));
  select.addEventListener("change", () => {
    const chosen = names.find((name) => name === select.value);
    if (chosen !== undefined) choose(chosen);
  });
  return element("label", {}, element("span", {}, label), select);
}
