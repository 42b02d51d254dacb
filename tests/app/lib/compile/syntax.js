// What ArkTS adds to TypeScript, as its parser wants to be told, and small helpers to make nodes.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
export const ts = require("ohos-typescript");
export const f = ts.factory;
const K = ts.SyntaxKind;

/** The parser's options: which names begin a component, and where components may stand. */
export function etsOptions(components) {
  return {
    emitDecorators: [],
    propertyDecorators: [],
    render: { method: ["build"], decorator: ["Builder", "LocalBuilder"] },
    components: [...components],
    libs: [],
    extend: { decorator: ["Extend"], components: [] },
    styles: { decorator: "Styles", component: "Common", property: "T" },
    concurrent: { decorator: "Concurrent" },
    customComponent: "CustomComponent",
    syntaxComponents: {
      paramsUICallback: ["ForEach", "LazyForEach"],
      attrUICallback: [{ name: "Repeat", attributes: ["each", "template"] }],
    },
  };
}

export const id = (name) => f.createIdentifier(name);
export const str = (text) => f.createStringLiteral(text);
export const arrow = (body, params = []) =>
  f.createArrowFunction(
    undefined,
    undefined,
    params.map((name) => f.createParameterDeclaration(undefined, undefined, name)),
    undefined,
    f.createToken(K.EqualsGreaterThanToken),
    ts.isObjectLiteralExpression(body) ? f.createParenthesizedExpression(body) : body,
  );
export const call = (fn, ...args) => f.createCallExpression(id(fn), undefined, args);
export const array = (items) => f.createArrayLiteralExpression(items, false);
export const nothing = () => id("undefined");

export const decoratorsOf = (node) => (ts.getAllDecorators ? ts.getAllDecorators(node) : ts.getDecorators(node)) ?? [];
export function decoratorName(decorator) {
  const { expression } = decorator;
  return (ts.isCallExpression(expression) ? expression.expression : expression).text;
}
export const hasDecorator = (node, ...names) => decoratorsOf(node).some((one) => names.includes(decoratorName(one)));
export const isBuilder = (node) => hasDecorator(node, "Builder", "LocalBuilder");

/** `file:line` of a node that was parsed. */
export function place(file, node) {
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1}`;
}

export class CompileError extends Error {
  constructor(file, node, text) {
    super(`${place(file, node)}: ${text}`);
    this.name = "CompileError";
  }
}
