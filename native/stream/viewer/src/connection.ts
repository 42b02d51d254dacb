/**
 * Keeps one viewer connected: offers, listens, notices when the server is gone and comes back with
 * growing pauses. It knows nothing of the page.
 */
import { Backoff } from "./backoff.ts";
import { decode, encode } from "./messages.ts";
import type { KeysMessage, MotionMessage, ServerMessage } from "./messages.ts";
import { SignallingError, endSession, patchCandidates, postOffer, sdpFragment } from "./whep.ts";

export type ConnectionState =
  | { readonly name: "connecting" }
  | { readonly name: "connected" }
  | { readonly name: "waiting"; readonly seconds: number }
  | { readonly name: "refused" }
  | { readonly name: "unsupported" }
  | { readonly name: "left" };

export interface ConnectionEvents {
  state(state: ConnectionState): void;
  /** The `keys` channel is open: input may be sent. */
  open(): void;
  message(message: ServerMessage): void;
  stream(stream: MediaStream): void;
}

/** A network that hiccups comes back by itself within this time; afterwards we connect anew. */
const DISCONNECTED_GRACE_MS = 3000;
/** A connection that is not up by then never will be. */
const CONNECT_DEADLINE_MS = 15000;
/** Motion is dropped while more than this waits in the channel: old positions help nobody. */
const MOTION_BACKLOG_BYTES = 4096;

interface Attempt {
  readonly peer: RTCPeerConnection;
  readonly keys: RTCDataChannel;
  readonly motion: RTCDataChannel;
  readonly abort: AbortController;
  location: string | undefined;
  timer: number | undefined;
}

export class Connection {
  readonly #events: ConnectionEvents;
  readonly #backoff = new Backoff();
  #token: string;
  #attempt: Attempt | undefined;
  #retry: number | undefined;
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
    this.#events.state({ name: "connecting" });
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

  /** The live connection, for statistics. */
  get peer(): RTCPeerConnection | undefined {
    return this.#attempt?.peer;
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
    const attempt: Attempt = {
      peer,
      keys: peer.createDataChannel("keys", { ordered: true }),
      motion: peer.createDataChannel("motion", { ordered: false, maxRetransmits: 0 }),
      abort: new AbortController(),
      location: undefined,
      timer: undefined,
    };
    this.#attempt = attempt;
    this.#giveUpAfter(attempt, CONNECT_DEADLINE_MS);
    this.#watch(attempt);
    const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
    // The newest picture is wanted, not an even flow.
    receiver.jitterBufferTarget = 0;
    try {
      await this.#offer(attempt);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#lost(attempt, error instanceof SignallingError && error.refused);
    }
  }

  async #offer(attempt: Attempt): Promise<void> {
    const { peer } = attempt;
    const trickle = new Trickle(this.#token);
    peer.onicecandidate = ({ candidate }) => trickle.add(candidate);
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const sdp = peer.localDescription?.sdp ?? offer.sdp ?? "";
    const session = await postOffer(sdp, this.#token, attempt.abort.signal);
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
      if (current()) this.#events.stream(streams[0] ?? new MediaStream([track]));
    };
    peer.onconnectionstatechange = () => {
      if (!current()) return;
      switch (peer.connectionState) {
        case "connected":
          window.clearTimeout(attempt.timer);
          break;
        case "disconnected":
          this.#giveUpAfter(attempt, DISCONNECTED_GRACE_MS);
          break;
        case "failed":
        case "closed":
          this.#lost(attempt, false);
          break;
        default:
          break;
      }
    };
    keys.onopen = () => {
      if (!current()) return;
      this.#backoff.reset();
      this.#events.state({ name: "connected" });
      this.#events.open();
    };
    keys.onclose = () => {
      if (current()) this.#lost(attempt, false);
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
    attempt.timer = window.setTimeout(() => this.#lost(attempt, false), ms);
  }

  #lost(attempt: Attempt, refused: boolean): void {
    if (attempt !== this.#attempt) return;
    this.#drop();
    if (refused) {
      this.#events.state({ name: "refused" });
      return;
    }
    if (this.#left) return;
    const ms = this.#backoff.next();
    this.#events.state({ name: "waiting", seconds: Math.ceil(ms / 1000) });
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
