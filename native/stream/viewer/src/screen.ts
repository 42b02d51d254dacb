/**
 * The guest's picture: a video in a frame that clips the encoder's padding, placed on the stage
 * with its aspect kept. It answers where a point of the page is on the guest.
 */
import { element } from "./dom.ts";
import { contains, fit, shownSize, toGuest, toGuestExact } from "./geometry.ts";
import type { Box, Point, Size } from "./geometry.ts";
import type { SizeMessage } from "./messages.ts";
import { strings } from "./strings.ts";

export interface Spot extends Point {
  /** The frame the point was seen on. */
  readonly frame: Size;
  readonly inside: boolean;
}

export class Screen {
  /** Fills the window; the picture stands in its middle. */
  readonly stage: HTMLElement;
  /** The picture's own box: it has the focus and takes the input. */
  readonly surface: HTMLElement;
  readonly video: HTMLVideoElement;
  #guest: Size | undefined;
  #box: Box = { left: 0, top: 0, width: 1, height: 1 };
  #shown: Size | undefined;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.video = element("video", {
      autoplay: true,
      playsinline: true,
      disablepictureinpicture: true,
      disableremoteplayback: true,
      tabindex: "-1",
    });
    // The attribute alone does not mute an element made by script, and only a muted one may play at once.
    this.video.muted = true;
    this.surface = element(
      "div",
      { class: "surface", tabindex: "0", role: "application", "aria-label": strings.screenLabel },
      this.video,
    );
    this.stage = element("main", { class: "stage" }, this.surface);
    this.video.addEventListener("resize", () => this.layout());
    this.video.addEventListener("loadedmetadata", () => this.layout());
  }

  /** The size of the picture in guest pixels; undefined before the first one. */
  get shown(): Size | undefined {
    return this.#shown;
  }

  /** Where the picture stands in the window. */
  get box(): Box {
    return this.#box;
  }

  show(stream: MediaStream): void {
    this.video.srcObject = stream;
    // Refused while the page is in the background; `autoplay` tries again.
    this.video.play().catch(() => undefined);
  }

  setGuestSize(message: SizeMessage): void {
    // Only the picture goes: the focus stays, since a key may wake the display.
    this.video.hidden = message.w === 0;
    if (message.w === 0) return;
    this.#guest = { width: message.w, height: message.h };
    this.layout();
  }

  stageSize(): Size {
    const { width, height } = this.stage.getBoundingClientRect();
    return { width, height };
  }

  /** Places the picture anew; called when the window, the video or the guest changed size. */
  layout(): void {
    const video = { width: this.video.videoWidth, height: this.video.videoHeight };
    if (video.width === 0 || video.height === 0) return;
    const shown = shownSize(video, this.#guest);
    const stage = this.stage.getBoundingClientRect();
    const box = fit(stage, shown, window.devicePixelRatio);
    place(this.surface, box);
    const scaleX = box.width / shown.width;
    const scaleY = box.height / shown.height;
    place(this.video, {
      left: 0,
      top: 0,
      width: video.width * scaleX,
      height: video.height * scaleY,
    });
    this.surface.dataset["width"] = String(shown.width);
    this.surface.dataset["height"] = String(shown.height);
    this.#shown = shown;
    this.#box = { ...box, left: stage.left + box.left, top: stage.top + box.top };
    this.#changed();
  }

  /** The guest pixel under a point of the window. */
  spot(clientX: number, clientY: number): Spot | undefined {
    if (this.#shown === undefined) return undefined;
    const point = { x: clientX, y: clientY };
    const pixel = toGuest(point, this.#box, this.#shown);
    return { ...pixel, frame: this.#shown, inside: contains(this.#box, point) };
  }

  /** The same with fractions, bounded to the frame: touch screens are finer than pixels. */
  exactSpot(clientX: number, clientY: number): Spot | undefined {
    const spot = this.spot(clientX, clientY);
    if (spot === undefined) return undefined;
    const exact = toGuestExact({ x: clientX, y: clientY }, this.#box, spot.frame);
    const x = Math.min(Math.max(exact.x, 0), spot.frame.width - 1);
    const y = Math.min(Math.max(exact.y, 0), spot.frame.height - 1);
    return { ...spot, x, y };
  }

  focus(): void {
    this.surface.focus({ preventScroll: true });
  }
}

function place(node: HTMLElement, box: Box): void {
  node.style.left = `${box.left}px`;
  node.style.top = `${box.top}px`;
  node.style.width = `${box.width}px`;
  node.style.height = `${box.height}px`;
}
