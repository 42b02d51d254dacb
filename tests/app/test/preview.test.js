// The preview's program: what it prints, serves and leaves behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { launch } from "../bridge/browser.js";
import { Link } from "../bridge/client.js";
import { readInterface } from "../bridge/interface.js";
import { proxy } from "../bridge/proxy.js";

const program = fileURLToPath(new URL("../bridge/main.js", import.meta.url));
const description = readInterface(fileURLToPath(new URL("../../../entry/types/libsampan/Index.d.ts", import.meta.url)));
const home = mkdtempSync(join(tmpdir(), "sampan-preview-test-"));
const children = new Set();

after(() => {
  children.forEach((child) => child.kill("SIGKILL"));
  rmSync(home, { recursive: true, force: true });
});

/** Starts it; comes to what it said on stdout once that is a line, and to how it ends. */
function started(...args) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let [said, complained] = ["", ""];
  child.stderr.on("data", (piece) => { complained += piece; });
  const ended = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal, said, complained })));
  const line = new Promise((resolve) => {
    child.stdout.on("data", (piece) => {
      said += piece;
      if (said.includes("\n")) resolve(said.split("\n")[0]);
    });
    ended.then(() => resolve(said));
  });
  return { child, ended, line };
}

/** The module of a preview, as a page has it. */
async function module(url) {
  const { host, hash } = new URL(url);
  const token = new URLSearchParams(hash.slice(1)).get("token");
  const link = await Link.open(new WebSocket(`ws://${host}/bridge/socket?token=${token}`));
  const native = proxy(description, link);
  return { link, native, ends: await native.host.init("", "") };
}

test("it prints its URL first, and saves what runs when it is told to end", async () => {
  const first = started("--home", home, "--language", "en");
  const url = await first.line;
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{32}$/);
  const { link, native } = await module(url);
  const { id } = await native.machines.create({ name: "kept", preset: "old", arch: "x86_64", cpus: 1, memory: 64, disk: 0 }, []).run();
  await native.life.start(id).run();
  first.child.kill("SIGINT");
  const { code, signal, said, complained } = await first.ended;
  assert.deepEqual([code, signal], [0, null], complained);
  assert.equal(said, `${url}\n`, "nothing else is on stdout");
  assert.match(complained, new RegExp(`${id}: suspended`));
  await link.closed;

  const second = started("--home", home);
  const next = await second.line;
  assert.notEqual(new URL(next).hash, new URL(url).hash, "each start has a secret of its own");
  const again = await module(next);
  assert.deepEqual(again.ends, [], "nothing was cut off");
  assert.deepEqual((await again.native.machines.list()).map(({ name, state }) => [name, state]), [["kept", "suspended"]]);
  second.child.kill("SIGTERM");
  assert.equal((await second.ended).code, 0);
});

test("the app itself stands in Chromium, in a window of a device's size", async () => {
  const { child, line, ended } = started("--home", home, "--language", "en", "--dark");
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.stack ?? String(error)));
    await page.goto(await line);
    const frame = page.frameLocator("iframe");
    await frame.locator("html[data-ready]").waitFor({ state: "attached" }).catch((error) => assert.fail(`${error.message} ${problems.join("; ")}`));
    await frame.getByText("kept").first().waitFor();
    assert.equal(await frame.locator("html").getAttribute("data-mode"), "dark");
    const { width, height } = await page.locator("iframe").boundingBox();
    assert.deepEqual([width, height], [390, 844]);
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    child.kill("SIGINT");
  }
  assert.equal((await ended).code, 0);
});

test("what it cannot do it says, and ends", async () => {
  const taken = createServer();
  await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address();
  for (const [args, words] of [
    [[], /--home names/], [["--home", home, "--width", "watch"], /phone, tablet or pc/], [["--home", home, "--language", "fr"], /zh or en/],
    [["--home", home, "--port", String(port)], /is taken/],
  ]) {
    const { code, complained, said } = await started(...args).ended;
    assert.equal(code, 1, complained);
    assert.match(complained, words);
    assert.equal(said, "");
  }
  taken.close();
});
