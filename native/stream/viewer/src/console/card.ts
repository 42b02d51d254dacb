/** One machine: its picture, its name, its state in words, and what can be done with it. */
import { element } from "../dom.ts";
import { strings } from "./strings.ts";
import { ACTIONS } from "./vm.ts";
import type { Action, Vm } from "./vm.ts";
import { cardView } from "./view.ts";

export class Card {
  readonly root: HTMLLIElement;
  readonly #name = element("h2");
  readonly #state = element("p", { class: "state" });
  readonly #facts = element("p", { class: "facts" });
  readonly #words = element("p", { class: "words" });
  readonly #image = element("img", { hidden: true, alt: "" });
  /** For pointers alone: the link below it leads to the same place, and says so. */
  readonly #picture = element("a", {
    class: "picture", target: "_blank", rel: "noopener noreferrer", tabindex: "-1", "aria-hidden": "true",
  });
  readonly #open = element("a", { class: "open", target: "_blank", rel: "noopener noreferrer" }, strings.open);
  readonly #buttons = new Map<Action, HTMLButtonElement>();
  #vm: Vm;
  #url: string | undefined;
  /** The picture that is shown, by its name; a live one is never up to date. */
  #shown: string | undefined;

  readonly #report = element("button", { type: "button", hidden: true }, strings.report);

  constructor(vm: Vm, act: (vm: Vm, action: Action) => void, report: (vm: Vm) => void) {
    this.#vm = vm;
    this.#picture.append(this.#image, element("span", {}, strings.noPicture));
    const actions = element("div", { class: "actions" }, this.#open);
    for (const action of ACTIONS) {
      const button = element("button", { type: "button", "data-action": action }, strings.action[action]);
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-disabled") !== "true") act(this.#vm, action);
      });
      this.#buttons.set(action, button);
      actions.append(button);
    }
    this.#report.addEventListener("click", () => {
      if (this.#report.getAttribute("aria-disabled") !== "true") report(this.#vm);
    });
    actions.append(this.#report);
    const about = element("div", { class: "about" }, this.#name, this.#state, this.#facts, this.#words, actions);
    this.root = element("li", { class: "vm", "data-id": vm.id }, this.#picture, about);
    this.show(vm, true);
  }

  /** Shows what is known now; `usable` is false while the console is gone. */
  show(vm: Vm, usable: boolean): void {
    this.#vm = vm;
    const view = cardView(vm);
    const focused = this.root.contains(document.activeElement) ? document.activeElement : undefined;
    this.#name.textContent = vm.name;
    this.#state.textContent = view.state;
    this.#facts.textContent = view.facts;
    this.#words.textContent = view.words;
    this.#words.hidden = view.words === "";
    this.root.dataset["state"] = vm.state;
    this.root.dataset["running"] = String(view.running);
    for (const link of [this.#picture, this.#open]) {
      if (vm.viewer === undefined || !usable) link.removeAttribute("href");
      else if (link.href !== vm.viewer) link.href = vm.viewer;
    }
    this.#open.setAttribute("aria-label", strings.actionOn(strings.open, vm.name));
    this.#open.hidden = vm.viewer === undefined;
    for (const [action, button] of this.#buttons) {
      button.hidden = !view.actions.includes(action);
      const disabled = !usable || (view.busy && (action !== "force-stop" || vm.doing === "force-stop"));
      // Not `disabled`, which would take the focus away from whoever has just pressed it.
      button.setAttribute("aria-disabled", String(disabled));
      const name = action === "start" ? view.start : strings.action[action];
      if (button.textContent !== name) button.textContent = name;
      button.setAttribute("aria-label", strings.actionOn(name, vm.name));
    }
    this.#report.hidden = !view.report;
    this.#report.setAttribute("aria-disabled", String(!usable));
    this.#report.setAttribute("aria-label", strings.actionOn(strings.report, vm.name));
    if (focused instanceof HTMLElement && focused.hidden) this.#firstThing()?.focus();
    if (vm.picture === undefined) this.forgetPicture();
  }

  /** Whether a picture is to be asked for. */
  get wantsPicture(): boolean {
    const { picture, state } = this.#vm;
    return picture !== undefined && state !== "silent" && (picture === "live" || picture !== this.#shown);
  }

  /** Shows a picture; the name is of the one that was asked for. */
  showPicture(name: string | undefined, blob: Blob): void {
    const url = URL.createObjectURL(blob);
    this.#image.src = url;
    this.#image.hidden = false;
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
    this.#url = url;
    this.#shown = name;
  }

  forgetPicture(): void {
    this.#image.hidden = true;
    this.#image.removeAttribute("src");
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
    this.#url = undefined;
    this.#shown = undefined;
  }

  get vm(): Vm {
    return this.#vm;
  }

  #firstThing(): HTMLElement | undefined {
    if (!this.#open.hidden) return this.#open;
    return [...this.#buttons.values()].find((button) => !button.hidden);
  }
}
