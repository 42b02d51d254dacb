// What only the real compiler of pages rejects: components and their state.
import { ts, components, decorated, decoratorName, decoratorsOf, membersOf, nameOf, walk } from '../lib/ets.js';
import { chain, componentsOutside, declarationOf, eachComponent, isBuilder, isStruct, mostShown, rootName, uiBlocks } from '../lib/ui.js';

const V1 = ['Component', 'CustomDialog', 'Reusable', 'State', 'Prop', 'Link', 'ObjectLink', 'Provide', 'Consume', 'Watch', 'StorageLink',
  'StorageProp', 'LocalStorageLink', 'LocalStorageProp', 'Observed', 'Track'];
const V2 = ['ComponentV2', 'ReusableV2', 'Local', 'Param', 'Once', 'Event', 'Provider', 'Consumer', 'Monitor', 'Computed', 'ObservedV2', 'Trace'];
/** What may be given to a component from outside. */
const FROM_OUTSIDE = ['Param', 'Event', 'BuilderParam', 'Prop', 'Link', 'ObjectLink', 'State', 'Provide'];
/** Of which a member has one. */
const ROLES = ['Local', 'Param', 'Event', 'Provider', 'Consumer', 'BuilderParam', 'Computed', 'Monitor'];
/** What a monitor hears. */
const HEARD = ['Trace', 'Local', 'Param', 'Provider', 'Consumer', 'Computed', 'ObservedV2', 'Event'];

const NO_CHILDREN = new Set(['Blank', 'Checkbox', 'Divider', 'Image', 'ImageSpan', 'LoadingProgress', 'PasteButton', 'Progress', 'QRCode',
  'Radio', 'Rating', 'Search', 'Select', 'Slider', 'Span', 'SymbolGlyph', 'TextArea', 'TextInput', 'Web', 'XComponent']);
const ONE_CHILD = new Set(['Badge', 'Button', 'FlowItem', 'GridItem', 'ListItem', 'Refresh', 'Scroll', 'TabContent']);
const ONLY = { Tabs: ['TabContent'], List: ['ListItem', 'ListItemGroup'], ListItemGroup: ['ListItem'], Grid: ['GridItem'],
  WaterFlow: ['FlowItem'], Text: ['Span', 'ImageSpan', 'ContainerSpan', 'SymbolSpan'], Navigation: null };
const CONTAINERS = new Set(['Column', 'Row', 'Stack', 'Flex', 'RelativeContainer', 'Scroll', 'List', 'Grid', 'Tabs', 'Navigation',
  'NavDestination', 'SideBarContainer', 'Swiper', 'Refresh', 'GridRow', 'WaterFlow']);

/** Cards on the home screen know only the first state management. */
const isWidget = (file) => file.name.includes('/ets/widget/');

export function structRules(context) {
  const provided = new Set();
  for (const file of context.files) {
    file.source.statements.filter(isStruct).forEach((struct) => aliases(struct, 'Provider').forEach(({ name }) => provided.add(name)));
  }
  for (const file of context.files) {
    decorators(context, file);
    for (const statement of file.source.statements.filter(isStruct)) {
      members(context, file, statement);
      writes(context, file, statement);
      for (const { name, member } of aliases(statement, 'Consumer')) {
        if (!provided.has(name)) {
          context.at(file, member, 'provider', `no @Provider gives ${name}`);
        }
      }
    }
    blocks(context, file);
    for (const call of componentsOutside(file.source)) {
      context.at(file, call, 'ui-outside', `${call.expression.text} is called where no components are described: only build and builders may`);
    }
  }
}

/** The names under which members are given to all components below: of the decorator, or their own. */
function aliases(struct, decorator) {
  return membersOf(struct).flatMap((member) => decoratorsOf(member).filter((one) => decoratorName(one) === decorator).map((one) => {
    const given = ts.isCallExpression(one.expression) ? one.expression.arguments[0] : undefined;
    return { name: given && ts.isStringLiteral(given) ? given.text : nameOf(member), member };
  }));
}

const ASSIGNMENTS = [ts.SyntaxKind.FirstAssignment, ts.SyntaxKind.LastAssignment];

/** A parameter is its giver's: only one that is taken @Once may be changed. */
function writes(context, file, struct) {
  const fixed = new Set(membersOf(struct).filter((one) => decorated(one, 'Param', 'Computed') && !decorated(one, 'Once')).map(nameOf));
  const tell = (target) => {
    if (ts.isPropertyAccessExpression(target) && target.expression.kind === ts.SyntaxKind.ThisKeyword && fixed.has(target.name.text)) {
      context.at(file, target, 'param-write', `${target.name.text} is given from outside and cannot be changed here`);
    }
  };
  walk(struct, (node) => {
    if (ts.isBinaryExpression(node) && node.operatorToken.kind >= ASSIGNMENTS[0] && node.operatorToken.kind <= ASSIGNMENTS[1]) {
      tell(node.left);
    } else if ((ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) &&
      [ts.SyntaxKind.PlusPlusToken, ts.SyntaxKind.MinusMinusToken].includes(node.operator)) {
      tell(node.operand);
    } else if (twoWay(node)) {
      tell(node.expression.expression);
    }
  });
}

function decorators(context, file) {
  for (const statement of file.source.statements) {
    const all = [];
    const gather = (node) => decoratorsOf(node).forEach((one) => all.push(one));
    gather(statement);
    if (isStruct(statement) || ts.isClassDeclaration(statement)) {
      statement.members.forEach(gather);
    }
    const first = all.filter((one) => V1.includes(decoratorName(one)));
    const second = all.filter((one) => V2.includes(decoratorName(one)));
    for (const one of first) {
      if (second.length > 0 || !isWidget(file)) {
        const why = second.length > 0 ? `does not go with @${decoratorName(second[0])}` : 'is of the first state management; pages use the second';
        context.at(file, one, 'state-mixed', `@${decoratorName(one)} ${why}`);
      }
    }
    if (ts.isClassDeclaration(statement)) {
      observed(context, file, statement);
    }
  }
}

/** @Trace works in an observed class alone, and @Monitor by names of members that are heard. */
function observed(context, file, declaration) {
  for (const member of declaration.members) {
    if (decorated(member, 'Trace') && !decorated(declaration, 'ObservedV2')) {
      context.at(file, member, 'trace', `@Trace ${nameOf(member)} is not in a class with @ObservedV2`);
    }
  }
  monitors(context, file, declaration);
}

function monitors(context, file, declaration) {
  const heard = new Map();
  for (let one = declaration; one; one = parentOf(context, one)) {
    one.members.forEach((member) => heard.set(nameOf(member), member));
  }
  for (const member of declaration.members) {
    for (const monitor of decoratorsOf(member).filter((one) => decoratorName(one) === 'Monitor')) {
      for (const path of monitor.expression.arguments ?? []) {
        const name = ts.isStringLiteral(path) ? path.text.split('.')[0] : '';
        if (!heard.has(name) || !decorated(heard.get(name), ...HEARD)) {
          context.at(file, path, 'monitor', `@Monitor hears members that are observed, and ${path.getText(file.source)} is not`);
        }
      }
    }
  }
}

function parentOf(context, declaration) {
  const clause = declaration.heritageClauses?.find((one) => one.token === ts.SyntaxKind.ExtendsKeyword);
  const found = clause && !isStruct(declaration) ? declarationOf(context.checker, clause.types[0].expression) : undefined;
  return found && ts.isClassDeclaration(found) ? found : undefined;
}

function members(context, file, struct) {
  monitors(context, file, struct);
  for (const member of membersOf(struct)) {
    if (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) {
      context.at(file, member, 'static', `${nameOf(member)} is static, which a struct may not have`);
    }
    if (decorated(member, 'Param') && !member.initializer && !decorated(member, 'Require')) {
      context.at(file, member, 'param', `@Param ${nameOf(member)} has neither a value nor @Require`);
    }
    if (decorated(member, 'Local', 'Provider', 'Consumer') && !member.initializer && !member.type?.getText().includes('undefined')) {
      context.at(file, member, 'param', `${nameOf(member)} has no value to begin with`);
    }
    if (decorated(member, 'Require') && !decorated(member, 'Param', 'BuilderParam', 'Prop')) {
      context.at(file, member, 'param', `@Require ${nameOf(member)} is nothing that is given from outside`);
    }
    const roles = decoratorsOf(member).map(decoratorName).filter((one) => ROLES.includes(one));
    if (roles.length > 1) {
      context.at(file, member, 'param', `${nameOf(member)} cannot be @${roles.join(' and @')} at once`);
    }
    if (decorated(member, 'Once') && !decorated(member, 'Param')) {
      context.at(file, member, 'param', `@Once ${nameOf(member)} goes with @Param alone`);
    }
    if (decorated(member, 'Computed') && !ts.isGetAccessor(member)) {
      context.at(file, member, 'param', `@Computed ${nameOf(member)} is not a getter`);
    }
  }
}

function blocks(context, file) {
  for (const { block, struct, member } of uiBlocks(file.source)) {
    const isRoot = !isBuilder(member);
    if (isRoot) {
      root(context, file, struct, block);
    }
    const odd = (statement) => context.at(file, statement, 'build-statement', 'only components, if and builders may stand here');
    eachComponent(block, (one) => {
      component(context, file, one);
    }, odd);
  }
}

function root(context, file, struct, block) {
  const shown = block.statements.filter((one) => !ts.isEmptyStatement(one));
  if (shown.length !== 1) {
    context.at(file, shown[1] ?? block, 'root', `build of ${struct.name.text} describes ${shown.length} components: it has to be one`);
    return;
  }
  const only = shown[0];
  const name = ts.isExpressionStatement(only) ? rootName(chain(only.expression).root) : '';
  if (['ForEach', 'LazyForEach', 'Repeat'].includes(name)) {
    context.at(file, only, 'root', `build of ${struct.name.text} begins with ${name}, which is no component`);
  } else if (decorated(struct, 'Entry') && !CONTAINERS.has(name)) {
    context.at(file, only, 'root', `the page ${struct.name.text} has to begin with a container such as Column or Navigation`);
  }
}

function component(context, file, { statement, root: call, calls, parent }) {
  const name = rootName(call);
  if (ts.isEtsComponentExpression(call) && components.has(name)) {
    children(context, file, call, name);
    nesting(context, file, call, name, parent);
    return;
  }
  if (['ForEach', 'LazyForEach', 'Repeat'].includes(name)) {
    if (name === 'Repeat' ? !calls.some((one) => one.name === 'key') : call.arguments.length < 3) {
      context.at(file, statement, 'key', `${name} has no function that tells its items apart`);
    }
    return;
  }
  if (!ts.isCallExpression(call) && !ts.isEtsComponentExpression(call)) {
    context.at(file, statement, 'build-statement', 'this is not a component');
    return;
  }
  const declared = declarationOf(context.checker, ts.isPropertyAccessExpression(call.expression) ? call.expression.name : call.expression);
  if (declared && isStruct(declared)) {
    given(context, file, call, declared);
  } else if (declared && !isBuilder(declared) && !decorated(declared, 'BuilderParam') && !isWrapped(call)) {
    context.at(file, statement, 'build-statement', `${call.expression.getText(file.source)} is neither a component nor a builder`);
  }
}

/** `wrapBuilder(f).builder()` */
const isWrapped = (call) => ts.isPropertyAccessExpression(call.expression) && call.expression.name.text === 'builder';

function children(context, file, call, name) {
  const shown = call.body ? mostShown(call.body) : 0;
  if (shown > 0 && NO_CHILDREN.has(name)) {
    context.at(file, call, 'children', `${name} has no place for other components`);
  }
  if (shown > 1 && ONE_CHILD.has(name)) {
    context.at(file, call, 'children', `${name} has a place for one component alone`);
  }
  const label = call.arguments?.[0];
  if (name === 'Button' && call.body && label && !ts.isObjectLiteralExpression(label)) {
    const type = context.checker.typeToString(context.checker.getTypeAtLocation(label));
    if (!type.includes('ButtonOptions')) {
      context.at(file, call, 'children', 'a Button with a label has no place for other components');
    }
  }
}

function nesting(context, file, call, name, parent) {
  const only = ONLY[parent];
  if (only && !only.includes(name)) {
    context.at(file, call, 'children', `${parent} takes ${only.join(', ')}, not ${name}`);
  }
  for (const [around, inside] of Object.entries(ONLY)) {
    const isItem = inside?.includes(name) && name !== 'ListItem' && !name.endsWith('Span');
    if (isItem && parent !== '' && parent !== around && components.has(parent)) {
      context.at(file, call, 'children', `${name} stands in ${around}, not in ${parent}`);
    }
  }
}

/** What a component of ours is given: what it may be given, and all that it requires. */
function given(context, file, call, struct) {
  const byName = new Map(membersOf(struct).map((member) => [nameOf(member), member]));
  const first = call.arguments?.[0];
  const names = new Set();
  for (const property of first && ts.isObjectLiteralExpression(first) ? first.properties : []) {
    const name = nameOf(property);
    const event = name.startsWith('$') ? name.slice(1) : name;
    const member = byName.get(name) ?? byName.get(event);
    names.add(name);
    if (member && !decorated(member, ...FROM_OUTSIDE)) {
      const kind = decoratorsOf(member).map((one) => `@${decoratorName(one)}`)[0] ?? 'without a decorator';
      context.at(file, property, 'from-outside', `${name} of ${struct.name.text} is ${kind}, so it cannot be given from outside`);
    }
    if (member && ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) {
      context.at(file, property, 'from-outside', `${name} of ${struct.name.text} is private, so it cannot be given from outside`);
    }
    if (property.initializer && twoWay(property.initializer) && !byName.has(`$${name}`)) {
      context.at(file, property, 'from-outside', `${struct.name.text} has no @Event $${name}, so ${name} cannot be bound in both ways`);
    }
  }
  const builders = [...byName.values()].filter((member) => decorated(member, 'BuilderParam'));
  for (const [name, member] of byName) {
    const fromBody = call.body && builders.length === 1 && builders[0] === member;
    if (decorated(member, 'Require') && !names.has(name) && !fromBody) {
      context.at(file, call, 'require', `${struct.name.text} requires ${name}`);
    }
  }
  if (call.body && builders.length !== 1) {
    context.at(file, call, 'children', `${struct.name.text} has ${builders.length} places for other components: what stands in braces needs one`);
  }
}

const twoWay = (node) => ts.isNonNullExpression(node) && ts.isNonNullExpression(node.expression);
