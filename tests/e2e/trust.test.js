// A machine's screen on another computer: paired by the address of the code, seen, driven, revoked. The browser is in a network
// namespace of its own, so that nothing of loopback helps.
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { Apart } from "./lib/apart.js";
import { Viewer, launch } from "./lib/browser.js";
import { Library } from "./lib/console.js";
import { deadline, folder, run, start, until } from "./lib/processes.js";
import { program } from "./lib/sampan.js";

const START_MS = 180_000;
const NAME = "shown";

describe("a machine that is shown to another computer", () => {
  const dir = folder("trust");
  const library = new Library();
  let apart, browser, context, page, url;

  before(async () => {
    await library.startTiny(NAME);
    apart = await Apart.connect();
    browser = await apart.launch();
    context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1000, height: 700 } });
  });

  after(async () => {
    await browser?.close();
    await apart?.close();
    await library.close();
  });

  const mark = (name) => page.evaluate((key) => document.documentElement.dataset[key], name);
  const text = () => page.locator(".pairing .card").innerText();
  const devices = () => library.sampan("stream", "devices");

  /** `sampan stream pair`, as a person at a terminal has it: what it prints, and a hand to answer with. */
  async function pair(...flags) {
    const child = start(program, ["stream", "pair", NAME, ...flags], {
      env: { ...process.env, ...library.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let asked = "";
    child.stderr.setEncoding("utf8").on("data", (piece) => (asked += piece));
    const lines = createInterface({ input: child.stdout });
    const address = new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        const found = /^pair: (https\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
      child.exited.then(() => reject(new Error(`it ended: ${asked}`)));
    });
    return {
      url: await deadline(address, 60_000, () => `the code: ${asked}`),
      asked: (words) => until(() => words.exec(asked), () => `the question; so far: ${asked}`, 60_000),
      answer: (line) => child.stdin.end(`${line}\n`),
      end: () => deadline(child.exited, 60_000, () => `pairing to end: ${asked}`),
    };
  }

  test("nothing is shown before the owner says so", async () => {
    const { stderr, code } = await run(program, ["stream", "pair", NAME, "--yes"], { env: library.env });
    assert.equal(code, 1);
    assert.match(stderr, /not shown.*sampan stream on/s);
    assert.equal((await library.sampan("stream", "status", NAME)).shared, false);
    ({ url } = await library.sampan("stream", "on", NAME, "--address", apart.here));
    assert.ok(url.startsWith(`https://${apart.here}:`), url);
  });

  test("a device that is refused sees nothing", async () => {
    const owner = await pair();
    page = await context.newPage();
    await page.goto(owner.url);
    await owner.asked(new RegExp(`Chromium, Linux.*${apart.there.replaceAll(".", "\\.")}`));
    owner.answer("n");
    assert.equal((await owner.end()).code, 1);
    await until(async () => /did not let this device in/.test(await text()), "the refusal");
    assert.equal(new URL(page.url()).hash, "", "the code leaves the address bar");
    assert.deepEqual(await devices(), []);
    await page.close();
  });

  test("the owner compares the digits and lets it in; its picture arrives and its keys reach the guest", async () => {
    const owner = await pair();
    page = await context.newPage();
    await page.goto(owner.url);
    const [, digits] = await owner.asked(/its screen shows (\d{4})/);
    await until(async () => (await mark("pairing")) === "asking", "the digits on the page");
    assert.equal(await page.locator(".pairing .digits").innerText(), digits);
    owner.answer("d");
    assert.equal((await owner.end()).code, 0);
    await until(async () => (await mark("connection")) === "connected", "the connection", START_MS);
    await until(() => page.evaluate(() => document.querySelector("video").videoWidth > 0), "a picture", START_MS);
    const [device] = await devices();
    assert.deepEqual([device.name, device.rights], ["Chromium, Linux", ["watch", "drive"]]);
    const { viewers } = await library.sampan("stream", "status", NAME);
    assert.deepEqual([viewers.length, viewers[0].device, viewers[0].address], [1, device.device, apart.there]);

    const picture = join(dir, "screen.png");
    const reads = async (words) => {
      await library.sampan("screenshot", NAME, picture);
      const read = await run("tesseract", [picture, "-", "--dpi", "150"], { env: { OMP_THREAD_LIMIT: "1" } });
      assert.equal(read.code, 0, `tesseract (package tesseract-ocr): ${read.stderr}`);
      return words.test(read.stdout);
    };
    await page.locator(".surface").click();
    await until(async () => {
      // The guest may still boot; what it typed before is cleared by Return.
      await page.keyboard.press("Enter");
      await page.keyboard.type("hello sampan", { delay: 20 });
      return reads(/hello\s*sampan/i);
    }, "the typed text on the guest's screen", START_MS, 1000);
  });

  test("it asks the owner's page for control, and the owner hands over, by the page or by the program", async () => {
    const here = await launch();
    try {
      const owner = await Viewer.open(here, (await library.sampan("status", NAME)).viewer);
      await owner.connected();
      const press = (of, name) => of.getByRole("button", { name, exact: true }).click();
      const doing = async () => {
        const { viewers } = await library.sampan("stream", "status", NAME);
        return viewers.map(({ name, driving, asking }) => `${name} ${driving ? "drives" : asking ? "asks" : "watches"}`);
      };
      const does = (...what) => until(async () => (await doing()).join() === what.join(), async () => `${what}, not ${await doing()}`);
      await does("Chromium, Linux drives", " watches");
      await press(owner.page, "Take control");
      await owner.driving();
      await press(page, "Ask for control");
      await does("Chromium, Linux asks", " drives");
      await owner.page.getByText("Chromium, Linux asks for control.").waitFor();
      await press(owner.page, "Refuse");
      await page.getByText("Control was refused.").waitFor();
      await owner.page.evaluate(() => document.querySelector(".handle").click());
      await press(owner.page, "More");
      await press(owner.page, "Hand over: Chromium, Linux");
      await until(async () => (await mark("driving")) === "true", "control");
      const [, own] = (await library.sampan("stream", "status", NAME)).viewers;
      await library.sampan("stream", "give", NAME, own.viewer);
      await owner.driving();
      await owner.close();
      await until(async () => (await mark("driving")) === "true", "control, as the only one left");
    } finally {
      await here.close();
    }
  });

  test("it comes again without a code", async () => {
    await page.close();
    page = await context.newPage();
    await page.goto(url);
    await until(async () => (await mark("connection")) === "connected", "the connection", START_MS);
  });

  test("a code works once, and another browser is a stranger", async () => {
    const stranger = await browser.newContext({ ignoreHTTPSErrors: true });
    const other = await stranger.newPage();
    await other.goto(url);
    await other.locator(".pairing textarea").waitFor();
    assert.match(await other.locator(".pairing").innerText(), /not paired/);
    await stranger.close();
  });

  test("revoking ends it at once", async () => {
    const [{ device }] = await devices();
    await library.sampan("stream", "revoke", device);
    await until(async () => (await mark("connection")) !== "connected", "the end of the connection", 60_000);
    await until(async () => /not let in any more/.test(await text()), "the words", 60_000);
    // The page may hear of it before its place is given up.
    await until(async () => (await library.sampan("stream", "status", NAME)).viewers.length === 0, "its departure", 60_000);
  });

  test("words do as well, and off ends everything", async () => {
    const waiting = start(program, ["stream", "pair", NAME, "--watch", "--yes"], { env: { ...process.env, ...library.env } });
    const [line] = await deadline(
      (async () => {
        for await (const words of createInterface({ input: waiting.stdout })) {
          if (words.startsWith("words: ")) return [words.slice(7)];
        }
        return [];
      })(), 60_000, "the words");
    await page.locator(".pairing textarea").fill(line.toUpperCase());
    const reloaded = once(page, "load");
    await page.locator(".pairing button").click();
    await reloaded;
    await until(async () => (await mark("connection")) === "connected", "the connection", START_MS);
    await library.sampan("stream", "off", NAME);
    await until(async () => (await mark("connection")) !== "connected", "the end of the connection", 60_000);
    await assert.rejects(page.goto(url), /REFUSED/);
  });
});
