// What a page exchanges with a Debian guest besides its screen and its keys: the clipboard both ways, and files both ways.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { CLIPBOARD_AGENT, Library, debian } from "./lib/library.js";
import { folder, until } from "./lib/processes.js";

const PATIENCE_MS = 120_000;

describe("a page and a Debian guest", () => {
  const dir = folder("exchange");
  let here, browser, viewer, page;

  before(async () => {
    const disk = await debian();
    here = new Library(join(dir, "sampan"));
    await here.json("new", "debian", "--image", disk, "--memory", "768M", "--cpus", "2", "--arch", "x86_64");
    const { viewer: url } = await here.json("start", "debian");
    await here.booted("debian");
    browser = await launch();
    viewer = await Viewer.open(browser, url, { permissions: ["clipboard-read", "clipboard-write"] });
    ({ page } = viewer);
    await viewer.driving();
  }, { timeout: 900_000 });

  after(async () => {
    await browser?.close();
    await here?.stopAll();
    rmSync(dir, { recursive: true, force: true });
  });

  const press = async (name) => {
    const more = page.locator('[aria-controls="menu"]');
    if ((await more.getAttribute("aria-expanded")) !== "true") {
      await page.evaluate(() => document.querySelector(".handle").click());
      await more.click();
    }
    await page.getByRole("button", { name, exact: true }).click();
  };
  const says = (words) => until(async () => words.test(await page.textContent(".notice")),
    async () => `${words}, not ${await page.textContent(".notice")}`, PATIENCE_MS);
  const pasted = (what) => until(
    async () => (await here.run("exec", "debian", "--", "cat", "/run/pasted")).stdout.split("\0").includes(what),
    `the guest to paste ${what}`, PATIENCE_MS);

  test("the clipboard waits for somebody in the guest", async () => {
    await page.evaluate(() => document.querySelector(".handle").click());
    await page.locator('[aria-controls="menu"]').click();
    assert.ok(await page.getByRole("button", { name: "Paste into the machine" }).isDisabled());
    const script = join(dir, "agent.pl");
    writeFileSync(script, CLIPBOARD_AGENT);
    await here.json("file", "push", "debian", script, "/run/agent.pl");
    await here.exec("debian", "sh", "-c", "setsid perl /run/agent.pl >/run/agent.log 2>&1 &");
    await until(() => page.getByRole("button", { name: "Paste into the machine" }).isEnabled(), "the page to offer it", PATIENCE_MS);
  });

  test("what this device has copied is pasted in the guest", async () => {
    await page.evaluate(() => navigator.clipboard.writeText("from the page 中文 😀"));
    await press("Paste into the machine");
    await says(/can paste it now/);
    await pasted("from the page 中文 😀");
  });

  test("what the guest has copied is in this device's clipboard", async () => {
    assert.ok(await page.getByRole("button", { name: "Copy from the machine" }).isDisabled());
    await here.exec("debian", "touch", "/run/copy");
    await here.run("clipboard", "set", "debian", { input: "next" });
    await until(() => page.getByRole("button", { name: "Copy from the machine" }).isEnabled(), "the page to offer it", PATIENCE_MS);
    await press("Copy from the machine");
    await says(/in this device's clipboard/);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "in the guest");
  });

  test("without the browser's leave a person pastes into a field", async () => {
    await page.context().clearPermissions();
    await page.evaluate(() => {
      navigator.clipboard.read = () => Promise.reject(new DOMException("no", "NotAllowedError"));
    });
    await press("Paste into the machine");
    const field = page.locator("dialog textarea");
    await field.waitFor();
    assert.match(await page.locator("dialog[open]").innerText(), /does not let this page use the clipboard/);
    await field.evaluate((node) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", "by hand");
      node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    });
    await says(/can paste it now/);
    await pasted("by hand");
  });

  const drop = (...names) => page.evaluate((all) => {
    const dataTransfer = new DataTransfer();
    for (const [name, text] of all) dataTransfer.items.add(new File([text], name));
    const stage = document.querySelector(".stage");
    for (const type of ["dragover", "drop"]) {
      stage.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, names);

  test("files that are dropped on the picture are in the guest, one after the other", async () => {
    const large = "sampan ".repeat(200_000);
    await drop(["one.txt", "first"], ["two words.txt", large]);
    const rows = page.locator(".transfer");
    await until(async () => (await rows.allInnerTexts()).filter((text) => /is in the guest: \/var\/tmp\//.test(text)).length > 0
      || (await here.run("exec", "debian", "--", "test", "-e", "/var/tmp/two words.txt")).code === 0,
      async () => `the files: ${await rows.allInnerTexts()}`, PATIENCE_MS);
    await until(async () => (await here.run("exec", "debian", "--", "stat", "-c", "%s", "/var/tmp/two words.txt")).stdout.trim() === String(large.length),
      "the second file, whole", PATIENCE_MS);
    assert.equal(await here.exec("debian", "cat", "/var/tmp/one.txt"), "first");
  });

  test("a file of the guest's is saved by the browser, and one that is not there is told", async () => {
    await here.exec("debian", "sh", "-c", "printf 'from the guest' >/run/wanted");
    const fetch = async (path) => {
      await press("Fetch a file from the machine…");
      await page.locator("dialog input").fill(path);
      await page.locator("dialog button[type=submit]").click();
    };
    const [download] = await Promise.all([page.waitForEvent("download", { timeout: PATIENCE_MS }), fetch("/run/wanted")]);
    assert.equal(download.suggestedFilename(), "wanted");
    assert.equal(readFileSync(await download.path(), "utf8"), "from the guest");
    await fetch("/run/nowhere");
    await page.locator(".transfer.failed").waitFor({ timeout: PATIENCE_MS });
    assert.match(await page.locator(".transfer.failed").innerText(), /nowhere/);
  });

  test("the page raised no error of its own", () => {
    // What the server refuses the browser tells, too.
    assert.deepEqual(viewer.problems.filter((problem) => !/Failed to load resource/.test(problem)), []);
  });
});
