// The native module as Node.js loads it, and what it needs: libqemu, the tiny guest, a folder that is removed.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sampan");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");

export const modulePath = process.env.SAMPAN_MODULE || join(target, "debug/libsampan.so");
export const qemu = process.env.SAMPAN_QEMU_DIR || join(cache, "qemu/current");
const guests = process.env.SAMPAN_GUEST_DIR || join(cache, "guest/current");

function loaded() {
  if (!existsSync(modulePath)) throw new Error(`${modulePath} is missing: cargo build -p sampan-napi makes it`);
  const made = { exports: {} };
  process.dlopen(made, modulePath);
  return made.exports;
}

export const native = loaded();

/** The tiny guest's kernel and initial RAM disk. */
export function tinyGuest() {
  const [kernel, initrd] = ["kernel", "initrd"].map((name) => join(guests, "x86_64", name));
  if (!existsSync(kernel)) throw new Error(`${kernel} is missing: scripts/guest/build makes it`);
  return { kernel, initrd };
}

/** A folder that goes with this process. */
export function folder() {
  const made = mkdtempSync(join(tmpdir(), "sampan-napi-"));
  // The module's threads may still write there: what cannot be removed goes with the run's own folder.
  process.on("exit", () => {
    try {
      rmSync(made, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
    } catch {
      // See above.
    }
  });
  return made;
}

/** Waits until `look` gives something true. What it throws is looked at again. */
export async function until(what, look, patience = 150_000) {
  const begun = Date.now();
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() - begun > patience) throw new Error(`${what}: not within ${patience} ms`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The code that a promise rejects with; its parameters are looked at by `check`. */
export async function rejection(promise, check = () => {}) {
  try {
    const value = await promise;
    return `nothing: it came to ${JSON.stringify(value)}`;
  } catch (error) {
    if (!(error instanceof Error)) return `no Error: ${error}`;
    check(error);
    return error.code;
  }
}
