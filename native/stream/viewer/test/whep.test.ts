import assert from "node:assert/strict";
import { test } from "node:test";
import { endpoint } from "../src/whep.ts";

test("an offer goes where what it asks for can be read", () => {
  assert.equal(endpoint({ display: 1, noLoopback: false }), "/whep");
  assert.equal(endpoint({ display: 3, noLoopback: false }), "/whep?display=3");
  assert.equal(endpoint({ display: 2, noLoopback: true }), "/whep?display=2&loopback=no");
});
