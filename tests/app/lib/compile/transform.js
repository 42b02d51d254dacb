// ArkTS to plain TypeScript, before the compiler emits: structs become classes, descriptions calls, global names imports.
import { CompileError, arrow, call, decoratorsOf, f, hasDecorator, id, isBuilder, str, ts } from "./syntax.js";
import { declaredNames, forEachValueName } from "./names.js";
import { UiWriter, twoWay } from "./ui.js";

const K = ts.SyntaxKind;
const UI_NAMES = ["$n", "$c", "$if", "$each", "$repeat", "$ref", "$two", "$View"];

/**
 * A transformer for `ts.transpileModule`.
 * `project`: `components` (of the system), `structs`, `builders` (names in all files), `globals` (name → module that has it),
 * `resolve(specifier)` (what an import becomes).
 */
export function transformer(project) {
  return (context) => (file) => {
    const scope = { members: new Map(), params: new Set() };
    const isThisCall = (node, kinds) =>
      ts.isPropertyAccessExpression(node) && node.expression.kind === K.ThisKeyword && kinds.includes(scope.members.get(node.name.text));
    const known = {
      components: project.components,
      structs: project.structs,
      isBuilderCall: (node) =>
        ts.isCallExpression(node) &&
        (isThisCall(node.expression, ["builder", "param"]) || (ts.isIdentifier(node.expression) && project.builders.has(node.expression.text))),
      isBuilderReference: (node) => isThisCall(node, ["builder"]),
    };
    const ui = new UiWriter(file, visit, known);

    function visit(node) {
      if (ts.isEtsComponentExpression(node)) return ui.expression(node);
      const bound = ts.isNonNullExpression(node) || ts.isPropertyAccessExpression(node) ? twoWay(node) : undefined;
      if (bound) return pair(bound);
      if (ts.isIdentifier(node) && node.text.startsWith("$$") && node.text.length > 2) {
        return node.text === "$$this" ? f.createThis() : id(node.text.slice(2));
      }
      if (ts.isStructDeclaration(node)) return struct(node);
      if (ts.isFunctionDeclaration(node) && isBuilder(node)) return builderFunction(node);
      if (ts.isMethodDeclaration(node) && isBuilder(node)) return describingMethod(node);
      // A component or a builder outside of a description: an object such as `{ builder: () => { … } }`.
      if (ts.isArrowFunction(node) && describesUi(node)) return ui.describing(node);
      return ts.visitEachChild(node, visit, context);
    }

    function describesUi(node) {
      let found = false;
      const statements = ts.isBlock(node.body) ? node.body.statements : [];
      for (const one of statements) {
        let at = ts.isExpressionStatement(one) ? one.expression : undefined;
        while (at && ts.isCallExpression(at) && ts.isPropertyAccessExpression(at.expression)) at = at.expression.expression;
        if (at && ts.isEtsComponentExpression(at)) found = true;
      }
      return found;
    }

    /** `a!!`: `$two(() => a, ($v) => { a = $v; })`. */
    function pair(target) {
      const value = stripMark(target);
      return call("$two", arrow(value), arrow(f.createBlock([f.createExpressionStatement(f.createAssignment(value, id("$v")))]), ["$v"]));
    }
    function stripMark(node) {
      return ts.isPropertyAccessExpression(node)
        ? f.createPropertyAccessExpression(stripMark(node.expression), node.name)
        : ts.isElementAccessExpression(node)
          ? f.createElementAccessExpression(stripMark(node.expression), ts.visitNode(node.argumentExpression, visit))
          : ts.visitNode(node, visit);
    }

    function struct(node) {
      scope.members = new Map();
      for (const member of node.members) {
        if (!member.name) continue;
        if (isBuilder(member)) scope.members.set(member.name.text, "builder");
        else if (hasDecorator(member, "BuilderParam")) scope.members.set(member.name.text, "param");
      }
      const members = node.members
        .filter((one) => !ts.isConstructorDeclaration(one))
        .map((member) => {
          if (ts.isPropertyDeclaration(member)) return field(member);
          if (ts.isMethodDeclaration(member) && member.name.text === "build") {
            const roots = member.body.statements.filter((one) => !ts.isEmptyStatement(one));
            if (roots.length !== 1)
              throw new CompileError(file, member, `build() of ${node.name.text} has ${roots.length} roots; it has to have one`);
            return describingMethod(member);
          }
          return visit(member);
        });
      scope.members = new Map();
      return f.createClassDeclaration(
        modifiers(node, decoratorsOf(node)),
        node.name,
        undefined,
        [f.createHeritageClause(K.ExtendsKeyword, [f.createExpressionWithTypeArguments(id("$View"), undefined)])],
        members,
      );
    }

    /** Initial values of what may come from outside are asked for through the view, which knows what was handed in. */
    function field(member) {
      const from = hasDecorator(member, "Param", "Event", "BuilderParam") ? "$param" : hasDecorator(member, "Consumer") ? "$consume" : undefined;
      const initial = member.initializer ? ts.visitNode(member.initializer, visit) : undefined;
      const value =
        from === undefined
          ? initial
          : f.createCallExpression(f.createPropertyAccessExpression(f.createThis(), from), undefined, [
              str(member.name.text),
              ...(initial ? [arrow(initial)] : []),
            ]);
      return f.createPropertyDeclaration(modifiers(member, decoratorsOf(member)), member.name, undefined, undefined, value);
    }

    const describingMethod = (node) =>
      f.createMethodDeclaration(
        undefined,
        undefined,
        node.name,
        undefined,
        undefined,
        node.parameters.map(parameter),
        undefined,
        ui.block(node.body.statements),
      );
    const builderFunction = (node) =>
      f.createFunctionDeclaration(
        modifiers(node, []),
        undefined,
        node.name,
        undefined,
        node.parameters.map(parameter),
        undefined,
        ui.block(node.body.statements),
      );
    const parameter = (node) =>
      f.createParameterDeclaration(
        undefined,
        node.dotDotDotToken,
        node.name,
        undefined,
        undefined,
        node.initializer && ts.visitNode(node.initializer, visit),
      );
    const modifiers = (node, decorators) => [
      ...decorators.map((one) => f.createDecorator(ts.visitNode(one.expression, visit))),
      ...(node.modifiers ?? []).filter((one) => !ts.isDecorator(one)),
    ];

    const used = new Set(UI_NAMES);
    forEachValueName(file, (name) => used.add(name));
    const own = declaredNames(file);
    const statements = [];
    for (const statement of file.statements) {
      if (ts.isImportDeclaration(statement)) statements.push(...keptImport(statement, used, project.resolve));
      else if (ts.isExportDeclaration(statement) && statement.moduleSpecifier) {
        statements.push(
          f.createExportDeclaration(undefined, statement.isTypeOnly, statement.exportClause, str(project.resolve(statement.moduleSpecifier.text))),
        );
      } else {
        const made = ts.visitNode(statement, visit);
        statements.push(...(Array.isArray(made) ? made : [made]));
      }
    }
    // The page that a window loads is found by this name, whether the file exports it or not.
    const entry = file.statements.find((one) => ts.isStructDeclaration(one) && hasDecorator(one, "Entry"));
    if (entry)
      statements.push(f.createExportDeclaration(undefined, false, f.createNamedExports([f.createExportSpecifier(false, entry.name.text, "$entry")])));
    return f.updateSourceFile(file, [...globalImports(used, own, project.globals), ...statements]);
  };
}

/** An import with what is a value in this file; none if nothing is. Synthesized, so that the compiler keeps it. */
function keptImport(statement, used, resolve) {
  const clause = statement.importClause;
  const from = str(resolve(statement.moduleSpecifier.text));
  if (!clause) return [f.createImportDeclaration(undefined, undefined, from)];
  if (clause.isTypeOnly) return [];
  const name = clause.name && used.has(clause.name.text) ? id(clause.name.text) : undefined;
  const bound = clause.namedBindings;
  let bindings;
  if (bound && ts.isNamespaceImport(bound)) {
    if (used.has(bound.name.text)) bindings = f.createNamespaceImport(id(bound.name.text));
  } else if (bound) {
    const kept = bound.elements.filter((one) => !one.isTypeOnly && used.has(one.name.text));
    if (kept.length > 0) {
      bindings = f.createNamedImports(
        kept.map((one) => f.createImportSpecifier(false, one.propertyName ? id(one.propertyName.text) : undefined, id(one.name.text))),
      );
    }
  }
  return name || bindings ? [f.createImportDeclaration(undefined, f.createImportClause(false, name, bindings), from)] : [];
}

function globalImports(used, own, globals) {
  const byModule = new Map();
  for (const name of used) {
    const from = own.has(name) ? undefined : globals.get(name);
    if (!from) continue;
    if (!byModule.has(from)) byModule.set(from, []);
    byModule.get(from).push(name);
  }
  return [...byModule].map(([from, names]) =>
    f.createImportDeclaration(
      undefined,
      f.createImportClause(false, undefined, f.createNamedImports(names.sort().map((name) => f.createImportSpecifier(false, undefined, id(name))))),
      str(from),
    ),
  );
}
