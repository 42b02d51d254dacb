// What the descriptions of pages consist of: blocks of components, in `build` and in builders.
import { ts, components, decorated, membersOf, nameOf, walk } from './ets.js';

export const isStruct = (node) => ts.isStructDeclaration(node);
export const isBuilder = (node) => decorated(node, 'Builder', 'LocalBuilder');

/** Of `Text('a').width(1).height(2)`: the component's call, and the calls after it from left to right. */
export function chain(expression) {
  const calls = [];
  let node = expression;
  while (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && !isOwnCall(node)) {
    calls.unshift({ name: node.expression.name.text, args: node.arguments, node: node.expression.name });
    node = node.expression.expression;
  }
  return { root: node, calls };
}

/** `this.row()`, `this.texts.of()`: a call of a method, not an attribute. */
function isOwnCall(call) {
  let node = call.expression;
  while (ts.isPropertyAccessExpression(node)) {
    node = node.expression;
  }
  return node.kind === ts.SyntaxKind.ThisKeyword || ts.isIdentifier(node);
}

/** The name of what a chain begins with: `Text`, `Card`, `ForEach`; empty for calls of methods. */
export const rootName = (root) => (ts.isIdentifier(root.expression ?? root) ? (root.expression ?? root).text : '');

/** Blocks in which another block of components repeats: items of ForEach, Repeat. */
export function itemBlocks(root, calls) {
  const name = rootName(root);
  const functions = [];
  if (name === 'ForEach' || name === 'LazyForEach') {
    functions.push(root.arguments[1]);
  } else if (name === 'Repeat') {
    calls.filter((call) => call.name === 'each').forEach((call) => functions.push(call.args[0]));
    calls.filter((call) => call.name === 'template').forEach((call) => functions.push(call.args[1]));
  }
  return functions.filter((one) => one && ts.isArrowFunction(one) && ts.isBlock(one.body)).map((one) => one.body);
}

/** Every outermost block of components of a file, with the struct that it belongs to. */
export function uiBlocks(source) {
  const found = [];
  const visit = (node, struct) => {
    if (isStruct(node)) {
      for (const member of membersOf(node)) {
        if (ts.isMethodDeclaration(member) && member.body && (nameOf(member) === 'build' || isBuilder(member))) {
          found.push({ block: member.body, struct: node, member });
        }
      }
    } else if (ts.isFunctionDeclaration(node) && node.body && isBuilder(node)) {
      found.push({ block: node.body, struct, member: node });
    }
  };
  source.statements.forEach((statement) => visit(statement, undefined));
  return found;
}

/**
 * Calls `see({ statement, root, calls, parent })` for each component of a block and of all blocks in it; `parent` is the name of the
 * component around it. Calls `odd(statement)` for what is no component.
 */
export function eachComponent(block, see, odd = () => {}, parent = '') {
  for (const statement of ts.isBlock(block) ? block.statements : [block]) {
    if (ts.isIfStatement(statement)) {
      eachComponent(statement.thenStatement, see, odd, parent);
      if (statement.elseStatement) {
        eachComponent(statement.elseStatement, see, odd, parent);
      }
    } else if (ts.isExpressionStatement(statement)) {
      const { root, calls } = chain(statement.expression);
      see({ statement, root, calls, parent });
      if (root.body) {
        eachComponent(root.body, see, odd, rootName(root));
      }
      itemBlocks(root, calls).forEach((items) => eachComponent(items, see, odd, parent));
    } else if (!ts.isEmptyStatement(statement)) {
      odd(statement);
    }
  }
}

/** How many components a block shows at most: what repeats counts twice. */
export function mostShown(block) {
  let count = 0;
  for (const statement of ts.isBlock(block) ? block.statements : [block]) {
    if (ts.isIfStatement(statement)) {
      count += Math.max(mostShown(statement.thenStatement), statement.elseStatement ? mostShown(statement.elseStatement) : 0);
    } else if (ts.isExpressionStatement(statement)) {
      count += ['ForEach', 'LazyForEach', 'Repeat'].includes(rootName(chain(statement.expression).root)) ? 2 : 1;
    }
  }
  return count;
}

/** The declaration that a name or a member stands for, imports followed. */
export function declarationOf(checker, node) {
  let symbol = checker.getSymbolAtLocation(node);
  if (symbol && symbol.flags & ts.SymbolFlags.Alias) {
    symbol = checker.getAliasedSymbol(symbol);
  }
  return symbol?.declarations?.[0];
}

/** Calls of system components by their names, where no block of components is. */
export function componentsOutside(source) {
  const found = [];
  walk(source, (node) => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && components.has(node.expression.text)) {
      found.push(node);
    }
  });
  return found;
}
