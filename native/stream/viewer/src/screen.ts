/**
 * The guest's picture: a video in a frame that clips the encoder's padding, placed on the stage
 * with its aspect kept. It answers where a point of the page is on the guest.
 */
import { element } from "./dom.ts";
import { contains, enlarge, fit, pinch, shownSize, toGuest, toGuestExact } from "./geometry.ts";
import type { Box, Point, Size, Zoom } from "./geometry.ts";
import type { SizeMessage } from "./messages.ts";
import { strings } from "./strings.ts";

export interface Spot extends Point {
  /** The frame the point was seen on. */
  readonly frame: Size;
  readonly inside: boolean;
}

/** The whole picture, as large as it fits. */
const WHOLE: Zoom = { factor: 1, centre: { x: 0.5, y: 0.5 } };

export class Screen {
  /** Fills the window; the picture stands in its middle. */
  readonly stage: HTMLElement;
  /** The picture's own box: it has the focus and takes the input. */
  readonly surface: HTMLElement;
  readonly video: HTMLVideoElement;
  #guest: Size | undefined;
  #zoom: Zoom = WHOLE;
  /** What of the stage's lower edge is covered, in CSS pixels. */
  #cover = 0;
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
    const stage = this.#room();
    const fitted = fit(stage, shown, window.devicePixelRatio);
    const box = enlarge(fitted, stage, this.#zoom, window.devicePixelRatio);
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

  /** So many CSS pixels of the stage's lower edge are covered. */
  setCover(height: number): void {
    this.#cover = height;
    this.layout();
  }

  get zoomed(): boolean {
    return this.#zoom.factor > 1;
  }

  /** Fingers enlarge the picture around a point of the window, and take it with them. */
  zoomBy(factor: number, at: Point, by: Point): void {
    const room = this.#room();
    const inRoom = { x: at.x - room.left, y: at.y - room.top };
    const box = { ...this.#box, left: this.#box.left - room.left, top: this.#box.top - room.top };
    this.#zoom = pinch(box, room, this.#zoom, factor, inRoom, by);
    this.layout();
  }

  /** The whole picture again. */
  zoomOut(): void {
    this.#zoom = WHOLE;
    this.layout();
  }

  /** Moves an enlarged picture so that a guest pixel is seen, with some room around it. */
  reveal(pixel: Point): void {
    if (!this.zoomed || this.#shown === undefined) return;
    const room = this.#room();
    const side = (at: number, start: number, length: number, centre: number) => {
      const margin = Math.min(48, length / 4);
      const from = start + margin;
      const to = start + length - margin;
      return centre + (at < from ? at - from : at > to ? at - to : 0);
    };
    const box = this.#box;
    const x = box.left + (pixel.x / this.#shown.width) * box.width;
    const y = box.top + (pixel.y / this.#shown.height) * box.height;
    const middle = { x: room.left + room.width / 2, y: room.top + room.height / 2 };
    const to = { x: side(x, room.left, room.width, middle.x), y: side(y, room.top, room.height, middle.y) };
    if (to.x === middle.x && to.y === middle.y) return;
    const part = (at: number, start: number, length: number) => Math.min(Math.max((at - start) / length, 0), 1);
    this.#zoom = {
      factor: this.#zoom.factor,
      centre: { x: part(to.x, box.left, box.width), y: part(to.y, box.top, box.height) },
    };
    this.layout();
  }

  /** What of the stage is not behind the keyboard of a phone. */
  #room(): Box {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const seen = window.visualViewport;
    // A page that the person has enlarged has a small visual viewport, too, and is not to shrink for it.
    const free = seen === null || seen.scale > 1.01 ? height : Math.min(height, seen.height + seen.offsetTop - top);
    return { left, top, width, height: Math.max(1, free - this.#cover) };
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
