/** Which words the page shows for a state: pure, so that each case is tested. */
import type { ConnectionState } from "./connection.ts";
import type { StatusMessage } from "./messages.ts";
import type { Notice } from "./notice.ts";
import { strings } from "./strings.ts";

export type Capture = "none" | "wanted" | "captured";

export interface ViewState {
  readonly connection: ConnectionState;
  readonly guest: StatusMessage | undefined;
  /** Whether a frame has been shown since the page was opened. */
  readonly picture: boolean;
  /** Whether the guest has turned its display off. */
  readonly displayOff: boolean;
  /** What the server wants said; usually nothing. */
  readonly words: string;
  readonly capture: Capture;
}

/** The words in the toolbar, and whether they must stay in sight. */
export function stateText(view: ViewState): { readonly text: string; readonly lasting: boolean } {
  const connection = strings.connection(view.connection);
  if (view.connection.name !== "connected") return { text: connection, lasting: true };
  if (view.guest === undefined) return { text: connection, lasting: false };
  const guest = strings.guest[view.guest.state];
  const name = view.guest.name === "" ? "" : `${view.guest.name} · `;
  return { text: `${name}${guest}`, lasting: view.guest.state !== "running" };
}

/** The card over the picture; undefined when the picture speaks for itself. */
export function noticeFor(view: ViewState): Notice | undefined {
  const { connection, guest } = view;
  if (connection.name !== "connected") {
    const title = strings.connection(connection);
    if (connection.name === "refused") return { title, detail: strings.refusedDetail };
    if (connection.name === "unsupported") return { title, detail: strings.unsupportedDetail };
    return { title, detail: "", retry: connection.name !== "connecting" };
  }
  if (guest !== undefined && guest.state !== "running" && guest.state !== "starting") {
    const detail = guest.detail === "" ? strings.guestDetail[guest.state] : guest.detail;
    return { title: strings.guest[guest.state], detail };
  }
  if (view.words !== "") return { title: view.words, detail: "" };
  if (view.displayOff) return { title: strings.displayOff, detail: strings.displayOffDetail };
  if (!view.picture) return { title: strings.waitingForPicture, detail: guest?.detail ?? "" };
  if (view.capture === "wanted") return { title: strings.clickToCapture, detail: "", hint: true };
  if (view.capture === "captured") return { title: strings.escToRelease, detail: "", hint: true };
  return undefined;
}
