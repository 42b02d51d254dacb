// Publishing to a media server by WHIP: Debian's Janus relays the stream, and Chromium sees the guest through it.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { control } from "./lib/control.js";
import { Library } from "./lib/console.js";
import { Gateway, Janus, TOKEN, Watching } from "./lib/janus.js";
import { folder, run, until } from "./lib/processes.js";
import { Sampan, program } from "./lib/sampan.js";
import { shows } from "./lib/truth.js";

/** A command that may fail, and what it says then. */
const refused = (library, ...args) => run(program, args, { env: library.env });

const publishing = async (sampan) => (await control(sampan, { command: "status" })).ok.publishing;

const reaches = (sampan, state) => {
  let last;
  return until(async () => {
    last = await publishing(sampan);
    return last?.state === state && last;
  }, () => `${state}; last told ${JSON.stringify(last)}\n${sampan.log}`, 60_000);
};

test("by the program, over TLS and as VP8, until it is turned off", async () => {
  const dir = folder("publish");
  const [key, certificate, token] = ["key.pem", "certificate.pem", "token"].map((name) => join(dir, name));
  const made = await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext",
    "basicConstraints=critical,CA:FALSE"]);
  assert.equal(made.code, 0, made.stderr);
  writeFileSync(token, `${TOKEN}\n`);
  const library = new Library();
  const janus = await Janus.start({ codec: "vp8" });
  const gateway = await Gateway.start(janus, { key: readFileSync(key), cert: readFileSync(certificate) });
  const open = await Gateway.start(janus);
  let browser;
  try {
    [browser] = await Promise.all([launch(), library.startTiny("shown")]);
    const url = `${gateway.url}/whip`;
    // Nobody vouches for this certificate but its file.
    const unproven = await refused(library, "stream", "publish", "shown", url, "--token-file", token);
    assert.deepEqual([unproven.code, /certificate/.test(unproven.stderr)], [1, true], unproven.stderr);
    const bare = await refused(library, "stream", "publish", "shown", url, "--ca-file", certificate);
    assert.deepEqual([bare.code, /--token-file/.test(bare.stderr)], [1, true], bare.stderr);
    assert.equal((await library.sampan("stream", "publish", "shown", url, "--token-file", token, "--ca-file", certificate)).codec, "vp8");
    const told = () => library.sampan("stream", "status", "shown");
    await until(async () => (await told()).publishing.state === "live", async () => JSON.stringify(await told()));
    assert.deepEqual((await told()).viewers, []);
    const watching = await Watching.open(browser, open);
    assert.equal((await watching.figures()).codec, "video/VP8");
    await library.sampan("stream", "publish", "shown", "--off");
    assert.equal((await told()).publishing, null);
    assert.deepEqual(await janus.publishers(), []);
  } finally {
    await browser?.close();
    await library.close();
    await open.stop();
    await gateway.stop();
    await janus.stop();
  }
});

test("a media server relays the guest's picture, is not let in to drive, and is found again", async (t) => {
  const janus = await Janus.start();
  const gateway = await Gateway.start(janus);
  const [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
  try {
    const { guest } = sampan;
    const publish = (url, token) => control(sampan, { command: "stream-publish", url, ...(token && { token }) });
    assert.equal((await publish(`${gateway.url}/whip`, "another")).error.code, "publish_refused");
    assert.equal((await publish(`${gateway.url}/nowhere`, TOKEN)).error.code, "publish_not_found");
    assert.equal((await publish("http://192.0.2.1/whip", TOKEN)).error.code, "publish_unprotected");
    assert.equal((await control(sampan, { command: "stream-unpublish" })).error.code, "not_published");
    assert.equal(await publishing(sampan), undefined);

    // A redirect that keeps the request as it is.
    const taken = (await publish(`${gateway.url}/moved`, TOKEN)).ok;
    assert.deepEqual([taken?.reply, taken?.codec], ["publishing", "h264"], gateway.problem && String(gateway.problem));
    await reaches(sampan, "live");
    assert.doesNotMatch(gateway.offer, /m=application|f4001f/, "no data channel, and no format that not every browser decodes");
    assert.equal(gateway.offer.match(/a=sendonly/g).length, gateway.offer.match(/m=(audio|video)/g).length, "nothing is taken");

    const watching = await Watching.open(browser, gateway);
    assert.equal((await watching.figures()).codec, "video/H264");
    const sees = new Viewer(watching.page);
    await guest.workload("scroll", 30);
    await sees.reaches((await guest.state()).counter + 20);
    await guest.workload("idle");
    const decibels = await shows(sampan, sees, 26);

    // At rest small pictures go on, so that no browser asks for a keyframe because of its timer.
    const { framesDecoded, keyFramesDecoded } = await watching.figures();
    await until(async () => (await watching.figures()).framesDecoded >= framesDecoded + 4, "pictures at rest");
    assert.equal((await watching.figures()).keyFramesDecoded, keyFramesDecoded, "and none of them is a keyframe");

    // Who comes while nothing changes sees it as well.
    const late = await Watching.open(browser, gateway);
    assert.ok((await shows(sampan, new Viewer(late.page), 26)) > 0);

    // The owner's page drives, and the media server is none of those who could.
    const owner = await Viewer.open(browser, sampan.url);
    await owner.driving();
    const facts = (await control(sampan, { command: "status" })).ok;
    assert.deepEqual(facts.viewers.map(({ driving }) => driving), [true]);
    assert.deepEqual(facts.stream.viewers.map(({ published, driving }) => [published, driving]).sort(), [[false, true], [true, false]]);

    // The media server is killed, and comes back.
    await janus.stop();
    await reaches(sampan, "waiting");
    await janus.run();
    await reaches(sampan, "live");
    await until(async () => (await janus.publishers()).length === 1, "the stream in the room again");
    const again = await Watching.open(browser, gateway);
    assert.ok((await shows(sampan, new Viewer(again.page), 26)) > 0);

    const deleted = () => gateway.seen.filter((what) => what.startsWith("DELETE ")).length;
    const before = deleted();
    assert.equal((await control(sampan, { command: "stream-unpublish" })).ok.reply, "done");
    assert.equal(deleted(), before + 1, "the media server was told");
    assert.deepEqual(await janus.publishers(), []);
    assert.equal(await publishing(sampan), undefined);

    assert.deepEqual([...watching.problems, ...late.problems, ...owner.problems], []);
    await owner.close();

    // A machine that ends takes its stream along.
    assert.equal((await publish(`${gateway.url}/whip`, TOKEN)).ok?.reply, "publishing");
    await sampan.stop();
    assert.equal(deleted(), before + 2);
    t.diagnostic(`first picture ${Math.round(watching.took)} ms, at rest ${Math.round(late.took)} ms; ${decibels.toFixed(1)} dB`);
  } finally {
    await browser.close();
    await sampan.stop();
    await gateway.stop();
    await janus.stop();
  }
});
