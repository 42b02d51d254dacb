/** A card over the picture that says why there is none, or why it stands still. */
import { element } from "./dom.ts";
import { strings } from "./strings.ts";

export interface Notice {
  readonly title: string;
  readonly detail: string;
  /** What happens next. */
  readonly more?: string;
  /** Offers to try at once. */
  readonly retry?: boolean;
  /** A hint that does not cover the picture. */
  readonly hint?: boolean;
}

export class NoticeCard {
  readonly root: HTMLElement;
  readonly #title = element("h1");
  readonly #detail = element("p");
  readonly #more = element("p", { class: "more" });
  readonly #retry = element("button", { type: "button" }, strings.retry);

  constructor(retry: () => void) {
    this.#retry.addEventListener("click", retry);
    const card = element("div", { class: "card" }, this.#title, this.#detail, this.#more, this.#retry);
    this.root = element("section", { class: "notice", "aria-live": "polite", hidden: true }, card);
  }

  show(notice: Notice | undefined): void {
    this.root.hidden = notice === undefined;
    if (notice === undefined) return;
    set(this.#title, notice.title);
    set(this.#detail, notice.detail);
    set(this.#more, notice.more ?? "");
    this.#retry.hidden = notice.retry !== true;
    this.root.classList.toggle("hint", notice.hint === true);
  }
}

/** Only what changes is announced again. */
function set(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}
