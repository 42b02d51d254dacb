/** The machine's displays: which one this page shows, and another one in a window of its own. */
import { element } from "./dom.ts";
import type { DisplaysMessage } from "./messages.ts";
import { strings } from "./strings.ts";

const PARAMETER = "display";
/** No card has more outputs. */
const MOST = 16;

/** The display that an address asks for, from 1. */
export function displayIn(search: string): number {
  const text = new URLSearchParams(search).get(PARAMETER) ?? "";
  const number = /^\d{1,2}$/.test(text) ? Number(text) : 1;
  return number >= 1 && number <= MOST ? number : 1;
}

/** The query of the address that shows a display. */
export function queryFor(search: string, display: number): string {
  const parameters = new URLSearchParams(search);
  if (display > 1) parameters.set(PARAMETER, String(display));
  else parameters.delete(PARAMETER);
  const query = parameters.toString();
  return query === "" ? "" : `?${query}`;
}

export interface DisplaysActions {
  show(display: number): void;
  open(display: number): void;
}

export class DisplaysView {
  /** In the menu, of a machine with more than one. */
  readonly list = element("div", { class: "everyone displays", role: "group", "aria-label": strings.displays.label, hidden: true });
  readonly #actions: DisplaysActions;

  constructor(actions: DisplaysActions) {
    this.#actions = actions;
  }

  show({ count, n }: DisplaysMessage): void {
    this.list.hidden = count < 2;
    const rows = Array.from({ length: count < 2 ? 0 : Math.min(count, MOST) }, (_, index) => this.#row(index + 1, n));
    this.list.replaceChildren(...rows);
  }

  #row(display: number, now: number): HTMLElement {
    const name = strings.displays.name(display);
    const show = element("button", { type: "button", "aria-pressed": String(display === now) }, name);
    show.dataset["display"] = String(display);
    show.addEventListener("click", () => this.#actions.show(display));
    const row = element("div", { class: "person" }, show);
    if (display !== now) {
      const label = strings.displays.openLabel(name);
      const open = element("button", { type: "button", title: label, "aria-label": label }, strings.displays.open);
      open.dataset["open"] = String(display);
      open.addEventListener("click", () => this.#actions.open(display));
      row.append(open);
    }
    return row;
  }
}
