/** The viewer's words in English; the other tables have the same names (`Strings`). */
import type { ConnectionState } from "../connection.ts";
import type { Failure } from "../failure.ts";
import type { ContentScale } from "../follow.ts";
import type { TouchMode } from "../gestures.ts";
import type { GuestState } from "../messages.ts";
import type { Step } from "../people.ts";
import type { NoMicrophone } from "../sound.ts";
import type { Theme } from "../theme.ts";
import { pairEn } from "../pairwords.ts";

export const en = {
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
      case "rerouting":
        return "The network was interrupted";
      case "waiting":
        return en.failure[state.why];
      case "refused":
        return en.failure[state.why];
      case "unsupported":
        return "This browser has no WebRTC";
      case "left":
        return "Disconnected";
    }
  },
  failure: {
    unreachable: "The machine does not answer",
    offline: "No network",
    refused: "Not allowed",
    foreign: "Not by this address",
    full: "Too many viewers",
    codec: "No common video format",
    blocked: "The picture is blocked",
    addressless: "This browser lets no page connect",
    relay: "The relay refuses",
    lost: "Connection lost",
    ended: "Connection ended",
    server: "The machine cannot be shown",
  } satisfies Record<Failure, string>,
  remedy: {
    unreachable: "It was ended, or another network is between. Look whether it still runs, and whether both devices are in the same network.",
    offline: "This device is not connected to a network. Turn Wi-Fi or the mobile network on.",
    refused: "This address has no valid key. Open the whole address that Sampan printed, with everything after the # sign.",
    foreign: "The page was opened by a name or a port that Sampan does not know. Open the address that Sampan printed.",
    full: "As many devices look on as may. Close the page on one of them.",
    codec: "This browser decodes neither H.264 nor VP8 here. Open the address in another browser, such as Chrome, Edge, Firefox or Safari.",
    blocked: "The machine answers, but its picture does not come through: a firewall, a VPN or the network's isolation of "
      + "clients holds UDP back, and TCP on other ports, too. Allow UDP between the two devices, or use another network.",
    addressless: "The browser has no address to connect from. An extension or a setting may keep WebRTC from it: allow it for this page. "
      + "Firefox connects to nothing on its own computer while that has no network: connect it to one, use another browser, "
      + "or set media.peerconnection.ice.loopback to true on the page about:config.",
    relay: "No direct path to the machine is found, and the relay (TURN) refuses the user name or the credential that Sampan has for it. "
      + "The machine's owner can give it the right one.",
    lost: "The network was interrupted, or the machine was.",
    ended: "Sampan has ended the connection. It may have been stopped.",
    server: "",
  } satisfies Record<Failure, string>,
  reroutingDetail: "Another path to the machine is looked for. You keep your place, and control if you have it; what you type now "
    + "arrives once there is a path.",
  tryingAgain: (seconds: number) => `Trying again in ${seconds} s…`,
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
  noPicture: "No picture comes",
  noPictureDetail: "The connection holds, but no picture arrives. The browser may not decode it: try again, or another browser.",
  displayOff: "No picture",
  displayOffDetail: "The guest has turned its display off. A key may wake it.",
  clickToCapture: "Click to let the guest have the pointer",
  escToRelease: "Press Esc to get the pointer back",
  keys: "Special keys",
  keysHint: "Keys that this keyboard lacks, or that the browser or the system keeps for itself",
  write: "Keyboard of this device: text by its input method",
  textInputLabel: "Text for the virtual machine",
  more: "More",
  untyped: {
    untypable: "The guest did not get that text: no key types it. Install a clipboard agent in the guest (spice-vdagent) and log in to its desktop.",
    not_pasted: "No program in the guest pasted the text. Click into a text field there, and write it again.",
    no_clipboard_agent: "The guest did not get that text: its clipboard agent does not answer. Log in to its desktop.",
    text_busy: "The guest has not taken the text before yet. Wait a moment.",
    text_unsupported: "This machine takes keys only, and no text.",
  },
  people: {
    label: "Who is here",
    owner: "The owner",
    unnamed: "A device",
    nobody: "Nobody",
    you: (name: string) => `${name} (you)`,
    drives: "drives",
    wants: "asks for control",
    watches: "watches",
    notDriving: (who: string) => `${who} drives: your keys and your pointer have no effect.`,
    watching: (who: string) => `${who} drives. This device may only watch.`,
    asked: (who: string) => `You have asked for control. ${who} decides.`,
    refused: (who: string) => `Control was refused. ${who} drives.`,
    asks: (who: string) => `${who} asks for control.`,
    steps: { ask: "Ask for control", take: "Take control", withdraw: "Withdraw", give: "Hand over", refuse: "Refuse" } satisfies Record<Step, string>,
  },
  displays: {
    label: "Displays",
    name: (n: number) => `Display ${n}`,
    open: "Open beside",
    openLabel: (name: string) => `Open ${name} in another window`,
    dark: "The guest does not use this display yet. It is connected while whoever drives the machine has a window on it.",
  },
  sound: {
    button: "Sound",
    microphone: "Microphone",
    volume: "Volume",
    speaker: "Loudspeaker",
    microphoneDevice: "Which microphone",
    standardDevice: "As the system",
    notPlayed: "The browser does not play the sound. Press the button again.",
    noMicrophone: {
      machine: "The machine is set to hear no microphone. Its owner can change that in its sound settings.",
      driver: "The machine hears the microphone of whoever drives it.",
      untrusted: "The browser does not trust this page, so it gives it no microphone.",
      refused: "The browser refused the microphone. Allow it in the browser's settings for this page.",
      none: "This device has no microphone.",
      busy: "The microphone cannot be used. Another program may have it.",
      ended: "The microphone has gone.",
    } satisfies Record<NoMicrophone, string>,
  },
  clipboard: {
    paste: "Paste into the machine",
    take: "Copy from the machine",
    noAgent: "Nobody answers in the guest: install spice-vdagent there, and log in to its desktop",
    nothing: "Nothing was copied in the guest",
    given: "The machine's programs can paste it now",
    taken: "It is in this device's clipboard",
    empty: "This device's clipboard has neither text nor a picture",
    tooLarge: "That is more than 16 MiB: share a part of it, or a file",
    insecure: "The browser does not let this page use the clipboard by itself. ",
    pasteHere: "Paste here, by Ctrl+V or ⌘V, or by a long press. It goes to the machine's clipboard.",
    copyHere: "This is what the machine's clipboard holds.",
    copy: "Copy",
    close: "Close",
    failed: {
      no_clipboard_agent: "The guest's clipboard agent does not answer. Log in to its desktop.",
      clipboard_to_guest_off: "The machine's settings let nothing into its clipboard.",
      clipboard_from_guest_off: "The machine's settings let nothing out of its clipboard.",
      not_driving: "Another viewer drives the machine. Ask for control first.",
      no_right: "This device has no right to the machine's clipboard.",
      too_large: "That is more than 16 MiB: share a part of it, or a file",
      exchange_busy: "Something else is on its way. Try again in a moment.",
      "": "The machine does not answer. Try again.",
    } as Readonly<Record<string, string>>,
  },
  files: {
    label: "Files on their way",
    send: "Send files to the machine…",
    take: "Fetch a file from the machine…",
    path: "The file's full name in the guest",
    fetch: "Fetch",
    cancel: "Cancel",
    close: "Close",
    waits: "waits",
    sending: "is being sent",
    giving: "goes into the guest",
    taking: "comes out of the guest",
    loading: "is being saved by the browser",
    inDownloads: "is in the guest's downloads",
    isAt: (path: string) => `is in the guest: ${path}`,
    failed: {
      no_file_agent: "Nobody takes files in the guest: install spice-vdagent there and log in to its desktop, or install qemu-guest-agent.",
      guest_files_off: "Files are turned off in the guest's agent.",
      guest_locked: "The guest takes no files while its desktop is locked or nobody is logged in.",
      guest_disk_full: "The guest has too little free space.",
      guest_disk_too_full: "The guest has too little free space.",
      host_disk_full: "The computer that runs the machine has too little free space.",
      no_right: "This device has no right to exchange files with the machine.",
      exchange_busy: "Another file is on its way. Try again in a moment.",
      no_agent: "The guest's agent does not answer: install qemu-guest-agent in the guest.",
      no_file: "The file took too long and was given up.",
      "": "The connection was lost on the way.",
    } as Readonly<Record<string, string>>,
  },
  screenshot: "Save picture",
  copyPicture: "Copy picture",
  pictureCopied: "The picture is in the clipboard",
  pictureNotCopied: "The browser did not let the picture be copied",
  record: "Record video",
  recordTitle: "With the machine's sound at the machine's own volume, also while this page is silent; without your microphone",
  recordedSilently: "The browser gives no sound: the recording has the picture alone.",
  stopRecording: "Stop recording",
  recording: "Recording",
  zoomOut: "Whole picture",
  touchMode: "Fingers",
  touchModes: { direct: "Touch directly", trackpad: "Trackpad" } satisfies Record<TouchMode, string>,
  theme: "Colours",
  themes: { auto: "As the system", light: "Light", dark: "Dark" } satisfies Record<Theme, string>,
  language: "Language",
  follow: "Guest resolution follows the window",
  contents: "Size of its contents",
  contentScales: { "1": "1 × (sharpest)", "1.5": "1.5 ×", "2": "2 ×", "3": "3 ×" } satisfies Record<ContentScale, string>,
  stats: "Statistics",
  fullscreen: "Full screen",
  leaveFullscreen: "Leave full screen",
  retry: "Try now",
  stickyHint: "Tap for the next key, twice to lock",
  held: {
    once: (key: string) => `${key}, for the next key`,
    locked: (key: string) => `${key}, locked`,
  },
  arrows: { left: "Left", up: "Up", down: "Down", right: "Right" },
  press: (key: string) => `Press ${key}`,
  statsRows: {
    size: "Size",
    fps: "Frames",
    bitrate: "Bit rate",
    rtt: "Round trip",
    decode: "Decoding",
    paint: "Packet to pixel",
    buffer: "Jitter buffer",
    lost: "Lost packets",
    codec: "Codec",
    sound: "Sound",
    soundBuffer: "Sound's jitter buffer",
    soundLost: "Sound lost",
    path: "Path",
    secure: "Page",
  },
  soundOff: "does not come",
  soundLost: (packets: number, concealedMs: number) => `${packets} packets, ${concealedMs} ms made up`,
  path: (protocol: string, relayed: boolean) => `${protocol}, ${relayed ? "by a relay" : "direct"}`,
  secureYes: "trusted",
  secureNo: "not trusted: no copying, no capture of system keys",
  pair: pairEn,
} as const;
