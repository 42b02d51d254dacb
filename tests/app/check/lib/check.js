// All rules on one checkout.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ts, lint, program } from './ets.js';
import { formatted } from './format.js';
import { Resources } from './resources.js';
import { configRules } from '../rules/config.js';
import { levelRules } from '../rules/levels.js';
import { pageRules } from '../rules/pages.js';
import { resourceRules } from '../rules/resources.js';
import { structRules } from '../rules/structs.js';
import { textRules } from '../rules/texts.js';

function etsFiles(root) {
  const folder = join(root, 'entry/src/main/ets');
  return readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.ets')).sort().map((name) => join(folder, name));
}

/** What rules see and where they tell what they find. */
class Context {
  findings = [];

  constructor(root, compiled, files) {
    this.root = root;
    this.checker = compiled.getTypeChecker();
    this.files = files.map((path) => {
      const source = compiled.getSourceFile(path);
      return { path, name: relative(root, path), source, text: source.text };
    });
    this.resources = new Resources(root, (...finding) => this.add(...finding));
  }

  add(file, line, rule, message) {
    this.findings.push({ file, line, rule, message });
  }

  /** At a node of a page. */
  at(file, node, rule, message) {
    this.add(file.name, this.line(file, node), rule, message);
  }

  line(file, node) {
    return file.source.getLineAndCharacterOfPosition(node.getStart(file.source)).line + 1;
  }

  /** Whether a comment such as `// text: it is a name` at the node's line or above it allows what a rule forbids, with a reason. */
  allowed(file, node, rule) {
    const lines = file.text.split('\n');
    const line = this.line(file, node) - 1;
    const comment = new RegExp(`// ${rule}: \\S`);
    return comment.test(lines[line]) || (line > 0 && comment.test(lines[line - 1].trimStart()) && lines[line - 1].trimStart().startsWith('//'));
  }
}

function compilerFindings(context, builder) {
  const compiled = builder.getProgram();
  const tell = (file, found, rule) => {
    if (found.start !== undefined) {
      const { line } = file.source.getLineAndCharacterOfPosition(found.start);
      context.add(file.name, line + 1, rule, ts.flattenDiagnosticMessageText(found.messageText, ' ').replace(/\s+/g, ' '));
    }
  };
  for (const file of context.files) {
    const broken = compiled.getSyntacticDiagnostics(file.source);
    broken.forEach((one) => tell(file, one, 'parse'));
    if (broken.length === 0) {
      compiled.getSemanticDiagnostics(file.source).forEach((one) => tell(file, one, 'type'));
    }
  }
  const byPath = new Map(context.files.map((file) => [file.source.fileName, file]));
  const told = new Set();
  for (const one of lint(builder, context.files.map((file) => file.source))) {
    const text = ts.flattenDiagnosticMessageText(one.messageText, ' ');
    const key = `${one.file.fileName}:${one.start}:${text}`;
    if (!told.has(key)) {
      told.add(key);
      // What the linter does not know by a name of its own, its strict compiler has found.
      tell(byPath.get(one.file.fileName), one, /\(arkts-[\w-]+\)/.test(text) ? 'arkts' : 'type');
    }
  }
}

/** What is wrong with a checkout, in order of files and lines. */
export async function check(root) {
  const files = etsFiles(root);
  const builder = program(root, files);
  const context = new Context(root, builder.getProgram(), files);
  compilerFindings(context, builder);
  for (const rules of [structRules, pageRules, textRules, levelRules, configRules, resourceRules]) {
    rules(context);
  }
  for (const file of context.files) {
    const text = await formatted(file.path, file.text);
    if (text !== file.text) {
      const line = firstDifference(text, file.text);
      context.add(file.name, line, 'format', 'is not as the formatter has it: tests/app/check/run --format');
    }
  }
  const order = (a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.rule.localeCompare(b.rule);
  return { findings: context.findings.sort(order), files: files.length };
}

function firstDifference(a, b) {
  const [left, right] = [a.split('\n'), b.split('\n')];
  return 1 + right.findIndex((line, i) => line !== left[i]) || right.length;
}

/** Writes the pages as the formatter has them; the names of those that it changed. */
export async function write(root) {
  const changed = [];
  for (const path of etsFiles(root)) {
    const old = readFileSync(path, 'utf8');
    const text = await formatted(path, old);
    if (text !== old) {
      writeFileSync(path, text);
      changed.push(relative(root, path));
    }
  }
  return changed;
}
