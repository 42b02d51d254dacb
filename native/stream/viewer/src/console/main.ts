/** Puts the console together: a card for each machine, asked about every two seconds while the page is seen. */
import { looks } from "../choice.ts";
import { element } from "../dom.ts";
import { applyTheme, storedTheme } from "../theme.ts";
import { browserHome, takeToken, tokenIn } from "../token.ts";
import { Api, ConsoleError } from "./api.ts";
import { Card } from "./card.ts";
import { confirmed } from "./confirm.ts";
import { Poll } from "./poll.ts";
import { startsAgain } from "./report.ts";
import { strings } from "./strings.ts";
import { cardView } from "./view.ts";
import type { Action, Vm } from "./vm.ts";

const PAUSE_MS = 2000;

class ConsolePage {
  readonly #api: Api;
  readonly #poll = new Poll(() => this.#refresh(), PAUSE_MS);
  readonly #cards = new Map<string, Card>();
  readonly #list = element("ul", { class: "cards" });
  readonly #title = element("strong");
  readonly #detail = element("span");
  readonly #banner = element("div", { class: "banner", role: "alert", hidden: true }, this.#title, this.#detail);
  readonly #empty = element("p", { class: "empty", hidden: true },
    strings.empty[0], element("code", {}, strings.empty[1]), strings.empty[2]);
  readonly #news = element("p", { class: "unseen", role: "status" });

  constructor(token: string) {
    this.#api = new Api(token);
    const main = element("main", {},
      element("h1", {}, strings.title), this.#banner, this.#empty, this.#list, this.#news);
    document.body.append(main, element("footer", { class: "looks" }, ...looks(strings)));
    document.addEventListener("visibilitychange", () => this.#watch());
    window.addEventListener("hashchange", () => {
      // Another address for the same origin was opened in this tab.
      if (tokenIn(location.hash) === undefined) return;
      this.#api.token = takeToken(browserHome()) ?? "";
      this.#watch();
    });
  }

  start(): void {
    this.#watch();
  }

  #watch(): void {
    if (document.visibilityState === "hidden") this.#poll.stop();
    else this.#poll.start();
  }

  async #refresh(): Promise<void> {
    try {
      this.#show(await this.#api.list());
    } catch (error) {
      this.#fail(error);
      return;
    }
    await Promise.all([...this.#cards.values()].filter((card) => card.wantsPicture).map(async (card) => {
      const { id, picture } = card.vm;
      try {
        card.showPicture(picture, await this.#api.picture(id));
      } catch {
        // The machine may have ended meanwhile, or shows nothing; the next list tells.
        card.forgetPicture();
      }
    }));
  }

  #show(vms: readonly Vm[]): void {
    this.#banner.hidden = true;
    this.#list.classList.remove("old");
    this.#empty.hidden = vms.length > 0;
    document.documentElement.dataset["console"] = "there";
    const there = new Set(vms.map((vm) => vm.id));
    for (const [id, card] of this.#cards) {
      if (there.has(id)) continue;
      card.forgetPicture();
      card.root.remove();
      this.#cards.delete(id);
    }
    vms.forEach((vm, place) => {
      const card = this.#cards.get(vm.id) ?? new Card(vm, (...told) => void this.#act(...told), (of) => void this.#report(of));
      if (this.#cards.has(vm.id)) this.#tell(card.vm, vm);
      this.#cards.set(vm.id, card);
      card.show(vm, true);
      // Moved only if it is elsewhere: moving takes the focus away.
      const now = this.#list.children.item(place);
      if (now !== card.root) this.#list.insertBefore(card.root, now);
    });
  }

  /** Changes of state are said to those who do not see them. */
  #tell(before: Vm, after: Vm): void {
    const state = cardView(after).state;
    if (cardView(before).state !== state) this.#news.textContent = strings.news(after.name, state);
  }

  #fail(error: unknown): void {
    const reason = error instanceof ConsoleError ? error : new ConsoleError(-1, String(error));
    const { title, detail, final } = reason.words;
    // Only what changes is announced again.
    if (this.#banner.hidden || this.#title.textContent !== title) {
      this.#title.textContent = title;
      this.#detail.textContent = detail;
      this.#banner.hidden = false;
    }
    this.#list.classList.add("old");
    for (const card of this.#cards.values()) card.show(card.vm, false);
    document.documentElement.dataset["console"] = final ? "refused" : "gone";
    if (final) this.#poll.stop();
  }

  /** Shows how a machine ended, and starts it again if the person wants. */
  async #report(vm: Vm): Promise<void> {
    const text = await this.#api.report(vm.id).catch(() => strings.noReport);
    if (await startsAgain(strings.reportOf(vm.name), text)) await this.#act(vm, "start");
  }

  async #act(vm: Vm, action: Action): Promise<void> {
    const question = strings.confirm[action];
    if (question !== undefined && !(await confirmed(question(vm.name), strings.action[action]))) return;
    const card = this.#cards.get(vm.id);
    // The card says so at once; the next list tells how it is.
    card?.show({ ...card.vm, doing: action, problem: "" }, true);
    try {
      await this.#api.act(vm.id, action);
    } catch (error) {
      if (!(error instanceof ConsoleError) || error.words.final || error.status === 0) this.#fail(error);
      // Refusals of the machine's come with the list, where they stay.
      else card?.show({ ...card.vm, doing: undefined, problem: error.message }, true);
    }
    this.#poll.now();
  }
}

applyTheme(storedTheme());
document.title = `${strings.title} – Sampan`;
new ConsolePage(takeToken(browserHome()) ?? "").start();
