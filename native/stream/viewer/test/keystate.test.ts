import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyState } from "../src/keystate.ts";

test("press, repeat and release", () => {
  const keys = new KeyState();
  assert.deepEqual(keys.press("KeyA"), [{ code: "KeyA", down: true }]);
  assert.deepEqual(keys.press("KeyA"), [{ code: "KeyA", down: true }]);
  assert.deepEqual(keys.release("KeyA"), [{ code: "KeyA", down: false }]);
  assert.deepEqual(keys.release("KeyA"), []);
});

test("keys without a place are nobody's", () => {
  const keys = new KeyState();
  assert.deepEqual(keys.press(""), []);
  assert.deepEqual(keys.press("Unidentified"), []);
  assert.equal(keys.clear(), false);
});

test("letting go of Meta lets go of what the system swallowed, but not of modifiers", () => {
  const keys = new KeyState();
  for (const code of ["ShiftLeft", "MetaLeft", "KeyC"]) keys.press(code);
  assert.deepEqual(keys.release("MetaLeft"), [
    { code: "MetaLeft", down: false },
    { code: "KeyC", down: false },
  ]);
  assert.deepEqual(keys.release("ShiftLeft"), [{ code: "ShiftLeft", down: false }]);
});

test("Ctrl, Alt and Shift alone lead out, with another key they do not", () => {
  const keys = new KeyState();
  for (const code of ["ControlLeft", "AltRight", "ShiftLeft"]) keys.press(code);
  assert.equal(keys.takeLeaveChord(), true);
  assert.equal(keys.takeLeaveChord(), false);
  keys.clear();
  for (const code of ["ControlLeft", "AltLeft", "ShiftLeft", "KeyT"]) keys.press(code);
  assert.equal(keys.takeLeaveChord(), false);
});

test("after clear nothing is down", () => {
  const keys = new KeyState();
  keys.press("KeyA");
  assert.equal(keys.clear(), true);
  assert.deepEqual(keys.release("KeyA"), []);
});
