import { resolve } from 'node:path';
import { check, write } from './lib/check.js';

const given = process.argv.slice(2);
const at = given.indexOf('--root');
const root = resolve(at < 0 ? `${import.meta.dirname}/../../..` : given[at + 1]);

if (given.includes('--format')) {
  for (const file of await write(root)) {
    console.log(`${file}: written anew`);
  }
} else {
  const { findings, files } = await check(root);
  if (given.includes('--json')) {
    console.log(JSON.stringify(findings, null, 1));
  } else {
    for (const one of findings) {
      console.log(`${one.file}:${one.line}: ${one.rule}: ${one.message}`);
    }
    console.log(`# ${files} files, ${findings.length === 0 ? 'nothing' : findings.length} found`);
  }
  process.exitCode = findings.length === 0 ? 0 : 1;
}
