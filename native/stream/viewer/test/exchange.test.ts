import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalText } from "../src/clipboard.ts";
import { TABLES } from "../src/strings.ts";
import { Refusal } from "../src/whep.ts";

test("a refusal is told by its code, or else in the server's words", () => {
  for (const { clipboard, files } of Object.values(TABLES)) {
    assert.equal(refusalText(new Refusal("not_driving", "words"), clipboard.failed), clipboard.failed["not_driving"]);
    assert.equal(refusalText(new Refusal("guest_locked", "words"), files.failed), files.failed["guest_locked"]);
    assert.equal(refusalText(new Refusal("something_new", "words"), files.failed), "words");
    assert.equal(refusalText(new Refusal("constructor", "words"), files.failed), "words");
    assert.ok(refusalText(new Refusal("", ""), files.failed).length > 0, "nobody answered");
  }
});

test("both languages know the same refusals", () => {
  const codes = (table: (typeof TABLES)["en"]) => [Object.keys(table.clipboard.failed), Object.keys(table.files.failed)];
  assert.deepEqual(codes(TABLES.zh), codes(TABLES.en));
});
