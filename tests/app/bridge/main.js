// `cargo xtask preview` runs this: the app in a browser, with the real native module.
//
//   node main.js --home DIR [--port N] [--width phone|tablet|pc] [--language zh|en] [--dark]
//
// The first line on stdout is the URL. Ctrl-C saves the machines that run, as the system does when it ends the app; a second one does not wait.
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sampan");

/** Milliseconds that machines have to be saved in at the end. */
const GRACE = 20_000;

const { values } = parseArgs({
  options: {
    home: { type: "string" },
    port: { type: "string", default: "0" },
    width: { type: "string", default: "phone" },
    language: { type: "string", default: "zh" },
    dark: { type: "boolean", default: false },
  },
});

function fail(words) {
  console.error(`preview: ${words}`);
  process.exit(1);
}

const { home, width, language, dark } = values;
if (!home) fail("--home names the folder of the library of machines");
if (!["phone", "tablet", "pc"].includes(width)) fail("--width is phone, tablet or pc");
if (!["zh", "en"].includes(language)) fail("--language is zh or en");
const modulePath = resolve(process.env.SAMPAN_MODULE || join(process.env.CARGO_TARGET_DIR || join(root, "target"), "debug/libsampan.so"));
if (!existsSync(modulePath)) fail(`${modulePath} is missing: cargo build --workspace --lib makes it`);
const libraries = process.env.SAMPAN_QEMU_DIR || join(cache, "qemu/current");
if (!existsSync(libraries)) fail(`${libraries} is missing: scripts/qemu/build makes it`);
mkdirSync(home, { recursive: true });

// They bring a compiler, which takes a moment to load.
const { site } = await import("../lib/site.js");
const { serve } = await import("./server.js");
const made = { exports: {} };
process.dlopen(made, modulePath);
const native = made.exports;

/** The app's pages, compiled. */
async function pages() {
  try {
    return await site({ width, language, dark });
  } catch (error) {
    return fail(`the pages do not compile: ${error.message}`);
  }
}

const server = await serve({
  native, modulePath, libraries, home: resolve(home), port: Number(values.port), pages: await pages(), config: { width, language, dark },
  rawfiles: join(root, "entry/src/main/resources/rawfile"),
}).catch((error) => fail(error.code === "EADDRINUSE" ? `port ${values.port} is taken: choose another one` : error.message));
console.log(server.url);

let isEnding = false;
async function end() {
  if (isEnding) process.exit(130);
  isEnding = true;
  server.close();
  const ends = await native.app.aboutToEnd(GRACE).catch(() => []);
  for (const { machine, did } of ends) console.error(`preview: ${machine}: ${did}`);
  // What still runs is in this process, and goes with it.
  process.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, end);
