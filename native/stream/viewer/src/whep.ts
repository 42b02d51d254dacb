/**
 * Signalling in the way of WHEP: an offer is posted and answered, candidates follow by PATCH,
 * DELETE ends the session (draft-ietf-wish-whep; fragments as in RFC 8840).
 */

import { iceServersOf } from "./ice.ts";
import { Session, isAnswer, signOffer } from "./trust.ts";
import type { Bytes, Paired } from "./trust.ts";

const ENDPOINT = "/whep";
const FRAGMENT = "application/trickle-ice-sdpfrag";

/** The host that this device is paired with: offers are signed for it, and its answers are checked. */
export class TrustedHost {
  readonly #paired: Paired;
  readonly #sessions = new Map<string, Session>();
  /** This device is not let in any more, or somebody else has answered. */
  readonly refused: (forged: boolean) => void;

  constructor(paired: Paired, refused: (forged: boolean) => void) {
    this.#paired = paired;
    this.refused = refused;
  }

  async nonce(signal: AbortSignal): Promise<string> {
    return (await fetch("/nonce", { signal })).text();
  }

  authorization(nonce: string, offer: string): Promise<string> {
    return signOffer(this.#paired, nonce, offer);
  }

  /** Whether an answer is the host's; requests about the session then carry its own mark. */
  async opens(nonce: string, offer: string, answer: string, response: Response, path: string): Promise<boolean> {
    const signature = response.headers.get("Sampan-Signature") ?? "";
    if (!(await isAnswer(this.#paired, offer, answer, signature))) return false;
    this.#sessions.set(path, await Session.open(this.#paired, nonce, offer, answer, path));
    return true;
  }

  /** Headers for a request about a session, whose path is `session`; `path` may lead on from there. */
  async mark(method: string, path: string, body: string | Bytes, session = path): Promise<Record<string, string>> {
    const mac = await this.#sessions.get(session)?.sign(method, path, body);
    return mac === undefined ? {} : { "Sampan-Mac": mac };
  }

  /** Whether the answer to a request of a session, with the mark that it carried, is the host's. */
  async answers(marked: Record<string, string>, path: string, body: string, answer: string, response: Response): Promise<boolean> {
    const mark = response.headers.get("Sampan-Mac") ?? "";
    return (await this.#sessions.get(path)?.answers(marked["Sampan-Mac"] ?? "", path, body, answer, mark)) === true;
  }

  ends(path: string): Record<string, string> {
    const mac = this.#sessions.get(path)?.end;
    this.#sessions.delete(path);
    return mac === undefined ? {} : { "Sampan-Mac": mac };
  }
}

let trusted: TrustedHost | undefined;

/** From now on this host is asked by the device's keys, and not by a token. */
export function trustHost(host: TrustedHost): void {
  trusted = host;
}

/** Why the server did not answer an offer. */
export class SignallingError extends Error {
  /** HTTP status, or 0 when the server was not reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "SignallingError";
    this.status = status;
  }
}

export interface WhepSession {
  readonly answer: string;
  readonly location: string;
  /** What names the path that ICE looks for now; empty where the server names none. */
  readonly tag: string;
  /** Servers by which a way may be found where there is no direct one; none unless the owner has named some. */
  readonly iceServers: readonly RTCIceServer[];
}

/** What an offer asks for. */
export interface Wish {
  /** The display to see, from 1. */
  readonly display: number;
  /** This browser may not connect to loopback addresses. */
  readonly noLoopback: boolean;
}

/** Where an offer is posted. */
export function endpoint({ display, noLoopback }: Wish): string {
  const query = new URLSearchParams();
  if (display > 1) query.set("display", String(display));
  if (noLoopback) query.set("loopback", "no");
  return query.size > 0 ? `${ENDPOINT}?${query.toString()}` : ENDPOINT;
}

export async function postOffer(
  offer: string,
  token: string,
  wish: Wish,
  signal: AbortSignal,
): Promise<WhepSession> {
  const host = trusted;
  let [response, nonce]: [Response | undefined, string] = [undefined, ""];
  try {
    nonce = (await host?.nonce(signal)) ?? "";
    const signed = await host?.authorization(nonce, offer);
    const allowed = signed === undefined ? authorization(token) : { Authorization: signed };
    response = await fetch(endpoint(wish), {
      method: "POST",
      headers: { ...allowed, "Content-Type": "application/sdp" },
      body: offer,
      signal,
    });
  } catch (error) {
    throw new SignallingError(0, String(error));
  }
  const body = await response.text();
  if (host !== undefined && response.status === 401) {
    // A number that came too late is another one's matter: the next try has a new one.
    if (body.includes('"stale_nonce"')) throw new SignallingError(503, body.slice(0, 500));
    host.refused(false);
  }
  if (response.status !== 201) throw new SignallingError(response.status, body.slice(0, 500));
  const location = response.headers.get("Location");
  if (location === null) throw new SignallingError(response.status, "the answer has no Location");
  const path = new URL(location, document.baseURI).pathname;
  if (host !== undefined && !(await host.opens(nonce, offer, body, response, path))) {
    host.refused(true);
    throw new SignallingError(403, "the answer is not the host's");
  }
  const iceServers = iceServersOf(response.headers.get("Link") ?? "");
  return { answer: body, location: path, tag: response.headers.get("ETag") ?? "", iceServers };
}

/** Sends candidates as they are found. A server that learns them in another way may refuse. */
export async function patchCandidates(
  location: string,
  fragment: string,
  token: string,
  tag: string,
): Promise<boolean> {
  try {
    const response = await fetch(location, {
      method: "PATCH",
      headers: {
        ...(trusted === undefined ? authorization(token) : await trusted.mark("PATCH", location, fragment)),
        "Content-Type": FRAGMENT,
        ...(tag !== "" && { "If-Match": tag }),
      },
      body: fragment,
    });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Begins ICE anew with the credentials in `fragment` (RFC 9725, section 4.3.3). The server's own, as a fragment, and the new path's
 * name.
 *
 * @throws {SignallingError}
 */
export async function restartIce(
  location: string,
  fragment: string,
  token: string,
  signal: AbortSignal,
): Promise<{ readonly fragment: string; readonly tag: string }> {
  const host = trusted;
  let [response, body]: [Response | undefined, string] = [undefined, ""];
  let marked: Record<string, string> = {};
  try {
    marked = host === undefined ? authorization(token) : await host.mark("PATCH", location, fragment);
    response = await fetch(location, {
      method: "PATCH",
      headers: { ...marked, "Content-Type": FRAGMENT, "If-Match": "*" },
      body: fragment,
      signal,
    });
    body = await response.text();
  } catch (error) {
    throw new SignallingError(0, String(error));
  }
  if (response.status !== 200) throw new SignallingError(response.status, body.slice(0, 500));
  if (host !== undefined && !(await host.answers(marked, location, fragment, body, response))) {
    host.refused(true);
    throw new SignallingError(403, "the answer is not the host's");
  }
  return { fragment: body, tag: response.headers.get("ETag") ?? "" };
}

/** Why the server did not do what a session asked for. */
export class Refusal extends Error {
  /** As in docs/streaming.md and docs/errors.md; empty where nobody answered. */
  readonly code: string;

  constructor(code: string, words: string) {
    super(words);
    this.name = "Refusal";
    this.code = code;
  }
}

/** A request of a session: `path` leads on from the session's own, and begins with a slash. */
export async function ask(
  session: string,
  token: string,
  method: string,
  path: string,
  { body = new Uint8Array(), type, signal }: { body?: Bytes; type?: string; signal?: AbortSignal } = {},
): Promise<Response> {
  const whole = session + path;
  let response: Response;
  try {
    const marked = trusted === undefined ? authorization(token) : await trusted.mark(method, whole, body, session);
    response = await fetch(whole, {
      method,
      headers: { ...marked, ...(type !== undefined && { "Content-Type": type }) },
      ...(method !== "GET" && { body }),
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new Refusal("", String(error));
  }
  if (response.ok) return response;
  const words = (await response.text()).slice(0, 1000);
  let [code, error] = ["", words];
  try {
    const answer = JSON.parse(words) as { code?: unknown; error?: unknown };
    if (typeof answer.code === "string" && typeof answer.error === "string") [code, error] = [answer.code, answer.error];
  } catch {
    // The server's words then.
  }
  throw new Refusal(code, error);
}

/** Ends a session; `keepalive` lets the request outlive the page. */
export function endSession(location: string, token: string): void {
  const headers = trusted === undefined ? authorization(token) : trusted.ends(location);
  fetch(location, { method: "DELETE", headers, keepalive: true }).catch(() => undefined);
}

/** The body of a PATCH: the offer's credentials and first media line, then the candidates. */
export function sdpFragment(offer: string, candidates: readonly string[], ended: boolean): string {
  const lines = offer.split(/\r?\n/);
  const find = (prefix: string) => lines.find((line) => line.startsWith(prefix));
  const head = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map(find);
  const body = candidates.map((candidate) => `a=${candidate}`);
  const end = ended ? ["a=end-of-candidates"] : [];
  return [...head.filter((line) => line !== undefined), ...body, ...end, ""].join("\r\n");
}

function authorization(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}
