/**
 * Where the guest's picture stands on the page, and which guest pixel a point of the page is.
 *
 * Lengths are CSS pixels unless a name says `guest` (pixels of the guest) or `device` (pixels of
 * the display). Everything here is pure.
 */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Size {
  readonly left: number;
  readonly top: number;
}

/** Encoders pad a frame by less than a macroblock; more than that is another size altogether. */
const MACROBLOCK = 16;
/** A guest that rounds its size down is shown pixel for pixel rather than stretched by a hair. */
const SHARP_UP_TO = 1.1;
/** Smaller windows than this ask for this. */
const SMALLEST_GUEST: Size = { width: 320, height: 200 };
const LARGEST_GUEST: Size = { width: 7680, height: 4320 };
/** CSS defines a pixel as 1/96 inch. */
const MM_PER_CSS_PIXEL = 25.4 / 96;

/**
 * The size to show: the guest's own where the decoded frame is that plus padding, and the frame's
 * where the two belong to different moments of a resize.
 */
export function shownSize(video: Size, guest: Size | undefined): Size {
  if (guest === undefined) return video;
  const padX = video.width - guest.width;
  const padY = video.height - guest.height;
  const padded = padX >= 0 && padX < MACROBLOCK && padY >= 0 && padY < MACROBLOCK;
  return padded ? guest : video;
}

/** Fits a picture of `guest` pixels into the stage, aspect kept, on whole device pixels. */
export function fit(stage: Size, guest: Size, pixelRatio: number): Box {
  const deviceWidth = Math.floor(stage.width * pixelRatio + 1e-6);
  const deviceHeight = Math.floor(stage.height * pixelRatio + 1e-6);
  let scale = Math.min(deviceWidth / guest.width, deviceHeight / guest.height);
  if (scale >= 1 && scale < SHARP_UP_TO) scale = 1;
  const width = Math.max(1, Math.round(guest.width * scale));
  const height = Math.max(1, Math.round(guest.height * scale));
  return {
    left: Math.max(0, Math.floor((deviceWidth - width) / 2)) / pixelRatio,
    top: Math.max(0, Math.floor((deviceHeight - height) / 2)) / pixelRatio,
    width: width / pixelRatio,
    height: height / pixelRatio,
  };
}

/** How much larger than fitted a picture is shown, and which point of it (0 to 1 each way) stands in the stage's middle. */
export interface Zoom {
  readonly factor: number;
  readonly centre: Point;
}

export const MOST_ZOOM = 8;

/** The fitted box, enlarged: it leaves no room beside it that it could fill. */
export function enlarge(box: Box, stage: Size, zoom: Zoom, pixelRatio: number): Box {
  if (zoom.factor === 1) return box;
  const side = (length: number, room: number, centre: number) => {
    const start = length <= room ? (room - length) / 2
      : Math.min(Math.max(room / 2 - centre * length, room - length), 0);
    return Math.round(start * pixelRatio) / pixelRatio;
  };
  const width = box.width * zoom.factor;
  const height = box.height * zoom.factor;
  return {
    left: side(width, stage.width, zoom.centre.x), top: side(height, stage.height, zoom.centre.y), width, height,
  };
}

/** The zoom after fingers around `at` (a point of the stage) spread by a factor and went `by` so far. */
export function pinch(box: Box, stage: Size, zoom: Zoom, factor: number, at: Point, by: Point): Zoom {
  const now = Math.min(Math.max(zoom.factor * factor, 1), MOST_ZOOM);
  const grows = now / zoom.factor;
  const side = (start: number, length: number, room: number, point: number, moved: number) => {
    const begins = point + moved - (point - start) * grows;
    return (room / 2 - begins) / (length * grows);
  };
  const centre = {
    x: bounds(side(box.left, box.width, stage.width, at.x, by.x)),
    y: bounds(side(box.top, box.height, stage.height, at.y, by.y)),
  };
  return { factor: now, centre };
}

function bounds(part: number): number {
  return Math.min(Math.max(part, 0), 1);
}

/** The guest pixel under a point of the page, as fractions of a pixel and not yet bounded. */
export function toGuestExact(point: Point, box: Box, guest: Size): Point {
  return {
    x: ((point.x - box.left) * guest.width) / box.width,
    y: ((point.y - box.top) * guest.height) / box.height,
  };
}

/** The guest pixel under a point of the page; points outside are moved to the nearest edge. */
export function toGuest(point: Point, box: Box, guest: Size): Point {
  const exact = toGuestExact(point, box, guest);
  return { x: pixel(exact.x, guest.width), y: pixel(exact.y, guest.height) };
}

/** Whether a point of the page is on the picture. */
export function contains(box: Box, point: Point): boolean {
  const x = point.x - box.left;
  const y = point.y - box.top;
  return x >= 0 && y >= 0 && x < box.width && y < box.height;
}

/** The guest resolution that fills the stage, one guest pixel to one device pixel. */
export function wantedSize(stage: Size, pixelRatio: number): Size {
  return {
    width: bounded(stage.width * pixelRatio, SMALLEST_GUEST.width, LARGEST_GUEST.width),
    height: bounded(stage.height * pixelRatio, SMALLEST_GUEST.height, LARGEST_GUEST.height),
  };
}

/** The stage's size in millimetres, as far as CSS knows it. */
export function millimetres(stage: Size): Size {
  return {
    width: Math.max(1, Math.round(stage.width * MM_PER_CSS_PIXEL)),
    height: Math.max(1, Math.round(stage.height * MM_PER_CSS_PIXEL)),
  };
}

function pixel(exact: number, count: number): number {
  // The epsilon makes up for binary fractions: 99.999999 is the left edge of pixel 100.
  return Math.min(Math.max(Math.floor(exact + 1e-6), 0), count - 1);
}

function bounded(value: number, least: number, most: number): number {
  return Math.min(Math.max(Math.floor(value + 1e-6), least), most);
}
