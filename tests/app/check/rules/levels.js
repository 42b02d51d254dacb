// What of the system is called: that it is there from API 12 on or asked for, and that its permissions are asked for.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ts, BASE_LEVEL, decorated, nameOf, walk } from '../lib/ets.js';
import { readJson } from '../lib/resources.js';

const MODULE = 'entry/src/main/module.json5';
const HOOK = 'entry/hvigorfile.ts';

/** What is asked for without a call in a page. */
const ELSEWHERE = {
  'ohos.permission.INTERNET': 'the native module opens sockets',
  'ohos.permission.LOCK_WINDOW_CURSOR': 'the native module holds the pointer',
  'ohos.permission.MICROPHONE': 'the native module records',
  'ohos.permission.kernel.ALLOW_WRITABLE_CODE_MEMORY': 'QEMU translates code'
};

export function levelRules(context) {
  const used = new Map();
  for (const file of context.files) {
    walk(file.source, (node) => {
      if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) {
        return false;
      }
      const declaration = ts.isMethodDeclaration(node) ? overridden(context.checker, node) : called(context.checker, node);
      if (declaration) {
        level(context, file, node, declaration);
        widget(context, file, node, declaration);
        permission(declaration).forEach((name) => note(context, used, name, { file, node }));
      }
      return undefined;
    });
  }
  permissions(context, used);
}

/** The first use, or the first that no comment allows. */
function note(context, used, name, use) {
  const earlier = used.get(name);
  if (!earlier || (context.allowed(earlier.file, earlier.node, 'permission') && !context.allowed(use.file, use.node, 'permission'))) {
    used.set(name, use);
  }
}

/** The declaration of the method that a method of a class is instead of: the system calls it. */
function overridden(checker, method) {
  if (!ts.isClassDeclaration(method.parent) || !ts.isIdentifier(method.name)) {
    return undefined;
  }
  const parent = method.parent.heritageClauses?.find((one) => one.token === ts.SyntaxKind.ExtendsKeyword)?.types[0];
  const symbol = parent && checker.getPropertyOfType(checker.getTypeAtLocation(parent), method.name.text);
  return symbol?.declarations?.[0];
}

/** The declaration of what a node calls or reads. */
function called(checker, node) {
  if (ts.isCallExpression(node) || ts.isNewExpression(node) || ts.isEtsComponentExpression(node)) {
    return checker.getResolvedSignature(node)?.declaration;
  }
  const isCallee = (one) => one.parent && ts.isCallExpression(one.parent) && one.parent.expression === one;
  if (ts.isPropertyAccessExpression(node) && !isCallee(node)) {
    return checker.getSymbolAtLocation(node.name)?.declarations?.[0];
  }
  return undefined;
}

/** Blocks of documentation, oldest first: declarations repeat them for every level at which something changed. */
const docs = (declaration) => declaration.jsDoc ?? [];
const tag = (doc, name) => doc.tags?.find((one) => one.tagName.text === name);
const words = (one) => (typeof one?.comment === 'string' ? one.comment : (one?.comment ?? []).map((part) => part.text).join(''));

/** The level that something came with. */
function since(declaration) {
  const all = docs(declaration).map((doc) => Number.parseInt(words(tag(doc, 'since')), 10)).filter((one) => one > 0);
  return all.length > 0 ? Math.min(...all) : 0;
}

function permission(declaration) {
  const text = words(tag(docs(declaration).at(-1) ?? {}, 'permission'));
  return text.includes(' or ') ? [] : (text.match(/ohos\.permission\.[\w.]+/g) ?? []);
}

function level(context, file, node, declaration) {
  const wanted = since(declaration);
  if (wanted > BASE_LEVEL && !guarded(context.checker, node, wanted) && !ts.isMethodDeclaration(node)) {
    const name = node.expression ? (node.name ?? node.expression.name ?? node.expression).getText(file.source) : node.getText(file.source);
    context.at(file, node.name ?? node.expression?.name ?? node, 'level', `${name} came with API ${wanted}: ask \`deviceInfo.sdkApiVersion >= ${wanted}\` first`);
  }
}

/** A widget is drawn by the home screen, which knows some components and attributes alone. */
function widget(context, file, node, declaration) {
  const shows = file.name.includes('/ets/widget/') && /\/dist\/component\/(?!enums|units)/.test(declaration.getSourceFile().fileName);
  if (shows && docs(declaration).length > 0 && !docs(declaration).some((doc) => tag(doc, 'form'))) {
    context.at(file, node.expression?.name ?? node, 'widget', `${(node.expression?.name ?? node).getText(file.source)} is not for widgets`);
  }
}

/** Behind a question for the level: in a branch, after `&&`, after an early return, or in what says `@since` or is called since then. */
function guarded(checker, node, wanted) {
  for (let one = node; one.parent; one = one.parent) {
    const above = one.parent;
    if ((ts.isIfStatement(above) && above.thenStatement === one && asks(above.expression, wanted)) ||
      (ts.isIfStatement(above) && above.elseStatement === one && asks(above.expression, wanted, true)) ||
      (ts.isConditionalExpression(above) && above.whenTrue === one && asks(above.condition, wanted)) ||
      (ts.isBinaryExpression(above) && above.right === one && above.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken && asks(above.left, wanted))) {
      return true;
    }
    if (ts.isBlock(above) && above.statements.some((earlier) => earlier.end <= one.pos && leaves(earlier, wanted))) {
      return true;
    }
    if (since(above) >= wanted || (ts.isMethodDeclaration(above) && since(overridden(checker, above) ?? {}) >= wanted)) {
      return true;
    }
  }
  return false;
}

const leaves = (statement, wanted) => ts.isIfStatement(statement) && asks(statement.expression, wanted, true) &&
  (ts.isBlock(statement.thenStatement) ? statement.thenStatement.statements.at(-1) : statement.thenStatement)?.kind === ts.SyntaxKind.ReturnStatement;

/** Whether a condition is true only from a level on, or with `below` only below it. */
function asks(condition, wanted, below = false) {
  if (ts.isParenthesizedExpression(condition)) {
    return asks(condition.expression, wanted, below);
  }
  if (ts.isPrefixUnaryExpression(condition)) {
    return condition.operator === ts.SyntaxKind.ExclamationToken && asks(condition.operand, wanted, !below);
  }
  if (ts.isCallExpression(condition)) {
    return !below && condition.expression.getText().endsWith('canIUse');
  }
  if (!ts.isBinaryExpression(condition)) {
    return false;
  }
  const kind = condition.operatorToken.kind;
  if (kind === (below ? ts.SyntaxKind.BarBarToken : ts.SyntaxKind.AmpersandAmpersandToken)) {
    return asks(condition.left, wanted, below) || asks(condition.right, wanted, below);
  }
  const number = Number(condition.right.getText());
  if (!/sdkApiVersion$|apiLevel$/.test(condition.left.getText())) {
    return false;
  }
  return below
    ? (kind === ts.SyntaxKind.LessThanToken && number >= wanted) || (kind === ts.SyntaxKind.LessThanEqualsToken && number >= wanted - 1)
    : (kind === ts.SyntaxKind.GreaterThanEqualsToken && number >= wanted) || (kind === ts.SyntaxKind.GreaterThanToken && number >= wanted - 1);
}

/** What is asked for is used, and the other way round; each has a reason. That the reason is in both languages is said by resources. */
function permissions(context, used) {
  if (!existsSync(join(context.root, MODULE))) {
    return;
  }
  const { value, line } = readJson(context.root, MODULE);
  const asked = new Set();
  const abilities = new Set([...(value.module?.abilities ?? []), ...(value.module?.extensionAbilities ?? [])].map((one) => one.name));
  for (const one of value.module?.requestPermissions ?? []) {
    asked.add(one.name);
    const tell = (text) => context.add(MODULE, line(one), 'permission', `${one.name} ${text}`);
    if (!used.has(one.name) && !ELSEWHERE[one.name]) {
      tell('is asked for and not used');
    }
    if (!/^\$string:\w+$/.test(one.reason ?? '')) {
      tell('has no reason');
    }
    if (!one.usedScene?.when || !one.usedScene.abilities?.length) {
      tell('does not say when and where it is used');
    }
    (one.usedScene?.abilities ?? []).filter((name) => !abilities.has(name)).forEach((name) => tell(`names ${name}, which is no ability`));
  }
  const hook = existsSync(join(context.root, HOOK)) ? readFileSync(join(context.root, HOOK), 'utf8') : '';
  (hook.match(/ohos\.permission\.[\w.]+/g) ?? []).forEach((name) => asked.add(name));
  for (const [name, { file, node }] of used) {
    if (!asked.has(name) && !context.allowed(file, node, 'permission')) {
      context.at(file, node, 'permission', `this needs ${name}, which ${MODULE} does not ask for`);
    }
  }
}
