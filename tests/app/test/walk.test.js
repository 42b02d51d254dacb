// A person's way through the app in Chromium, on the preview as `cargo xtask preview` starts it: from nothing to a machine that runs, types,
// is kept, goes back and stops.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../bridge/browser.js";
import { ownCatalogue } from "./lib/catalogue.js";

const program = fileURLToPath(new URL("../bridge/main.js", import.meta.url));
const COLOURS = { green: [0, 168, 0], red: [168, 0, 0], blue: [0, 0, 168] };
const folder = mkdtempSync(join(tmpdir(), "sampan-walk-"));
const open = [];
let browser;

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
  open.forEach(({ child, catalogue }) => {
    child.kill("SIGKILL");
    catalogue.close();
  });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A preview on an empty library, and a person before it. */
async function walker(name, { args = [], viewport = { width: 500, height: 900 } } = {}) {
  const home = join(folder, name);
  const catalogue = await ownCatalogue(home);
  const child = spawn(process.execPath, [program, "--home", home, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  open.push({ child, catalogue });
  let complained = "";
  child.stderr.on("data", (piece) => { complained += piece; });
  const url = await new Promise((resolve, reject) => {
    child.stdout.once("data", (line) => resolve(String(line).trim()));
    child.once("close", () => reject(new Error(complained)));
  });
  const page = await browser.newPage({ viewport, hasTouch: true });
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.stack ?? String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  const framed = args.includes("pc") ? page.mainFrame() : await page.waitForSelector("iframe").then((el) => el.contentFrame());
  await framed.waitForSelector("html[data-ready]", { state: "attached" });
  let taps = 0;
  const shown = (what) => framed.locator(`${what}:visible`).first();
  const walk = {
    page, frame: framed, problems, shown, catalogue,
    get taps() { return taps; },
    there: (what, timeout = 60_000) => shown(what).waitFor({ timeout }).catch((error) => assert.fail(`${what}: ${error.message}; ${problems.join("; ")}`)),
    text: (what) => shown(what).textContent(),
    async tap(what) {
      await walk.there(what);
      await shown(what).tap({ timeout: 60_000 });
      taps++;
    },
    /** Waits until the guest's picture has one colour from edge to edge. */
    shows: (colour) => framed.waitForFunction((wanted) => {
      const canvas = [...document.querySelectorAll("canvas")].find((one) => one.width === 640 && one.offsetParent);
      if (!canvas) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) if (wanted.some((value, i) => data[at + i] !== value)) return false;
      return true;
    }, COLOURS[colour], { timeout: 60_000 }).catch((error) => assert.fail(`${colour}: ${error.message}; ${problems.join("; ")}`)),
    async stop() {
      await page.close();
      child.kill("SIGINT");
      await new Promise((resolve) => child.once("close", resolve));
      catalogue.close();
    },
  };
  return walk;
}

/** Taps until something is there; what is asked on the way is agreed to. Comes to how many taps it was. */
async function tapped(walk, taps, goal) {
  const before = walk.taps;
  for (const what of taps) await walk.tap(what);
  for (;;) {
    await walk.there(`${goal}, .dialog-button:last-child`, 60_000);
    if (await walk.shown(goal).isVisible()) return walk.taps - before;
    await walk.tap(".dialog-button:last-child");
  }
}

test("the wizard: from nothing to a guest that types, is kept, goes back, and stops", async () => {
  const walk = await walker("wizard", { args: ["--language", "zh"] });
  const { page, tap, there, shows, problems } = walk;
  const entry = `[id='entry_${walk.catalogue.disk}_x86_64']`;
  const taps = await tapped(walk, ["#empty_new", "#preset_old", entry, "#wizard_next", "#wizard_create"], "#guest_view");
  assert.ok(taps <= 8, `${taps} taps`);
  await shows("green");
  assert.deepEqual(walk.catalogue.asked, [["/painting.raw", 0]], "it was downloaded, once");
  await page.keyboard.press("d");
  await shows("red");
  // The dock's keyboard types as well.
  await tap("#dock_keyboard");
  await page.keyboard.press("a");
  await shows("blue");
  await page.keyboard.press("Alt+ArrowLeft");
  await tap("#dock_snapshot");
  await there("#notice");
  await page.keyboard.press("d");
  await shows("red");

  await tap("#screen_back");
  await there("[id^='open_']");
  await shown(walk, "[id^='machine_']").tap({ position: { x: 60, y: 240 } });
  await tap("#strip_now");
  await tap("[id^='snap_back_']");
  await tap("#snap_back_do");
  await tap("#back");
  await there("#machine_state");
  await walk.frame.waitForFunction(() => document.querySelector("#quick_pause")?.checkVisibility?.(), undefined, { timeout: 60_000 });
  await tap("#machine_primary");
  await shows("blue");

  await tap("#screen_power");
  await tap("#power_force");
  await tap(".dialog-button:last-child");
  await there("#cover_off");
  assert.deepEqual(problems, []);
  await walk.stop();
});
const shown = (walk, what) => walk.shown(what);

test("two taps try a system, whose login is told and types itself", async () => {
  const walk = await walker("try", { args: ["--language", "en", "--dark"] });
  const { tap, there, shows, problems } = walk;
  const taps = await tapped(walk, ["#empty_quick", "#quick_create"], "#guest_view");
  assert.ok(taps <= 3, `${taps} taps`);
  await shows("green");
  await there("#login_hint");
  assert.match(await walk.text("#hint_text"), /As root, without a password/);
  await tap("#hint_type");
  // The last key is Enter, whose low bits paint in bright magenta; that anything was typed is what counts.
  await walk.frame.waitForFunction(() => !document.querySelector("#login_hint"));
  await tap("#screen_power");
  await tap("#power_force");
  await tap(".dialog-button:last-child");
  await there("#cover_off");
  assert.deepEqual(problems, []);
  await walk.stop();
});
