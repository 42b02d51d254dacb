// No visible text and no colour outside resources, so that every language and the dark theme have theirs.
import { ts, nameOf, walk } from '../lib/ets.js';
import { isStruct, rootName } from '../lib/ui.js';

/** Components whose first argument is read. */
const READ = new Set(['Text', 'Span', 'Button']);
/** Attributes whose argument is read. */
const READ_BY = new Set(['title', 'subtitle', 'tabBar', 'accessibilityText', 'accessibilityDescription', 'placeholder', 'header', 'footer']);
/** Fields that are read, where their text has words. */
const FIELDS = new Set(['title', 'subtitle', 'message', 'value', 'placeholder', 'label', 'content', 'text', 'description']);

const CJK = /[\u2E80-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]/;
const LETTERS = /\p{L}/u;
const WORDS = /\p{L}{2,}[^\p{L}]*\s+\p{L}/u;
const COLOUR = /^#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$|^rgba?\(/i;

/** The fixed part of a literal. */
function fixed(node) {
  if (ts.isStringLiteralLike(node)) {
    return node.text;
  }
  return ts.isTemplateExpression(node) ? [node.head.text, ...node.templateSpans.map((one) => one.literal.text)].join(' ') : undefined;
}

export function textRules(context) {
  for (const file of context.files) {
    const shows = file.source.statements.some(isStruct) || /\/(views|components|pages|widget)\//.test(file.name);
    walk(file.source, (node) => {
      if (ts.isImportDeclaration(node)) {
        return false;
      }
      const text = fixed(node);
      if (text !== undefined) {
        read(context, file, node, text);
      }
      if (shows) {
        colours(context, file, node, text);
      }
      return undefined;
    });
  }
}

function read(context, file, node, text) {
  const isRead = CJK.test(text) || (LETTERS.test(text) && shown(node)) || (WORDS.test(text) && inField(node));
  if (isRead && !context.allowed(file, node, 'text')) {
    context.at(file, node, 'text', `“${text.trim()}” is read by people, so it belongs into resources`);
  }
}

/** Arguments are reached through branches: `Text(a ? 'b' : 'c')`. */
function place(node) {
  let one = node;
  while (ts.isConditionalExpression(one.parent) || ts.isParenthesizedExpression(one.parent) || isJoined(one.parent)) {
    if (ts.isConditionalExpression(one.parent) && one.parent.condition === one) {
      break;
    }
    one = one.parent;
  }
  return one;
}

const isJoined = (node) =>
  ts.isBinaryExpression(node) && [ts.SyntaxKind.PlusToken, ts.SyntaxKind.QuestionQuestionToken, ts.SyntaxKind.BarBarToken].includes(node.operatorToken.kind);

function shown(node) {
  const one = place(node);
  const call = one.parent;
  if (ts.isEtsComponentExpression(call)) {
    return READ.has(rootName(call)) && call.arguments?.[0] === one;
  }
  return ts.isCallExpression(call) && ts.isPropertyAccessExpression(call.expression) && READ_BY.has(call.expression.name.text) && call.arguments.includes(one);
}

function inField(node) {
  const one = place(node);
  return ts.isPropertyAssignment(one.parent) && one.parent.initializer === one && FIELDS.has(nameOf(one.parent));
}

function colours(context, file, node, text) {
  const named = ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Color' && node.name.text !== 'Transparent';
  const number = ts.isNumericLiteral(node) && /^0x[0-9a-f]{6,8}$/i.test(node.getText(file.source));
  if ((named || number || (text !== undefined && COLOUR.test(text))) && !context.allowed(file, node, 'colour')) {
    context.at(file, node, 'colour', `${node.getText(file.source)} is the same in the dark theme: colours belong into resources`);
  }
}
