// Who is let in: the key, the Host and the Origin; and what a viewer that hangs or goes away costs.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { Viewer, launch, launchServer } from "./lib/browser.js";
import { sleep, until } from "./lib/processes.js";
import { Sampan, residentBytes } from "./lib/sampan.js";

/** A bare request, since a browser would not let us lie about Host and Origin. */
function request(sampan, { method = "GET", path = "/", headers = {}, body = "" }) {
  const { hostname, port } = new URL(sampan.url);
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path, headers, timeout: 20_000, agent: false };
    const ask = http.request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    ask.on("timeout", () => ask.destroy(new Error("no answer")));
    ask.on("error", reject);
    ask.end(body);
  });
}

describe("access", () => {
  let sampan, guest, browser;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  test("only the static page is served without the key", async () => {
    const page = await request(sampan, {});
    assert.equal(page.status, 200);
    assert.match(page.headers["content-security-policy"], /default-src 'none'/);
    assert.ok(!page.text.includes(sampan.token));
    for (const [method, path] of [["POST", "/whep"], ["GET", "/status"], ["DELETE", "/whep/1"]]) {
      for (const headers of [{}, { Authorization: "Bearer wrong" }, { Authorization: sampan.token }]) {
        const { status } = await request(sampan, { method, path, headers });
        assert.equal(status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
      }
    }
    const headers = { Authorization: `Bearer ${sampan.token}` };
    assert.equal((await request(sampan, { path: "/status", headers })).status, 200);
  });

  test("another Host or Origin is refused, even with the key", async () => {
    const Authorization = `Bearer ${sampan.token}`;
    for (const headers of [{ Host: "evil.example" }, { Origin: "http://evil.example" }, { Origin: "null" }]) {
      for (const path of ["/", "/status"]) {
        const { status } = await request(sampan, { path, headers: { Authorization, ...headers } });
        // The page itself holds no secret: another origin may ask for it, but cannot read it.
        if (path === "/" && headers.Origin !== undefined) continue;
        assert.ok(status === 403 || status === 421, `${path} ${JSON.stringify(headers)}: ${status}`);
      }
    }
  });

  test("nonsense instead of an offer is answered, not fatal", async () => {
    const headers = { Authorization: `Bearer ${sampan.token}`, "Content-Type": "application/sdp" };
    for (const body of ["", "v=0", "\u0000".repeat(1000), "x".repeat(300_000)]) {
      const { status } = await request(sampan, { method: "POST", path: "/whep", headers, body })
        .catch(() => ({ status: 413 }));
      assert.ok(status >= 400 && status < 500, `${body.length} bytes: ${status}`);
    }
    assert.equal((await request(sampan, {})).status, 200);
  });

  test("a page with a wrong key says so and stops asking", async () => {
    const viewer = await Viewer.open(browser, `${sampan.origin}/#token=wrong`);
    await until(async () => (await viewer.marks()).connection === "refused", "the page to say so");
    assert.match(await viewer.page.textContent(".notice"), /no valid key/);
    // A page opened again with the right address gets in.
    await viewer.page.goto(sampan.url);
    await viewer.connected();
    await viewer.close();
  });

  test("keys held by a viewer that vanishes are let go of", async () => {
    const viewer = await Viewer.open(browser, sampan.url);
    await viewer.driving();
    const from = guest.events.length;
    await viewer.page.keyboard.down("Control");
    await guest.event((e) => e.key === 29 && e.down, "Ctrl to go down", { from });
    // Closing the page runs no handlers here.
    await viewer.page.close({ runBeforeUnload: false });
    await guest.event((e) => e.key === 29 && !e.down, "Ctrl to go up", { from, timeoutMs: 60_000 });
    await viewer.close();
  });

  test("a viewer that hangs costs neither the guest nor another viewer", async () => {
    const hung = await launchServer();
    try {
      const [victim, viewer] = [
        await Viewer.open(hung.browser, sampan.url),
        await Viewer.open(browser, sampan.url),
      ];
      await guest.workload("scroll", 20);
      await victim.reaches((await guest.state()).counter + 5);
      await viewer.reaches((await guest.state()).counter + 5);
      const memory = residentBytes(sampan.pid);
      process.kill(-hung.pid, "SIGSTOP");
      const { counter } = await guest.state();
      // A hundred frames: what is queued for the one that hangs would show.
      await viewer.reaches(counter + 100);
      await sleep(1000);
      const grown = residentBytes(sampan.pid) - memory;
      assert.ok(grown < 64 << 20, `grew by ${grown >> 20} MiB`);
      process.kill(-hung.pid, "SIGCONT");
      await victim.reaches((await guest.state()).counter + 5);
      await viewer.close();
    } finally {
      try {
        process.kill(-hung.pid, "SIGCONT");
      } catch {
        // It is gone already.
      }
      await hung.close();
      await guest.workload("desk");
    }
  });

  test("a killed browser leaves a server that serves the next", async () => {
    const doomed = await launchServer();
    const viewer = await Viewer.open(doomed.browser, sampan.url);
    await viewer.connected();
    process.kill(-doomed.pid, "SIGKILL");
    await doomed.close().catch(() => undefined);
    const next = await Viewer.open(browser, sampan.url);
    await next.reaches((await guest.state()).counter);
    await next.close();
  });
});
