/**
 * Files for the guest, and out of it. They go by HTTP, one after the other: keys have a way of their own, so they never wait.
 */
import { refusalText } from "./clipboard.ts";
import { element } from "./dom.ts";
import type { FileMessage } from "./messages.ts";
import { strings } from "./strings.ts";
import { Refusal } from "./whep.ts";

type Ask = (
  method: string, path: string, more?: { body?: Uint8Array<ArrayBuffer>; type?: string; signal?: AbortSignal },
) => Promise<Response>;

/** A piece is taken whole: larger ones would take too long on a slow path. */
const PIECE = 512 << 10;
/** A piece that did not come through is sent again, so often. */
const TRIES = 3;
/** What is done stays in sight for a while. */
const DONE_MS = 8000;


/** One file, in the panel. */
class Row {
  readonly root: HTMLElement;
  readonly abort = new AbortController();
  readonly #bar = element("progress", { max: "1" });
  readonly #words = element("span", { class: "does" });

  constructor(name: string, gone: () => void) {
    const cancel = element("button", { type: "button", "aria-label": `${strings.files.cancel}: ${name}` }, strings.files.cancel);
    cancel.addEventListener("click", () => {
      this.abort.abort();
      gone();
    });
    this.root = element("div", { class: "transfer" }, element("span", { class: "name", title: name }, name), this.#words, cancel, this.#bar);
    this.say(strings.files.waits);
  }

  say(words: string, done?: number, size = 0): void {
    this.#words.textContent = words;
    if (done === undefined || size === 0) this.#bar.removeAttribute("value");
    else this.#bar.value = done / size;
  }

  end(words: string, failed: boolean): void {
    this.#words.textContent = words;
    this.#bar.hidden = true;
    this.root.classList.toggle("failed", failed);
    const button = this.root.querySelector("button");
    if (button !== null) button.textContent = strings.files.close;
  }
}

export class FilesView {
  readonly root = element("aside", { class: "panel transfers", "aria-label": strings.files.label, "aria-live": "polite", hidden: true });
  readonly #ask: Ask;
  /** Files go one after the other. */
  #last: Promise<void> = Promise.resolve();
  #waiting: { readonly id: number; readonly step: (message: FileMessage) => void } | undefined;
  /** A step may overtake the answer that says whose it is. */
  #early: FileMessage | undefined;
  allowed = false;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Gives the guest files; those that wait go one after the other. */
  give(files: Iterable<File>): void {
    for (const file of files) this.#queue(file.name, (row) => this.#send(file, row));
  }

  /** Fetches a file of the guest's. */
  take(path: string): void {
    const name = path.split(/[/\\]/).at(-1) ?? path;
    this.#queue(name, (row) => this.#fetch(path, name, row));
  }

  /** What the server tells of a file. */
  told(message: FileMessage): void {
    if (this.#waiting?.id === message.id) this.#waiting.step(message);
    else this.#early = message;
  }

  /** The connection is another: what was on its way is not any more. */
  reset(): void {
    this.#early = undefined;
    this.#waiting?.step({ t: "file", id: this.#waiting.id, state: "failed", done: 0, size: 0, at: "", code: "", text: "" });
  }

  #queue(name: string, work: (row: Row) => Promise<string>): void {
    const row = new Row(name, () => this.#remove(row));
    this.root.append(row.root);
    this.root.hidden = false;
    this.#last = this.#last.then(async () => {
      if (row.abort.signal.aborted) return;
      try {
        row.end(await work(row), false);
        window.setTimeout(() => this.#remove(row), DONE_MS);
      } catch (error) {
        if (!row.abort.signal.aborted) row.end(refusalText(error, strings.files.failed), true);
      }
    });
  }

  #remove(row: Row): void {
    row.root.remove();
    this.root.hidden = this.root.childElementCount === 0;
  }

  async #send(file: File, row: Row): Promise<string> {
    const { signal } = row.abort;
    const id = await this.#begin("/files", { name: file.name, size: file.size }, signal);
    const end = this.#ends(id, row, strings.files.giving);
    try {
      for (let at = 0; at < file.size;) {
        row.say(strings.files.sending, at, file.size);
        at = await this.#piece(id, file, at, signal);
      }
      const { at } = await end;
      return at === "" ? strings.files.inDownloads : strings.files.isAt(at);
    } catch (error) {
      await this.#ask("DELETE", `/files/${id}`).catch(() => undefined);
      throw error;
    } finally {
      this.#waiting = undefined;
    }
  }

  async #piece(id: number, file: File, at: number, signal: AbortSignal): Promise<number> {
    const body = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
    for (let tries = 1; ; tries++) {
      try {
        const answer = await this.#ask("PUT", `/files/${id}/${at}`, { body, signal });
        const { have } = (await answer.json()) as { have?: unknown };
        if (typeof have !== "number" || have <= at) throw new Refusal("wrong_piece", "");
        return have;
      } catch (error) {
        // Without an answer nobody knows; the server refuses what it has already.
        const lost = error instanceof Refusal && error.code === "";
        if (signal.aborted || !lost || tries === TRIES) throw error;
      }
    }
  }

  async #fetch(path: string, name: string, row: Row): Promise<string> {
    const { signal } = row.abort;
    const id = await this.#begin("/pulls", { path }, signal);
    const end = this.#ends(id, row, strings.files.taking);
    try {
      const { at } = await end;
      element("a", { href: at, download: name }).click();
      return strings.files.loading;
    } catch (error) {
      await this.#ask("DELETE", `/files/${id}`).catch(() => undefined);
      throw error;
    } finally {
      this.#waiting = undefined;
    }
  }

  async #begin(path: string, announced: object, signal: AbortSignal): Promise<number> {
    const body = new Uint8Array(new TextEncoder().encode(JSON.stringify(announced)));
    const answer = await this.#ask("POST", path, { body, type: "application/json", signal });
    const { id } = (await answer.json()) as { id?: unknown };
    if (typeof id !== "number") throw new Refusal("", "");
    return id;
  }

  /** Ends once the server says that a file has arrived, or has not. */
  #ends(id: number, row: Row, words: string): Promise<{ readonly at: string }> {
    const ended = new Promise<{ readonly at: string }>((resolve, reject) => {
      row.abort.signal.addEventListener("abort", () => reject(new Refusal("", "")));
      const step = (message: FileMessage) => {
        if (message.state === "failed") reject(new Refusal(message.code, message.text));
        else if (message.state === "done" || message.state === "ready") resolve({ at: message.at });
        else row.say(words, message.done, message.size);
      };
      this.#waiting = { id, step };
      if (this.#early?.id === id) step(this.#early);
    });
    // It is waited for later, and may have failed by then.
    ended.catch(() => undefined);
    return ended;
  }
}

/** Files dropped on the picture go to the guest. */
export function takeDrops(stage: HTMLElement, files: FilesView): void {
  const carries = (event: DragEvent) => files.allowed && event.dataTransfer?.types.includes("Files") === true;
  stage.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    stage.classList.add("dropping");
  });
  for (const name of ["dragleave", "drop"]) stage.addEventListener(name, () => stage.classList.remove("dropping"));
  stage.addEventListener("drop", (event) => {
    // Never opened by the browser in the page's place.
    event.preventDefault();
    if (carries(event) && event.dataTransfer !== null) files.give(event.dataTransfer.files);
  });
}

/** Asks for files of this device. */
export function choose(files: FilesView): void {
  const input = element("input", { type: "file", multiple: true });
  input.addEventListener("change", () => files.give(input.files ?? []));
  input.click();
}

/** Asks for the name of a file in the guest. */
export class PathDialog {
  readonly root: HTMLDialogElement;
  readonly #path = element("input", { type: "text", "aria-label": strings.files.path, placeholder: "/etc/hostname", spellcheck: "false", autocapitalize: "none" });

  constructor(files: FilesView) {
    const cancel = element("button", { type: "button" }, strings.clipboard.close);
    const form = element("form", { method: "dialog" }, element("p", {}, strings.files.path), this.#path,
      element("footer", {}, element("button", { type: "submit" }, strings.files.fetch), cancel));
    this.root = element("dialog", { class: "exchange", "aria-label": strings.files.take }, form);
    cancel.addEventListener("click", () => this.root.close());
    form.addEventListener("submit", () => {
      const path = this.#path.value.trim();
      if (path !== "") files.take(path);
    });
    for (const name of ["keydown", "keyup", "pointerdown"]) this.root.addEventListener(name, (event) => event.stopPropagation());
  }

  open(): void {
    this.root.showModal();
    this.#path.focus();
  }
}

