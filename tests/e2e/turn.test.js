// A device whose network lets nothing through but the page itself and a relay (TURN): Debian's coturn, and Chromium in a network namespace.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { Apart } from "./lib/apart.js";
import { Library } from "./lib/console.js";
import { freePort } from "./lib/library.js";
import { deadline, folder, start, until } from "./lib/processes.js";
import { program } from "./lib/sampan.js";
import { Turn } from "./lib/turn.js";

const NAME = "shown";
const WAIT_MS = 120_000;

test("where there is no direct path the picture comes by the relay that the owner has named", async () => {
  const library = new Library();
  const dir = folder("turn-test");
  const credential = (word) => {
    const file = join(dir, "credential");
    writeFileSync(file, `${word}\n`);
    return file;
  };
  let apart, browser, turn;
  try {
    await library.startTiny(NAME);
    apart = await Apart.connect();
    browser = await apart.launch();
    const turnPort = await freePort();
    turn = await Turn.start(apart.here, turnPort, "ada", "right");
    const { url } = await library.sampan("stream", "on", NAME, "--address", apart.here);
    await apart.only(["tcp", new URL(url).port], ["udp", turnPort]);

    const child = start(program, ["stream", "pair", NAME, "--drive", "--yes"], { env: { ...process.env, ...library.env } });
    const address = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /^pair: (https\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1000, height: 700 } });
    const page = await context.newPage();
    await page.goto(await deadline(address, 60_000, "the code"));
    const says = (words) => page.getByText(words).first().waitFor({ timeout: WAIT_MS });
    const connection = () => page.evaluate(() => document.documentElement.dataset.connection);

    assert.deepEqual(await library.sampan("stream", "ice", "list"), []);
    await says("The picture is blocked");

    const server = `turn:${apart.here}:${turnPort}?transport=udp`;
    await library.sampan("stream", "ice", "add", server, "--user", "ada", "--credential-file", credential("wrong"));
    await says("The relay refuses");

    await library.sampan("stream", "ice", "add", server, "--user", "ada", "--credential-file", credential("right"));
    assert.deepEqual(await library.sampan("stream", "ice", "list"), [{ url: server, username: "ada" }]);
    await until(async () => (await connection()) === "connected", async () => `the connection, not ${await connection()}\n${turn.log.slice(-2000)}`, WAIT_MS);
    await until(() => page.evaluate(() => document.querySelector("video").videoWidth > 0), "a picture", WAIT_MS);
    await page.evaluate(() => document.querySelector(".handle")?.click());
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByText("Statistics").first().click();
    const path = page.locator("#stats dt", { hasText: "Path" }).locator("+ dd");
    await until(async () => /relay/i.test(await path.innerText()), async () => `a relay, not ${await path.innerText()}`, WAIT_MS);

    // Nobody is told of it who was not let in.
    const bare = await fetchHead(url);
    assert.equal(bare.link, undefined, "the page itself tells nothing");
    await library.sampan("stream", "ice", "remove", server);
    assert.deepEqual(await library.sampan("stream", "ice", "list"), []);
  } finally {
    await browser?.close();
    await turn?.stop();
    await apart?.close();
    await library.close();
  }
});

/** The head of the page's answer to a stranger. */
function fetchHead(url) {
  return new Promise((resolve, reject) => {
    get(`${url}/`, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.headers);
    }).on("error", reject);
  });
}
