// The app for a browser: the same modules as a map of a site's files, and the page that starts them.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "../compile/bundle.js";

export const root = join(fileURLToPath(import.meta.url), "../../../../..");

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };
export const contentType = (path) => TYPES[path.split(".").pop()] ?? "application/octet-stream";

/**
 * Comes to a map from path to text, `/index.html` among them. What is there besides `ets` (the module's folder) goes to the page:
 *
 * - `files`: sources by name instead, with `pages/Index.ets` as the page; then no ability runs;
 * - `ability`: the ability's module;
 * - `bridge`: the text of a module whose default export is a function `(options) => more options`, asynchronous or not. It brings what
 *   cannot be written down: `native`, `onSurface`, `rawfile`, `rawfileUrl`, `onLog`. It may import what `extra` holds.
 * - `extra`: more files by path.
 * - `resources`: `{ qualifiers, media, rawfiles }` instead of the app's.
 *
 * The page's address may set `language`, `dark`, `fontScale`, `device`, `ability` and `want` (JSON), as in
 * `?language=zh_CN&dark=1&device=2in1&want={"uri":"…"}`.
 */
export async function site({
  ets = "entry/src/main",
  files,
  ability = "entryability/EntryAbility",
  bridge,
  extra = {},
  options = {},
  resources,
} = {}) {
  const out = await (files ? bundle({ files }) : bundle({ main: join(root, ets), appScope: join(root, "AppScope") }));
  if (resources) out.set("/generated/resources.js", `export default ${JSON.stringify({ qualifiers: {}, media: {}, rawfiles: [], ...resources })};\n`);
  out.set("/bridge.js", bridge ?? "export default (options) => options;\n");
  out.set("/start.js", START.replace("OPTIONS", JSON.stringify(options)).replace("ABILITY", JSON.stringify(files ? null : ability)));
  out.set("/index.html", PAGE);
  for (const [path, text] of Object.entries(extra)) out.set(path, text);
  return out;
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<title>Sampan</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/runtime/css/layout.css">
<link rel="stylesheet" href="/runtime/css/controls.css">
<link rel="stylesheet" href="/runtime/css/overlays.css">
</head>
<body><div id="app"></div><div id="overlays"></div><script type="module" src="/start.js"></script></body>
</html>
`;

// Runs in the page. `globalThis.preview` is for tests and for the bridge: { env, system, launch, mount, end, flush, ready }.
const START = `import * as boot from "/runtime/boot.js";
import { all, modules as kitEnums } from "/generated/enums.js";
import resources from "/generated/resources.js";
import { modules } from "/generated/modules.js";
import bridge from "/bridge.js";

const asked = new URLSearchParams(location.search);
const given = OPTIONS;
const own = {
  window, document, layout: true, modules, width: innerWidth, height: innerHeight, density: devicePixelRatio,
  fontScale: Number(asked.get("fontScale") ?? given.fontScale ?? 1), dark: asked.has("dark") ? asked.get("dark") !== "0" : given.dark ?? matchMedia("(prefers-color-scheme: dark)").matches,
  language: asked.get("language") ?? given.language ?? (navigator.language.startsWith("zh") ? "zh_CN" : "base"),
  device: { ...given.device, ...(asked.has("device") ? { type: asked.get("device") } : {}) },
  // Another ability is another window, as on a PC.
  startAbility(want) {
    const module = Object.keys(modules).find((name) => name.endsWith("/" + want.abilityName));
    if (!module) return false;
    const query = new URLSearchParams(location.search);
    query.set("ability", module);
    query.set("want", JSON.stringify(want));
    // Nothing comes of it where the browser blocks windows.
    return Boolean(open("/?" + query + location.hash));
  },
  // What nothing catches is the browser's to report, where a test or a person sees it.
  onError: (error) => reportError(error),
  onLog: (level, tag, line) => console[level === "fatal" ? "error" : level](tag + ": " + line),
};
const preview = globalThis.preview = { ...boot, ready: undefined };
preview.ready = (async () => {
  boot.prepare({ ...given, ...own, ...(await bridge(own)) }, { enums: all, kitEnums, resources });
  addEventListener("resize", () => boot.system.resize(innerWidth, innerHeight));
  const main = ABILITY;
  const ability = asked.get("ability") ?? main;
  if (main && ability !== main) {
    // On a device the app's windows share what its main one has begun; pages of a browser share nothing.
    const { default: Main } = await modules[main]();
    new Main().onCreate({}, { launchReason: 1, lastExitReason: 0, launchReasonMessage: "", lastExitMessage: "" });
  }
  if (ability) await boot.launch(ability, JSON.parse(asked.get("want") ?? "{}"));
  else boot.mount((await modules["pages/Index"]()).$entry);
  document.documentElement.dataset.ready = "true";
})();
`;
