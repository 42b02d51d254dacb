/**
 * Signalling in the way of WHEP: an offer is posted and answered, candidates follow by PATCH,
 * DELETE ends the session (draft-ietf-wish-whep; fragments as in RFC 8840).
 */

const ENDPOINT = "/whep";

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
}

export async function postOffer(
  offer: string,
  token: string,
  signal: AbortSignal,
): Promise<WhepSession> {
  let response: Response;
  try {
    response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { ...authorization(token), "Content-Type": "application/sdp" },
      body: offer,
      signal,
    });
  } catch (error) {
    throw new SignallingError(0, String(error));
  }
  const body = await response.text();
  if (response.status !== 201) throw new SignallingError(response.status, body.slice(0, 500));
  const location = response.headers.get("Location");
  if (location === null) throw new SignallingError(response.status, "the answer has no Location");
  return { answer: body, location: new URL(location, document.baseURI).pathname };
}

/** Sends candidates as they are found. A server that learns them in another way may refuse. */
export async function patchCandidates(
  location: string,
  fragment: string,
  token: string,
): Promise<boolean> {
  try {
    const response = await fetch(location, {
      method: "PATCH",
      headers: { ...authorization(token), "Content-Type": "application/trickle-ice-sdpfrag" },
      body: fragment,
    });
    return response.ok;
  } catch {
    return false;
  }
}

/** Ends a session; `keepalive` lets the request outlive the page. */
export function endSession(location: string, token: string): void {
  fetch(location, { method: "DELETE", headers: authorization(token), keepalive: true }).catch(
    () => undefined,
  );
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
