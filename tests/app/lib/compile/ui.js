// The description of a user interface, as calls: what stands in `build()` and in builders.
//
//   Text(a).width(b)           $n("Text", () => [a], () => [["width", b]], undefined, place)
//   Card({ a: b }) { … }       $c(() => Card, () => ({ a: b }), undefined, () => { … }, place)
//   if (a) { … } else { … }    $if(() => a ? 0 : 1, [() => { … }, () => { … }])
//   ForEach(a, r => { … }, k)  $each(() => a, r => { … }, k, place)
//   Repeat(a).each(…).key(…)   $repeat(() => a, { each, key, templates, … }, place)
//   builder({ a: b })          builder($ref(() => ({ a: b })))      one object: its values stay live
import { CompileError, array, arrow, call, f, id, nothing, place, str, ts } from "./syntax.js";

const K = ts.SyntaxKind;

/** `a.b(x).c(y)` as its root and [name, arguments] of each call. */
export function unchain(expression) {
  const chain = [];
  let at = expression;
  while (ts.isCallExpression(at) && ts.isPropertyAccessExpression(at.expression)) {
    chain.unshift([at.expression.name, at.arguments]);
    at = at.expression.expression;
  }
  return [at, chain];
}

export class UiWriter {
  /** `visit` transforms what is not a description; `known` has the sets `components` and `builders`, and `isBuilderCall`. */
  constructor(file, visit, known) {
    Object.assign(this, { file, known });
    this.value = (node) => ts.visitNode(node, visit);
    this.values = (nodes) => [...(ts.visitNodes(nodes, visit) ?? [])];
  }

  block(statements) {
    return f.createBlock(
      statements.flatMap((one) => this.statement(one)),
      true,
    );
  }

  body(statement) {
    return this.block(ts.isBlock(statement) ? statement.statements : [statement]);
  }

  /** An arrow function that describes an interface, such as the one of ForEach. */
  describing(node) {
    if (!ts.isArrowFunction(node)) return this.value(node);
    const body = ts.isBlock(node.body) ? this.block(node.body.statements) : this.block([f.createExpressionStatement(node.body)]);
    return f.createArrowFunction(
      undefined,
      undefined,
      node.parameters.map((one) => this.value(one)),
      undefined,
      node.equalsGreaterThanToken,
      body,
    );
  }

  statement(node) {
    if (ts.isIfStatement(node)) return [this.branches(node)];
    if (ts.isEmptyStatement(node)) return [];
    if (ts.isBlock(node)) return node.statements.flatMap((one) => this.statement(one));
    if (!ts.isExpressionStatement(node)) {
      throw new CompileError(this.file, node, `only components, if and calls of builders may stand here, not ${ts.SyntaxKind[node.kind]}`);
    }
    const written = this.expression(node.expression);
    return [ts.setTextRange(f.createExpressionStatement(written), node)];
  }

  branches(node) {
    const conditions = [];
    const arms = [];
    let at = node;
    for (; at && ts.isIfStatement(at); at = at.elseStatement) {
      conditions.push(this.value(at.expression));
      arms.push(at.thenStatement);
    }
    let last = f.createPrefixUnaryExpression(K.MinusToken, f.createNumericLiteral(1));
    if (at) {
      last = f.createNumericLiteral(arms.length);
      arms.push(at);
    }
    const choice = conditions.reduceRight(
      (rest, condition, index) =>
        f.createConditionalExpression(f.createParenthesizedExpression(condition), undefined, f.createNumericLiteral(index), undefined, rest),
      last,
    );
    return f.createExpressionStatement(call("$if", arrow(choice), array(arms.map((arm) => arrow(this.body(arm))))));
  }

  expression(node) {
    const [root, chain] = unchain(node);
    const ets = ts.isEtsComponentExpression(root);
    const named = (ets || ts.isCallExpression(root)) && ts.isIdentifier(root.expression);
    const name = named ? root.expression.text : "";
    const where = str(place(this.file, node));
    if (name === "ForEach" || name === "LazyForEach") return this.each(root, where);
    if (name === "Repeat") return this.repeat(root, chain, where);
    const attributes =
      chain.length === 0
        ? nothing()
        : arrow(array(chain.map(([attribute, args]) => array([str(attribute.text), ...args.map((one) => this.argument(one))]))));
    const children = ets && root.body ? arrow(this.block(root.body.statements)) : nothing();
    if (this.known.components.has(name)) {
      return call("$n", str(name), arrow(array(root.arguments.map((one) => this.argument(one)))), attributes, children, where);
    }
    if (this.known.structs.has(name) || (ets && /^[A-Z]/.test(name))) {
      const params = root.arguments?.[0];
      if (chain.length > 0 && ets && root.body) throw new CompileError(this.file, node, `${name} has a trailing closure, so it takes no attributes`);
      return call("$c", arrow(id(name)), arrow(params ? this.parameters(params) : f.createObjectLiteralExpression()), attributes, children, where);
    }
    if (/^[A-Z]/.test(name) && !this.known.isBuilderCall(root)) {
      throw new CompileError(this.file, node, `no component ${name} here`);
    }
    return this.builderCall(node);
  }

  each(root, where) {
    const [items, describe, key] = root.arguments;
    return call("$each", arrow(this.value(items)), this.describing(describe), key ? this.value(key) : nothing(), where);
  }

  repeat(root, chain, where) {
    const members = [];
    const templates = [];
    for (const [name, args] of chain) {
      if (name.text === "each") members.push(f.createPropertyAssignment("each", this.describing(args[0])));
      else if (name.text === "template") templates.push(f.createPropertyAssignment(this.value(args[0]), this.describing(args[1])));
      else if (["key", "templateId", "virtualScroll"].includes(name.text)) {
        members.push(f.createPropertyAssignment(name.text, args[0] ? this.value(args[0]) : f.createObjectLiteralExpression()));
      } else throw new CompileError(this.file, name, `Repeat has no ${name.text}`);
    }
    members.push(f.createPropertyAssignment("templates", f.createObjectLiteralExpression(templates)));
    return call("$repeat", arrow(this.value(root.arguments[0])), f.createObjectLiteralExpression(members), where);
  }

  /** Parameters of a component of ours. `a: b!!` is `a: b` together with `$a: (v) => { b = v; }`. */
  parameters(node) {
    if (!ts.isObjectLiteralExpression(node)) return f.createParenthesizedExpression(this.value(node));
    const members = [];
    for (const member of node.properties) {
      const bound = ts.isPropertyAssignment(member) ? twoWay(member.initializer) : undefined;
      if (bound === undefined) {
        members.push(this.member(member));
        continue;
      }
      const target = this.value(bound);
      members.push(
        f.createPropertyAssignment(member.name, target),
        f.createPropertyAssignment(
          `$${member.name.text}`,
          arrow(f.createBlock([f.createExpressionStatement(f.createAssignment(target, id("$v")))]), ["$v"]),
        ),
      );
    }
    return f.createParenthesizedExpression(f.createObjectLiteralExpression(members));
  }

  member(member) {
    // A builder that is handed on runs as the receiver's, so it is not bound; a call of one is what it would describe.
    if (ts.isPropertyAssignment(member) && this.known.isBuilderCall(member.initializer)) {
      return f.createPropertyAssignment(member.name, this.builderLater(member.initializer));
    }
    return this.value(member);
  }

  /** An argument of a system component or of an attribute: builders are bound, and calls of them wait. */
  argument(node) {
    if (this.known.isBuilderCall(node)) return this.builderLater(node);
    if (this.known.isBuilderReference(node)) {
      return f.createCallExpression(f.createPropertyAccessExpression(this.value(node), "bind"), undefined, [f.createThis()]);
    }
    if (ts.isArrowFunction(node) && describes(node, this.known)) return this.describing(node);
    if (ts.isObjectLiteralExpression(node)) {
      return f.createObjectLiteralExpression(
        node.properties.map((one) =>
          ts.isPropertyAssignment(one) && !twoWay(one.initializer)
            ? f.createPropertyAssignment(one.name, this.argument(one.initializer))
            : this.value(one),
        ),
      );
    }
    return this.value(node);
  }

  builderLater(node) {
    return arrow(f.createBlock([f.createExpressionStatement(this.builderCall(node))]));
  }

  /** With one object literal a builder's values stay live (by reference), else they are those of the moment. */
  builderCall(node) {
    if (!ts.isCallExpression(node)) return this.value(node);
    const { arguments: args } = node;
    const callee = this.value(node.expression);
    if (args.length === 1 && ts.isObjectLiteralExpression(args[0])) {
      return f.createCallExpression(callee, undefined, [call("$ref", arrow(this.parameters(args[0])))]);
    }
    return f.createCallExpression(
      callee,
      undefined,
      args.map((one) => this.argument(one)),
    );
  }
}

/** Whether an arrow function's body holds components. */
function describes(node, known) {
  const statements = ts.isBlock(node.body) ? node.body.statements : [f.createExpressionStatement(node.body)];
  return statements.some((one) => {
    if (!ts.isExpressionStatement(one)) return false;
    const [root] = unchain(one.expression);
    return (
      ts.isEtsComponentExpression(root) ||
      (ts.isCallExpression(root) &&
        ts.isIdentifier(root.expression) &&
        (known.components.has(root.expression.text) || known.structs.has(root.expression.text)))
    );
  });
}

/** The `a` of `a!!` and of `$$a`, or undefined. */
export function twoWay(node) {
  if (ts.isNonNullExpression(node) && ts.isNonNullExpression(node.expression)) return node.expression.expression;
  let root = node;
  while (ts.isPropertyAccessExpression(root) || ts.isElementAccessExpression(root)) root = root.expression;
  return ts.isIdentifier(root) && root.text.startsWith("$$") && root.text.length > 2 && root !== node ? node : undefined;
}
