// A machine that is shown to other devices: the server of the module, asked as a browser there asks it. What a device sees and
// does is tried by the stream's own tests and, in Chromium, by tests/e2e.
import assert from "node:assert/strict";
import { request } from "node:https";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { folder, native, qemu } from "./lib/module.js";
import { paintingMachine } from "./lib/machines.js";

const home = folder();
let machine;

before(async () => {
  await native.host.init(join(home, "library"), qemu);
  machine = await paintingMachine(home, "shown");
});
after(async () => {
  if (machine) await native.life.forceOff(machine).catch(() => {});
});

/** What is answered, and by whose certificate. Nobody vouches for it: who connects compares its fingerprint. */
function asked(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
      const { fingerprint256 } = answer.socket.getPeerCertificate();
      let text = "";
      answer.setEncoding("utf8").on("data", (more) => (text += more)).on("end", () => resolve({ status: answer.statusCode, fingerprint256, text }));
    });
    asking.on("error", reject).end(body);
  });
}

test("a machine is shown by TLS, lets in nobody without a code, and is shown no more when its owner says so", async (t) => {
  await assert.rejects(native.stream.enable(machine), (error) => typeof error.code === "string", "it does not run");
  await native.life.start(machine).run();
  assert.equal(await native.stream.show(machine), null);
  if ((await native.stream.addresses()).length === 0) return t.skip("this host has no address but its own");
  const { url, lasting } = await native.stream.enable(machine);
  assert.equal(lasting, false);
  const page = await asked(url);
  assert.equal(page.status, 200);
  assert.match(page.text, /<html/);
  assert.equal(page.fingerprint256, await native.stream.fingerprint());
  const offer = { method: "POST", headers: { "content-type": "application/sdp", origin: new URL(url).origin }, body: "v=0\r\n" };
  const stranger = await asked(new URL("/whep", url), offer);
  assert.ok([400, 401, 403].includes(stranger.status), `${stranger.status} ${stranger.text}`);
  const code = await native.stream.pair(machine);
  assert.ok(code.url.startsWith(url) && code.words.length === 8, JSON.stringify(code));
  assert.ok(code.until > Date.now());
  await assert.rejects(native.stream.give(machine, "1"), (error) => typeof error.code === "string", "there is no such viewer");
  await native.stream.disable(machine);
  await assert.rejects(asked(url));
  assert.equal(await native.stream.show(machine), null);
});
