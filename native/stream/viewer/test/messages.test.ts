import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/messages.ts";

const json = (value: unknown) => decode(JSON.stringify(value));

test("messages to the server have the fields it reads", () => {
  assert.equal(encode({ t: "key", code: "KeyA", down: true }), '{"t":"key","code":"KeyA","down":true}');
  assert.equal(encode({ t: "release" }), '{"t":"release"}');
});

test("a status is read whatever the case of its state, and defaults to an absolute pointer", () => {
  assert.deepEqual(json({ t: "status", state: "Paused", detail: "by hand", name: "vm" }), {
    t: "status",
    state: "paused",
    detail: "by hand",
    absolute: true,
    name: "vm",
    touch: false,
    files: false,
  });
  assert.equal(json({ t: "status", state: "dancing" }), undefined);
});

test("locks and texts that did not arrive are read, with what is missing taken as off or refused", () => {
  assert.deepEqual(json({ t: "locks", caps: true, scroll: false }), { t: "locks", caps: true, num: false });
  assert.deepEqual(json({ t: "untyped", code: "untypable", text: "x" }), { t: "untyped", code: "untypable", text: "x" });
  assert.equal(json({ t: "untyped", code: 1, text: "x" }), undefined);
  const touching = json({ t: "status", state: "running", touch: true });
  assert.ok(touching?.t === "status" && touching.touch);
});

test("a cursor is a PNG of a size that a pointer can have", () => {
  const png = Buffer.from("\x89PNG\r\n\x1a\n and more", "latin1").toString("base64");
  const cursor = json({ t: "cursor", hash: "a", w: 2, h: 1, hx: 9, hy: -1, png });
  assert.ok(cursor?.t === "cursor" && cursor.shape);
  assert.equal(cursor.shape.png, png);
  assert.deepEqual([cursor.shape.hotX, cursor.shape.hotY], [1, 0]);
  assert.equal(json({ t: "cursor", hash: "a", w: 1e6, h: 1e6, hx: 0, hy: 0, png }), undefined);
  for (const other of ["%%", "", 7, Buffer.from("GIF89a, no PNG").toString("base64"), `${png}"`]) {
    assert.equal(json({ t: "cursor", hash: "a", w: 2, h: 1, hx: 0, hy: 0, png: other }), undefined, String(other));
  }
  assert.deepEqual(json({ t: "cursor", hash: "a" }), { t: "cursor", hash: "a" });
});

test("cursor positions may be negative and may have no shape", () => {
  assert.deepEqual(json({ t: "cursorpos", s: 3, x: -4, y: 5, visible: false, hash: null }), {
    t: "cursorpos",
    s: 3,
    x: -4,
    y: 5,
    visible: false,
    hash: null,
  });
  assert.equal(json({ t: "cursorpos", x: 1, y: 2 }), undefined);
  assert.equal(json({ t: "cursorpos", s: 1, x: 1.5, y: 2 }), undefined);
});

test("sizes are whole and bounded; zero by zero is a display that is off", () => {
  assert.deepEqual(json({ t: "size", w: 1365, h: 767 }), { t: "size", w: 1365, h: 767 });
  assert.deepEqual(json({ t: "size", w: 0, h: 0 }), { t: "size", w: 0, h: 0 });
  for (const [w, h] of [[0, 5], [-1, 5], [1e9, 5], [1.5, 5], ["640", 480]]) {
    assert.equal(json({ t: "size", w, h }), undefined);
  }
});

test("anything else is nothing, never an exception", () => {
  for (const data of ["", "{", "null", "[]", "7", '{"t":"size"}', '{"t":"later"}', 7, undefined]) {
    assert.equal(decode(data), undefined);
  }
});

test("what is told of the clipboard and of files is read, and nothing that is none", () => {
  assert.deepEqual(json({ t: "clipboard", agent: true, to: true, from: 1, text: true, copied: 2 }),
    { t: "clipboard", agent: true, to: true, from: false, text: true, png: false, copied: 2 });
  assert.deepEqual(json({ t: "file", id: 3, state: "giving", done: 1, size: 2 }),
    { t: "file", id: 3, state: "giving", done: 1, size: 2, at: "", code: "", text: "" });
  for (const bad of [{ id: "3", state: "done" }, { id: 3, state: "gone" }, { id: 3 }]) {
    assert.equal(json({ t: "file", ...bad }), undefined);
  }
});
