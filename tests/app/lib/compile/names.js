// Which names a file takes from elsewhere. ArkTS has some 400 global names (Text, Event, Image, BarPosition, $r…), and several of
// them are the DOM's too. So they become imports of the modules that need them instead of properties of the global object.
import { ts, decoratorsOf } from "./syntax.js";

/** Calls `use(name)` for every identifier that stands for a value, types left out. */
export function forEachValueName(node, use) {
  const visit = (child) => forEachValueName(child, use);
  if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return;
  if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isImportDeclaration(node)) return;
  if (ts.isHeritageClause(node)) {
    if (node.token === ts.SyntaxKind.ImplementsKeyword) return;
    for (const type of node.types) visit(type.expression);
    return;
  }
  if (ts.isIdentifier(node)) {
    use(node.text);
    return;
  }
  if (ts.isPropertyAccessExpression(node)) {
    visit(node.expression);
    return;
  }
  if (ts.isPropertyAssignment(node)) {
    if (ts.isComputedPropertyName(node.name)) visit(node.name);
    visit(node.initializer);
    return;
  }
  if (ts.isExportSpecifier(node)) {
    use((node.propertyName ?? node.name).text);
    return;
  }
  if (ts.isStructDeclaration(node)) {
    // The parser adds a heritage clause and a constructor of its own; they are no text of the file.
    decoratorsOf(node).forEach(visit);
    for (const member of node.members) if (!ts.isConstructorDeclaration(member)) visit(member);
    return;
  }
  const named = ts.isPropertyDeclaration(node) || ts.isMethodDeclaration(node) || ts.isAccessor(node) || ts.isEnumMember(node);
  ts.forEachChild(node, (child) => {
    if (!(named && child === node.name && ts.isIdentifier(child))) visit(child);
  });
}

/** The names that a file declares or imports at its top. */
export function declaredNames(file) {
  const names = new Set();
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      if (clause?.name) names.add(clause.name.text);
      const bound = clause?.namedBindings;
      if (bound && ts.isNamespaceImport(bound)) names.add(bound.name.text);
      else if (bound) for (const one of bound.elements) names.add(one.name.text);
    } else if (ts.isVariableStatement(statement)) {
      for (const one of statement.declarationList.declarations) if (ts.isIdentifier(one.name)) names.add(one.name.text);
    } else if (statement.name && !ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement)) {
      names.add(statement.name.text);
    }
  }
  return names;
}
