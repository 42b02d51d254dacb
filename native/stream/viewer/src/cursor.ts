/**
 * Draws the guest's cursor on the page, so that it never waits for the video: as the browser's own
 * cursor while the pointer is over an absolute screen, as a picture at the guest's position when
 * the guest moves it by itself (captured pointer, or somebody else driving).
 */
import { element } from "./dom.ts";
import type { Point } from "./geometry.ts";
import type { CursorMessage, CursorPositionMessage, CursorShape } from "./messages.ts";
import type { Screen } from "./screen.ts";

/** The server sends a shape again only when 64 others have come since; these are safely more. */
const MOST_SHAPES = 128;
/** Browsers ignore larger cursors. */
const LARGEST_NATIVE = 128;

interface Drawn {
  readonly shape: CursorShape;
  readonly canvas: HTMLCanvasElement;
}

export class CursorView {
  readonly #screen: Screen;
  readonly #overlay: HTMLElement;
  readonly #shapes = new Map<string, Drawn>();
  #current: Drawn | undefined;
  /** The shape that was told last; it is drawn once it is decoded. */
  #wanted: string | undefined;
  #position = { x: 0, y: 0 };
  #visible = true;
  #sequence = 0;
  /** Whether this page's pointer is over the picture and leads the guest's. */
  #leading = false;

  constructor(screen: Screen) {
    this.#screen = screen;
    this.#overlay = element("div", { class: "cursor", "aria-hidden": "true", hidden: true });
    screen.surface.append(this.#overlay);
  }

  setShape(message: CursorMessage): void {
    if (message.shape !== undefined) void this.#keep(message.hash, message.shape);
    this.#use(message.hash);
    this.update();
  }

  setPosition(message: CursorPositionMessage): void {
    if (message.s <= this.#sequence) return;
    this.#sequence = message.s;
    this.#position = { x: message.x, y: message.y };
    this.#visible = message.visible;
    this.#use(message.hash);
    this.update();
  }

  /** Where the guest's pointer is, if it has told. */
  get position(): Point | undefined {
    return this.#sequence === 0 ? undefined : this.#position;
  }

  /** Begins a new connection: sequence numbers start again. */
  reset(): void {
    this.#sequence = 0;
  }

  setLeading(leading: boolean): void {
    if (this.#leading === leading) return;
    this.#leading = leading;
    this.update();
  }

  /** Draws anew; also called when the picture's scale changed. */
  update(): void {
    const shown = this.#screen.shown;
    const scale = shown === undefined ? 1 : this.#screen.box.width / shown.width;
    const native = this.#leading ? this.#native(scale) : undefined;
    this.#screen.surface.style.cursor = native ?? "none";
    const drawn = this.#current;
    const overlay = drawn !== undefined && this.#visible && native === undefined;
    this.#overlay.hidden = !overlay;
    if (!overlay) return;
    const { shape, canvas } = drawn;
    if (canvas.parentNode !== this.#overlay) this.#overlay.replaceChildren(canvas);
    canvas.style.width = `${shape.width * scale}px`;
    canvas.style.height = `${shape.height * scale}px`;
    const x = (this.#position.x - shape.hotX) * scale;
    const y = (this.#position.y - shape.hotY) * scale;
    this.#overlay.style.transform = `translate(${x}px, ${y}px)`;
  }

  async #keep(hash: string, shape: CursorShape): Promise<void> {
    let canvas: HTMLCanvasElement;
    try {
      canvas = await paint(shape);
    } catch (error) {
      console.warn("sampan: a pointer's shape cannot be drawn:", error);
      return;
    }
    this.#shapes.set(hash, { shape, canvas });
    const oldest = this.#shapes.keys().next();
    if (this.#shapes.size > MOST_SHAPES && !oldest.done) this.#shapes.delete(oldest.value);
    if (this.#wanted !== hash) return;
    this.#use(hash);
    this.update();
  }

  #use(hash: string | null): void {
    this.#wanted = hash ?? undefined;
    if (hash === null) this.#current = undefined;
    else this.#current = this.#shapes.get(hash) ?? this.#current;
  }

  /** A CSS cursor; undefined when the browser would not show it. */
  #native(scale: number): string | undefined {
    // A guest that has never set a cursor draws its own or none: a cross shows where one points.
    if (this.#current === undefined) return "crosshair";
    if (!this.#visible) return "none";
    const { shape, canvas } = this.#current;
    const width = Math.max(1, Math.round(shape.width * scale));
    const height = Math.max(1, Math.round(shape.height * scale));
    if (width > LARGEST_NATIVE || height > LARGEST_NATIVE) return undefined;
    const ratio = Math.max(1, window.devicePixelRatio);
    const url = resample(canvas, Math.round(width * ratio), Math.round(height * ratio));
    const x = Math.min(Math.floor(shape.hotX * scale), width - 1);
    const y = Math.min(Math.floor(shape.hotY * scale), height - 1);
    const image = ratio === 1 ? `url("${url}")` : `image-set(url("${url}") ${ratio}x)`;
    return `${image} ${x} ${y}, crosshair`;
  }
}

async function paint(shape: CursorShape): Promise<HTMLCanvasElement> {
  const image = new Image();
  image.src = `data:image/png;base64,${shape.png}`;
  await image.decode();
  const canvas = element("canvas", { width: String(shape.width), height: String(shape.height) });
  canvas.getContext("2d")?.drawImage(image, 0, 0);
  return canvas;
}

function resample(source: HTMLCanvasElement, width: number, height: number): string {
  if (source.width === width && source.height === height) return source.toDataURL();
  const canvas = element("canvas", { width: String(width), height: String(height) });
  const context = canvas.getContext("2d");
  context?.drawImage(source, 0, 0, width, height);
  return canvas.toDataURL();
}
