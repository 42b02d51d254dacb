import assert from "node:assert/strict";
import { test } from "node:test";
import { AltGrFilter, TOGETHER_MS } from "../src/altgr.ts";
import { LockSync } from "../src/locks.ts";
import { textMessages } from "../src/messages.ts";
import { DOUBLE_TAP_MS, Sticky } from "../src/sticky.ts";
import { difference } from "../src/textdiff.ts";

const key = (code: string, typed: string, on: readonly string[] = [], shiftKey = false) =>
  ({ code, key: typed, shiftKey, getModifierState: (name: string) => on.includes(name) });

test("Caps Lock is pressed in the guest where it differs, and once", () => {
  const locks = new LockSync();
  assert.deepEqual(locks.before(key("KeyA", "a")), []);
  assert.deepEqual(locks.before(key("KeyA", "A", ["CapsLock"])), ["CapsLock"]);
  assert.deepEqual(locks.before(key("KeyB", "B", ["CapsLock"])), [], "a guest without LEDs is not toggled again");
  locks.told(false, false);
  assert.deepEqual(locks.before(key("KeyB", "B", ["CapsLock"])), ["CapsLock"], "its LED says that it is off");
  assert.deepEqual(locks.before(key("KeyB", "b")), ["CapsLock"]);
  assert.deepEqual(locks.before(key("Digit1", "1", ["CapsLock"])), [], "digits do not care");
  locks.pressed("CapsLock");
  assert.deepEqual(locks.before(key("KeyÖ", "Ö", ["CapsLock"])), [], "pressed here, it was passed on as a key");
  locks.reset();
  assert.deepEqual(locks.before(key("KeyA", "a")), []);
});

test("Num Lock follows what the keypad types, once the guest has told", () => {
  const locks = new LockSync();
  assert.deepEqual(locks.before(key("Numpad4", "4")), [], "nothing is known of it");
  locks.told(false, false);
  assert.deepEqual(locks.before(key("Numpad4", "ArrowLeft")), []);
  assert.deepEqual(locks.before(key("Numpad4", "4")), ["NumLock"]);
  assert.deepEqual(locks.before(key("NumpadDecimal", ",")), []);
  assert.deepEqual(locks.before(key("Numpad4", "ArrowLeft", [], true)), [], "Shift turns it round");
  assert.deepEqual(locks.before(key("NumpadEnter", "Enter")), []);
  assert.deepEqual(locks.before(key("Numpad7", "Home")), ["NumLock"]);
});

/** A filter with its own clock. */
function filter() {
  const pressed: string[] = [];
  const timers = new Set<() => void>();
  const altGr = new AltGrFilter((code) => pressed.push(code), (ms, then) => {
    assert.equal(ms, TOGETHER_MS);
    timers.add(then);
    return () => timers.delete(then);
  });
  const down = (code: string, at: number) => {
    if (!altGr.down(code, at)) pressed.push(code);
  };
  return { altGr, pressed, down, elapse: () => [...timers].forEach((then) => then()) };
}

test("AltGr on Windows is the right Alt alone", () => {
  const { altGr, pressed, down } = filter();
  down("ControlLeft", 100);
  down("AltRight", 101);
  down("KeyQ", 150);
  down("ControlLeft", 600);
  down("AltRight", 601);
  assert.deepEqual(pressed, ["AltRight", "KeyQ", "AltRight"]);
  altGr.up("ControlLeft");
  altGr.up("AltRight");
  down("ControlLeft", 900);
  down("KeyC", 950);
  assert.deepEqual(pressed.slice(3), ["ControlLeft", "KeyC"], "a real Ctrl comes before its key");
});

test("a real Ctrl is late by a moment and not lost", () => {
  const { altGr, pressed, down, elapse } = filter();
  down("ControlLeft", 0);
  assert.deepEqual(pressed, []);
  elapse();
  assert.deepEqual(pressed, ["ControlLeft"]);
  altGr.up("ControlLeft");
  down("ControlLeft", 100);
  altGr.up("ControlLeft");
  assert.deepEqual(pressed, ["ControlLeft", "ControlLeft"], "a tap of it");
  down("ControlLeft", 200);
  down("AltRight", 200 + TOGETHER_MS);
  assert.deepEqual(pressed.slice(2), ["ControlLeft", "AltRight"], "too far apart to be one key");
});

test("a tap holds a modifier for one key, two lock it", () => {
  let changes = 0;
  const sticky = new Sticky(() => {
    changes += 1;
  });
  assert.deepEqual(sticky.tap("ControlLeft", 0), { down: true, up: false });
  assert.equal(sticky.how("ControlLeft"), "once");
  assert.deepEqual(sticky.used(), ["ControlLeft"]);
  assert.deepEqual(sticky.used(), []);
  sticky.tap("AltLeft", 1000);
  assert.deepEqual(sticky.tap("AltLeft", 1000 + DOUBLE_TAP_MS), { down: false, up: false });
  assert.equal(sticky.how("AltLeft"), "locked");
  assert.deepEqual(sticky.used(), [], "locked ones stay");
  assert.deepEqual(sticky.tap("AltLeft", 1100 + DOUBLE_TAP_MS), { down: false, up: true });
  sticky.tap("MetaLeft", 3000);
  assert.deepEqual(sticky.tap("MetaLeft", 9000), { down: false, up: true }, "taken back");
  sticky.tap("ShiftLeft", 10_000);
  sticky.clear();
  assert.equal(sticky.how("ShiftLeft"), "off");
  assert.ok(changes > 0);
});

test("what a phone's keyboard did to the field", () => {
  assert.deepEqual(difference("\n\n", "\n\na"), { back: 0, text: "a" });
  assert.deepEqual(difference("\n\n", "\n"), { back: 1, text: "" });
  assert.deepEqual(difference("\nteh", "\nthe "), { back: 2, text: "he " });
  assert.deepEqual(difference("\n😀", "\n"), { back: 1, text: "" }, "a pair of surrogates is one character");
  assert.deepEqual(difference("\nnihao", "\n你好"), { back: 5, text: "你好" });
  assert.deepEqual(difference("x", "x"), { back: 0, text: "" });
});

test("a long text goes in pieces that a message holds, and no character is torn", () => {
  assert.deepEqual(textMessages("你好"), [{ t: "text", text: "你好" }]);
  assert.deepEqual(textMessages(""), []);
  const long = "a" + "😀".repeat(1234);
  const parts = textMessages(long).map((message) => (message.t === "text" ? message.text : ""));
  assert.equal(parts.join(""), long);
  for (const part of parts) {
    assert.ok(new TextEncoder().encode(JSON.stringify({ t: "text", text: part })).length <= 4096);
    assert.doesNotMatch(part, /\p{Surrogate}/u);
  }
});
