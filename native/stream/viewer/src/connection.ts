/**
 * Keeps one viewer connected: offers, listens, looks for another path when the one that there was is gone, notices when the server
 * is gone and comes back with growing pauses. It knows nothing of the page.
 */
import { Backoff } from "./backoff.ts";
import { isFinal, ofSignalling } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { areSame } from "./ice.ts";
import { decode, encode } from "./messages.ts";
import type { KeysMessage, MotionMessage, ServerMessage } from "./messages.ts";
import { apartTcp, inStereo, redundantFirst, restarted } from "./sdp.ts";
import { Refusal, SignallingError, ask, endSession, patchCandidates, postOffer, restartIce, sdpFragment } from "./whep.ts";

export type ConnectionState =
  /** `after` is why the try before failed. */
  | { readonly name: "connecting"; readonly after?: Failed }
  | { readonly name: "connected" }
  /** The path is interrupted, and another one is looked for; everything else stays. */
  | { readonly name: "rerouting" }
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

/** The server keeps a viewer for so long whose path is gone; afterwards we connect anew. */
const REROUTING_MS = 28_000;
/** A path that was just asked for shows itself within this; then another one is asked for. */
const PATH_MS = 4000;
/** How long a server that must be near may take to answer. */
const ANSWER_MS = 5000;
/** Between two tries to ask for another path. */
const ASK_AGAIN_MS = 700;
/** TCP is tried only if UDP has not come through by then: what is lost holds up all that follows it there. */
const TCP_AFTER_MS = 2000;
/** A connection that is not up by then never will be. */
const CONNECT_DEADLINE_MS = 15000;
/** A live path shows itself within this: where nothing else comes, the server checks it every 2 s. */
const PROBE_MS = 4000;
/** How often it is looked whether anything comes, and how many looks in vain are too many. */
const WATCH_MS = 2000;
const WATCH_LOOKS = 3;
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
  /** Whether the browser has found an address to connect from. */
  addressed: boolean;
  /** Candidates that are held back. */
  tcpTimer: number | undefined;
  watchTimer: number | undefined;
  trickle: Trickle;
  /** The server's description as it counts now, with all candidates. */
  answer: string;
  /** Whether it has ever held. */
  held: boolean;
  /** Whether another path is being looked for. */
  rerouting: boolean;
  /** A relay has refused its user or credential. */
  relayRefused: boolean;
}

/** What a TURN server says to a user that it does not know (RFC 8489, section 14.8): unauthorised. */
const RELAY_REFUSED = 401;

export class Connection {
  readonly #events: ConnectionEvents;
  readonly #backoff = new Backoff();
  #token: string;
  /** The display to see, from 1, when it connects. */
  display = 1;
  /** Firefox does not connect to loopback addresses; another browser shows it by failing. It changes nothing elsewhere. */
  #noLoopback = / Firefox\//.test(navigator.userAgent);
  #attempt: Attempt | undefined;
  /** Servers by which a way may be found, as the machine's own has told them to who was let in. */
  #iceServers: readonly RTCIceServer[] = [];
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
    if (attempt.peer.connectionState !== "connected") void this.#reroute(attempt);
    else void this.#probe(attempt);
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
    const peer = new RTCPeerConnection({ iceServers: [...this.#iceServers] });
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
      addressed: false,
      timer: undefined,
      tcpTimer: undefined,
      watchTimer: undefined,
      trickle: new Trickle(this.#token),
      answer: "",
      held: false,
      rerouting: false,
      relayRefused: false,
    };
    this.#attempt = attempt;
    this.#giveUpAfter(attempt, CONNECT_DEADLINE_MS);
    this.#watch(attempt);
    void this.#watchPath(attempt);
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
    const { peer, trickle } = attempt;
    peer.onicecandidate = ({ candidate }) => {
      attempt.addressed ||= candidate !== null && candidate.candidate !== "";
      attempt.trickle.add(candidate);
    };
    peer.onicecandidateerror = ({ errorCode }) => {
      attempt.relayRefused ||= errorCode === RELAY_REFUSED;
    };
    const offer = await describe(peer);
    const session = await postOffer(offer, this.#token, { display: this.display, noLoopback: this.#noLoopback }, attempt.abort.signal);
    if (attempt !== this.#attempt) {
      endSession(session.location, this.#token);
      return;
    }
    attempt.location = session.location;
    if (!areSame(session.iceServers, this.#iceServers)) {
      // They count from a connection's beginning; later ones begin with them.
      this.#iceServers = session.iceServers;
      this.start();
      return;
    }
    await this.#accept(attempt, session.answer);
    trickle.begin(session.location, offer, session.tag);
  }

  /** The server's answer counts; its candidates over TCP do later, if at all. */
  async #accept(attempt: Attempt, answer: string): Promise<void> {
    const { peer } = attempt;
    attempt.answer = answer;
    const { sdp, candidates } = apartTcp(answer);
    await peer.setRemoteDescription({ type: "answer", sdp });
    window.clearTimeout(attempt.tcpTimer);
    attempt.tcpTimer = window.setTimeout(() => {
      if (attempt !== this.#attempt || peer.connectionState === "connected") return;
      // Those of a path that was given up meanwhile are refused.
      for (const candidate of candidates) peer.addIceCandidate({ candidate, sdpMLineIndex: 0 }).catch(() => undefined);
    }, TCP_AFTER_MS);
  }

  /** Looks for another path and keeps everything else; connects anew where the server has given the viewer up. */
  async #reroute(attempt: Attempt): Promise<void> {
    if (attempt !== this.#attempt || attempt.rerouting || attempt.location === undefined) return;
    attempt.rerouting = true;
    this.#events.state({ name: "rerouting" });
    const { peer, location } = attempt;
    const end = performance.now() + REROUTING_MS;
    const current = () => attempt === this.#attempt && attempt.rerouting;
    while (current()) {
      if (performance.now() > end) {
        this.#lost(attempt, "lost");
        return;
      }
      try {
        const trickle = new Trickle(this.#token);
        attempt.trickle = trickle;
        peer.restartIce();
        const offer = await describe(peer);
        const told = await restartIce(location, sdpFragment(offer, [], false), this.#token, AbortSignal.timeout(ANSWER_MS));
        const answer = restarted(attempt.answer, told.fragment);
        if (answer === undefined) throw new SignallingError(500, "the answer has no ICE credentials");
        if (!current()) return;
        await this.#accept(attempt, answer);
        trickle.begin(location, offer, told.tag);
        await connected(peer, PATH_MS);
        if (peer.connectionState === "connected") {
          this.#rerouted(attempt);
          return;
        }
      } catch (error) {
        if (!current()) return;
        const status = error instanceof SignallingError ? error.status : -1;
        if (status === 401 || status === 403 || status === 404) {
          this.#lost(attempt, "lost");
          return;
        }
        // The offer was answered by nobody.
        if (peer.signalingState === "have-local-offer") await peer.setLocalDescription({ type: "rollback" }).catch(() => undefined);
        await new Promise((resolve) => window.setTimeout(resolve, ASK_AGAIN_MS));
      }
    }
  }

  #rerouted(attempt: Attempt): void {
    if (attempt !== this.#attempt || !attempt.rerouting) return;
    attempt.rerouting = false;
    this.#events.state({ name: "connected" });
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
          // It has come back by itself, unless it was asked for: who asked looks, too.
          if (peer.signalingState === "stable") this.#rerouted(attempt);
          break;
        case "disconnected":
          if (attempt.held) void this.#reroute(attempt);
          break;
        case "failed":
          if (attempt.held) void this.#reroute(attempt);
          else this.#neverHeld(attempt);
          break;
        case "closed":
          if (attempt.held) this.#lost(attempt, "lost");
          else this.#neverHeld(attempt);
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

  /**
   * Looks whether the server's packets come still. ICE on this side does not notice where they go to an address that is this device's
   * no more: its own checks are answered.
   */
  async #watchPath(attempt: Attempt): Promise<void> {
    let [before, vain] = [-1, 0];
    while (attempt === this.#attempt) {
      await new Promise((resolve) => (attempt.watchTimer = window.setTimeout(resolve, WATCH_MS)));
      if (attempt !== this.#attempt) return;
      const now = attempt.held && !attempt.rerouting ? await arrived(attempt.peer) : -1;
      vain = now === before && now >= 0 ? vain + 1 : 0;
      before = now;
      if (vain < WATCH_LOOKS) continue;
      vain = 0;
      void this.#reroute(attempt);
    }
  }

  #giveUpAfter(attempt: Attempt, ms: number): void {
    window.clearTimeout(attempt.timer);
    attempt.timer = window.setTimeout(() => {
      if (attempt.held) this.#lost(attempt, "lost");
      else this.#neverHeld(attempt);
    }, ms);
  }

  /** Looks for another path if nothing at all arrives for a while. */
  async #probe(attempt: Attempt): Promise<void> {
    const before = await arrived(attempt.peer);
    await new Promise((resolve) => window.setTimeout(resolve, PROBE_MS));
    if (attempt !== this.#attempt || (await arrived(attempt.peer)) !== before) return;
    void this.#reroute(attempt);
  }

  /** The server answered, and no path was found. */
  #neverHeld(attempt: Attempt): void {
    this.#noLoopback = true;
    this.#lost(attempt, attempt.addressed ? blocked(attempt) : "addressless");
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
    window.clearTimeout(attempt.tcpTimer);
    window.clearTimeout(attempt.watchTimer);
    attempt.abort.abort();
    if (attempt.location !== undefined) endSession(attempt.location, this.#token);
    attempt.peer.close();
  }
}

/** Why no path was found. */
function blocked(attempt: Attempt): Failure {
  return attempt.relayRefused ? "relay" : "blocked";
}

/** Our own description, in force: an offer. */
async function describe(peer: RTCPeerConnection): Promise<string> {
  const offer = await peer.createOffer();
  await peer.setLocalDescription({ type: "offer", sdp: inStereo(offer.sdp ?? "") });
  return peer.localDescription?.sdp ?? offer.sdp ?? "";
}

/** Waits until a connection holds, or so long. */
function connected(peer: RTCPeerConnection, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      window.clearTimeout(timer);
      peer.removeEventListener("connectionstatechange", look);
      resolve();
    };
    const look = () => {
      if (peer.connectionState === "connected" || peer.connectionState === "closed") end();
    };
    const timer = window.setTimeout(end, ms);
    peer.addEventListener("connectionstatechange", look);
    look();
  });
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

/** How much the server has sent that came, its checks of the path among it; not the answers to ours. */
async function arrived(peer: RTCPeerConnection): Promise<number> {
  let sum = 0;
  for (const stat of (await peer.getStats()).values() as Iterable<Record<string, unknown>>) {
    if (stat["type"] !== "candidate-pair") continue;
    for (const name of ["bytesReceived", "requestsReceived"]) {
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
  #target: { readonly location: string; readonly offer: string; readonly tag: string } | undefined;

  constructor(token: string) {
    this.#token = token;
  }

  add(candidate: RTCIceCandidate | null): void {
    if (candidate === null || candidate.candidate === "") this.#ended = true;
    else this.#waiting.push(candidate.candidate);
    this.#flush();
  }

  begin(location: string, offer: string, tag: string): void {
    this.#target = { location, offer, tag };
    if (this.#waiting.length > 0 || this.#ended) this.#flush();
  }

  #flush(): void {
    if (this.#target === undefined) return;
    const { location, offer, tag } = this.#target;
    const fragment = sdpFragment(offer, this.#waiting.splice(0), this.#ended);
    patchCandidates(location, fragment, this.#token, tag).then((taken) => {
      if (!taken) this.#target = undefined;
    }, () => undefined);
  }
}
