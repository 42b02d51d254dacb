/** Figures of the stream, worked out of two samples of `getStats` a second apart. */
import { strings } from "./strings.ts";
import { element } from "./dom.ts";

/** The fields of the video's `inbound-rtp` and the chosen `candidate-pair` that matter here. */
export interface Sample {
  readonly timestamp: number;
  readonly framesDecoded: number;
  readonly bytesReceived: number;
  readonly totalDecodeTime: number;
  readonly jitterBufferDelay: number;
  readonly jitterBufferEmittedCount: number;
  readonly packetsLost: number;
  readonly width: number;
  readonly height: number;
  readonly roundTripTime: number | undefined;
  readonly codec: string;
  readonly path: Path | undefined;
}

/** How packets travel. */
export interface Path {
  /** `udp` or `tcp`; what a relay is reached by. */
  readonly protocol: string;
  readonly relayed: boolean;
}

export interface Figures {
  readonly fps: number;
  readonly kilobitsPerSecond: number;
  readonly decodeMs: number | undefined;
  readonly bufferMs: number | undefined;
  readonly roundTripMs: number | undefined;
  readonly packetsLost: number;
}

/** What happened between two samples; undefined when no time passed or the stream began anew. */
export function figures(before: Sample, after: Sample): Figures | undefined {
  const seconds = (after.timestamp - before.timestamp) / 1000;
  const frames = after.framesDecoded - before.framesDecoded;
  const bytes = after.bytesReceived - before.bytesReceived;
  if (seconds <= 0 || frames < 0 || bytes < 0) return undefined;
  const emitted = after.jitterBufferEmittedCount - before.jitterBufferEmittedCount;
  const perFrame = (seconds_: number, count: number) =>
    count > 0 ? (seconds_ * 1000) / count : undefined;
  return {
    fps: frames / seconds,
    kilobitsPerSecond: (bytes * 8) / 1000 / seconds,
    decodeMs: perFrame(after.totalDecodeTime - before.totalDecodeTime, frames),
    bufferMs: perFrame(after.jitterBufferDelay - before.jitterBufferDelay, emitted),
    roundTripMs: after.roundTripTime === undefined ? undefined : after.roundTripTime * 1000,
    packetsLost: after.packetsLost,
  };
}

/** The fields of the sound's `inbound-rtp` that matter here. */
export interface SoundSample {
  readonly timestamp: number;
  readonly packetsReceived: number;
  readonly bytesReceived: number;
  readonly jitterBufferDelay: number;
  readonly jitterBufferEmittedCount: number;
  readonly packetsLost: number;
  readonly concealedSamples: number;
  readonly silentConcealedSamples: number;
  readonly codec: string;
}

export interface SoundFigures {
  /** Whether packets came in this time: of silence none do. */
  readonly comes: boolean;
  readonly kilobitsPerSecond: number;
  readonly bufferMs: number | undefined;
  readonly packetsLost: number;
  /** What the browser made up for sound that did not come in time, since the beginning; silence is not counted. */
  readonly concealedMs: number;
}

/** Both count at 48 kHz, whatever the device plays. */
const SAMPLES_A_MS = 48;

/** What happened to the sound between two samples. */
export function soundFigures(before: SoundSample, after: SoundSample): SoundFigures | undefined {
  const seconds = (after.timestamp - before.timestamp) / 1000;
  const bytes = after.bytesReceived - before.bytesReceived;
  if (seconds <= 0 || bytes < 0) return undefined;
  const emitted = after.jitterBufferEmittedCount - before.jitterBufferEmittedCount;
  const delay = after.jitterBufferDelay - before.jitterBufferDelay;
  return {
    comes: after.packetsReceived > before.packetsReceived,
    kilobitsPerSecond: (bytes * 8) / 1000 / seconds,
    bufferMs: emitted > 0 ? (delay * 1000) / emitted : undefined,
    packetsLost: after.packetsLost,
    concealedMs: Math.max(0, after.concealedSamples - after.silentConcealedSamples) / SAMPLES_A_MS,
  };
}

/** Picks the sound out of a `getStats` report; nothing in a connection without any. */
export function soundSample(report: Iterable<readonly [string, unknown]>): SoundSample | undefined {
  const entries = new Map<string, Record<string, unknown>>();
  for (const [id, value] of report) entries.set(id, value as Record<string, unknown>);
  const sound = [...entries.values()].find((s) => s["type"] === "inbound-rtp" && s["kind"] === "audio");
  if (sound === undefined) return undefined;
  const read = (name: string) => (typeof sound[name] === "number" ? sound[name] : 0);
  const codec = entries.get(String(sound["codecId"]))?.["mimeType"];
  return {
    timestamp: read("timestamp"),
    packetsReceived: read("packetsReceived"),
    bytesReceived: read("bytesReceived"),
    jitterBufferDelay: read("jitterBufferDelay"),
    jitterBufferEmittedCount: read("jitterBufferEmittedCount"),
    packetsLost: read("packetsLost"),
    concealedSamples: read("concealedSamples"),
    silentConcealedSamples: read("silentConcealedSamples"),
    // Packets that carry those before them are Opus all the same (RFC 2198).
    codec: typeof codec === "string" ? codec.replace("audio/", "").replace(/^red$/, "opus, red") : "",
  };
}

/** Picks a sample out of a `getStats` report. */
export function sample(report: Iterable<readonly [string, unknown]>): Sample | undefined {
  const entries = new Map<string, Record<string, unknown>>();
  for (const [id, value] of report) entries.set(id, value as Record<string, unknown>);
  const all = [...entries.values()];
  const video = all.find((s) => s["type"] === "inbound-rtp" && s["kind"] === "video");
  if (video === undefined) return undefined;
  // After ICE has begun anew the pairs of before may be there still.
  const chosen = all.find((s) => s["type"] === "transport")?.["selectedCandidatePairId"];
  const isPair = (s: Record<string, unknown>) => s["type"] === "candidate-pair" && s["nominated"] === true;
  const pair = all.find((s) => isPair(s) && s["id"] === chosen) ?? all.find(isPair);
  const rtt = pair?.["currentRoundTripTime"];
  const path = pair === undefined ? undefined : pathOf(entries, pair);
  const codec = entries.get(String(video["codecId"]))?.["mimeType"];
  const read = (name: string) => (typeof video[name] === "number" ? video[name] : 0);
  return {
    timestamp: read("timestamp"),
    framesDecoded: read("framesDecoded"),
    bytesReceived: read("bytesReceived"),
    totalDecodeTime: read("totalDecodeTime"),
    jitterBufferDelay: read("jitterBufferDelay"),
    jitterBufferEmittedCount: read("jitterBufferEmittedCount"),
    packetsLost: read("packetsLost"),
    width: read("frameWidth"),
    height: read("frameHeight"),
    roundTripTime: typeof rtt === "number" ? rtt : undefined,
    codec: typeof codec === "string" ? codec.replace("video/", "") : "",
    path,
  };
}

function pathOf(entries: ReadonlyMap<string, Record<string, unknown>>, pair: Record<string, unknown>): Path | undefined {
  const [local, remote] = ["localCandidateId", "remoteCandidateId"].map((id) => entries.get(String(pair[id])));
  const protocol = local?.["relayProtocol"] ?? local?.["protocol"];
  if (typeof protocol !== "string") return undefined;
  const relayed = local?.["candidateType"] === "relay" || remote?.["candidateType"] === "relay";
  return { protocol, relayed };
}

/** Milliseconds from a frame's last packet to the pixels on the display, of the frames since it was asked last. */
export class PaintTimer {
  #sum = 0;
  #count = 0;
  #on = false;
  readonly #video: HTMLVideoElement;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  start(): void {
    if (this.#on || !("requestVideoFrameCallback" in this.#video)) return;
    this.#on = true;
    this.#next();
  }

  stop(): void {
    this.#on = false;
  }

  take(): number | undefined {
    const mean = this.#count === 0 ? undefined : this.#sum / this.#count;
    this.#sum = 0;
    this.#count = 0;
    return mean;
  }

  #next(): void {
    this.#video.requestVideoFrameCallback((_now, { receiveTime, expectedDisplayTime }) => {
      if (!this.#on) return;
      if (receiveTime !== undefined && expectedDisplayTime >= receiveTime) {
        this.#sum += expectedDisplayTime - receiveTime;
        this.#count += 1;
      }
      this.#next();
    });
  }
}

const PERIOD_MS = 1000;

/** The table in the corner. */
export class StatsPanel {
  readonly root = element("dl", { class: "panel stats", id: "stats", "aria-label": strings.stats, hidden: true });
  readonly #peer: () => RTCPeerConnection | undefined;
  #timer: number | undefined;
  #last: Sample | undefined;
  #lastSound: SoundSample | undefined;
  readonly #paint: PaintTimer;

  constructor(peer: () => RTCPeerConnection | undefined, video: HTMLVideoElement) {
    this.#peer = peer;
    this.#paint = new PaintTimer(video);
  }

  toggle(): boolean {
    this.root.hidden = !this.root.hidden;
    window.clearInterval(this.#timer);
    this.#last = undefined;
    this.#lastSound = undefined;
    this.#paint.stop();
    if (!this.root.hidden) {
      this.#paint.start();
      this.#timer = window.setInterval(() => void this.#refresh(), PERIOD_MS);
      void this.#refresh();
    }
    return !this.root.hidden;
  }

  async #refresh(): Promise<void> {
    const report = await this.#peer()?.getStats();
    const now = report === undefined ? undefined : sample(report.entries());
    const before = this.#last;
    this.#last = now;
    const result = now !== undefined && before !== undefined ? figures(before, now) : undefined;
    const names = strings.statsRows;
    const path = now?.path;
    const ms = (value: number | undefined) => (value === undefined ? "–" : `${value.toFixed(1)} ms`);
    const rows: [string, string][] = [
      [names.size, now === undefined ? "–" : `${now.width} × ${now.height}`],
      [names.fps, result === undefined ? "–" : `${result.fps.toFixed(0)} /s`],
      [names.bitrate, result === undefined ? "–" : `${result.kilobitsPerSecond.toFixed(0)} kb/s`],
      [names.rtt, ms(result?.roundTripMs)],
      [names.decode, ms(result?.decodeMs)],
      [names.paint, ms(this.#paint.take())],
      [names.buffer, ms(result?.bufferMs)],
      [names.lost, now === undefined ? "–" : String(now.packetsLost)],
      [names.codec, now?.codec ?? "–"],
      [names.path, path === undefined ? "–" : strings.path(path.protocol.toUpperCase(), path.relayed)],
      ...this.#soundRows(report),
      [names.secure, window.isSecureContext ? strings.secureYes : strings.secureNo],
    ];
    this.root.replaceChildren(
      ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
  }

  /** Nothing in a connection without sound. */
  #soundRows(report: RTCStatsReport | undefined): [string, string][] {
    const now = report === undefined ? undefined : soundSample(report.entries());
    const before = this.#lastSound;
    this.#lastSound = now;
    if (now === undefined) return [];
    const result = before === undefined ? undefined : soundFigures(before, now);
    const names = strings.statsRows;
    if (result?.comes !== true) return [[names.sound, result === undefined ? "–" : strings.soundOff]];
    return [
      [names.sound, `${now.codec} ${result.kilobitsPerSecond.toFixed(0)} kb/s`],
      [names.soundBuffer, result.bufferMs === undefined ? "–" : `${result.bufferMs.toFixed(1)} ms`],
      [names.soundLost, strings.soundLost(result.packetsLost, Math.round(result.concealedMs))],
    ];
  }
}
