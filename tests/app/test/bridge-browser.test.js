// The bridge in Chromium: a page drives the real module, and a canvas has what the guest shows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { folder, modulePath, native, qemu, until } from "../../napi/lib/module.js";
import { colours, painted, paintingDisk, paintingMachine } from "../../napi/lib/machines.js";
import { launch } from "../bridge/browser.js";
import { site } from "../bridge/page/site.js";
import { serve } from "../bridge/server.js";

const home = folder();
let server;
let browser;
let page;
const problems = [];

before(async () => {
  server = await serve({ native, modulePath, home: join(home, "library"), libraries: qemu, pages: site(), config: { width: "pc" } });
  browser = await launch();
  page = await browser.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
});

after(async () => {
  await browser?.close();
  for (const { id } of await native.machines.list().catch(() => [])) await native.life.forceOff(id).catch(() => {});
  await server?.close();
});

/** Waits until the canvas has one colour from edge to edge. */
function shows(colour) {
  return page.waitForFunction(([r, g, b]) => {
    const canvas = document.querySelector("#screen");
    if (canvas.width !== 640 || canvas.height !== 400) return false;
    const { data } = canvas.getContext("2d").getImageData(0, 0, 640, 400);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] !== r || data[at + 1] !== g || data[at + 2] !== b || data[at + 3] !== 255) return false;
    }
    return true;
  }, colours[colour], { timeout: 60_000 }).catch((error) => assert.fail(`${colour}: ${error.message}; ${problems.join("; ")}`));
}

test("a page lists machines, starts one, shows its screen and types at it", async () => {
  await page.goto(server.url);
  await until("the page has opened the library", () => native.machines.list());
  const id = await paintingMachine(home, "painter");
  await page.click(`[data-machine="${id}"]`);
  await painted(id, "green");
  await shows("green");
  await page.keyboard.press("d");
  await shows("red");
  await page.keyboard.press("a");
  await shows("blue");
  assert.match(await page.textContent("#status"), /^showing 640×400$/);
  assert.equal(await page.evaluate(() => globalThis.sampanHost.config.width), "pc");
  assert.deepEqual(problems, []);
});

test("a job has its id when the call returns, and comes after what was called before it", async () => {
  const told = await page.evaluate(async () => {
    const { native } = globalThis.sampanHost;
    const ids = [];
    for (let number = 0; number < 5; number++) {
      for (let key = 0; key < 50; key++) native.input.key("7", 2017, true);
      const job = native.machines.create({ name: `made ${number}`, preset: "old", arch: "x86_64", cpus: 1, memory: 64, disk: 0 }, []);
      ids.push([job.id, (await job.run()).name]);
    }
    const refused = await native.life.start("").run().catch((error) => [error instanceof Error, error.code]);
    return { ids, refused };
  });
  assert.deepEqual(told.ids.map(([, name]) => name), [0, 1, 2, 3, 4].map((number) => `made ${number}`));
  assert.ok(told.ids.every(([id]) => /^\d+$/.test(id)), JSON.stringify(told.ids));
  assert.deepEqual(told.refused, [true, "not_found"]);
});

test("a person's file goes up, and a machine comes down as one", async () => {
  const choosing = page.waitForEvent("filechooser");
  const made = page.evaluate(async () => {
    const { files, native } = globalThis.sampanHost;
    const [{ uri, name, size }] = await files.open({ suffixes: [".img"] });
    const fd = files.openSync(uri);
    const job = native.machines.create({ name: "chosen", preset: "old", arch: "x86_64", cpus: 1, memory: 64, file: { fd, name } }, []);
    files.closeSync(fd);
    return { name, size, id: (await job.run()).id };
  });
  await (await choosing).setFiles(paintingDisk(home));
  const { name, size, id } = await made;
  assert.deepEqual([name, size], ["painting.img", statSync(join(home, "painting.img")).size]);
  const downloading = page.waitForEvent("download");
  const bytes = await page.evaluate(async (machine) => {
    const { files, native } = globalThis.sampanHost;
    const { uri, name } = await files.save("chosen.sampan");
    const fd = files.openSync(uri);
    const bytes = await native.machines.exportTo(machine, { fd, name }).run();
    files.closeSync(fd);
    return bytes;
  }, id);
  const download = await downloading;
  assert.equal(download.suggestedFilename(), "chosen.sampan");
  assert.equal(statSync(await download.path()).size, bytes);
});

test("a page without the secret gets nothing, and one that is closed holds nothing", async () => {
  assert.ok(server.sessions.size > 0);
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`http://127.0.0.1:${server.port}/`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(await stranger.evaluate(() => typeof globalThis.sampanHost), "undefined");
  await stranger.close();
  await page.reload();
  await page.waitForFunction(() => globalThis.sampanHost, undefined, { timeout: 60_000 });
  await page.close();
  await until("no page is there", () => server.sessions.size === 0);
});
