// The check on its own mistakes, each marked where it stands: with a comment, or in expected.txt where a file takes no comments.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, test } from 'node:test';
import { check } from '../check/lib/check.js';

const folder = resolve(import.meta.dirname, '../check');
const planted = join(folder, 'planted');

/** What is planted, as `file:line: rule`. */
function expected() {
  const found = readFileSync(join(planted, 'expected.txt'), 'utf8').trim().split('\n');
  for (const file of readdirSync(planted, { recursive: true }).filter((name) => /\.(ets|json5|ts)$/.test(name))) {
    readFileSync(join(planted, file), 'utf8').split('\n').forEach((text, i) => {
      const rules = /\/\/ mistake: ([\w, -]+)$/.exec(text)?.[1].split(', ') ?? [];
      rules.forEach((rule) => found.push(`${file}:${i + 1}: ${rule}`));
    });
  }
  return found.sort();
}

/** The names of rules, by the places that tell of a finding. */
function rules() {
  const names = new Set(['parse', 'type', 'arkts']);
  for (const file of [...readdirSync(join(folder, 'rules')).map((name) => `rules/${name}`), 'lib/check.js', 'lib/resources.js']) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const [, name] of text.matchAll(/(?:\.at|\badd|\.add)\([^\n]*?, '([a-z-]+)', (?=[`'a-z])/g)) {
      names.add(name);
    }
  }
  return names;
}

let told;

before(async () => {
  const { findings } = await check(planted);
  told = findings.map((one) => `${one.file}:${one.line}: ${one.rule}`).sort();
});

test('every planted mistake is found, and nothing else', () => {
  assert.deepEqual(told, expected());
});

test('every rule has a planted mistake', () => {
  const found = new Set(told.map((one) => one.split(': ')[1]));
  assert.deepEqual([...rules()].filter((name) => !found.has(name)), []);
  assert.ok(found.size >= 35, `${found.size} rules`);
});

test('the app has no mistakes', async () => {
  const { findings } = await check(resolve(import.meta.dirname, '../../..'));
  assert.deepEqual(findings.map((one) => `${one.file}:${one.line}: ${one.rule}: ${one.message}`), []);
});
