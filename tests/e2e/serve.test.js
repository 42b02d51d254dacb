// The web console: a library's machines, started, seen and stopped by clicks.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Console, Library } from "./lib/console.js";
import { until } from "./lib/processes.js";

/** An emulated machine on a busy computer takes its time to start. */
const START_MS = 180_000;

describe("the web console", () => {
  let library, console, browser, context, page;
  const problems = [];

  before(async () => {
    library = new Library();
    await library.sampan("new", "Old PC", "--preset", "old", "--no-disk", "--memory", "64M");
    [console, browser] = await Promise.all([Console.serve(library), launch()]);
    context = await browser.newContext({ viewport: { width: 900, height: 800 }, colorScheme: "dark" });
  });

  after(async () => {
    await browser?.close();
    await console?.end();
    await library?.close();
  });

  const card = () => page.locator(".vm");
  const button = (name) => card().getByRole("button", { name });
  const state = (words) => until(
    async () => words.test(await card().locator(".state").textContent()),
    `the state ${words}`, START_MS);

  test("gives nothing without the key, and nothing to other names and pages", async () => {
    const ask = (path, headers, options = {}) => fetch(`${console.origin}${path}`, { headers, ...options });
    assert.equal((await ask("/", {})).status, 200);
    const right = { Authorization: `Bearer ${console.token}` };
    const [{ id }] = await (await ask("/api/vms", right)).json();
    for (const [path, options] of [["/api/vms"], [`/api/vms/${id}/picture`], [`/api/vms/${id}`, { method: "POST" }]]) {
      for (const headers of [{}, { Authorization: "Bearer wrong" }]) {
        const answer = await ask(path, headers, options);
        assert.equal(answer.status, 401, path);
        assert.match((await answer.json()).error, /token/);
      }
      assert.equal((await ask(path, { ...right, Origin: "http://evil.example" }, options)).status, 403);
    }
  });

  test("shows a card for each machine, and a new one by itself", async () => {
    page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(console.url);
    await state(/^Stopped$/);
    assert.equal(await card().locator("h2").textContent(), "Old PC");
    assert.match(await card().locator(".facts").textContent(), /x86_64 · 64 MiB · 1 CPU/);
    assert.ok(!page.url().includes(console.token), "the key leaves the address bar");
    assert.equal(await button("Start").isVisible(), true);
    assert.equal(await button("Force stop").isVisible(), false);
    await library.sampan("new", "another", "--preset", "old", "--no-disk");
    await until(async () => (await card().count()) === 2, "the second card");
    await library.sampan("delete", "another");
    await until(async () => (await card().count()) === 1, "the second card to go");
  });

  test("starts it by a click, and its picture arrives", async () => {
    await page.evaluate(() => {
      const words = document.querySelector(".vm .state");
      globalThis.sampanStates = [];
      new MutationObserver(() => globalThis.sampanStates.push(words.textContent)).observe(words, { childList: true });
    });
    await button("Start").click();
    await state(/^Running$/);
    assert.ok((await page.evaluate(() => globalThis.sampanStates)).includes("Starting…"));
    const seen = await until(() => page.evaluate(() => {
      const image = document.querySelector(".vm img");
      if (image.hidden || !image.complete || image.naturalWidth === 0) return undefined;
      const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
      const drawing = canvas.getContext("2d");
      drawing.drawImage(image, 0, 0);
      const { data } = drawing.getImageData(0, 0, canvas.width, canvas.height);
      // The firmware writes light grey on black.
      const light = data.filter((value, at) => at % 4 === 1 && value > 100).length;
      return light > 50 ? { width: canvas.width, light } : undefined;
    }), "a picture with the firmware's text", START_MS);
    assert.equal(seen.width, 480);
  });

  test("opens its screen in a tab of its own", async () => {
    const [viewer] = await Promise.all([
      context.waitForEvent("page"),
      card().getByRole("link", { name: "Open screen Old PC" }).click(),
    ]);
    await until(() => viewer.evaluate(() => {
      const video = document.querySelector("video");
      return (video?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > 0 && video.videoWidth >= 640;
    }), "a decoded frame", 60_000);
    assert.equal(await viewer.evaluate(() => globalThis.opener), null, "the tab cannot reach the console");
    await viewer.close();
  });

  test("can be used by keyboard alone, and keeps the focus", async () => {
    await button("Pause").focus();
    await page.keyboard.press("Enter");
    await state(/^Paused$/);
    // Pause has gone: the focus is on something else of the same card.
    assert.equal(await page.evaluate(() => document.activeElement.closest(".vm") !== null), true);
    await button("Resume").focus();
    await page.keyboard.press("Space");
    await state(/^Running$/);
    assert.equal(await page.locator("[role=status]").textContent(), "Old PC: Running");
  });

  test("a shutdown that the guest does not hear is told, and force asks first", async () => {
    await button("Shut down").click();
    await state(/^Asked to shut down…$/);
    await button("Force stop").click();
    const dialog = page.getByRole("dialog");
    await page.keyboard.press("Escape");
    await until(async () => (await dialog.count()) === 0, "the dialog to close");
    assert.equal(await card().locator(".state").textContent(), "Asked to shut down…");
    await button("Force stop").click();
    await dialog.getByRole("button", { name: "Force stop" }).click();
    await state(/^Stopped$/);
    assert.equal((await library.sampan("status", "Old PC")).state, "stopped");
    assert.equal(await card().locator("img").isVisible(), false, "no picture of what is no more");
    await until(() => console.children().length === 0, "its supervisor to be buried");
  });

  test("suspends it, and starts it where it was", async () => {
    await button("Start").click();
    await state(/^Running$/);
    await button("Suspend").click();
    await state(/^Suspended$/);
    await button("Start").click();
    await state(/^Running$/);
  });

  test("when QEMU dies, the report is shown and a start is offered", async () => {
    const { pid } = await library.sampan("status", "Old PC");
    process.kill(pid, "SIGKILL");
    await state(/^Stopped: QEMU died$/);
    await button("Show report").click();
    const dialog = page.getByRole("dialog", { name: "How Old PC ended" });
    assert.match(await dialog.locator("pre").textContent(), /SIGKILL[^]*most guests repair themselves/);
    await page.keyboard.press("Escape");
    await until(async () => (await dialog.count()) === 0, "the dialog to close");
    await state(/^Stopped: QEMU died$/);
    await button("Show report").click();
    await dialog.getByRole("button", { name: "Start again" }).click();
    await state(/^Running$/);
    assert.equal(await button("Show report").isVisible(), false);
  });

  test("machines outlive it, and the next one finds them", async () => {
    assert.deepEqual(problems, []);
    assert.deepEqual(await console.end(), { code: 130, signal: null });
    await until(async () => /console is gone/.test(await page.locator(".banner").textContent()), "the page to say so");
    assert.equal(await button("Pause").getAttribute("aria-disabled"), "true");
    assert.equal((await library.sampan("status", "Old PC")).state, "running");
    console = await Console.serve(library);
    await page.goto(console.url);
    await state(/^Running$/);
    // It hangs: the console says so, and is not held up.
    const pid = supervisor();
    process.kill(pid, "SIGSTOP");
    try {
      await state(/^Does not answer$/);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await state(/^Running$/);
    await library.sampan("snapshot", "create", "Old PC", "kept");
    await library.sampan("stop", "Old PC", "--force");
    await state(/^Stopped$/);
    const shown = () => page.evaluate(() => document.querySelector(".vm img:not([hidden])")?.naturalWidth);
    await until(async () => (await shown()) === 480, "the snapshot's picture");
  });

  test("a page with a wrong key says so", async () => {
    const other = await context.newPage();
    await other.goto(`${console.origin}/#token=wrong`);
    await until(async () => /Not allowed/.test(await other.locator(".banner").textContent()), "the words");
    await other.goto(console.url);
    await until(async () => (await other.locator(".vm").count()) === 1, "the card");
    await other.close();
  });

  /** The process that holds the machine's lock. */
  function supervisor() {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      let line = "";
      try {
        line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        continue;
      }
      if (line.includes("\0supervise\0") && line.includes(library.home)) return Number(pid);
    }
    throw new Error("no supervisor is there");
  }
});
