// Surfaces as the system's compositor has them, by the stand-in for its window library (native/ohos/stand-in). The module is told of it by
// SAMPAN_NDK, which the build for OpenHarmony knows nothing of: that one loads the system's own.
import { existsSync, readdirSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";

/** The stand-in beside a module, or where the build of its workspace has put it; the newest, as Cargo keeps those of other builds. */
function built(modulePath) {
  const beside = join(dirname(modulePath), "libstand_in.so");
  if (existsSync(beside)) return beside;
  const folder = join(dirname(modulePath), "build");
  const found = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.startsWith("sampan-ohos-stand-in-"))
    .map((name) => join(folder, name, "out/libstand_in.so"))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return found[0];
}

/** The stand-in's own functions. From now on the module of this process draws on its surfaces. */
export function standIn(modulePath) {
  const path = process.env.SAMPAN_NDK || built(modulePath);
  if (!path || !existsSync(path)) {
    throw new Error("the stand-in for surfaces is missing: cargo build --workspace --lib makes it, or SAMPAN_NDK names it");
  }
  process.env.SAMPAN_NDK = path;
  const made = { exports: {} };
  process.dlopen(made, path);
  return made.exports;
}

/** One surface. */
export class Surface {
  #functions;
  #bell;

  /** `id` is one of its own, or any that is free. */
  constructor(functions, id = functions.surface()) {
    this.#functions = functions;
    this.number = id;
    this.id = String(id);
  }

  get(what) {
    return this.#functions.get(this.number, what);
  }

  set(what, value) {
    this.#functions.set(this.number, what, value);
  }

  /** Calls `rung` whenever something else is shown, for what is shown now too. */
  watch(rung) {
    this.#bell = new Socket({ fd: this.#functions.watch(this.number), readable: true, writable: false });
    this.#bell.on("data", rung).on("error", () => {}).unref();
  }

  /** What is shown: its width and height, and its pixels in `into` or a new buffer, B G R A without padding. Nothing while nothing is. */
  shown(into) {
    for (;;) {
      const [width, height] = [this.get("width"), this.get("height")];
      if (width < 1 || height < 1) return undefined;
      const length = width * height * 4;
      const pixels = into?.length >= length ? into.subarray(0, length) : Buffer.allocUnsafe(length);
      const got = this.#functions.shown(this.number, pixels);
      if (got < 0) throw new Error(`the buffer that surface ${this.id} shows cannot be read`);
      // Another size since we asked: once more.
      if (got === length && this.get("width") === width) return { width, height, pixels };
    }
  }

  /** It ends, whoever draws on it. */
  destroy() {
    this.#functions.destroy(this.number);
    this.#bell?.destroy();
  }
}
