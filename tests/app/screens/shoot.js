#!/usr/bin/env node
// Pictures of the app's pages, as a person would see them: real machines behind them, in Chromium.
//
//   tests/app/screens/shoot.js OUT [--only NAME,…] [--languages zh,en] [--themes light,dark] [--widths phone,tablet,pc] [--small] [--missing]
//
// With --missing only what is not in OUT yet. With --small the guests are there at once and show a colour. sheets.js puts pictures together on sheets.
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { open, launch } from "../lib/harness/chromium.js";
import { site } from "../lib/site.js";
import { serve } from "../bridge/server.js";
import { folder, modulePath, native, qemu } from "../../napi/lib/module.js";
import { crowd, desk, populate, rename } from "./machines.js";
import { scenes } from "./scenes.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    languages: { type: "string", default: "zh,en" },
    themes: { type: "string", default: "light,dark" },
    widths: { type: "string", default: "phone,tablet,pc" },
    small: { type: "boolean", default: false },
    missing: { type: "boolean", default: false },
  },
});
const out = resolve(positionals[0] ?? "screens");
mkdirSync(out, { recursive: true });

const SIZES = { phone: [390, 844], tablet: [834, 1112], pc: [1280, 800] };
const LANGUAGES = { zh: "zh_CN", en: "base" };

const home = join(folder(), "library");
await native.host.init(home, qemu);
const server = await serve({ native, modulePath, libraries: qemu, home, pages: await site(), config: {} });
const browser = await launch();
let shots = 0;
const wanted = scenes.filter(({ name }) => !values.only || values.only.split(",").includes(name));

async function shoot(scene, width, language, theme, known) {
  const query = { language: LANGUAGES[language], dark: theme === "dark" ? 1 : 0, device: width === "pc" ? "2in1" : width, ...scene.query };
  const [w, h] = SIZES[width];
  const file = `${scene.name}-${width}-${language}-${theme}.png`;
  if (values.missing && existsSync(join(out, file))) return;
  let opened;
  try {
    opened = await open(browser, server.url, { width: w, height: h, query });
    await scene.act(opened.page, known, width);
    await opened.page.waitForTimeout(400);
    await opened.page.screenshot({ path: join(out, file) });
    shots++;
  } catch (error) {
    // The others are worth having all the same.
    console.error(`${file}: ${error.message.split("\n")[0]}`);
    await opened?.page.screenshot({ path: join(out, `FAILED-${file}`) }).catch(() => {});
    process.exitCode = 1;
  }
  await opened?.close();
}

/** Ends and removes all machines: those of the next language have other names. A clone goes before what it is built on. */
async function cleared() {
  for (let left = await native.machines.list(); left.length > 0; left = await native.machines.list()) {
    for (const { id } of left) {
      await native.life.forceOff(id).catch(() => {});
      await native.machines.remove(id).then(() => native.machines.purge(id)).catch(({ code }) => {
        if (code !== "has_dependents") throw new Error(code);
      });
    }
  }
}

/** None, some, one with two displays, thirty machines: each is made once, and named anew for each language. */
const SETS = [
  { has: (scene) => scene.empty, make: async () => ({}) },
  { has: (scene) => !scene.empty && !scene.crowd && !scene.desk, make: () => populate(native, values.small), name: rename },
  { has: (scene) => scene.desk, make: () => desk(native) },
  { has: (scene) => scene.crowd, make: () => crowd(native) },
];
for (const { has, make, name } of SETS) {
  const shown = wanted.filter(has);
  if (shown.length === 0) continue;
  const known = await make();
  for (const language of values.languages.split(",")) {
    await name?.(native, known, language);
    for (const scene of shown) {
      for (const width of values.widths.split(",").filter((one) => scene.widths?.includes(one) ?? true)) {
        for (const theme of values.themes.split(",")) await shoot(scene, width, language, theme, known);
      }
    }
  }
  await cleared();
}
console.log(`${shots} pictures in ${out}`);
await browser.close();
server.close();
process.exit();
