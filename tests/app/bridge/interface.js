// What the native module offers, read from its typings: nothing in the bridge is written by hand for one of its functions.
import { readFileSync } from "node:fs";
import ts from "ohos-typescript";

/**
 * Reads typings into `{ functions, events }`: of each function, by its path such as `machines.list`, the `kind` (`promise`, `job`, `attach` for a
 * promise of a job, or `void`), how many arguments it takes (`least`, `most`), and the places of `FileRef`s in them (`files`).
 */
export function readInterface(path) {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const shapes = new Map();
  const functions = {};
  const events = [];
  for (const statement of source.statements) {
    if (ts.isInterfaceDeclaration(statement)) shapes.set(statement.name.text, statement);
  }
  for (const statement of source.statements) {
    if (ts.isFunctionDeclaration(statement)) {
      if (statement.name.text !== "on") throw new Error(`${statement.name.text}: a function stands in a namespace`);
      events.push(statement.parameters[0].type.literal.text);
    } else if (ts.isModuleDeclaration(statement)) {
      for (const inner of statement.body.statements) {
        functions[`${statement.name.text}.${inner.name.text}`] = describe(inner, shapes);
      }
    }
  }
  return { functions, events };
}

function describe(declaration, shapes) {
  const { parameters, type } = declaration;
  return {
    kind: kindOf(type),
    least: parameters.filter((one) => !one.questionToken).length,
    most: parameters.length,
    files: parameters.flatMap((one, at) => filesIn(one.type, shapes, [at])),
  };
}

function kindOf(type) {
  if (type.kind === ts.SyntaxKind.VoidKeyword) return "void";
  const name = type.typeName?.text;
  if (name === "Job") return "job";
  if (name === "Promise") return type.typeArguments[0].typeName?.text === "Job" ? "attach" : "promise";
  throw new Error(`${type.getText()}: a function returns a Promise, a Job or nothing`);
}

/** Where `FileRef`s are in a value of this type, each as its path; `*` is each of an array. */
function filesIn(type, shapes, path, within = []) {
  if (ts.isArrayTypeNode(type)) return filesIn(type.elementType, shapes, [...path, "*"], within);
  const name = type.typeName?.text;
  if (name === "FileRef") return [path];
  if (name === "Array") return filesIn(type.typeArguments[0], shapes, [...path, "*"], within);
  const shape = shapes.get(name);
  if (!shape || within.includes(name)) return [];
  return shape.members.flatMap((member) => filesIn(member.type, shapes, [...path, member.name.text], [...within, name]));
}
