import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseLanguage } from "../src/language.ts";
import { TABLES as CONSOLE } from "../src/console/strings.ts";
import { TABLES } from "../src/strings.ts";

test("the person's choice comes first, then the first language of the browser that there is", () => {
  const chosen = (stored: string | null, ...preferred: string[]) =>
    chooseLanguage({ preferred, load: () => stored, save: () => undefined });
  assert.equal(chosen(null, "de-DE", "zh-CN", "en"), "zh");
  assert.equal(chosen(null, "ZH-Hant-TW"), "zh");
  assert.equal(chosen(null, "en-GB", "zh"), "en");
  assert.equal(chosen(null, "de", "fr"), "en");
  assert.equal(chosen(null), "en");
  assert.equal(chosen("zh", "en"), "zh");
  assert.equal(chosen("xx", "zh"), "zh");
});

/** Every text of a table by its path, with functions called. */
function texts(table: object, path = ""): [string, string][] {
  return Object.entries(table).flatMap(([name, value]: [string, unknown]) => {
    const here = `${path}.${name}`;
    if (typeof value === "string") return [[here, value]];
    if (typeof value === "function") return [];
    return texts(value as object, here);
  });
}

test("every text is there in every language", () => {
  for (const tables of [TABLES, CONSOLE]) {
    const english = texts(tables.en);
    const chinese = texts(tables.zh);
    assert.deepEqual(chinese.map(([path]) => path), english.map(([path]) => path));
    for (const [at, [path, text]] of chinese.entries()) {
      assert.equal(text === "", english[at]?.[1] === "", path);
      // ASCII punctuation beside a Chinese character is a slip of the input method.
      assert.doesNotMatch(text, /[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]/, path);
    }
  }
});
