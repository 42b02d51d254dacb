/** Every text a person reads, in one place, so that another language is one more object. */
import { pairEn } from "./pairwords.ts";
import type { ConnectionState } from "./connection.ts";
import type { GuestState } from "./messages.ts";

export const strings = {
  title: (name: string) => (name === "" ? "Sampan" : `${name} – Sampan`),
  screenLabel: "Screen of the virtual machine. Keys go to it while it has the focus; "
    + "press Ctrl, Alt and Shift together to leave.",
  toolbarLabel: "Controls",
  connection: (state: ConnectionState): string => {
    switch (state.name) {
      case "connecting":
        return "Connecting…";
      case "connected":
        return "Connected";
      case "waiting":
        return `Connection lost. Trying again in ${state.seconds} s…`;
      case "refused":
        return "Not allowed";
      case "unsupported":
        return "This browser has no WebRTC";
      case "left":
        return "Disconnected";
    }
  },
  refusedDetail: "This address has no valid key. Open the whole address that Sampan printed, "
    + "with everything after the # sign.",
  unsupportedDetail: "Open this address in a browser that can receive video by WebRTC.",
  guest: {
    starting: "Starting…",
    running: "Running",
    paused: "Paused",
    stopped: "Powered off",
    died: "Stopped unexpectedly",
  } satisfies Record<GuestState, string>,
  guestDetail: {
    starting: "",
    running: "",
    paused: "The virtual machine does not run until it is resumed.",
    stopped: "The guest has shut down.",
    died: "The emulator ended by itself.",
  } satisfies Record<GuestState, string>,
  waitingForPicture: "Waiting for the first picture…",
  displayOff: "No picture",
  displayOffDetail: "The guest has turned its display off. A key may wake it.",
  clickToCapture: "Click to let the guest have the pointer",
  escToRelease: "Press Esc to get the pointer back",
  keys: "Special keys",
  keysHint: "Keys the browser or the system would keep for itself",
  follow: "Guest resolution follows the window",
  stats: "Statistics",
  fullscreen: "Full screen",
  leaveFullscreen: "Leave full screen",
  retry: "Try now",
  hold: (key: string) => `Hold ${key}`,
  press: (key: string) => `Press ${key}`,
  statsRows: {
    size: "Size",
    fps: "Frames",
    bitrate: "Bit rate",
    rtt: "Round trip",
    decode: "Decoding",
    buffer: "Jitter buffer",
    lost: "Lost packets",
    codec: "Codec",
  },
  pair: pairEn,
} as const;
