// Who may ask the preview's server: its own page, with the secret of this start.
import { randomBytes, timingSafeEqual } from "node:crypto";

/** What every answer says to keep a browser strict. The pages set styles of single elements, and run no script but their own. */
export const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
    "font-src 'self'; media-src 'self' blob:; connect-src 'self'; frame-src 'self' http://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export class Guard {
  #hosts;

  constructor(port) {
    this.token = randomBytes(24).toString("base64url");
    this.#hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
    // Browsers do not send the fragment.
    this.url = `http://127.0.0.1:${port}/#token=${this.token}`;
  }

  /** Why a request is refused, as status and words; nothing if it is not. */
  refusal({ headers }) {
    // A name that merely resolves here is what DNS rebinding uses.
    if (!this.#hosts.includes(headers.host?.toLowerCase())) return [421, "this server goes by another name: open the URL as it was printed"];
    // A program sends no origin.
    const { origin } = headers;
    if (origin !== undefined && !this.#hosts.some((host) => origin.toLowerCase() === `http://${host}`)) {
      return [403, "this page may not ask for that"];
    }
    return undefined;
  }

  /** The same for what needs the secret, which a socket's address has and other requests' `authorization`. */
  secretRefusal(request, given = /^bearer (.*)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "") {
    const [own, its] = [this.token, given].map((text) => Buffer.from(text));
    const fits = own.length === its.length && timingSafeEqual(own, its);
    return this.refusal(request) ?? (fits ? undefined : [401, "the token is missing or wrong: open the URL as it was printed"]);
  }
}
