/** Which words the page shows for a state: pure, so that each case is tested. */
import type { ConnectionState, Failed } from "./connection.ts";
import type { StatusMessage, UntypedMessage } from "./messages.ts";
import type { Notice } from "./notice.ts";
import { strings } from "./strings.ts";

export type Capture = "none" | "wanted" | "captured";

export interface ViewState {
  readonly connection: ConnectionState;
  readonly guest: StatusMessage | undefined;
  /** Whether a frame has been shown since the page was opened. */
  readonly picture: boolean;
  /** Whether none has come for so long that something must be in its way. */
  readonly overdue: boolean;
  /** Whether the guest has turned its display off. */
  readonly displayOff: boolean;
  /** The display that is shown, from 1. */
  readonly display: number;
  /** What the server wants said; usually nothing. */
  readonly words: string;
  readonly capture: Capture;
  /** What went wrong a moment ago, or was done. */
  readonly told: string;
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
  if (connection.name !== "connected") return connectionNotice(connection);
  if (guest !== undefined && guest.state !== "running" && guest.state !== "starting") {
    const detail = guest.detail === "" ? strings.guestDetail[guest.state] : guest.detail;
    return { title: strings.guest[guest.state], detail };
  }
  if (view.words !== "") return { title: view.words, detail: "" };
  if (view.displayOff) {
    const detail = view.display > 1 ? strings.displays.dark : strings.displayOffDetail;
    return { title: strings.displayOff, detail };
  }
  if (!view.picture && view.overdue) return { title: strings.noPicture, detail: strings.noPictureDetail, retry: true };
  if (!view.picture) return { title: strings.waitingForPicture, detail: guest?.detail ?? "" };
  if (view.told !== "") return { title: view.told, detail: "", hint: true };
  if (view.capture === "wanted") return { title: strings.clickToCapture, detail: "", hint: true };
  if (view.capture === "captured") return { title: strings.escToRelease, detail: "", hint: true };
  return undefined;
}

function connectionNotice(connection: ConnectionState): Notice {
  const title = strings.connection(connection);
  switch (connection.name) {
    case "refused":
      return { title, detail: strings.remedy[connection.why] };
    case "unsupported":
      return { title, detail: strings.unsupportedDetail };
    case "waiting":
      return { ...failureNotice(connection), more: strings.tryingAgain(connection.seconds) };
    case "connecting":
      // The reason stays while it is tried again.
      return connection.after === undefined ? { title, detail: "" } : { ...failureNotice(connection.after), more: title };
    case "rerouting":
      return { title, detail: strings.reroutingDetail, retry: true };
    case "left":
      return { title, detail: "", retry: true };
    case "connected":
      return { title, detail: "" };
  }
}

function failureNotice({ why, words }: Failed): Notice {
  const detail = words === "" ? strings.remedy[why] : `${strings.remedy[why]} (${words})`;
  return { title: strings.failure[why], detail: detail.trim(), retry: true };
}

/** Why a text did not reach the guest, and what helps. */
export function untypedText(message: UntypedMessage): string {
  const known = strings.untyped as Readonly<Record<string, string>>;
  return Object.hasOwn(known, message.code) ? (known[message.code] ?? message.text) : message.text;
}
