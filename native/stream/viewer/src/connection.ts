/**
 * Keeps one viewer connected: offers, listens, notices when the server is gone and comes back with
 * growing pauses. It knows nothing of the page.
 */
import { Backoff } from "./backoff.ts";
import { isFinal, ofSignalling } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { decode, encode } from "./messages.ts";
import type { KeysMessage, MotionMessage, ServerMessage } from "./messages.ts";
import { inStereo, redundantFirst } from "./sdp.ts";
import { Refusal, SignallingError, ask, endSession, patchCandidates, postOffer, sdpFragment } from "./whep.ts";

export type ConnectionState =
  /** `after` is why the try before failed. */
  | { readonly name: "connecting"; readonly after?: Failed }
  | { readonly name: "connected" }
  /** It failed, and is tried again in so many seconds. */
  | ({ readonly name: "waiting"; readonly seconds: number } & Failed)
  /** It failed in a way that trying again does not mend. */
  | { readonly name: "refused"; readonly why: Failure }
  /** The browser has no WebRTC. */
  | { readonly name: "unsupported" }
  | { readonly name: "left" };

export interface Failed {
  readonly why: Failure;
  /** The server's own; may be empty. */
  readonly words: string;
}

export interface ConnectionEvents {
  state(state: ConnectionState): void;
  /** The `keys` channel is open: input may be sent. */
  open(): void;
  message(message: ServerMessage): void;
  stream(stream: MediaStream): void;
  /** What the guest plays. */
  sound(stream: MediaStream): void;
}

/** A network that hiccups comes back by itself within this time; afterwards we connect anew. */
const DISCONNECTED_GRACE_MS = 3000;
/** A connection that is not up by then never will be. */
const CONNECT_DEADLINE_MS = 15000;
/** A live path shows itself within this: ICE asks for consent every few seconds (RFC 7675). */
const PROBE_MS = 4000;
/** Motion is dropped while more than this waits in the channel: old positions help nobody. */
const MOTION_BACKLOG_BYTES = 4096;

interface Attempt {
  readonly peer: RTCPeerConnection;
  readonly keys: RTCDataChannel;
  readonly motion: RTCDataChannel;
  readonly sound: RTCRtpTransceiver;
  readonly abort: AbortController;
  location: string | undefined;
  timer: number | undefined;
  /** Whether it has ever held. */
  held: boolean;
}

export class Connection {
  readonly #events: ConnectionEvents;
  readonly #backoff = new Backoff();
  #token: string;
  /** The display to see, from 1, when it connects. */
  display = 1;
  #attempt: Attempt | undefined;
  #retry: number | undefined;
  #failed: Failed | undefined;
  #left = true;

  constructor(token: string, events: ConnectionEvents) {
    this.#token = token;
    this.#events = events;
  }

  /** Connects, or connects anew at once. */
  start(token: string = this.#token): void {
    this.#token = token;
    this.#left = false;
    this.#drop();
    if (typeof RTCPeerConnection === "undefined") {
      this.#events.state({ name: "unsupported" });
      return;
    }
    this.#events.state({ name: "connecting", ...(this.#failed && { after: this.#failed }) });
    this.#connect().catch((error: unknown) => console.warn("sampan: connecting failed:", error));
  }

  /** Ends the session on the server and stays away. */
  leave(): void {
    this.#left = true;
    this.#drop();
    this.#events.state({ name: "left" });
  }

  /** Tries at once instead of at the end of the pause. */
  hurry(): void {
    if (this.#retry !== undefined) this.start();
  }

  /** The network may be another, or this device has slept: finds out soon whether the path still holds. */
  check(): void {
    this.hurry();
    const attempt = this.#attempt;
    if (attempt === undefined || !attempt.held) return;
    if (attempt.peer.connectionState !== "connected") {
      this.start();
      return;
    }
    void this.#probe(attempt);
  }

  /** Asks the server for something of this session's. */
  ask(method: string, path: string, more?: Parameters<typeof ask>[4]): Promise<Response> {
    const location = this.#attempt?.location;
    if (location === undefined) return Promise.reject(new Refusal("", ""));
    return ask(location, this.#token, method, path, more);
  }

  /** The key to the machine; empty where the device has keys of its own. */
  get token(): string {
    return this.#token;
  }

  /** The live connection, for statistics. */
  get peer(): RTCPeerConnection | undefined {
    return this.#attempt?.peer;
  }

  /** Where this device's microphone goes, in a connection that agreed on sound. */
  get microphone(): RTCRtpSender | undefined {
    const sound = this.#attempt?.sound;
    return sound?.currentDirection === "sendrecv" || sound?.currentDirection === "sendonly" ? sound.sender : undefined;
  }

  sendKeys(message: KeysMessage): void {
    const channel = this.#attempt?.keys;
    if (channel?.readyState === "open") channel.send(encode(message));
  }

  sendMotion(message: MotionMessage): void {
    const channel = this.#attempt?.motion;
    if (channel?.readyState !== "open" || channel.bufferedAmount > MOTION_BACKLOG_BYTES) return;
    channel.send(encode(message));
  }

  async #connect(): Promise<void> {
    const peer = new RTCPeerConnection();
    const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
    // The newest picture is wanted, not an even flow.
    receiver.jitterBufferTarget = 0;
    const attempt: Attempt = {
      peer,
      keys: peer.createDataChannel("keys", { ordered: true }),
      motion: peer.createDataChannel("motion", { ordered: false, maxRetransmits: 0 }),
      sound: soundOf(peer),
      abort: new AbortController(),
      location: undefined,
      timer: undefined,
      held: false,
    };
    this.#attempt = attempt;
    this.#giveUpAfter(attempt, CONNECT_DEADLINE_MS);
    this.#watch(attempt);
    try {
      await this.#offer(attempt);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const signalling = error instanceof SignallingError;
      const why = signalling ? ofSignalling(error.status, navigator.onLine) : "server";
      this.#lost(attempt, why, signalling && error.status === 0 ? "" : String(error instanceof Error ? error.message : error));
    }
  }

  async #offer(attempt: Attempt): Promise<void> {
    const { peer } = attempt;
    const trickle = new Trickle(this.#token);
    peer.onicecandidate = ({ candidate }) => trickle.add(candidate);
    const offer = await peer.createOffer();
    await peer.setLocalDescription({ type: "offer", sdp: inStereo(offer.sdp ?? "") });
    const sdp = peer.localDescription?.sdp ?? offer.sdp ?? "";
    const session = await postOffer(sdp, this.#token, this.display, attempt.abort.signal);
    if (attempt !== this.#attempt) {
      endSession(session.location, this.#token);
      return;
    }
    attempt.location = session.location;
    await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
    trickle.begin(session.location, sdp);
  }

  #watch(attempt: Attempt): void {
    const { peer, keys, motion } = attempt;
    const current = () => attempt === this.#attempt;
    peer.ontrack = ({ streams, track }) => {
      if (!current()) return;
      const stream = streams[0] ?? new MediaStream([track]);
      if (track.kind === "audio") this.#events.sound(stream);
      else this.#events.stream(stream);
    };
    peer.onconnectionstatechange = () => {
      if (!current()) return;
      switch (peer.connectionState) {
        case "connected":
          window.clearTimeout(attempt.timer);
          attempt.held = true;
          break;
        case "disconnected":
          this.#giveUpAfter(attempt, DISCONNECTED_GRACE_MS);
          break;
        case "failed":
        case "closed":
          this.#lost(attempt, attempt.held ? "lost" : "blocked");
          break;
        default:
          break;
      }
    };
    keys.onopen = () => {
      if (!current()) return;
      this.#backoff.reset();
      this.#failed = undefined;
      this.#events.state({ name: "connected" });
      this.#events.open();
    };
    keys.onclose = () => {
      if (current()) this.#lost(attempt, "ended");
    };
    const receive = ({ data }: MessageEvent) => {
      const message = current() ? decode(data) : undefined;
      if (message !== undefined) this.#events.message(message);
    };
    keys.onmessage = receive;
    motion.onmessage = receive;
  }

  #giveUpAfter(attempt: Attempt, ms: number): void {
    window.clearTimeout(attempt.timer);
    attempt.timer = window.setTimeout(() => this.#lost(attempt, attempt.held ? "lost" : "blocked"), ms);
  }

  /** Connects anew if nothing at all arrives for a while. */
  async #probe(attempt: Attempt): Promise<void> {
    const before = await arrived(attempt.peer);
    await new Promise((resolve) => window.setTimeout(resolve, PROBE_MS));
    if (attempt !== this.#attempt || (await arrived(attempt.peer)) !== before) return;
    if (attempt === this.#attempt) this.start();
  }

  #lost(attempt: Attempt, why: Failure, words = ""): void {
    if (attempt !== this.#attempt) return;
    this.#drop();
    if (isFinal(why)) {
      this.#events.state({ name: "refused", why });
      return;
    }
    if (this.#left) return;
    this.#failed = { why, words };
    const ms = this.#backoff.next();
    this.#events.state({ name: "waiting", seconds: Math.ceil(ms / 1000), why, words });
    this.#retry = window.setTimeout(() => this.start(), ms);
  }

  #drop(): void {
    window.clearTimeout(this.#retry);
    this.#retry = undefined;
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    window.clearTimeout(attempt.timer);
    attempt.abort.abort();
    if (attempt.location !== undefined) endSession(attempt.location, this.#token);
    attempt.peer.close();
  }
}

/** Sound both ways. Nothing is sent until a microphone is put in. */
function soundOf(peer: RTCPeerConnection): RTCRtpTransceiver {
  const transceiver = peer.addTransceiver("audio", { direction: "sendrecv" });
  transceiver.receiver.jitterBufferTarget = 0;
  try {
    transceiver.setCodecPreferences(redundantFirst(RTCRtpReceiver.getCapabilities("audio")?.codecs ?? []));
  } catch {
    // In the browser's own order then.
  }
  return transceiver;
}

/** How much has come over the chosen path, with the answers to ICE's own questions. */
async function arrived(peer: RTCPeerConnection): Promise<number> {
  let sum = 0;
  for (const stat of (await peer.getStats()).values() as Iterable<Record<string, unknown>>) {
    if (stat["type"] !== "candidate-pair" || stat["nominated"] !== true) continue;
    for (const name of ["bytesReceived", "responsesReceived", "requestsReceived"]) {
      const value = stat[name];
      if (typeof value === "number") sum += value;
    }
  }
  return sum;
}

/** Candidates found before the answer wait for the session's address; later ones go at once. */
class Trickle {
  readonly #token: string;
  readonly #waiting: string[] = [];
  #ended = false;
  #target: { readonly location: string; readonly offer: string } | undefined;

  constructor(token: string) {
    this.#token = token;
  }

  add(candidate: RTCIceCandidate | null): void {
    if (candidate === null || candidate.candidate === "") this.#ended = true;
    else this.#waiting.push(candidate.candidate);
    this.#flush();
  }

  begin(location: string, offer: string): void {
    this.#target = { location, offer };
    if (this.#waiting.length > 0 || this.#ended) this.#flush();
  }

  #flush(): void {
    if (this.#target === undefined) return;
    const { location, offer } = this.#target;
    const fragment = sdpFragment(offer, this.#waiting.splice(0), this.#ended);
    patchCandidates(location, fragment, this.#token).then((taken) => {
      if (!taken) this.#target = undefined;
    }, () => undefined);
  }
}
