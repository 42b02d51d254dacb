import assert from "node:assert/strict";
import { test } from "node:test";
import { displayIn, queryFor } from "../src/displays.ts";
import { decode } from "../src/messages.ts";

test("an address says which display, and nothing else counts as one", () => {
  assert.equal(displayIn("?display=2"), 2);
  assert.equal(displayIn("?lang=zh&display=16"), 16);
  for (const search of ["", "?display=", "?display=0", "?display=17", "?display=-1", "?display=1.5", "?display=1e1", "?display=two"]) {
    assert.equal(displayIn(search), 1, search);
  }
});

test("the address of a display keeps what else it says", () => {
  assert.equal(queryFor("", 2), "?display=2");
  assert.equal(queryFor("?display=2", 3), "?display=3");
  assert.equal(queryFor("?display=2", 1), "");
  assert.equal(queryFor("?a=b&display=2", 1), "?a=b");
});

test("what the server says of displays is read, and nothing that is none", () => {
  const told = (count: unknown, n: unknown) => decode(JSON.stringify({ t: "displays", count, n }));
  assert.deepEqual(told(2, 1), { t: "displays", count: 2, n: 1 });
  for (const [count, n] of [[2, 0], [2, 3], [2, "1"], [1.5, 1], [null, 1]]) assert.equal(told(count, n), undefined);
});
