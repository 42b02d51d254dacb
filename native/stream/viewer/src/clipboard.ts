/**
 * The clipboards of this device and of the guest. A content crosses when a person asks for it: the browser wants to see a click,
 * and the guest's programs paste when they are told to.
 *
 * Where the browser gives a page no clipboard (its owner refused, or the page is not trusted), a person pastes into a field, and
 * copies out of one.
 */
import { save, fileName } from "./capture.ts";
import { element } from "./dom.ts";
import type { ClipboardMessage } from "./messages.ts";
import { strings } from "./strings.ts";
import { Refusal } from "./whep.ts";

type Ask = (method: string, path: string, more?: { body?: Uint8Array<ArrayBuffer>; type?: string }) => Promise<Response>;

/** The server takes no more. */
const MOST = 16 << 20;

const TEXT = "text/plain;charset=utf-8";
const PNG = "image/png";

export interface Content {
  readonly type: typeof TEXT | typeof PNG;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Why something was not exchanged, in words. */
export function refusalText(error: unknown, known: Readonly<Record<string, string>>): string {
  if (!(error instanceof Refusal)) return String(error);
  return Object.hasOwn(known, error.code) ? (known[error.code] ?? error.message) : error.message;
}

export class ClipboardExchange {
  /** The field for browsers that give no clipboard. */
  readonly root = element("dialog", { class: "exchange", "aria-label": strings.clipboard.paste });
  readonly #ask: Ask;
  readonly #tell: (text: string) => void;
  #now: ClipboardMessage | undefined;

  constructor(ask: Ask, tell: (text: string) => void) {
    this.#ask = ask;
    this.#tell = tell;
    // Keys that are typed here are not the guest's.
    for (const name of ["keydown", "keyup", "pointerdown"]) this.root.addEventListener(name, (event) => event.stopPropagation());
  }

  show(now: ClipboardMessage | undefined): void {
    this.#now = now;
  }

  /** This device's clipboard into the guest's. */
  async paste(): Promise<void> {
    let content: Content | undefined;
    try {
      content = await read();
    } catch {
      this.#field();
      return;
    }
    if (content === undefined) this.#tell(strings.clipboard.empty);
    else await this.#give(content);
  }

  /** The guest's clipboard into this device's. */
  async take(): Promise<void> {
    const kind = this.#now?.png === true && !this.#now.text ? "png" : "text";
    const type = kind === "png" ? PNG : "text/plain";
    const fetched = this.#ask("GET", `/clipboard/${kind}`).then((response) => response.blob());
    // Also where the browser asks for it first, and does not wait for it then.
    fetched.catch(() => undefined);
    try {
      // A promise, so that the browser still knows of the click that allows it.
      const item = fetched.then((blob) => new Blob([blob], { type }));
      await navigator.clipboard.write([new ClipboardItem({ [type]: item })]);
      this.#tell(strings.clipboard.taken);
    } catch {
      try {
        await this.#hand(await fetched, kind);
      } catch (error) {
        this.#tell(refusalText(error, strings.clipboard.failed));
      }
    }
  }

  async #give({ type, bytes }: Content): Promise<void> {
    if (bytes.length > MOST) {
      this.#tell(strings.clipboard.tooLarge);
      return;
    }
    try {
      await this.#ask("PUT", "/clipboard", { body: bytes, type });
      this.#tell(strings.clipboard.given);
    } catch (error) {
      this.#tell(refusalText(error, strings.clipboard.failed));
    }
  }

  /** A field to paste into. */
  #field(): void {
    const field = element("textarea", { "aria-label": strings.clipboard.pasteHere, spellcheck: "false" });
    field.addEventListener("paste", (event) => {
      event.preventDefault();
      const pasted = pastedIn(event.clipboardData);
      this.root.close();
      void pasted.then((content) => {
        if (content === undefined) this.#tell(strings.clipboard.empty);
        else return this.#give(content);
        return undefined;
      });
    });
    this.#open(strings.clipboard.insecure + strings.clipboard.pasteHere, field);
    field.focus();
  }

  /** What the guest's clipboard holds, to be copied by hand. */
  async #hand(blob: Blob, kind: "text" | "png"): Promise<void> {
    const words = strings.clipboard.insecure + strings.clipboard.copyHere;
    if (kind === "png") {
      const image = element("img", { alt: "" });
      image.src = URL.createObjectURL(blob);
      this.root.addEventListener("close", () => URL.revokeObjectURL(image.src), { once: true });
      this.#open(words, image, button(strings.screenshot, () => save(blob, fileName("", new Date(), "png"))));
      return;
    }
    const field = element("textarea", { readonly: true, "aria-label": strings.clipboard.copyHere });
    field.value = await blob.text();
    this.#open(words, field, button(strings.clipboard.copy, () => {
      field.select();
      // The one way for pages that the browser does not trust.
      if (document.execCommand("copy")) {
        this.root.close();
        this.#tell(strings.clipboard.taken);
      }
    }));
    field.select();
  }

  #open(words: string, ...parts: HTMLElement[]): void {
    const buttons = parts.filter((part) => part instanceof HTMLButtonElement);
    const rest = parts.filter((part) => !(part instanceof HTMLButtonElement));
    this.root.replaceChildren(element("p", {}, words), ...rest,
      element("footer", {}, ...buttons, button(strings.clipboard.close, () => this.root.close())));
    this.root.showModal();
  }
}

function button(label: string, act: () => void): HTMLButtonElement {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", act);
  return made;
}

/** What this device's clipboard holds; undefined for what no machine takes. Fails where the browser does not let the page look. */
async function read(): Promise<Content | undefined> {
  const items = await navigator.clipboard.read();
  // A text is wanted more often than its picture, which some programs copy beside it.
  for (const [type, as] of [["text/plain", TEXT], [PNG, PNG]] as const) {
    const item = items.find(({ types }) => types.includes(type));
    if (item !== undefined) return content(await item.getType(type), as);
  }
  return undefined;
}

async function pastedIn(data: DataTransfer | null): Promise<Content | undefined> {
  const text = data?.getData("text/plain") ?? "";
  if (text !== "") return { type: TEXT, bytes: new TextEncoder().encode(text) };
  const picture = [...(data?.files ?? [])].find((file) => file.type === PNG);
  return picture === undefined ? undefined : content(picture, PNG);
}

async function content(blob: Blob, type: Content["type"]): Promise<Content | undefined> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return bytes.length === 0 ? undefined : { type, bytes };
}
