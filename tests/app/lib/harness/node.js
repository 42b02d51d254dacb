// The app in Node.js: the same modules as in a browser, on linkedom's document. Every mount has modules of its own, so that no
// state of one is another's.
import * as fs from "node:fs";
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import { setImmediate as turn } from "node:timers/promises";
import { parseHTML } from "linkedom";
import { bundle, rawFile } from "../compile/bundle.js";
import { Driver } from "./driver.js";

process.setSourceMapsEnabled(true);

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
let folder;
let mounts = 0;
/** Where a text was written first: later mounts link to it, which is cheaper than writing it anew. */
const written = new Map();

function place(files) {
  if (!folder) {
    folder = mkdtempSync(join(tmpdir(), "sampan-app-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  }
  const at = join(folder, `m${++mounts}`);
  const made = new Set();
  for (const [path, text] of files) {
    const to = join(at, path);
    if (!made.has(dirname(to))) mkdirSync(dirname(to), { recursive: true });
    made.add(dirname(to));
    const known = written.get(text);
    if (known) linkSync(known, to);
    else {
      writeFileSync(to, text);
      written.set(text, to);
    }
  }
  return at;
}

const PAGE = `<!doctype html><html><head></head><body><div id="app"></div><div id="overlays"></div></body></html>`;

/** What linkedom's document lacks of a browser's. */
function documentOf() {
  const window = parseHTML(PAGE);
  const { document } = window;
  let active = document.body;
  Object.defineProperty(document, "activeElement", { get: () => (active.isConnected ? active : document.body), configurable: true });
  const proto = window.HTMLElement.prototype;
  const event = (type) => new window.Event(type, { bubbles: false });
  proto.focus = function () {
    if (active === this) return;
    const before = active;
    active = this;
    before.dispatchEvent?.(event("blur"));
    this.dispatchEvent(event("focus"));
  };
  proto.blur = function () {
    if (active !== this) return;
    active = document.body;
    this.dispatchEvent(event("blur"));
  };
  proto.scrollIntoView = () => {};
  proto.scrollTo = function ({ top = 0, left = 0 }) {
    Object.assign(this, { scrollTop: top, scrollLeft: left });
  };
  return window;
}

const bundles = new Map();
function bundled(options) {
  const key = JSON.stringify(options);
  if (!bundles.has(key)) bundles.set(key, bundle(options));
  return bundles.get(key);
}

/**
 * The options of both: `language` ("base" is English, "zh_CN"), `dark`, `width`, `height`, `density`, `fontScale`, `native` (the module
 * `libsampan.so`), `device` (`type` phone, tablet or 2in1, `api`, `safeArea`, `permissions`, …), `preferences`, `picks`, `answers`,
 * `onSurface(kind, surface)`, `want`.
 */
async function prepared(files, options) {
  const at = place(files);
  const load = (path) => import(pathToFileURL(join(at, path)).href);
  const boot = await load("runtime/boot.js");
  const window = documentOf();
  const { all, modules: kitEnums } = await load("generated/enums.js");
  const { default: resources } = await load("generated/resources.js");
  const { modules } = await load("generated/modules.js");
  const { main } = options;
  boot.prepare(
    {
      window,
      document: window.document,
      layout: false,
      fs,
      modules,
      rawfile: (path) => {
        const found = main && rawFile(main, path);
        if (!found) throw Object.assign(new Error(`there is no raw file ${path}`), { code: 9001005 });
        return new Uint8Array(found);
      },
      width: 360,
      height: 780,
      density: 2,
      fontScale: 1,
      dark: false,
      language: "base",
      device: {},
      ...withoutUndefined(options),
    },
    { enums: all, kitEnums, resources },
  );
  return { boot, window, modules };
}
const withoutUndefined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

/**
 * Starts the app of `ets` (a folder such as `entry/src/main`, from the repository's root) as the system does. `ability` is the
 * ability's module. Comes to a Driver.
 */
export async function mountApp({ ets = "entry/src/main", ability = "entryability/EntryAbility", want, ...options } = {}) {
  const main = join(root, ets);
  const appScope = join(root, "AppScope");
  const { boot, window } = await prepared(await bundled({ main, appScope }), { ...options, main });
  const app = new Driver(boot, window, turn);
  await boot.launch(ability, want);
  await app.settle();
  return app;
}

/**
 * Mounts a piece of source as the page: `text` is the page's file, `files` others by name. `resources` is a folder of resources
 * (default: the app's own with `true`). With `ability` that module of `files` is launched, and loads the page itself. Comes to a Driver.
 */
export async function mountSource(text, { files = {}, resources, params, ability, want, ...options } = {}) {
  const main = resources === true ? join(root, "entry/src/main") : undefined;
  const sources = { "pages/Index.ets": text, ...files };
  const out = await bundle({ files: sources });
  if (resources) {
    const { readResources } = await import("../compile/resources.js");
    const found = typeof resources === "object" ? resources : readResources([main ? join(main, "resources") : resources]);
    out.set("/generated/resources.js", `export default ${JSON.stringify({ qualifiers: {}, media: {}, rawfiles: [], ...found })};\n`);
  }
  const { boot, window, modules } = await prepared(out, { ...options, main });
  const app = new Driver(boot, window, turn);
  if (ability) {
    app.ability = await boot.launch(ability, want);
    await app.settle();
    app.page = app.env.page;
    return app;
  }
  const module = await modules["pages/Index"]();
  app.module = module;
  if (module.$entry) app.page = boot.mount(module.$entry, params);
  await app.settle();
  return app;
}

/** One module of the app with what it imports, without a page: for view models and plain functions. */
export async function loadModule(path, { ets = "entry/src/main", ...options } = {}) {
  const main = join(root, ets);
  const { boot, window, modules } = await prepared(await bundled({ main, appScope: join(root, "AppScope") }), { ...options, main });
  const app = new Driver(boot, window, turn);
  app.module = await modules[path]();
  return app;
}
