// The serial port's page, with the real module and the tiny guest; and what a console writes as a log.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { state, tinyMachine } from "../../napi/lib/machines.js";
import { model } from "./lib/models.js";
import { library, native, seen, start } from "./lib/pages.js";

const { ConsoleText, MOST_LINES, SERIAL_KEYS, Utf8, utf8 } = await model("serialText");

function log(...pieces) {
  const text = new ConsoleText();
  pieces.forEach((piece) => text.write(piece));
  return text.lines;
}

test("escape sequences are no text", () => {
  assert.deepEqual(log("\x1b[1;32mok\x1b[0m \x1b]0;a title\x07x\x1b(By\x1b]2;t\x1b\\z\x1b=\x1bPq#0\x1b\\!"), ["ok xyz!"]);
  assert.deepEqual(log("a\x1b", "[3", "1", "mb\x1b[?25lc"), ["abc"], "in pieces too");
  assert.deepEqual(log("a\x00\x01\x7fb\x07c"), ["abc"]);
});

test("lines end with a line feed, with or without a carriage return", () => {
  assert.deepEqual(log("one\r\ntwo\nthree\r\n"), ["one", "two", "three", ""]);
});

test("a line that is written again is the new one", () => {
  assert.deepEqual(log(" 10%\r 20%\r100%"), ["100%"]);
  assert.deepEqual(log("longer\rab"), ["abnger"]);
  assert.deepEqual(log("longer\rab\x1b[K"), ["ab"]);
  assert.deepEqual(log("longer\x1b[2K\rab"), ["ab"]);
});

test("a shell that edits its line is followed", () => {
  assert.deepEqual(log("# lss\b \b"), ["# ls "]);
  assert.deepEqual(log("abc\x1b[2DX"), ["aXc"]);
  assert.deepEqual(log("abc\r\x1b[1CX"), ["aXc"]);
  assert.deepEqual(log("abc\x1b[1GX"), ["Xbc"]);
  assert.deepEqual(log("abcd\x1b[3D\x1b[2P"), ["ad"]);
  assert.deepEqual(log("ad\x1b[1D\x1b[2@bc"), ["abcd"]);
  assert.deepEqual(log("a\tb"), ["a       b"]);
});

test("the log is kept to its last lines, and nothing a guest writes grows it", () => {
  const text = new ConsoleText();
  const change = text.write("x\n".repeat(MOST_LINES + 500));
  assert.equal(text.lines.length, MOST_LINES);
  assert.equal(change.dropped, 501);
  text.write("y".repeat(5000));
  assert.equal(text.lines.at(-1).length, 1000);
  text.write(`\x1b[${"9".repeat(100000)}C`);
  text.write("\x1b[999999999C!");
  assert.ok(Math.max(...text.lines.map((line) => line.length)) <= 1001);
  assert.ok(text.lines.length <= MOST_LINES);
});

test("bytes in pieces are one text, and no bytes are too bad", () => {
  const bytes = Buffer.from("größe 你好 😀!");
  for (let cut = 1; cut < bytes.length; cut++) {
    const decoder = new Utf8();
    assert.equal(decoder.text(bytes.subarray(0, cut)) + decoder.text(bytes.subarray(cut)), "größe 你好 😀!");
  }
  assert.equal(new Utf8().text(Buffer.from([0x61, 0xff, 0xc0, 0x80, 0xe4, 0xbd, 0x62])), "a\ufffd\ufffd\ufffd\ufffdb");
  assert.equal(new Utf8().text(Buffer.from([0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80])), "\ufffd\ufffd");
  assert.deepEqual(Buffer.from(utf8("größe 你好 😀")), Buffer.from("größe 你好 😀"));
});

test("the keys are a terminal's", () => {
  assert.deepEqual(Object.fromEntries(SERIAL_KEYS.map(({ name, bytes }) => [name, bytes])), {
    ctrl_c: [3], ctrl_d: [4], tab: [9], esc: [27], up: [27, 91, 65], down: [27, 91, 66], left: [27, 91, 68], right: [27, 91, 67], enter: [13],
  });
});

let app, id;
before(async () => {
  await library();
  id = await tinyMachine("tiny", "guest=tiny");
});
after(async () => {
  await native.life.forceOff(id).catch(() => {});
  await app?.close();
});

test("the page shows what the guest writes, types at it, finds, and stops nothing", async () => {
  const written = [];
  const own = { ...native, host: { ...native.host, init: () => library() }, serial: { ...native.serial, write: (port, data) => {
    written.push([...data]);
    native.serial.write(port, data);
  } } };
  app = await start({ native: own });
  await app.until(() => app.has(`#machine_${id}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openSerial(id);
  await app.settle();
  await seen(app, "base", "ser_off");
  assert.ok(!app.has("#serial_input"));
  await app.click("#serial_start");
  await app.until(async () => await state(id) === "running");
  const log = () => app.texts(app.find("#serial_log")).join("\n");
  await app.until(() => log().includes("guest=tiny"), 100_000);
  await app.until(() => /Run \/init as init process/.test(log()), 100_000);
  assert.ok(!log().includes("\x1b"));

  await app.until(async () => {
    await app.type("#serial_input", "hello there");
    await app.click("#serial_send");
    return log().includes("hello there");
  }, 60_000);
  assert.deepEqual(written[0], [...Buffer.from("hello there\r")]);
  assert.equal(app.find("#serial_input").value, "", "the field is empty again");
  await app.click("#serial_key_ctrl_c");
  assert.deepEqual(written.at(-1), [3]);

  await app.click("#serial_find");
  await app.type("#serial_search", "GUEST=TINY");
  await app.until(() => /^[1-9]/.test(app.find("#serial_hits").textContent));
  await app.click("#serial_copy");
  assert.match(app.env.clipboard.getPrimaryText(), /guest=tiny[\s\S]*hello there/);
  await app.click("#serial_clear");
  assert.ok(!log().includes("guest=tiny"));

  await native.life.forceOff(id);
  await seen(app, "base", "ser_off");
  await native.life.start(id).run();
  await app.until(() => log().includes("guest=tiny"), 100_000);
  await app.click("#back");
  assert.ok(!app.has("#serial_page"));
  assert.equal(await state(id), "running");
});
