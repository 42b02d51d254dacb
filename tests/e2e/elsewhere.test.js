// Another computer over IPv6, one whose address changes, and one whose network lets no UDP through.
import assert from "node:assert/strict";
import { get } from "node:https";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { Apart } from "./lib/apart.js";
import { notePeers } from "./lib/browser.js";
import { Library } from "./lib/console.js";
import { deadline, start, until } from "./lib/processes.js";
import { program } from "./lib/sampan.js";

const START_MS = 180_000;
const NAME = "shown";

describe("another computer", () => {
  const library = new Library();
  let apart, browser, context, page, url;

  before(async () => {
    await library.startTiny(NAME);
    apart = await Apart.connect();
    browser = await apart.launch();
    context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1000, height: 700 } });
    await context.addInitScript(notePeers);
  });

  after(async () => {
    await browser?.close();
    await apart?.close();
    await library.close();
  });

  const mark = (name) => page.evaluate((key) => document.documentElement.dataset[key], name);
  const connected = () => until(async () => (await mark("connection")) === "connected", async () => `the connection, not ${await mark("connection")}`, START_MS);
  const peers = () => page.evaluate(() => globalThis.sampanPeers.length);
  const picture = () => until(() => page.evaluate(() => document.querySelector("video").videoWidth > 0), "a picture", START_MS);
  const viewers = async () => (await library.sampan("stream", "status", NAME)).viewers;

  /** The address that a code is in, of an owner who lets everybody in. */
  async function pair() {
    const child = start(program, ["stream", "pair", NAME, "--drive", "--yes"], { env: { ...process.env, ...library.env } });
    const address = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^pair: (https\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    return { url: await deadline(address, 60_000, "the code"), child };
  }

  /** How what the page sees comes, by its own panel. */
  async function path() {
    await page.evaluate(() => document.querySelector(".handle")?.click());
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByText("Statistics").first().click();
    const value = page.locator("#stats dt", { hasText: "Path" }).locator("+ dd");
    return until(async () => {
      const text = await value.innerText();
      return text === "–" ? undefined : text;
    }, "the path's name", 60_000);
  }

  test("by IPv6 it is paired, sees the picture and drives", async () => {
    ({ url } = await library.sampan("stream", "on", NAME, "--address", apart.here6));
    assert.ok(url.startsWith(`https://[${apart.here6}]:`), url);
    const owner = await pair();
    assert.ok(owner.url.startsWith(`${url}/#i=`), owner.url);
    page = await context.newPage();
    await page.goto(owner.url);
    await connected();
    await picture();
    await deadline(owner.child.exited, 60_000, "pairing to end");
    const [viewer] = await viewers();
    assert.deepEqual([viewer.address, viewer.driving], [apart.there6, true]);
    const candidates = await page.evaluate(async () => [...(await globalThis.sampanPeers.at(-1).getStats()).values()]
      .filter(({ type }) => type === "remote-candidate").map(({ address, protocol }) => `${protocol} ${address}`));
    assert.ok(candidates.some((one) => [`udp ${apart.here6}`, `udp [${apart.here6}]`].includes(one)), candidates.join());
  });

  test("only by its own name, brackets and all", async () => {
    const { host, port } = new URL(url);
    const ask = (name, origin) => new Promise((resolve, reject) => {
      const headers = { Host: name, ...(origin && { Origin: origin }) };
      get({ host: apart.here6, port, path: "/", headers, rejectUnauthorized: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on("error", reject);
    });
    assert.equal(await ask(host), 200);
    assert.equal(await ask(host, url), 200);
    for (const other of [`${apart.here6}:${port}`, `[${apart.there6}]:${port}`, `[${apart.here6}]`, `localhost:${port}`]) {
      assert.equal(await ask(other), 421, other);
    }
    assert.equal(await ask(host, `http://${host}`), 403);
  });

  test("one whose address changes keeps its connection, and control", async (t) => {
    const [before] = await viewers();
    const connections = await peers();
    const began = performance.now();
    await apart.move6(apart.elsewhere6);
    await until(async () => (await viewers())[0]?.address === apart.elsewhere6, "the new address", START_MS, 200);
    await connected();
    t.diagnostic(`found after ${(performance.now() - began).toFixed(0)} ms`);
    // Who is away for a moment drives again when it is back.
    await until(async () => (await viewers())[0].driving, "control", START_MS);
    const [after, ...others] = await viewers();
    assert.deepEqual([after.viewer, after.driving, others.length, await peers()], [before.viewer, true, 0, connections]);
    // What it says from there is heard.
    await page.evaluate(() => document.querySelector(".surface").focus());
    const frames = () => page.evaluate(async () => [...(await globalThis.sampanPeers.at(-1).getStats()).values()]
      .find(({ type, kind }) => type === "inbound-rtp" && kind === "video").framesDecoded);
    const seen = await frames();
    await until(async () => {
      await page.keyboard.press("KeyA");
      return (await frames()) > seen;
    }, "the picture to answer a key", START_MS, 500);
  });

  test("where no UDP comes through it is shown over TCP, and the panel says so", async (t) => {
    await page.goto("about:blank");
    await until(async () => (await viewers()).length === 0, "its departure", START_MS);
    await apart.blockUdp();
    const began = performance.now();
    await page.goto(url);
    await connected();
    await picture();
    t.diagnostic(`connected over TCP after ${(performance.now() - began).toFixed(0)} ms`);
    assert.match(await path(), /TCP/);
    await apart.blockUdp(false);
    await page.reload();
    await connected();
    await picture();
    assert.match(await path(), /UDP/);
  });

  test("by IPv4, too", async () => {
    ({ url } = await library.sampan("stream", "on", NAME, "--address", apart.here));
    const owner = await pair();
    await page.goto(owner.url);
    await connected();
    await deadline(owner.child.exited, 60_000, "pairing to end");
    await page.goto("about:blank");
    await apart.blockUdp();
    await page.goto(url);
    await connected();
    await picture();
    assert.match(await path(), /TCP/);
    await apart.blockUdp(false);
  });
});
