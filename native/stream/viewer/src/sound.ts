/**
 * The machine's sound on this device, and this device's microphone for the machine.
 *
 * Browsers play nothing before a person has asked for it, and give a microphone to pages that they trust. The machine hears the
 * microphone of whoever drives it, if its owner lets it hear one at all.
 */
import { element } from "./dom.ts";
import type { KeysMessage, SoundMessage } from "./messages.ts";
import { strings } from "./strings.ts";

export interface SoundActions {
  send(message: KeysMessage): void;
  /** Where the microphone's sound goes, in a connection that has any. */
  sender(): RTCRtpSender | undefined;
  tell(text: string): void;
  /** Something of the state below is another. */
  changed(state: SoundState): void;
}

/** What the bar shows. */
export interface SoundState {
  /** The machine has a sound card. */
  readonly card: boolean;
  readonly hears: boolean;
  /** This page drives, so it may be heard. */
  readonly drives: boolean;
  readonly speaks: boolean;
}

/** Why there is no microphone. */
export type NoMicrophone = "machine" | "driver" | "untrusted" | "refused" | "none" | "busy" | "ended";

/** What the browser's answer means. */
export function noMicrophone(error: unknown): NoMicrophone {
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "none";
    default:
      return "busy";
  }
}

const VOLUME_KEY = "sampan.volume";
const FULL = 100;

/** The loudness of a volume in per cent: its cube, so that equal steps sound equal. */
export function loudness(volume: number): number {
  return (Math.min(Math.max(volume, 0), FULL) / FULL) ** 3;
}

function storedVolume(): number {
  try {
    const stored = Number.parseInt(localStorage.getItem(VOLUME_KEY) ?? "", 10);
    return stored >= 0 && stored <= FULL ? stored : FULL;
  } catch {
    return FULL;
  }
}

function storeVolume(volume: number): void {
  try {
    localStorage.setItem(VOLUME_KEY, String(volume));
  } catch {
    // Without storage it lasts as long as the page.
  }
}

/** The browser's choice of loudspeaker; not in all browsers. */
type Routed = HTMLAudioElement & { setSinkId?: (id: string) => Promise<void> };

export class SoundView {
  /** Plays; nobody sees it. */
  readonly audio: Routed = element("audio");
  /** In the menu. */
  readonly controls: HTMLElement;
  readonly #actions: SoundActions;
  readonly #speaker = devices(strings.sound.speaker);
  readonly #microphone = devices(strings.sound.microphoneDevice);
  #card: SoundMessage | undefined;
  /** As long as nobody has told otherwise. */
  #drives = true;
  #hears = false;
  /** A recording takes the machine's sound, which comes also while this page is silent. */
  #recorded = false;
  #stream: MediaStream | undefined;
  /** A microphone is being asked for. */
  #asking = false;
  #shown = "";

  constructor(actions: SoundActions) {
    this.#actions = actions;
    const volume = element("input", { type: "range", min: "0", max: String(FULL), step: "1", value: String(storedVolume()) });
    this.audio.volume = loudness(storedVolume());
    this.audio.muted = true;
    volume.addEventListener("input", () => {
      this.audio.volume = loudness(volume.valueAsNumber);
      storeVolume(volume.valueAsNumber);
    });
    const label = element("label", { class: "choice" }, element("span", {}, strings.sound.volume), volume);
    this.controls = element("div", { class: "sound", role: "group", "aria-label": strings.sound.button, hidden: true },
      label, this.#speaker.root, this.#microphone.root);
    this.#speaker.select.addEventListener("change", () => {
      this.audio.setSinkId?.(this.#speaker.select.value).catch((error: unknown) => this.#actions.tell(String(error)));
    });
    this.#microphone.select.addEventListener("change", () => {
      if (this.#stream !== undefined) void this.#take();
    });
    // Pages that are not trusted have no such thing.
    (navigator.mediaDevices as MediaDevices | undefined)?.addEventListener("devicechange", () => void this.#list());
  }

  get state(): SoundState {
    return { card: this.#card !== undefined, hears: this.#hears, drives: this.#drives, speaks: this.#stream !== undefined };
  }

  /** The connection is up: what is on goes on. */
  opened(): void {
    this.#card = undefined;
    if (this.#stream !== undefined) void this.#attach();
    this.#want();
    this.#update();
  }

  /** What the machine plays. */
  show(stream: MediaStream): void {
    this.audio.srcObject = stream;
    if (this.#comes) this.#play();
  }

  told(message: SoundMessage): void {
    this.#card = message;
    if (this.#stream !== undefined && !message.microphone) this.#silence("machine");
    this.#update();
  }

  setDriving(drives: boolean): void {
    this.#drives = drives;
    if (!drives && this.#stream !== undefined) this.#silence("driver");
    this.#update();
  }

  hear(): void {
    this.#hears = !this.#hears;
    this.#apply();
    this.#want();
    this.#update();
    void this.#list();
  }

  /** Has the machine's sound come for a recording, at the machine's own volume; nothing for a machine without a sound card. */
  beginRecording(): MediaStream | undefined {
    const { srcObject } = this.audio;
    if (this.#card === undefined || !(srcObject instanceof MediaStream)) return undefined;
    this.#record(true);
    return srcObject;
  }

  endRecording(): void {
    if (this.#recorded) this.#record(false);
  }

  async speak(): Promise<void> {
    if (this.#stream !== undefined) {
      this.#silence();
      return;
    }
    if (this.#asking) return;
    if (this.#card?.microphone !== true) this.#no("machine");
    else if (!this.#drives) this.#no("driver");
    else if ((navigator.mediaDevices as MediaDevices | undefined) === undefined) this.#no("untrusted");
    else await this.#take();
  }

  #record(on: boolean): void {
    this.#recorded = on;
    this.#apply();
    this.#want();
  }

  /** Whether the machine is to send its sound. */
  get #comes(): boolean {
    return this.#hears || this.#recorded;
  }

  /** Chromium takes sound from the network as long as an element plays it, be it silently. */
  #apply(): void {
    this.audio.muted = !this.#hears;
    if (this.#comes) this.#play();
    else this.audio.pause();
  }

  #play(): void {
    this.audio.play().catch((error: unknown) => {
      // Another stream has taken its place, which plays by itself; or it was paused meanwhile.
      if (error instanceof Error && error.name === "AbortError") return;
      // Nobody hears what a recording takes, so nobody misses it here either.
      if (!this.#hears) return;
      this.#hears = false;
      this.audio.muted = true;
      this.#actions.tell(strings.sound.notPlayed);
      this.#want();
      this.#update();
    });
  }

  /** Takes the microphone that is chosen, in the place of one that is on. */
  async #take(): Promise<void> {
    this.#asking = true;
    try {
      const id = this.#microphone.select.value;
      const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...(id !== "" && { deviceId: { exact: id } }) };
      const stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.#stop();
      // Much may have changed while the person was asked.
      if (!this.#drives || this.#card?.microphone !== true) {
        for (const track of stream.getTracks()) track.stop();
        this.#no(this.#drives ? "machine" : "driver");
        return;
      }
      this.#stream = stream;
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => {
          if (this.#stream === stream) this.#silence("ended");
        });
      }
      await this.#attach();
      this.#want();
    } catch (error) {
      this.#no(noMicrophone(error));
    } finally {
      this.#asking = false;
      this.#update();
    }
    await this.#list();
  }

  async #attach(): Promise<void> {
    await this.#actions.sender()?.replaceTrack(this.#stream?.getAudioTracks()[0] ?? null);
  }

  #stop(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
  }

  /** The microphone is off, for a reason that is told or because a person wants it. */
  #silence(why?: NoMicrophone): void {
    this.#stop();
    this.#attach().catch(() => undefined);
    this.#want();
    if (why !== undefined) this.#no(why);
    this.#update();
  }

  #no(why: NoMicrophone): void {
    this.#actions.tell(strings.sound.noMicrophone[why]);
  }

  #want(): void {
    this.#actions.send({ t: "sound", hear: this.#comes, speak: this.#stream !== undefined });
  }

  #update(): void {
    this.controls.hidden = this.#card === undefined;
    const key = JSON.stringify(this.state);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#actions.changed(this.state);
  }

  /** The devices there are to choose from, as far as the browser tells their names. */
  async #list(): Promise<void> {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    const all = (await media?.enumerateDevices().catch(() => [])) ?? [];
    const named = all.filter(({ label }) => label !== "");
    this.#microphone.fill(named.filter(({ kind }) => kind === "audioinput"));
    this.#speaker.fill(this.audio.setSinkId === undefined ? [] : named.filter(({ kind }) => kind === "audiooutput"));
  }
}

interface DeviceChoice {
  readonly root: HTMLElement;
  readonly select: HTMLSelectElement;
  fill(devices: readonly MediaDeviceInfo[]): void;
}

/** A list of devices; hidden where there is nothing to choose. */
function devices(label: string): DeviceChoice {
  const select = element("select");
  const root = element("label", { class: "choice", hidden: true }, element("span", {}, label), select);
  return {
    root,
    select,
    fill(found) {
      // Browsers name the default one as a device, too.
      const others = found.filter(({ deviceId }) => deviceId !== "" && deviceId !== "default");
      root.hidden = others.length < 2;
      const now = select.value;
      select.replaceChildren(
        element("option", { value: "" }, strings.sound.standardDevice),
        ...others.map(({ deviceId, label: name }) => element("option", { value: deviceId, selected: deviceId === now }, name)),
      );
    },
  };
}
