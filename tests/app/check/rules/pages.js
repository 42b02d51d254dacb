// Rules of this app for its pages: entries, routes, names of controls, sizes of files, layers, what a screen reader says.
import { ts, decorated, nameOf, walk } from '../lib/ets.js';
import { chain, eachComponent, isStruct, rootName, uiBlocks } from '../lib/ui.js';
import { readJson } from '../lib/resources.js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ETS = 'entry/src/main/ets/';
const PAGES = 'entry/src/main/resources/base/profile/main_pages.json';
const FORMS = 'entry/src/main/resources/base/profile/form_config.json';

/** Lines of a file, by its folder. */
const SIZES = [['pages/', 150], ['components/', 300], ['', 400]];

export function pageRules(context) {
  entries(context);
  routes(context);
  ids(context);
  for (const file of context.files) {
    size(context, file);
    layers(context, file);
    labels(context, file);
  }
}

/** A page that the system opens has one @Entry, and nothing else has any. */
function entries(context) {
  const pages = new Set();
  if (existsSync(join(context.root, PAGES))) {
    const { value, lineOf } = readJson(context.root, PAGES);
    for (const page of value.src ?? []) {
      pages.add(`${ETS}${page}.ets`);
      missing(context, PAGES, lineOf(page), `${ETS}${page}.ets`);
    }
  }
  if (existsSync(join(context.root, FORMS))) {
    const { value, lineOf } = readJson(context.root, FORMS);
    for (const form of value.forms ?? []) {
      const name = `entry/src/main/${form.src.replace(/^\.\//, '')}`;
      pages.add(name);
      missing(context, FORMS, lineOf(form.src), name);
    }
  }
  for (const file of context.files) {
    const found = file.source.statements.filter((one) => isStruct(one) && decorated(one, 'Entry'));
    const wanted = pages.has(file.name) ? 1 : 0;
    if (found.length !== wanted) {
      const text = wanted === 1 ? `a page has one @Entry, and this has ${found.length}` : '@Entry is for pages that main_pages.json or form_config.json name';
      context.at(file, found[wanted] ?? file.source, 'entry', text);
    }
  }
}

export function missing(context, from, line, name) {
  if (!existsSync(join(context.root, name))) {
    context.add(from, line, 'no-file', `there is no ${name}`);
  }
}

/** The text of an expression that is one, a constant followed. */
function textOf(context, node) {
  if (node && ts.isStringLiteralLike(node)) {
    return node.text;
  }
  const type = node && context.checker.getTypeAtLocation(node);
  return type?.isStringLiteral?.() ? type.value : undefined;
}

const PUSHES = /^(push|replace)(Path|PathByName|Destination|DestinationByName)$/;

/** Every route that is opened is one that a table of routes shows: `if (name === 'machine')` in a builder with the name of a route. */
function routes(context) {
  const shown = new Set();
  const opened = [];
  for (const file of context.files) {
    walk(file.source, (node) => {
      if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsEqualsEqualsToken && ts.isStringLiteral(node.right) && inBuilder(node)) {
        shown.add(node.right.text);
      }
      if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && PUSHES.test(node.expression.name.text)) {
        const first = node.arguments[0];
        const name = first && ts.isObjectLiteralExpression(first) ? first.properties.find((one) => nameOf(one) === 'name')?.initializer : first;
        const text = textOf(context, name);
        if (text !== undefined) {
          opened.push({ file, node, text });
        }
      }
    });
  }
  for (const { file, node, text } of opened) {
    if (!shown.has(text)) {
      context.at(file, node, 'route', `no table of routes shows “${text}”`);
    }
  }
}

function inBuilder(node) {
  for (let one = node.parent; one; one = one.parent) {
    if ((ts.isMethodDeclaration(one) || ts.isFunctionDeclaration(one)) && decorated(one, 'Builder', 'LocalBuilder')) {
      return true;
    }
  }
  return false;
}

/** A name of a control is used once, but for branches and for builders of one component, of which one is shown. */
function ids(context) {
  const seen = new Map();
  for (const file of context.files) {
    walk(file.source, (node) => {
      if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === 'id' &&
        node.arguments.length === 1 && ts.isStringLiteral(node.arguments[0])) {
        const name = node.arguments[0].text;
        const earlier = (seen.get(name) ?? []).find((one) => !exclusive(one.node, node));
        if (earlier) {
          context.at(file, node.arguments[0], 'id', `“${name}” is also the name of a control in ${earlier.file.name}:${context.line(earlier.file, earlier.node.arguments[0])}`);
        }
        seen.set(name, [...(seen.get(name) ?? []), { file, node }]);
      }
    });
  }
}

function exclusive(a, b) {
  const [first, second] = [methodOf(a), methodOf(b)];
  if (first && second && first !== second && first.parent === second.parent) {
    return true;
  }
  for (let one = a; one.parent; one = one.parent) {
    if (ts.isIfStatement(one.parent) && one.parent.thenStatement === one && one.parent.elseStatement) {
      const other = one.parent.elseStatement;
      if (b.getSourceFile() === a.getSourceFile() && b.pos >= other.pos && b.end <= other.end) {
        return true;
      }
    }
  }
  return false;
}

function methodOf(node) {
  let one = node;
  while (one && !ts.isMethodDeclaration(one)) {
    one = one.parent;
  }
  return one;
}

function size(context, file) {
  const lines = file.text.split('\n').length - 1;
  const [, most] = SIZES.find(([folder]) => file.name.startsWith(ETS + folder));
  if (lines > most) {
    context.add(file.name, most + 1, 'size', `${lines} lines, and ${most} is the most for files here`);
  }
}

/** Models are plain, viewmodels show nothing, and only viewmodels and abilities call the native module. */
function layers(context, file) {
  const area = file.name.slice(ETS.length).split('/')[0];
  for (const statement of file.source.statements) {
    if (isStruct(statement) && (area === 'model' || area === 'viewmodel')) {
      context.at(file, statement, 'layer', `${statement.name.text} is a component, which has no place in ${area}`);
    }
    if (!ts.isImportDeclaration(statement)) {
      continue;
    }
    const from = statement.moduleSpecifier.text;
    const clause = statement.importClause;
    if (from === 'libsampan.so' && clause?.name && !['viewmodel', 'entryability', 'vmability', 'formability', 'entrybackupability'].includes(area)) {
      context.at(file, statement, 'layer', 'only viewmodels and abilities call the native module');
    }
    if (area === 'model' && (from === '@kit.ArkUI' || /\/(viewmodel|views|components|pages)\//.test(from))) {
      context.at(file, statement, 'layer', `a model does not know ${from}`);
    }
    if (area === 'viewmodel' && /\/(views|components|pages)\//.test(from)) {
      context.at(file, statement, 'layer', `a viewmodel does not know ${from}`);
    }
  }
}

/** What is tapped and shows no text says what it is to a screen reader. */
function labels(context, file) {
  for (const { block } of uiBlocks(file.source)) {
    eachComponent(block, ({ root, calls }) => {
      const name = rootName(root);
      if (!['Button', 'Image', 'Row', 'Column', 'Stack', 'Toggle', 'Slider', 'TextInput', 'TextArea', 'Search', 'Select', 'XComponent'].includes(name)) {
        return;
      }
      const tapped = calls.some((one) => one.name === 'onClick') || !['Image', 'Row', 'Column', 'Stack'].includes(name);
      const said = calls.some((one) => ['accessibilityText', 'accessibilityLevel', 'accessibilityVirtualNode', 'attributeModifier'].includes(one.name));
      if (tapped && !said && !speaks(root)) {
        context.at(file, root, 'accessibility', `this ${name} says nothing to a screen reader: .accessibilityText(…)`);
      }
    });
  }
}

/** A label, or a text somewhere in it. A component of ours is believed to have one. */
function speaks(root) {
  const name = rootName(root);
  const first = root.arguments?.[0];
  if (name === 'Button' && first && !ts.isObjectLiteralExpression(first)) {
    return true;
  }
  if (['TextInput', 'TextArea', 'Search'].includes(name) && first && ts.isObjectLiteralExpression(first)) {
    return first.properties.some((one) => nameOf(one) === 'placeholder');
  }
  let found = false;
  if (root.body) {
    walk(root.body, (node) => {
      if (ts.isEtsComponentExpression(node) && ['Text', 'Span'].includes(rootName(node))) {
        found = true;
      }
      if (ts.isCallExpression(node) && (ts.isIdentifier(node.expression) || node.expression.expression?.kind === ts.SyntaxKind.ThisKeyword)) {
        found = found || isShown(node);
      }
    });
  }
  return found;
}

/** A call that stands as a component: of one of ours, or of a builder. */
const isShown = (call) => {
  let node = call;
  while (ts.isPropertyAccessExpression(node.parent) || ts.isCallExpression(node.parent)) {
    node = node.parent;
  }
  return ts.isExpressionStatement(node.parent) && chain(node).root === call;
};
