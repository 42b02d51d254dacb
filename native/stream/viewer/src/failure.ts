/** Why there is no connection, so that the page can say what helps: pure. */

export type Failure =
  /** The server does not answer. */
  | "unreachable"
  /** This device has no network. */
  | "offline"
  /** The key is wrong. */
  | "refused"
  /** The page was opened by an address that the server does not go by. */
  | "foreign"
  /** As many look on as may. */
  | "full"
  /** The browser decodes nothing that the server can encode. */
  | "codec"
  /** The server answered, but no packet comes through. */
  | "blocked"
  /** The browser has no address that it lets a page connect from. */
  | "addressless"
  /** The same, and the relay that might have helped refuses its user or credential. */
  | "relay"
  /** It held, and broke. */
  | "lost"
  /** The server ended it. */
  | "ended"
  /** The server failed, in its own words. */
  | "server";

/** What trying again does not change. */
export function isFinal(failure: Failure): boolean {
  return failure === "refused" || failure === "foreign" || failure === "codec";
}

/** By the HTTP status of the answer to an offer, 0 without one. */
export function ofSignalling(status: number, online: boolean): Failure {
  switch (status) {
    case 0:
      return online ? "unreachable" : "offline";
    case 401:
      return "refused";
    case 403:
    case 421:
      return "foreign";
    case 406:
      return "codec";
    case 503:
      return "full";
    default:
      return "server";
  }
}
