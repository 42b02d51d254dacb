// The enumerations of ArkUI and of the kits with their values, out of the declarations of the API: nobody has to keep a copy right.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ts } from "./syntax.js";

const modules = join(dirname(fileURLToPath(import.meta.url)), "../../node_modules");
const declarations = join(modules, "@arkts/declarations/dist");
/**
 * `{ globals: { FlexAlign: { Start: 1, … } }, modules: { "@ohos.window": { "WindowType": … } }, kits: { "@kit.ArkUI": … } }`. An
 * enumeration inside a namespace stands under its own name: kits hand out the namespace's members.
 */
export function readEnums() {
  const found = { globals: {}, modules: {}, kits: {} };
  for (const name of [...list("component"), "../global.d.ts"]) Object.assign(found.globals, inFile(join("component", name)));
  for (const name of list("api").filter((one) => one.startsWith("@"))) {
    const of = inFile(join("api", name));
    if (Object.keys(of).length > 0) found.modules[name.replace(/\.d\.e?ts$/, "")] = of;
  }
  for (const name of list("kits")) found.kits[name.replace(/\.d\.e?ts$/, "")] = kit(name);
  return found;
}

const list = (folder) => readdirSync(join(declarations, folder)).filter((name) => /\.d\.e?ts$/.test(name));

function parsed(path) {
  return ts.createSourceFile(path, readFileSync(join(declarations, path), "utf8"), ts.ScriptTarget.ES2021, true, ts.ScriptKind.TS);
}

/** A kit's exports: name → [module, name there], `default` for the module itself. */
function kit(name) {
  const exports = {};
  const bound = new Map();
  for (const statement of parsed(join("kits", name)).statements) {
    const from = statement.moduleSpecifier?.text;
    if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      if (clause.name) bound.set(clause.name.text, [from, "default"]);
      for (const one of clause.namedBindings?.elements ?? []) bound.set(one.name.text, [from, (one.propertyName ?? one.name).text]);
    } else if (ts.isExportDeclaration(statement)) {
      for (const one of statement.exportClause?.elements ?? []) {
        const inside = (one.propertyName ?? one.name).text;
        exports[one.name.text] = from ? [from, inside] : (bound.get(inside) ?? ["", inside]);
      }
    }
  }
  return exports;
}

function inFile(path) {
  const found = {};
  const visit = (node, prefix) => {
    if (ts.isEnumDeclaration(node)) found[prefix + node.name.text] = members(node);
    else if (ts.isModuleDeclaration(node) && node.body) ts.forEachChild(node.body, (one) => visit(one, prefix));
    else if (ts.isSourceFile(node)) ts.forEachChild(node, (one) => visit(one, prefix));
  };
  visit(parsed(path), "");
  return found;
}

function members(node) {
  const values = {};
  let next = 0;
  for (const member of node.members) {
    const value = member.initializer ? constant(member.initializer, values) : next;
    values[member.name.text] = value;
    if (typeof value === "number") next = value + 1;
  }
  return values;
}

function constant(node, values) {
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isParenthesizedExpression(node)) return constant(node.expression, values);
  if (ts.isIdentifier(node)) return values[node.text];
  if (ts.isPropertyAccessExpression(node)) return values[node.name.text];
  if (ts.isPrefixUnaryExpression(node)) {
    const value = constant(node.operand, values);
    return node.operator === ts.SyntaxKind.MinusToken ? -value : node.operator === ts.SyntaxKind.TildeToken ? ~value : value;
  }
  if (ts.isBinaryExpression(node)) {
    const [a, b] = [constant(node.left, values), constant(node.right, values)];
    const K = ts.SyntaxKind;
    switch (node.operatorToken.kind) {
      case K.BarToken:
        return a | b;
      case K.AmpersandToken:
        return a & b;
      case K.LessThanLessThanToken:
        return a << b;
      case K.PlusToken:
        return a + b;
      case K.MinusToken:
        return a - b;
      case K.AsteriskToken:
        return a * b;
    }
  }
  return undefined;
}
