// Keys on the screen: modifiers that wait for the next key, keys together, what goes up when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { model } from "./lib/models.js";

const { isHostKey, Keyboard, KEY_ALT, KEY_CTRL, KEY_SUPER, KEY_SHIFT } = await model("keys");
const { CHORDS_KNOWN, isTypable, ONE_ROW, ONE_ROW_FN, parseChord, strokeOf, TWO_ROWS, TWO_ROWS_FN } = await model("keys_table");

const C = 2019;
const TAB = 2049;
const names = { [KEY_CTRL]: "ctrl", [KEY_ALT]: "alt", [KEY_SUPER]: "super", [KEY_SHIFT]: "shift", [C]: "c", [TAB]: "tab", 2017: "a" };
const told = (strokes) => strokes.map(({ code, down }) => `${down ? "+" : "-"}${names[code] ?? code}`).join(" ");
const tap = (keys, code, at = 0) => {
  keys.touch(code, at);
  return told(keys.lift(code, at + 80));
};
const stroke = (keys, code) => told([...keys.press(code), ...keys.release(code)]);

test("a modifier that was tapped goes with the next key alone", () => {
  const keys = new Keyboard();
  assert.equal(tap(keys, KEY_CTRL), "", "nothing is sent for itself");
  assert.equal(keys.hold(KEY_CTRL), "once");
  assert.equal(stroke(keys, C), "+ctrl +c -c -ctrl");
  assert.equal(keys.hold(KEY_CTRL), "off");
  assert.equal(stroke(keys, C), "+c -c");
});

test("twice locks it, a third time ends it", () => {
  const keys = new Keyboard();
  tap(keys, KEY_CTRL);
  tap(keys, KEY_CTRL, 200);
  assert.equal(keys.hold(KEY_CTRL), "locked");
  assert.equal(stroke(keys, C), "+ctrl +c -c");
  assert.equal(stroke(keys, C), "+c -c", "it stays down between keys");
  assert.equal(tap(keys, KEY_CTRL, 400), "-ctrl");
  assert.equal(keys.hold(KEY_CTRL), "off");
  assert.equal(stroke(keys, C), "+c -c");
});

test("several go together, and up the other way round", () => {
  const keys = new Keyboard();
  tap(keys, KEY_ALT);
  tap(keys, KEY_CTRL);
  assert.equal(stroke(keys, 2071), "+ctrl +alt +2071 -2071 -alt -ctrl");
});

test("a modifier under a finger is held for as many keys as there are", () => {
  const keys = new Keyboard();
  keys.touch(KEY_ALT, 0);
  assert.equal(stroke(keys, TAB), "+alt +tab -tab");
  assert.equal(keys.hold(KEY_ALT), "held");
  assert.equal(stroke(keys, TAB), "+tab -tab", "the guest's switcher stays open");
  assert.equal(told(keys.lift(KEY_ALT, 5000)), "-alt");
  assert.equal(keys.hold(KEY_ALT), "off", "it was held, not tapped");
});

test("a modifier that was held for nothing does nothing", () => {
  const keys = new Keyboard();
  keys.touch(KEY_CTRL, 0);
  assert.equal(told(keys.lift(KEY_CTRL, 900)), "");
  assert.equal(keys.hold(KEY_CTRL), "off");
});

test("Super is a key when it is tapped, and waits when it is held", () => {
  const keys = new Keyboard();
  assert.equal(tap(keys, KEY_SUPER), "+super -super");
  assert.equal(keys.hold(KEY_SUPER), "off");
  keys.touch(KEY_SUPER, 1000);
  assert.equal(told(keys.lift(KEY_SUPER, 1500)), "");
  assert.equal(keys.hold(KEY_SUPER), "once");
  assert.equal(stroke(keys, C), "+super +c -c -super");
  keys.touch(KEY_SUPER, 3000);
  keys.lift(KEY_SUPER, 3500);
  assert.equal(tap(keys, KEY_SUPER, 4000), "", "a tap takes it back");
  assert.equal(stroke(keys, C), "+c -c");
});

test("a finger that the system took away has tapped nothing", () => {
  const keys = new Keyboard();
  keys.touch(KEY_CTRL, 0);
  assert.equal(told(keys.untouch(KEY_CTRL)), "");
  assert.equal(keys.hold(KEY_CTRL), "off");
  keys.touch(KEY_CTRL, 0);
  assert.equal(told(keys.press(C)), "+ctrl +c");
  assert.equal(told(keys.untouch(KEY_CTRL)), "-ctrl");
  assert.equal(told(keys.release(C)), "-c");
});

test("a button of the pointer goes with modifiers as a key does", () => {
  const keys = new Keyboard();
  tap(keys, KEY_CTRL);
  assert.equal(told(keys.wrap()), "+ctrl");
  assert.equal(told(keys.unwrap()), "-ctrl");
  assert.equal(keys.hold(KEY_CTRL), "off");
});

test("a key that overlaps another keeps the modifier until both are up", () => {
  const keys = new Keyboard();
  tap(keys, KEY_CTRL);
  assert.equal(told([...keys.press(C), ...keys.press(2017), ...keys.release(C), ...keys.release(2017)]), "+ctrl +c +a -c -a -ctrl");
});

test("a key that repeats is down once, and one that is not down does not go up", () => {
  const keys = new Keyboard();
  assert.equal(told([...keys.press(C), ...keys.press(C), ...keys.press(C), ...keys.release(C), ...keys.release(C)]), "+c -c");
});

test("keys together go down in order and up the other way round", () => {
  const keys = new Keyboard();
  assert.equal(told(keys.chord([KEY_CTRL, KEY_ALT, 2071])), "+ctrl +alt +2071 -2071 -alt -ctrl");
  assert.equal(told(keys.releaseAll()), "");
});

test("when the page loses the focus all goes up, and nothing waits any more", () => {
  const keys = new Keyboard();
  tap(keys, KEY_CTRL);
  tap(keys, KEY_CTRL, 100);
  keys.press(C);
  tap(keys, KEY_ALT, 200);
  keys.touch(KEY_SUPER, 300);
  assert.equal(told(keys.releaseAll()), "-c -ctrl");
  assert.ok(!keys.active);
  assert.equal(stroke(keys, C), "+c -c");
});

test("whatever is pressed, everything is up in the end", () => {
  let seed = 3;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let run = 0; run < 300; run++) {
    const keys = new Keyboard();
    const down = new Set();
    const take = (strokes) => strokes.forEach(({ code, down: on }) => {
      assert.equal(down.has(code), !on, on ? "down twice" : "up twice");
      if (on) down.add(code);
      else down.delete(code);
    });
    for (let step = 0; step < 80; step++) {
      const code = [KEY_CTRL, KEY_ALT, KEY_SUPER][random(3)];
      switch (random(7)) {
        case 0: keys.touch(code, step * 100); break;
        case 1: take(keys.lift(code, step * 100 + random(900))); break;
        case 2: take(keys.untouch(code)); break;
        case 3: take(keys.press(2017 + random(3))); break;
        case 4: take(keys.release(2017 + random(3))); break;
        case 5: take(keys.chord([KEY_SHIFT, 2030])); break;
        default: take(keys.wrap()), take(keys.unwrap());
      }
    }
    take(keys.releaseAll());
    assert.equal(down.size, 0);
  }
});

test("volume, power, home and back stay the host's", () => {
  for (const code of [1, 2, 16, 17, 18, 22]) assert.ok(isHostKey(code), code);
  for (const code of [2049, 2070, 2076, 2017]) assert.ok(!isHostKey(code), code);
});

test("the rows have the keys that a phone's keyboard lacks", () => {
  const signs = (row) => row.map((cap) => cap.sign || "+").join(" ");
  assert.deepEqual(TWO_ROWS.map(signs), ["Esc Fn Del + Home ↑ End PgUp", "Tab Ctrl Alt Super ← ↓ → PgDn"]);
  const all = [...TWO_ROWS.flat(), ...TWO_ROWS_FN.flat()];
  assert.deepEqual(new Set([...ONE_ROW, ...ONE_ROW_FN].map((cap) => cap.name)), new Set(all.map((cap) => cap.name)));
  for (const rows of [TWO_ROWS_FN.flat(), ONE_ROW_FN]) {
    for (const sign of [...Array.from({ length: 12 }, (_, i) => `F${i + 1}`), "Ins", "PrtSc", "Pause", "Menu"]) {
      assert.ok(rows.some((cap) => cap.sign === sign), sign);
    }
    assert.ok(rows.some((cap) => cap.kind === "layer"), "Fn can be left");
  }
  assert.equal(TWO_ROWS_FN.flat().find((cap) => cap.sign === "F12").code, 2101);
});

test("combinations are read as people write them", () => {
  assert.deepEqual({ ...parseChord("ctrl + alt+DEL") }, { name: "Ctrl+Alt+DEL", codes: [KEY_CTRL, KEY_ALT, 2071] });
  assert.deepEqual(parseChord("Super+F11").codes, [KEY_SUPER, 2100]);
  assert.deepEqual(parseChord("Ctrl+Shift+T").codes, [KEY_CTRL, KEY_SHIFT, 2036]);
  for (const bad of ["", "Ctrl+Ctrl", "Ctrl+F13", "Ctrl+Hyper", "Ctrl+Alt+Shift+Super+A+B", "汉"]) assert.equal(parseChord(bad), undefined, bad);
  for (const { name, codes } of CHORDS_KNOWN) assert.deepEqual(parseChord(name).codes, codes, name);
});

test("each character of a US keyboard has its key, nothing else has one", () => {
  for (let code = 32; code < 127; code++) assert.ok(strokeOf(String.fromCharCode(code)), String.fromCharCode(code));
  assert.deepEqual({ ...strokeOf("A") }, { code: 2017, shift: true });
  assert.deepEqual({ ...strokeOf("~") }, { code: 2056, shift: true });
  assert.deepEqual({ ...strokeOf("0") }, { code: 2000, shift: false });
  assert.deepEqual({ ...strokeOf(")") }, { code: 2000, shift: true });
  assert.ok(isTypable("ls -l\t| grep 'x'\n"));
  for (const text of ["é", "你好", "a—b", "😀"]) assert.ok(!isTypable(text), text);
});
