// A machine of another device: which addresses are ones, and that nothing runs and no code is there before the certificate is the right one.
// What the system's web view does is played: no page is told of certificates by a browser.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { model } from "./lib/models.js";
import { seen, start } from "./lib/pages.js";

const { parseRemote } = await model("remoteAddress");
const RIGHT = Uint8Array.from({ length: 300 }, (_, n) => n & 0xff);
const WRONG = Uint8Array.from({ length: 300 }, (_, n) => (n * 7) & 0xff);
const ORIGIN = "https://192.0.2.1:4433";
const hash = (der) => createHash("sha256").update(der).digest();
const fingerprint = (der) => hash(der).toString("hex").toUpperCase().match(/../g).join(":");
const CODE = `i=0123456789abcdef&s=AAECAwQFBgcICQoLDA0ODw&f=${hash(RIGHT).toString("base64url")}`;
let app;
after(() => app?.close());

test("an address is https, numbers and a port, with a code or without", () => {
  const { origin, page, plain, fingerprint: told } = parseRemote(` ${ORIGIN}/#${CODE}\n`);
  assert.deepEqual([origin, page, plain, told], [ORIGIN, `${ORIGIN}/#${CODE}`, `${ORIGIN}/nonce`, fingerprint(RIGHT)]);
  for (const [text, page] of [
    ["192.0.2.1:4433", `${ORIGIN}/`], [`${ORIGIN}/`, `${ORIGIN}/`], ["HTTPS://192.0.2.1:4433", `${ORIGIN}/`], ["https://[fd00::1]:4433/", "https://[fd00::1]:4433/"],
  ]) assert.equal(parseRemote(text)?.page, page, text);
  for (const text of [
    "", "https://", "http://192.0.2.1:4433", "https://192.0.2.1", "https://192.0.2.1:0", "https://192.0.2.1:65536", "https://192.0.2.256:4433", "https://0.0.0.0:4433",
    "https://example.org:4433", "https://user@192.0.2.1:4433", "https://192.0.2.1:4433/elsewhere", "https://192.0.2.1:4433/?q", "javascript://192.0.2.1:4433",
    `${ORIGIN}/#hello`, `${ORIGIN}/#${CODE}&x=1`, `${ORIGIN}/#${CODE.slice(0, -4)}`, `${ORIGIN}/#${CODE.replace("s=", "s=<")}`, `${ORIGIN}/#${"i".repeat(600)}`,
    "https://192.0.2.1:4433 https://192.0.2.2:4433", "https://[::1:4433", "https://[fd00::1/]:4433",
  ]) assert.equal(parseRemote(text), undefined, text);
});

/** The page, with what the web view of a device would meet. */
async function opened(certificate, options = {}) {
  await app?.close();
  app = await start({ certificate, ...options });
  await app.until(() => app.has("#tab_machines"));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openRemote();
  await app.until(() => app.has("#remote_address"));
}
const web = () => app.document.querySelector("#remote_web");
/** The web view meets a certificate that nobody vouches for, and then the page has come. Comes to whether it went on. */
async function meets() {
  let went;
  const handler = { handleConfirm: () => { went = true; }, handleCancel: () => { went = false; } };
  web().$node.sslError({ handler, error: 3 });
  await app.settle();
  if (went) app.fire(web(), "load");
  await app.settle();
  return went;
}
const runsScripts = () => web().getAttribute("sandbox").includes("allow-scripts");

for (const language of ["base", "zh_CN"]) {
  test(`the code vouches for the certificate: then, and not before, the page runs and has it (${language})`, async () => {
    const preferences = {};
    await opened(RIGHT, { language, preferences });
    await assert.rejects(app.click("#remote_go"), /switched off/);
    await app.type("#remote_address", "https://example.org");
    await seen(app, language, "remote_no_address");
    await app.type("#remote_address", `${ORIGIN}/#${CODE}`);
    await app.click("#remote_go");
    await app.until(() => web());
    assert.equal(web().getAttribute("src"), `${ORIGIN}/nonce`);
    assert.ok(!runsScripts());
    assert.equal(await meets(), true);
    await app.until(() => web().getAttribute("src") === `${ORIGIN}/#${CODE}`);
    assert.ok(runsScripts());
    assert.ok(app.has("#remote_web"), "it is seen");
    assert.equal(await meets(), false, "another certificate than that one ends it");
    await seen(app, language, "remote_wrong");
    assert.ok(!web(), "and takes the page away");
    assert.equal(app.calls.filter(({ name }) => name === "webview.clearSslCache").length, 1);
    assert.deepEqual(JSON.parse(preferences.remote.hosts), [{ origin: ORIGIN, fingerprint: fingerprint(RIGHT) }], "no secret is kept");
  });
}

test("with another certificate than the code's nothing runs, and nothing is sent", async () => {
  await opened(WRONG);
  await app.type("#remote_address", `${ORIGIN}/#${CODE}`);
  await app.click("#remote_go");
  await app.until(() => web());
  assert.equal(await meets(), true);
  await seen(app, "base", "remote_wrong");
  assert.ok(!web());
  app.env.certificate = RIGHT;
  await app.click("#remote_again");
  await app.until(() => web());
  assert.equal(web().getAttribute("src"), `${ORIGIN}/nonce`);
  await meets();
  await app.until(() => web().getAttribute("src").endsWith(CODE));
});

test("without a code a person compares the fingerprint once; the place is opened with a tap after that, and forgotten", async () => {
  const preferences = {};
  await opened(RIGHT, { preferences });
  await app.type("#remote_address", ORIGIN);
  await app.click("#remote_go");
  await app.until(() => web());
  await meets();
  await app.until(() => app.has("#remote_fingerprint"));
  assert.equal(app.find("#remote_fingerprint").textContent, fingerprint(RIGHT));
  assert.ok(!runsScripts());
  await app.click("#remote_same");
  await app.until(() => web().getAttribute("src") === `${ORIGIN}/`);
  assert.ok(runsScripts());
  // Back is back to the address, then out.
  await app.back();
  await app.until(() => app.has("#remote_known"));
  assert.ok(!web());
  await app.click(`[id='remote_${ORIGIN}']`);
  await app.until(() => web());
  await meets();
  await app.until(() => web().getAttribute("src") === `${ORIGIN}/`);
  // Somebody else at the same address is not the same device.
  await opened(WRONG, { preferences });
  await app.click(`[id='remote_${ORIGIN}']`);
  await app.until(() => web());
  await meets();
  await seen(app, "base", "remote_wrong");
  await app.back();
  await app.click(`[id='remote_forget_${ORIGIN}']`);
  await app.until(() => !app.has("#remote_known"));
  assert.deepEqual(JSON.parse(preferences.remote.hosts), []);
});

test("where nobody answers it says so, and tries again", async () => {
  await opened(RIGHT);
  await app.type("#remote_address", ORIGIN);
  await app.click("#remote_go");
  await app.until(() => web());
  web().$node.failed({ request: { isMainFrame: () => false }, error: {} });
  await app.settle();
  assert.ok(web(), "a part of the page is not the page");
  web().$node.failed({ request: { isMainFrame: () => true }, error: {} });
  await seen(app, "base", "remote_unreachable");
  await app.click("#remote_again");
  await app.until(() => web());
});
