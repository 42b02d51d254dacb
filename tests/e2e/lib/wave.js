// Sounds as WAV files (16 bits, two channels), and what is heard in one.
import { closeSync, openSync, readSync, statSync, writeFileSync } from "node:fs";

const RATE = 48000;
/** What is quieter than a thousandth of full scale is silence. */
const QUIET = 33;

/** Writes a tone of so many seconds; `hole` is [from, to] of a silence in it. */
export function writeTone(path, { hz, seconds, level = 0.5, hole = [0, 0] }) {
  writeSamples(path, Int16Array.from({ length: Math.round(seconds * RATE) }, (_, n) => {
    const silent = n >= hole[0] * RATE && n < hole[1] * RATE;
    return silent ? 0 : Math.round(Math.sin((2 * Math.PI * hz * n) / RATE) * level * 32767);
  }));
}

/** Writes samples of 48 kHz to both sides. */
export function writeSamples(path, samples) {
  const frames = samples.length;
  const bytes = Buffer.alloc(44 + frames * 4);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + frames * 4, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(2, 22);
  bytes.writeUInt32LE(RATE, 24);
  bytes.writeUInt32LE(RATE * 4, 28);
  bytes.writeUInt16LE(4, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(frames * 4, 40);
  for (let n = 0; n < frames; n++) {
    bytes.writeInt16LE(samples[n], 44 + n * 4);
    bytes.writeInt16LE(samples[n], 46 + n * 4);
  }
  writeFileSync(path, bytes);
}

/** The left side's samples of such a file, which may be long. */
export function samples(path) {
  const head = Buffer.alloc(12);
  const file = openSync(path, "r");
  try {
    let at = 12;
    readSync(file, head, 0, 12, 0);
    if (head.toString("latin1", 0, 4) !== "RIFF") throw new Error(`${path} is no WAV file`);
    for (;;) {
      if (readSync(file, head, 0, 8, at) < 8) throw new Error(`${path} has no sound in it`);
      at += 8;
      if (head.toString("latin1", 0, 4) === "data") break;
      at += head.readUInt32LE(4);
    }
    const frames = Math.floor(Math.min(head.readUInt32LE(4), statSync(path).size - at) / 4);
    const left = new Int16Array(frames);
    const piece = Buffer.alloc(1 << 20);
    for (let n = 0; n < frames; ) {
      const read = readSync(file, piece, 0, Math.min(piece.length, (frames - n) * 4), at + n * 4) >> 2;
      for (let i = 0; i < read; i++) left[n + i] = piece.readInt16LE(i * 4);
      n += read;
    }
    return left;
  } finally {
    closeSync(file);
  }
}

/**
 * What is heard in a file: its peak of 32768, the pitch from its first sound to its last in Hz, how long that is, and the silences of
 * 10 ms and more in it, each with when and how long, all in seconds.
 */
export function heard(path) {
  const left = samples(path);
  let first = 0;
  let last = left.length - 1;
  const loud = (n) => Math.abs(left[n]) > QUIET;
  while (first < left.length && !loud(first)) first++;
  while (last > first && !loud(last)) last--;
  let peak = 0;
  let quiet = 0;
  let rises = 0;
  const gaps = [];
  const end = (n) => {
    if (quiet >= RATE / 100) gaps.push({ at: (n - quiet - first) / RATE, seconds: quiet / RATE });
    quiet = 0;
  };
  for (let n = first; n <= last && n < left.length; n++) {
    peak = Math.max(peak, Math.abs(left[n]));
    if (loud(n)) end(n);
    else quiet++;
    if (n > first && left[n - 1] < 0 && left[n] >= 0) rises++;
  }
  const silent = gaps.reduce((sum, { seconds }) => sum + seconds, 0);
  const seconds = first < left.length ? (last - first + 1) / RATE : 0;
  return { peak, seconds, gaps, hz: seconds > silent ? rises / (seconds - silent) : 0, length: left.length / RATE };
}

/**
 * The tone in a file, of which a busy computer may have left pieces out: the middle of the pitches of its loud pieces of 100 ms, in Hz, how
 * long those are together in seconds, and their peak of 32768.
 */
export function tone(path) {
  const left = samples(path);
  const piece = RATE / 10;
  const pitches = [];
  let peak = 0;
  for (let from = 0; from + piece <= left.length; from += piece) {
    const rises = [];
    let loudest = 0;
    for (let n = from + 1; n < from + piece; n++) {
      loudest = Math.max(loudest, Math.abs(left[n]));
      // Where between the two it is nothing.
      if (left[n - 1] < 0 && left[n] >= 0) rises.push(n - left[n] / (left[n] - left[n - 1]));
    }
    if (loudest <= 10 * QUIET || rises.length < 2) continue;
    peak = Math.max(peak, loudest);
    pitches.push((RATE * (rises.length - 1)) / (rises.at(-1) - rises[0]));
  }
  pitches.sort((a, b) => a - b);
  return { hz: pitches[pitches.length >> 1] ?? 0, seconds: (pitches.length * piece) / RATE, peak };
}
