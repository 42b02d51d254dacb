/** What is wanted less often than a button of the bar: the view, pictures, and how the page looks. */
import { canCopy, Recorder } from "./capture.ts";
import { choice, looks } from "./choice.ts";
import { element } from "./dom.ts";
import { CONTENT_SCALES } from "./follow.ts";
import type { ContentScale } from "./follow.ts";
import type { TouchMode } from "./gestures.ts";
import type { ClipboardMessage } from "./messages.ts";
import { strings } from "./strings.ts";

export interface MenuActions {
  /** Into the guest's clipboard, and out of it. */
  paste(): void;
  take(): void;
  /** Files into the guest, and out of it. */
  sendFiles(): void;
  fetchFile(): void;
  /** Each returns whether its thing is now on. */
  follow(): boolean;
  contents(scale: ContentScale): void;
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
  readonly #paste: HTMLButtonElement;
  readonly #take: HTMLButtonElement;
  readonly #files: readonly HTMLButtonElement[];

  constructor(actions: MenuActions, now: { follows: boolean; contents: ContentScale; touch: TouchMode; sound: HTMLElement }) {
    this.#record = action(strings.record, () => actions.record());
    this.#record.setAttribute("aria-pressed", "false");
    this.#record.title = strings.recordTitle;
    this.#record.hidden = !Recorder.possible;
    this.#zoomOut = action(strings.zoomOut, () => actions.zoomOut());
    this.#zoomOut.hidden = true;
    const copy = action(strings.copyPicture, () => actions.copy());
    copy.hidden = !canCopy();
    const modes: readonly TouchMode[] = ["direct", "trackpad"];
    const fingers = choice(strings.touchMode, modes, strings.touchModes, now.touch, (mode) => actions.touch(mode));
    // Seen only by those who have fingers for it.
    fingers.hidden = !matchMedia("(any-pointer: coarse)").matches;
    this.#paste = action(strings.clipboard.paste, () => actions.paste());
    this.#take = action(strings.clipboard.take, () => actions.take());
    this.clipboard(undefined);
    this.#files = [action(strings.files.send, () => actions.sendFiles()), action(strings.files.take, () => actions.fetchFile())];
    this.files(false);
    this.root.append(
      this.#zoomOut,
      now.sound,
      this.#paste,
      this.#take,
      ...this.#files,
      toggle(strings.follow, now.follows, actions.follow),
      choice<ContentScale>(strings.contents, CONTENT_SCALES, strings.contentScales, now.contents, (scale) => actions.contents(scale)),
      toggle(strings.stats, false, actions.stats),
      action(strings.screenshot, () => actions.screenshot()),
      copy,
      this.#record,
      fingers,
      ...looks(strings),
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

  /** Whether files may be exchanged. */
  files(allowed: boolean): void {
    for (const button of this.#files) button.hidden = !allowed;
  }

  /** What may be done with the guest's clipboard now. */
  clipboard(now: ClipboardMessage | undefined): void {
    this.#paste.hidden = now?.to !== true;
    this.#take.hidden = now?.from !== true;
    this.#paste.disabled = now?.agent !== true;
    this.#take.disabled = now?.agent !== true || !(now.text || now.png);
    for (const button of [this.#paste, this.#take]) {
      button.title = now?.agent === true ? (button.disabled ? strings.clipboard.nothing : "") : strings.clipboard.noAgent;
    }
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
