// The bridge between a browser's pages and the native module: the module is real, and so is the browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createServer } from "node:http";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { folder, modulePath, native, qemu, rejection, until } from "../../napi/lib/module.js";
import { colours, painted, paintingDisk, paintingMachine, pixels, smallest, state, tinyMachine } from "../../napi/lib/machines.js";
import { Link } from "../bridge/client.js";
import { changes, packed } from "../bridge/frames.js";
import { readInterface } from "../bridge/interface.js";
import { proxy } from "../bridge/proxy.js";
import { serve } from "../bridge/server.js";
import { FRAME, FRAME_HEAD, FRAME_RECT, MAX_MESSAGE, decode, encode } from "../bridge/wire.js";

const home = folder();
const library = join(home, "library");
const description = readInterface(fileURLToPath(new URL("../../../entry/types/libsampan/Index.d.ts", import.meta.url)));
const MAX_UPLOAD = 8 << 20;
const NOBODY = "00000000-0000-4000-8000-000000000000";
const [A, D] = [2017, 2020];

/** How many listen, and what the pointer was told. */
let listening = 0;
const moved = [];
const counted = {
  ...native,
  input: {
    ...native.input,
    moveBy(screen, dx, dy) {
      moved.push(dx);
      native.input.moveBy(screen, dx, dy);
    },
  },
  on(kind, callback) {
    const off = native.on(kind, callback);
    listening += 1;
    return () => {
      listening -= 1;
      off();
    };
  },
};

let server;
let painter;
const links = [];

before(async () => {
  server = await serve({
    native: counted, modulePath, home: library, libraries: qemu, pages: new Map([["/index.html", "<!doctype html>"]]),
    config: { width: "tablet" }, maxUpload: MAX_UPLOAD, alive: 2000,
  });
});

after(async () => {
  links.forEach((link) => link.close());
  for (const { id } of await native.machines.list()) await native.life.forceOff(id).catch(() => {});
  await server.close();
});

function address({ token = server.token, path = "/bridge/socket" } = {}) {
  return `ws://127.0.0.1:${server.port}${path}?token=${token}`;
}

/** A page's end, and the module as it sees it. */
async function connected() {
  const link = await Link.open(new WebSocket(address()));
  links.push(link);
  return { link, native: proxy(description, link) };
}

/** Starts the painting machine, and comes to its id. */
async function painting() {
  painter ??= await paintingMachine(home, "painter");
  if (await state(painter) !== "running") {
    await native.life.start(painter).run();
    // Before that it takes no key.
    await painted(painter, "green");
  }
  return painter;
}

/** What a browser would have on its canvas. */
class Canvas {
  frames = 0;
  rects = [];

  draw = (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const [count, width, height] = [view.getUint16(2, true), view.getUint16(16, true), view.getUint16(18, true)];
    if (this.width !== width || this.height !== height) Object.assign(this, { width, height, pixels: Buffer.alloc(width * height * 4) });
    this.frames += 1;
    this.rects = [];
    let at = FRAME_HEAD + count * FRAME_RECT;
    for (let number = 0; number < count; number++) {
      const [x, y, wide, high] = [0, 2, 4, 6].map((offset) => view.getUint16(FRAME_HEAD + number * FRAME_RECT + offset, true));
      this.rects.push({ x, y, width: wide, height: high });
      for (let row = y; row < y + high; row++, at += wide * 4) this.pixels.set(bytes.subarray(at, at + wide * 4), (row * width + x) * 4);
    }
    assert.equal(at, bytes.length);
  };

  /** Whether each pixel has this colour. */
  isAll(colour) {
    const [r, g, b] = colours[colour];
    const row = Buffer.alloc(640 * 400 * 4, Buffer.from([b, g, r, 0xff]));
    return this.width === 640 && this.height === 400 && row.equals(this.pixels);
  }
}

test("the proxy has all that the module has and its typings tell, and nothing else", async () => {
  const { native: remote } = await connected();
  const paths = (one) => Object.entries(one).filter(([, space]) => typeof space === "object")
    .flatMap(([space, inner]) => Object.keys(inner).filter((name) => typeof inner[name] === "function").map((name) => `${space}.${name}`)).sort();
  assert.deepEqual(paths(remote), Object.keys(description.functions).sort());
  assert.deepEqual(paths(remote), paths(native));
  assert.ok(paths(remote).length > 90);
  assert.deepEqual(new Set(Object.values(description.functions).map(({ kind }) => kind)), new Set(["promise", "job", "attach", "void"]));
  for (const kind of description.events) remote.on(kind, () => {})();
  assert.deepEqual(description.functions["machines.create"].files, [[0, "file"]]);
});

test("messages come out as they went in", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => at);
  const message = { t: "x", args: [1.5, "é\u0000", null, { deep: [bytes, Buffer.from([7]), new Uint8Array()] }, Number.NaN, -Infinity, true] };
  const back = decode(encode(message));
  assert.deepEqual(back, { ...message, args: message.args.with(3, { deep: [bytes, Uint8Array.of(7), new Uint8Array()] }) });
  assert.equal(typeof encode({ t: "x", args: ["text"] }), "string");
  const cut = encode(message);
  for (let length = 0; length < cut.length; length++) assert.throws(() => decode(cut.subarray(0, length)), `${length}`);
  for (const bad of ["", "null", "[]", "{}", '{"t":1}', '{"t":"x","a":{"$bytes":[0,1]}}', '{"t":"x","a":{"$bytes":[-1,0]}}']) assert.throws(() => decode(bad), bad);
});

test("the page's first call opens the library that the server was started with", async () => {
  const { native: remote } = await connected();
  assert.equal(await rejection(remote.machines.list()), "not_initialised");
  assert.deepEqual(await remote.host.init("/nowhere", "/nothing"), []);
  assert.deepEqual(await remote.machines.list(), []);
  assert.deepEqual(await native.host.init(library, qemu), []);
});

test("calls are answered as the module answers them, and refused as it refuses them", async () => {
  const { link, native: remote } = await connected();
  assert.deepEqual(link.hello.config, { width: "tablet" });
  assert.deepEqual(await remote.presets.list(), await native.presets.list());
  assert.deepEqual(await remote.presets.defaults("linux", "x86_64"), await native.presets.defaults("linux", "x86_64"));
  // Many at a time, each with its own answer.
  const asked = await Promise.all(["linux", "old", "android"].flatMap((preset) => Array(20).fill(remote.presets.defaults(preset, "x86_64"))));
  assert.equal(new Set(asked.map(({ preset }) => preset)).size, 3);
  const same = async (ask) => {
    const [theirs, ours] = await Promise.all([remote, native].map((one) => Promise.resolve().then(() => ask(one)).then(assert.fail, (error) => error)));
    assert.ok(theirs instanceof Error);
    assert.deepEqual([theirs.code, theirs.params, theirs.message], [ours.code, ours.params, ours.message]);
    return theirs.code;
  };
  assert.equal(await same((one) => one.machines.show(NOBODY)), "not_found");
  assert.equal(await same((one) => one.life.start(NOBODY).run()), "not_found");
  assert.equal(await same((one) => one.presets.validate({ name: "", preset: "linux", arch: "x86_64" })), "bad_name");
  // What is no preset is no argument.
  await same((one) => one.presets.validate({ name: "x", preset: "plan9", arch: "x86_64" }));
  await same((one) => one.screen.attach(NOBODY, Number.NaN, 1));
});

test("what the module does not have is refused on both sides", async () => {
  const { link, native: remote } = await connected();
  assert.equal(remote.machines.format, undefined);
  assert.throws(() => remote.machines.show(), /takes 1 arguments, not 0/);
  assert.throws(() => remote.machines.list(1), /takes 0 arguments/);
  assert.throws(() => remote.on("weather", () => {}), { code: "invalid" });
  assert.throws(() => { remote.machines.list = undefined; });
  for (const path of ["machines.format", "machines", "on", "", "constructor.constructor", "__proto__.toString", "machines.list.call", "input.key", "life.start", 7, null]) {
    assert.equal(await rejection(link.call(path, [])), "invalid", String(path));
  }
  assert.equal(await rejection(link.call("machines.show", [])), "invalid");
  assert.equal(await rejection(link.call("machines.list", "x")), "invalid");
  assert.equal(await rejection(link.begin("machines.list", []).run()), "invalid");
  const faults = [];
  link.onFault = (path, error) => faults.push([path, error.code]);
  link.send("machines.list", []);
  link.subscribe("weather", () => {});
  link.send("input.key", ["7", "no number", true]);
  await until("all are told", () => faults.length === 3);
  assert.deepEqual(faults.map(([, code]) => code).slice(0, 2), ["invalid", "invalid"]);
  // It goes on.
  assert.ok(Array.isArray(await remote.machines.list()));
});

test("whoever listens hears the present and what changes, until they leave", async () => {
  const { native: remote } = await connected();
  const lists = [];
  const before = listening;
  const off = remote.on("machines", (list) => lists.push(list));
  await until("the present is told", () => lists.length > 0);
  assert.equal(listening, before + 1);
  const { id } = await remote.machines.create(smallest("heard"), []).run();
  await until("the change is told", () => lists.at(-1).some((one) => one.id === id));
  off();
  off();
  await remote.machines.remove(id);
  assert.equal(listening, before);
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.ok(lists.at(-1).some((one) => one.id === id), "who has left hears nothing");
});

test("input arrives in the order in which it was made, whatever is called meanwhile", async () => {
  const { link, native: remote } = await connected();
  const answers = [];
  for (let step = 0; step < 5000; step++) {
    remote.input.moveBy("7", step, 0);
    if (step % 100 === 0) answers.push(remote.machines.list().then(() => moved.length > step));
  }
  assert.ok((await Promise.all(answers)).every((after) => after), "an answer comes after what was called before");
  await remote.host.figures();
  assert.deepEqual(moved, Array.from({ length: 5000 }, (_, step) => step));
  assert.ok(link.sent >= 5050);
});

/** A server whose file never comes to its end. */
async function stalled(use) {
  const content = Buffer.alloc(4 << 20, "sampan ");
  const files = createServer((_, response) => {
    response.writeHead(200, { "content-length": content.length, "accept-ranges": "bytes", etag: '"1"' });
    response.write(content.subarray(0, content.length >> 1));
  });
  await new Promise((resolve) => files.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${files.address().port}/system.img`, "0".repeat(64));
  } finally {
    files.closeAllConnections();
    files.close();
  }
}

test("jobs tell how far they are, are joined by their ids, and stop when they are asked to", () => stalled(async (url, sum) => {
  const { native: remote } = await connected();
  const { native: other } = await connected();
  const job = remote.downloads.address(url, "system.img", sum);
  const told = [];
  const ended = rejection(job.run((progress) => told.push(progress)));
  await until("half of it is here", () => told.some(({ phase, done, total }) => phase === "download" && done > 0 && total === 4 << 20));
  const listed = (await other.jobs.list()).find(({ kind }) => kind === "download");
  assert.equal(job.id, listed.id);
  const again = await other.jobs.attach(job.id);
  assert.equal(again.id, job.id);
  again.cancel();
  assert.equal(await ended, "cancelled");
  assert.equal(await rejection(again.run()), "cancelled");
  assert.equal(await rejection(other.jobs.attach(job.id)), "job_not_found");
  await other.downloads.discard("system.img");
}));

test("a page that is dropped takes what it listened to and its screens along, and leaves its jobs", () => stalled(async (url, sum) => {
  const id = await painting();
  const before = listening;
  const socket = new WebSocket(address());
  const link = await Link.open(socket);
  const remote = proxy(description, link);
  for (const kind of description.events) remote.on(kind, () => {});
  const canvas = new Canvas();
  const surface = link.surface(canvas.draw);
  const screen = await remote.screen.attach(id, 640, 400);
  await remote.screen.draw(screen, surface.id, 640, 400, false);
  const job = remote.downloads.address(url, "left.img", sum);
  const pending = rejection(job.run());
  await until("all goes on", () => canvas.frames > 0 && job.id && listening === before + description.events.length);
  // As a browser that is killed.
  socket.terminate();
  await link.closed;
  assert.equal(await pending, "preview_gone");
  assert.equal(await rejection(remote.machines.list()), "preview_gone");
  await until("nobody listens", () => listening === before);
  await until("its screen is gone", async () => await rejection(native.screen.draw(screen, surface.id, 640, 400, true)) === "screen_gone");
  assert.equal((await native.jobs.list()).find((one) => one.id === job.id)?.state, "running");
  assert.equal(await state(id), "running");
  const { native: next } = await connected();
  const found = await next.jobs.attach(job.id);
  found.cancel();
  assert.equal(await rejection(found.run()), "cancelled");
  await native.downloads.discard("left.img");
}));

test("a browser that stands still is given up, and one that lives is not", async () => {
  const { link, native: remote } = await connected();
  const socket = new WebSocket(address());
  const still = await Link.open(socket);
  const before = listening;
  proxy(description, still).on("host", () => {});
  await until("it listens", () => listening === before + 1);
  // It takes nothing any more, and answers nothing.
  socket._socket.pause();
  await until("it listens no more", () => listening === before, 60_000);
  assert.ok(!server.sessions.has(still.hello.connection));
  socket.terminate();
  assert.ok(server.sessions.has(link.hello.connection));
  assert.ok(Array.isArray(await remote.machines.list()));
});

/** The status that a socket or a request is refused with. */
function refusal(url, options) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.on("unexpected-response", (_, response) => {
      socket.terminate();
      resolve(response.statusCode);
    });
    socket.on("open", () => reject(new Error("it was let in")));
    socket.on("error", () => {});
  });
}

test("who has not the secret, comes by another name or from another page is refused", async () => {
  const here = `127.0.0.1:${server.port}`;
  const wrong = server.token.replace(/^./, (letter) => (letter === "A" ? "B" : "A"));
  assert.equal(await refusal(address({ token: wrong })), 401);
  assert.equal(await refusal(address({ token: "" })), 401);
  assert.equal(await refusal(`ws://${here}/bridge/socket`), 401);
  assert.equal(await refusal(address({ path: "/bridge/other" })), 404);
  for (const host of ["evil.example", `evil.example:${server.port}`, "127.0.0.1", "[::1]:80"]) {
    assert.equal(await refusal(address(), { headers: { host } }), 421, host);
  }
  for (const origin of ["http://evil.example", "null", "http://localhost", `https://${here}`, `http://${here}.evil.example`]) {
    assert.equal(await refusal(address(), { origin }), 403, origin);
  }
  for (const origin of [`http://${here}`, `http://localhost:${server.port}`]) {
    const link = await Link.open(new WebSocket(address(), { origin }));
    link.close();
  }
  const { link } = await connected();
  const post = (path, headers, body = "x") => fetch(`http://${here}${path}`, { method: "POST", headers, body }).then(({ status }) => status);
  const connection = `connection=${link.hello.connection}`;
  assert.equal(await post(`/bridge/upload?name=x&${connection}`, {}), 401);
  assert.equal(await post(`/bridge/job?sent=0&${connection}`, { authorization: `Bearer ${wrong}` }), 401);
  assert.equal(await post("/bridge/upload?name=x&connection=999", { authorization: `Bearer ${server.token}` }), 404);
  assert.equal(await post(`/bridge/upload?name=x&${connection}`, { authorization: `Bearer ${server.token}`, origin: "http://evil.example" }), 403);
  const page = await fetch(`http://${here}/`);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'; script-src 'self'/);
  for (const path of ["/etc/passwd", "/bridge/server.js", "/bridge/../package.json", "//", "/bridge/file/x"]) {
    assert.equal((await fetch(`http://${here}${path}`)).status, 404, path);
  }
});

test("what is too large or no message is refused, and ends nobody else's page", async () => {
  const { link, native: remote } = await connected();
  assert.throws(() => remote.serial.write("7", new Uint8Array(MAX_MESSAGE)), { code: "invalid" });
  assert.equal(await rejection(remote.logs.read("x".repeat(MAX_MESSAGE), "", 0, 1)), "invalid");
  for (const [data, code] of [[Buffer.alloc(MAX_MESSAGE + 1), 1009], ["no message", 1007], [Buffer.from([MAX_MESSAGE]), 1007], ["null", 1007]]) {
    const socket = new WebSocket(address());
    await new Promise((resolve) => socket.once("open", resolve));
    socket.on("error", () => {});
    socket.send(data);
    assert.equal(await new Promise((resolve) => socket.once("close", resolve)), code);
  }
  const url = `http://127.0.0.1:${server.port}/bridge/upload?name=huge.iso&connection=${link.hello.connection}`;
  const sent = await fetch(url, { method: "POST", body: Buffer.alloc(MAX_UPLOAD + 1), headers: { authorization: `Bearer ${server.token}` } })
    .then(({ status }) => status, () => 413);
  assert.equal(sent, 413);
  assert.ok(Array.isArray(await remote.machines.list()));
});

test("files go up and come down, and only those that a page has opened", async () => {
  const { link, native: remote } = await connected();
  const url = `http://127.0.0.1:${server.port}/bridge/upload?name=${encodeURIComponent("画.img")}&connection=${link.hello.connection}`;
  const answer = await fetch(url, { method: "POST", body: readFileSync(paintingDisk(home)), headers: { authorization: `Bearer ${server.token}` } });
  const { uri, name, size } = await answer.json();
  assert.deepEqual([name, size], ["画.img", statSync(join(home, "painting.img")).size]);
  const fd = link.openFile(uri);
  const job = remote.machines.create(smallest("uploaded", { disk: undefined, file: { fd, name } }), []);
  link.closeFile(fd);
  const { id } = await job.run();
  assert.equal(await rejection(remote.media.add({ fd, name: "closed.img" }, []).run()), "io");
  assert.equal(await rejection(remote.media.add({ fd: 0, name: "stdin.img" }, []).run()), "io");
  await remote.life.start(id).run();
  await painted(id, "green");
  await remote.life.forceOff(id);

  const offered = [];
  link.onDownload = (file) => offered.push(file);
  const made = await link.ask({ t: "make", name: "machine.sampan" });
  const out = link.openFile(made.uri);
  const written = remote.machines.exportTo(id, { fd: out, name: made.name });
  // The page closes its own at once; the file is not whole yet.
  link.closeFile(out);
  const bytes = await written.run();
  await until("it is offered", () => offered.length > 0);
  const got = await fetch(`http://127.0.0.1:${server.port}${offered[0].url}`);
  assert.match(got.headers.get("content-disposition"), /^attachment; filename\*=UTF-8''machine\.sampan$/);
  const content = Buffer.from(await got.arrayBuffer());
  assert.equal(content.length, bytes);
  await remote.machines.remove(id);
  const back = await fetch(url, { method: "POST", body: content, headers: { authorization: `Bearer ${server.token}` } }).then((one) => one.json());
  const { id: arrived } = await remote.machines.importFrom({ fd: link.openFile(back.uri), name: "machine.sampan" }, "arrived").run();
  await remote.machines.remove(arrived);
  // One that nothing was written to is not offered.
  const empty = await link.ask({ t: "make", name: "empty" });
  link.closeFile(link.openFile(empty.uri));
  await remote.machines.list();
  assert.equal(offered.length, 1);
});

test("bytes go both ways", async () => {
  const { native: remote } = await connected();
  const id = await tinyMachine("bytes");
  await remote.life.start(id).run();
  let heard = "";
  remote.on("serial", ({ data }) => {
    assert.ok(data instanceof Uint8Array);
    heard += Buffer.from(data).toString("latin1");
  });
  const serial = await remote.serial.open(id, 65536);
  await until("init has the console", () => /Run \/init as init process/.test(heard));
  await until("what is typed comes back", () => {
    remote.serial.write(serial, Buffer.from("hello\n"));
    return heard.includes("hello");
  });
  await remote.life.forceOff(id);
  const { png } = await remote.machines.thumbnail(await painting());
  assert.equal(Buffer.from(png).toString("latin1", 1, 4), "PNG");
});

test("of two pictures exactly what differs is sent", () => {
  // Some small sizes, on and beside the edges of tiles.
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 0x7fffffff) % below;
  for (let turn = 0; turn < 300; turn++) {
    const [width, height] = [1 + random(300), 1 + random(60)];
    const before = { width, height, pixels: Buffer.alloc(width * height * 4, 1) };
    const now = { width, height, pixels: Buffer.from(before.pixels) };
    for (let spots = random(5); spots > 0; spots--) now.pixels[random(now.pixels.length)] = 2 + random(3);
    const canvas = new Canvas();
    canvas.draw(packed(1, 1, before, changes(before)));
    const rects = changes(now, before);
    canvas.draw(packed(1, 2, now, rects));
    assert.ok(canvas.pixels.equals(now.pixels), `${width} × ${height}`);
    assert.equal(rects.length === 0, before.pixels.equals(now.pixels));
    const area = rects.reduce((sum, rect) => sum + rect.width * rect.height, 0);
    assert.ok(area <= 5 * 64 * 16, `${area} pixels for five spots`);
  }
});

test("frames are the guest's picture, pixel by pixel, and only what changes is sent", async () => {
  const { link, native: remote } = await connected();
  const id = await painting();
  const canvas = new Canvas();
  const surface = link.surface(canvas.draw);
  const screen = await remote.screen.attach(id, 640, 400);
  await remote.screen.draw(screen, surface.id, 640, 400, false);
  const press = (code) => [true, false].forEach((down) => remote.input.key(screen, code, down));
  press(D);
  await until("it is red", () => canvas.isAll("red"));
  press(A);
  await until("it is blue", () => canvas.isAll("blue"));
  const { png } = await remote.screen.screenshot(id);
  const { at } = pixels(png);
  for (let y = 0; y < 400; y += 7) {
    for (let x = 0; x < 640; x += 3) assert.deepEqual([...canvas.pixels.subarray((y * 640 + x) * 4).subarray(0, 3)].reverse(), at(x, y));
  }
  const frames = canvas.frames;
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(canvas.frames, frames, "nothing changes");
  // Another surface takes its place, and has the whole picture.
  remote.screen.leave(screen, surface.id);
  surface.destroy();
  const next = new Canvas();
  const second = link.surface(next.draw);
  await remote.screen.draw(screen, second.id, 640, 400, false);
  await until("it is blue there", () => next.isAll("blue"));
  // One that is not the page's is none.
  const { link: other } = await connected();
  const faults = [];
  other.onFault = (path, error) => faults.push([path, error.code]);
  other.ask({ t: "surface", surface: Number(second.id) }).catch(() => {});
  await until("it is refused", () => faults.length > 0);
  assert.deepEqual(faults, [["surface", "invalid"]]);
  remote.screen.detach(screen);
});

test("a browser that is slow gets the newest picture, and nothing is kept for it", async () => {
  const { native: remote, link } = await connected();
  const id = await painting();
  const socket = new WebSocket(address());
  socket.binaryType = "nodebuffer";
  const frames = [];
  let surfaces;
  socket.on("message", (data, isBinary) => {
    if (isBinary && data[0] === FRAME) frames.push(data);
    else surfaces ??= decode(data.toString()).surfaces;
  });
  await until("it is greeted", () => surfaces);
  const surface = surfaces + 1;
  socket.send(encode({ t: "surface", surface }));
  const screen = await remote.screen.attach(id, 640, 400);
  await remote.screen.draw(screen, String(surface), 640, 400, false);
  await until("the first frame is there", () => frames.length === 1);
  const reference = new Canvas();
  const own = await remote.screen.attach(id, 640, 400);
  const shown = link.surface(reference.draw);
  await remote.screen.draw(own, shown.id, 640, 400, false);
  for (const [code, colour] of [[D, "red"], [A, "blue"], [D, "red"]]) {
    [true, false].forEach((down) => remote.input.key(own, code, down));
    await until(`it is ${colour}`, () => reference.isAll(colour));
  }
  assert.equal(frames.length, 1, "it has not said that it has drawn the first");
  const canvas = new Canvas();
  canvas.draw(frames[0]);
  socket.send(encode({ t: "ack", surface, seq: frames[0].readUInt32LE(4) }));
  await until("the newest comes", () => frames.length === 2);
  canvas.draw(frames[1]);
  assert.ok(canvas.isAll("red"));
  socket.terminate();
  remote.screen.detach(screen);
  remote.screen.detach(own);
});
