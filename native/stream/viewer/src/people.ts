/** Who sees the machine, who drives it, and how control changes hands. */
import { element } from "./dom.ts";
import type { KeysMessage, PeopleMessage, Person } from "./messages.ts";
import { strings } from "./strings.ts";

/** What may be done about control. */
export type Step = "ask" | "take" | "withdraw" | "give" | "refuse";

export interface Offer {
  readonly step: Step;
  readonly message: KeysMessage;
}

/** The strip's words, and what it offers; undefined where the page drives and nobody wants anything. */
export interface Strip {
  readonly text: string;
  readonly offers: readonly Offer[];
}

export function nameOf(person: Person | undefined): string {
  if (person === undefined) return strings.people.nobody;
  return person.own ? strings.people.owner : person.name === "" ? strings.people.unnamed : person.name;
}

export function drives(people: PeopleMessage | undefined): boolean {
  // Until the server has told, it is the one to judge.
  return people === undefined || people.all.some((person) => person.drives && person.id === people.you);
}

/** Whether this page decides about control. */
function decides(people: PeopleMessage): boolean {
  return drives(people) || people.all.some(({ id, own }) => own && id === people.you);
}

export function strip(people: PeopleMessage): Strip | undefined {
  const { you, driver, all } = people;
  const me = all.find(({ id }) => id === you);
  const asks = all.find((person) => person.asks && person.id !== you);
  if (asks !== undefined && decides(people)) {
    const give = { step: "give", message: { t: "give", to: asks.id } } as const;
    const refuse = { step: "refuse", message: { t: "refuse", to: asks.id } } as const;
    return { text: strings.people.asks(nameOf(asks)), offers: [give, refuse] };
  }
  if (drives(people)) return undefined;
  const who = nameOf(all.find(({ id }) => id === driver));
  if (me?.may !== true) return { text: strings.people.watching(who), offers: [] };
  if (me.asks) return { text: strings.people.asked(who), offers: [{ step: "withdraw", message: { t: "withdraw" } }] };
  const step = me.own || driver === null ? "take" : "ask";
  const text = me.refused ? strings.people.refused(who) : strings.people.notDriving(who);
  return { text, offers: [{ step, message: { t: "ask" } }] };
}

export class PeopleView {
  /** Over the picture, while somebody else drives or somebody asks. */
  readonly root = element("aside", { class: "people", "aria-live": "polite", hidden: true });
  /** All of them, in the menu. */
  readonly list = element("div", { class: "everyone", role: "group", "aria-label": strings.people.label, hidden: true });
  readonly #send: (message: KeysMessage) => void;
  #shown = "";

  constructor(send: (message: KeysMessage) => void) {
    this.#send = send;
    // A click here leaves the focus, and so the keys, on the screen.
    this.root.addEventListener("mousedown", (event) => event.preventDefault());
  }

  show(people: PeopleMessage | undefined): void {
    const now = people === undefined ? undefined : strip(people);
    this.root.hidden = now === undefined;
    const key = JSON.stringify(now);
    // What stands there already is not announced again, and keeps the focus.
    if (now !== undefined && key !== this.#shown) {
      this.root.replaceChildren(element("span", {}, now.text), ...now.offers.map((offer) => this.#button(offer)));
    }
    this.#shown = key;
    const all = people?.all ?? [];
    this.list.hidden = all.length < 2;
    this.list.replaceChildren(...(people === undefined ? [] : all.map((person) => this.#row(people, person))));
  }

  /** Somebody tries what has no effect. */
  remind(): void {
    if (this.root.hidden) return;
    this.root.classList.remove("remind");
    // Laid out in between, or the animation would not begin anew.
    void this.root.offsetWidth;
    this.root.classList.add("remind");
  }

  #row(people: PeopleMessage, person: Person): HTMLElement {
    const you = person.id === people.you;
    const name = you ? strings.people.you(nameOf(person)) : nameOf(person);
    const part = person.drives ? strings.people.drives : person.asks ? strings.people.wants : strings.people.watches;
    // Of a machine with one display nobody asks which.
    const several = people.all.some(({ display }) => display > 1);
    const does = several ? `${part} · ${strings.displays.name(person.display)}` : part;
    const row = element("div", { class: "person" }, element("span", {}, name), element("span", { class: "does" }, does));
    if (person.may && !person.drives && !you && decides(people)) {
      row.append(this.#button({ step: "give", message: { t: "give", to: person.id } }, name));
    }
    return row;
  }

  #button({ step, message }: Offer, whom = ""): HTMLButtonElement {
    const label = strings.people.steps[step];
    const button = element("button", { type: "button", "aria-label": whom === "" ? label : `${label}: ${whom}` }, label);
    button.dataset["step"] = step;
    button.addEventListener("click", () => this.#send(message));
    return button;
  }
}
