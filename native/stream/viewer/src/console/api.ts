/** Asks the console. */
import { strings } from "./strings.ts";
import { parseVms } from "./vm.ts";
import type { Action, Vm } from "./vm.ts";

/** Longer than the console itself takes for any request. */
const PATIENCE_MS = 20_000;

/** Why there was no answer to go by. */
export class ConsoleError extends Error {
  /** HTTP status, or 0 when the console was not reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "ConsoleError";
    this.status = status;
  }

  /** What to tell: a short line, and what to do. */
  get words(): { readonly title: string; readonly detail: string; readonly final: boolean } {
    if (this.status === 0) return { title: strings.gone, detail: strings.goneDetail, final: false };
    if (this.status === 401 || this.status === 403 || this.status === 421) {
      return { title: strings.refused, detail: strings.refusedDetail, final: true };
    }
    return { title: strings.failed, detail: this.message, final: false };
  }
}

/** The console's words in an answer that is an error; they are JSON, but one never knows. */
export function errorWords(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    const words = (value as { readonly error?: unknown } | null)?.error;
    if (typeof words === "string") return words;
  } catch {
    // Then the text itself has to do.
  }
  return body.slice(0, 500);
}

export class Api {
  token: string;
  readonly #fetch: typeof fetch;

  constructor(token: string, ask: typeof fetch = (...args) => fetch(...args)) {
    this.token = token;
    this.#fetch = ask;
  }

  async list(): Promise<readonly Vm[]> {
    const answer = await this.#ask("/api/vms");
    const vms = parseVms(await answer.json().catch(() => undefined));
    if (vms === undefined) throw new ConsoleError(answer.status, "");
    return vms;
  }

  /** Resolves when it is done, or will be done later. */
  async act(id: string, action: Action): Promise<void> {
    await this.#ask(`/api/vms/${id}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ action }),
    });
  }

  async picture(id: string): Promise<Blob> {
    return (await this.#ask(`/api/vms/${id}/picture`)).blob();
  }

  /** The report of the last crash. */
  async report(id: string): Promise<string> {
    return (await this.#ask(`/api/vms/${id}/report`)).text();
  }

  async #ask(path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    let answer: Response;
    try {
      answer = await this.#fetch(path, {
        ...options,
        headers: { ...options.headers, Authorization: `Bearer ${this.token}` },
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch (error) {
      throw new ConsoleError(0, String(error));
    }
    if (!answer.ok) throw new ConsoleError(answer.status, errorWords(await answer.text().catch(() => "")));
    return answer;
  }
}
