/**
 * Lets this device in: with the code in the address or words that a person types, and from then on by
 * the keys that it keeps. On loopback there is none of this: the token in the address is enough.
 */
import { load, name, save } from "./device.ts";
import { element } from "./dom.ts";
import { strings } from "./strings.ts";
import { Untrusted, begin, codeIn, codeOf, newKeys } from "./trust.ts";
import type { Agreed, Code, FirstAnswer, Paired } from "./trust.ts";
import { TrustedHost, trustHost } from "./whep.ts";

/** Between two questions whether the owner has answered. */
const PACE_MS = 1000;

type Step = { state: "asking" | "refused" | "expired" } | { state: "granted"; device: string };

/** Why a device is not let in, in words. */
class Refusal extends Error {}

const CODES: Readonly<Record<string, string>> = {
  no_pairing_code: strings.pair.gone,
  pairing_tried_too_often: strings.pair.tooOften,
  pairing_code_used: strings.pair.used,
  wrong_pairing_code: strings.pair.wrong,
  not_paired: strings.pair.revoked,
};

async function post<T>(path: string, body: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Refusal(strings.pair.unreachable);
  }
  const answer = (await response.json().catch(() => ({}))) as { code?: string; error?: string };
  if (response.ok) return answer as T;
  throw new Refusal(CODES[answer.code ?? ""] ?? answer.error ?? strings.pair.unreachable);
}

/** A card over the page. */
class Card {
  readonly #title = element("h1", {}, strings.pair.title);
  readonly #text = element("p");
  readonly #digits = element("output", { class: "digits", hidden: true });
  readonly #words = element("textarea", {
    rows: "3", "aria-label": strings.pair.wordsLabel, placeholder: strings.pair.words, autocapitalize: "off", autocomplete: "off", spellcheck: "false",
  });
  readonly #form = element("form", { hidden: true }, this.#words,
    element("button", { type: "submit" }, strings.pair.pair));
  readonly #root = element("section", { class: "notice pairing", "aria-live": "polite" },
    element("div", { class: "card" }, this.#title, this.#text, this.#digits, this.#form));

  say(text: string, check?: string): void {
    if (!this.#root.isConnected) document.body.append(this.#root);
    this.#text.textContent = text;
    this.#digits.hidden = check === undefined;
    this.#digits.textContent = check ?? "";
    this.#form.hidden = true;
    document.documentElement.dataset["pairing"] = check === undefined ? "told" : "asking";
  }

  /** Words that a person types. */
  ask(why: string): Promise<string> {
    this.say(why);
    this.#form.hidden = false;
    document.documentElement.dataset["pairing"] = "words";
    this.#words.focus();
    return new Promise((resolve) => {
      this.#form.onsubmit = (event) => {
        event.preventDefault();
        resolve(this.#words.value);
      };
    });
  }

  close(): void {
    this.#root.remove();
    delete document.documentElement.dataset["pairing"];
  }
}

async function pair(code: Code, keys: CryptoKeyPair, card: Card): Promise<Paired> {
  card.say(strings.pair.pairing);
  const { message, agree } = await begin(code, name(), keys);
  const answer = await post<FirstAnswer>("/pair/1", message);
  let agreed: Agreed;
  try {
    agreed = await agree(answer);
  } catch (error) {
    const untrusted = error instanceof Untrusted && error.message === "certificate";
    throw new Refusal(untrusted ? strings.pair.untrusted : strings.pair.wrong);
  }
  const { exchange } = agreed;
  await post<Step>("/pair/2", { exchange, mac: agreed.page });
  card.say(strings.pair.check, agreed.check);
  for (;;) {
    const step = await post<Step>("/pair/3", { exchange, mac: agreed.wait });
    switch (step.state) {
      case "granted":
        return agreed.paired;
      case "refused":
        throw new Refusal(strings.pair.refused);
      case "expired":
        throw new Refusal(strings.pair.expired);
      case "asking":
        await new Promise((resolve) => window.setTimeout(resolve, PACE_MS));
    }
  }
}

function admitted(paired: Paired): void {
  let told = false;
  trustHost(new TrustedHost(paired, (forged) => {
    if (told) return;
    told = true;
    // Another code may be had without a new page.
    const why = forged ? strings.pair.forged : strings.pair.revoked;
    void letIn(undefined, paired, why).then(() => location.reload());
  }));
}

async function letIn(code: Code | undefined, before: Paired | undefined, why: string): Promise<Paired> {
  const card = new Card();
  const keys = before?.keys ?? (await newKeys());
  let [next, words] = [code, why];
  for (;;) {
    try {
      next ??= await codeOf(await card.ask(`${words} ${strings.pair.again}`));
      if (next === undefined) continue;
      const paired = await pair(next, keys, card);
      await save(paired);
      card.close();
      return paired;
    } catch (error) {
      words = error instanceof Refusal ? error.message : strings.pair.unreachable;
      next = undefined;
    }
  }
}

/** Ends once this page may ask for the screen. */
export async function admit(): Promise<void> {
  // By http the page comes from this very machine.
  if (location.protocol !== "https:") return;
  window.addEventListener("hashchange", () => {
    if (codeIn(location.hash) !== undefined) location.reload();
  });
  const code = codeIn(location.hash);
  if (code !== undefined) history.replaceState(null, "", location.pathname + location.search);
  let before: Paired | undefined;
  try {
    before = await load();
  } catch {
    new Card().say(strings.pair.unable);
    return new Promise(() => undefined);
  }
  admitted(code === undefined && before !== undefined ? before : await letIn(code, before, strings.pair.notPaired));
}
