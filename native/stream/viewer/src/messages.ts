/**
 * What the page and the server say to each other over the two data channels, as JSON text.
 *
 * `keys` is reliable and ordered; `motion` is unordered and never resent, so each of its messages
 * stands alone and carries a sequence number: the newest wins, older ones are dropped.
 */

/** Where the pointer is, in pixels of the frame the sender saw (`w` × `h`). */
export interface MoveMessage {
  readonly t: "move";
  readonly s: number;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** How far the pointer has gone since the connection began: a lost packet loses no distance. */
export interface RelativeMessage {
  readonly t: "rel";
  readonly s: number;
  readonly dx: number;
  readonly dy: number;
}

/** A finger that is down has moved, in fractions of a pixel of the frame. */
export interface FingerMessage {
  readonly t: "touch";
  readonly s: number;
  readonly slot: number;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export type MotionMessage = MoveMessage | RelativeMessage | FingerMessage;

export type TouchPhase = "begin" | "update" | "end" | "cancel";

/** What goes over `keys`; a motion message may go there too, to keep its order with a button. */
export type KeysMessage =
  | { readonly t: "key"; readonly code: string; readonly down: boolean }
  | { readonly t: "button"; readonly button: number; readonly down: boolean }
  | { readonly t: "wheel"; readonly dx: number; readonly dy: number }
  | { readonly t: "text"; readonly text: string }
  | (FingerMessage & { readonly phase: TouchPhase })
  | { readonly t: "release" }
  | {
      readonly t: "resize";
      readonly w: number;
      readonly h: number;
      readonly mmw: number;
      readonly mmh: number;
    }
  | MoveMessage
  | RelativeMessage
  /** Control that another viewer has, and its being handed over. */
  | { readonly t: "ask" }
  | { readonly t: "withdraw" }
  /** To see another display, from 1. */
  | { readonly t: "display"; readonly n: number }
  | { readonly t: "give"; readonly to: string }
  | { readonly t: "refuse"; readonly to: string }
  /** To hear the guest, and to be heard by it. */
  | { readonly t: "sound"; readonly hear: boolean; readonly speak: boolean };

export type GuestState = "starting" | "running" | "paused" | "stopped" | "died";

/** How the virtual machine is; `absolute` tells whether its pointer takes positions or distances. */
export interface StatusMessage {
  readonly t: "status";
  readonly state: GuestState;
  readonly detail: string;
  readonly absolute: boolean;
  readonly name: string;
  /** Without a touch screen in the guest, fingers are a pointer. */
  readonly touch: boolean;
  /** Whether this page may exchange files with the guest. */
  readonly files: boolean;
}

/** Somebody who sees the machine. */
export interface Person {
  readonly id: string;
  /** What its device calls itself; empty for the owner's own page. */
  readonly name: string;
  readonly own: boolean;
  /** Whether it may drive. */
  readonly may: boolean;
  /** Whether it asks for control. */
  readonly asks: boolean;
  readonly refused: boolean;
  /** Whether it drives: it is the driver, or another window of the driver's, on another display. */
  readonly drives: boolean;
  /** The display it sees, from 1. */
  readonly display: number;
}

/** Who sees the machine, the longest-standing first, and who of them drives it. */
export interface PeopleMessage {
  readonly t: "people";
  readonly you: string;
  readonly driver: string | null;
  readonly all: readonly Person[];
}

/** How many displays the machine has, and which this page sees, from 1; what follows is about that one. */
export interface DisplaysMessage {
  readonly t: "displays";
  readonly count: number;
  readonly n: number;
}

/** How far a file of this page's is. */
export interface FileMessage {
  readonly t: "file";
  readonly id: number;
  readonly state: "giving" | "taking" | "ready" | "done" | "failed";
  readonly done: number;
  /** 0 while it is not known. */
  readonly size: number;
  /** Where it is: in the guest, or the path by which it can be loaded once; empty for the guest's downloads. */
  readonly at: string;
  readonly code: string;
  readonly text: string;
}

/** What this page may exchange with the guest's clipboard; not sent to one that may not. */
export interface ClipboardMessage {
  readonly t: "clipboard";
  /** Whether somebody in the guest answers. */
  readonly agent: boolean;
  /** Which way a content may go. */
  readonly to: boolean;
  readonly from: boolean;
  /** What may be taken now. */
  readonly text: boolean;
  readonly png: boolean;
  /** How often a program of the guest's has copied something. */
  readonly copied: number;
}

/** The guest's sound; not sent of a guest without a sound card. */
export interface SoundMessage {
  readonly t: "sound";
  /** Whether the machine's settings let the guest hear a microphone. */
  readonly microphone: boolean;
  /** Whether the guest records now. */
  readonly recording: boolean;
}

/** A cursor shape; without `png` it is one sent before. */
export interface CursorMessage {
  readonly t: "cursor";
  readonly hash: string;
  readonly shape?: CursorShape;
}

export interface CursorShape {
  readonly width: number;
  readonly height: number;
  readonly hotX: number;
  readonly hotY: number;
  /** A PNG in base64. */
  readonly png: string;
}

export interface CursorPositionMessage {
  readonly t: "cursorpos";
  /** It may arrive late, and twice: only one above the last seen counts. */
  readonly s: number;
  /** Where the hot spot is; negative at the left and upper edges. */
  readonly x: number;
  readonly y: number;
  readonly visible: boolean;
  /** Null while the guest has no cursor of its own. */
  readonly hash: string | null;
}

/**
 * The guest's true size: the video may be a little larger, since encoders pad. Zero by zero while
 * the guest's display is off.
 */
export interface SizeMessage {
  readonly t: "size";
  readonly w: number;
  readonly h: number;
}

/** Words of the server to show above the picture; empty ones take them away. */
export interface NoticeMessage {
  readonly t: "notice";
  readonly text: string;
}

/** Which locks the guest shows on its keyboard's LEDs; not sent before it has shown any. */
export interface LocksMessage {
  readonly t: "locks";
  readonly caps: boolean;
  readonly num: boolean;
}

/** A text of ours did not reach the guest: why, for programs and in words. */
export interface UntypedMessage {
  readonly t: "untyped";
  readonly code: string;
  readonly text: string;
}

export type ServerMessage =
  | StatusMessage
  | PeopleMessage
  | DisplaysMessage
  | ClipboardMessage
  | SoundMessage
  | FileMessage
  | LocksMessage
  | UntypedMessage
  | CursorMessage
  | CursorPositionMessage
  | SizeMessage
  | NoticeMessage;

/** Larger cursors are refused: QEMU's own limit is 512. */
export const MAX_CURSOR_SIDE = 512;
/** Base64 that begins as every PNG does (RFC 2083, section 3.1). */
const PNG = /^iVBORw0KG[A-Za-z0-9+/]+={0,2}$/;
/** Larger screens are refused: twice 8K. */
const MAX_SCREEN_SIDE = 16384;

const STATES: readonly string[] = ["starting", "running", "paused", "stopped", "died"];

/** A message to the server has at most 4096 bytes: these take three each at most, as JSON and UTF-8. */
const MOST_CHARACTERS = 1000;

/** A text as messages in order; no character is torn in two. */
export function textMessages(text: string): KeysMessage[] {
  const messages: KeysMessage[] = [];
  let part = "";
  for (const character of text) {
    if (part.length + character.length > MOST_CHARACTERS) {
      messages.push({ t: "text", text: part });
      part = "";
    }
    part += character;
  }
  if (part !== "") messages.push({ t: "text", text: part });
  return messages;
}

export function encode(message: KeysMessage | MotionMessage): string {
  return JSON.stringify(message);
}

/** Reads a message of the server; anything malformed or unknown is `undefined`, never an exception. */
export function decode(data: unknown): ServerMessage | undefined {
  if (typeof data !== "string") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  switch (fields["t"]) {
    case "status":
      return decodeStatus(fields);
    case "people":
      return decodePeople(fields);
    case "displays":
      return decodeDisplays(fields["count"], fields["n"]);
    case "file":
      return decodeFile(fields);
    case "clipboard":
      return decodeClipboard(fields);
    case "sound":
      return { t: "sound", microphone: fields["microphone"] === true, recording: fields["recording"] === true };
    case "cursor":
      return decodeCursor(fields);
    case "cursorpos":
      return decodeCursorPosition(fields);
    case "size":
      return decodeSize(fields["w"], fields["h"]);
    case "locks":
      return { t: "locks", caps: fields["caps"] === true, num: fields["num"] === true };
    case "untyped":
      return typeof fields["code"] === "string" && typeof fields["text"] === "string"
        ? { t: "untyped", code: fields["code"], text: fields["text"] } : undefined;
    case "notice":
      return typeof fields["text"] === "string" ? { t: "notice", text: fields["text"] } : undefined;
    default:
      return undefined;
  }
}

function decodeStatus(fields: Record<string, unknown>): StatusMessage | undefined {
  const state = typeof fields["state"] === "string" ? fields["state"].toLowerCase() : "";
  if (!STATES.includes(state)) return undefined;
  return {
    t: "status",
    state: state as GuestState,
    detail: typeof fields["detail"] === "string" ? fields["detail"] : "",
    absolute: fields["absolute"] !== false,
    name: typeof fields["name"] === "string" ? fields["name"] : "",
    touch: fields["touch"] === true,
    files: fields["files"] === true,
  };
}

function decodePeople({ you, driver, all }: Record<string, unknown>): PeopleMessage | undefined {
  if (typeof you !== "string" || !Array.isArray(all)) return undefined;
  const people = (all as unknown[]).flatMap((one): Person[] => {
    const { id, name, own, may, asks, refused, drives, display } = (one ?? {}) as Record<string, unknown>;
    if (typeof id !== "string") return [];
    return [{
      id,
      name: typeof name === "string" ? name : "",
      own: own === true,
      may: may === true,
      asks: asks === true,
      refused: refused === true,
      drives: drives === true,
      display: isInteger(display) && display > 0 ? display : 1,
    }];
  });
  return { t: "people", you, driver: typeof driver === "string" ? driver : null, all: people };
}

const STEPS: readonly string[] = ["giving", "taking", "ready", "done", "failed"];

function decodeFile({ id, state, done, size, at, code, text }: Record<string, unknown>): FileMessage | undefined {
  if (!isInteger(id) || typeof state !== "string" || !STEPS.includes(state)) return undefined;
  const words = (value: unknown) => (typeof value === "string" ? value : "");
  const count = (value: unknown) => (isInteger(value) ? value : 0);
  return {
    t: "file", id, state: state as FileMessage["state"], done: count(done), size: count(size),
    at: words(at), code: words(code), text: words(text),
  };
}

function decodeClipboard({ agent, to, from, text, png, copied }: Record<string, unknown>): ClipboardMessage {
  return {
    t: "clipboard",
    agent: agent === true,
    to: to === true,
    from: from === true,
    text: text === true,
    png: png === true,
    copied: isInteger(copied) ? copied : 0,
  };
}

function decodeCursor(fields: Record<string, unknown>): CursorMessage | undefined {
  const { hash, w, h, hx, hy, png } = fields;
  if (typeof hash !== "string") return undefined;
  if (png === undefined || png === null) return { t: "cursor", hash };
  if (!isSide(w, MAX_CURSOR_SIDE) || !isSide(h, MAX_CURSOR_SIDE)) return undefined;
  if (typeof png !== "string" || !PNG.test(png)) return undefined;
  const shape = {
    width: w,
    height: h,
    hotX: clampInteger(hx, w - 1),
    hotY: clampInteger(hy, h - 1),
    png,
  };
  return { t: "cursor", hash, shape };
}

function decodeCursorPosition(fields: Record<string, unknown>): CursorPositionMessage | undefined {
  const { s, x, y, visible, hash } = fields;
  if (!isInteger(s) || !isInteger(x) || !isInteger(y)) return undefined;
  const shape = typeof hash === "string" ? hash : null;
  return { t: "cursorpos", s, x, y, visible: visible !== false, hash: shape };
}

function decodeDisplays(count: unknown, n: unknown): DisplaysMessage | undefined {
  return isInteger(count) && isInteger(n) && n >= 1 && n <= count ? { t: "displays", count, n } : undefined;
}

function decodeSize(w: unknown, h: unknown): SizeMessage | undefined {
  if (w === 0 && h === 0) return { t: "size", w, h };
  return isSide(w, MAX_SCREEN_SIDE) && isSide(h, MAX_SCREEN_SIDE) ? { t: "size", w, h } : undefined;
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function isSide(value: unknown, limit: number): value is number {
  return isInteger(value) && value > 0 && value <= limit;
}

function clampInteger(value: unknown, limit: number): number {
  return isInteger(value) ? Math.min(Math.max(value, 0), limit) : 0;
}
