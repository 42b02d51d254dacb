// One `.ets` file to one ES module.
import { ts, etsOptions } from "./syntax.js";
import { transformer } from "./transform.js";

// Fields are assigned, not defined: the decorators keep values behind accessors of the prototype, which definitions would hide.
const OPTIONS = {
  target: ts.ScriptTarget.ES2021,
  module: ts.ModuleKind.ES2020,
  experimentalDecorators: true,
  useDefineForClassFields: false,
  sourceMap: true,
  inlineSources: true,
  isolatedModules: true,
};

/**
 * `project` as for `transformer`; `file` is the name that errors and source maps show.
 * Comes to the module's text with its source map inside.
 */
export function compileModule(text, file, project) {
  const ets = etsOptions([...project.components, ...project.structs]);
  const result = ts.transpileModule(text, {
    fileName: file,
    reportDiagnostics: true,
    compilerOptions: { ...OPTIONS, ets },
    transformers: { before: [transformer(project)] },
  });
  const wrong = (result.diagnostics ?? []).filter((one) => one.category === ts.DiagnosticCategory.Error);
  if (wrong.length > 0) throw new SyntaxError(wrong.map(said).join("\n"));
  const code = result.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "");
  const map = JSON.parse(result.sourceMapText);
  map.sources = [file];
  map.sourceRoot = "";
  const inline = Buffer.from(JSON.stringify(map)).toString("base64");
  return `${code}\n//# sourceMappingURL=data:application/json;base64,${inline}\n`;
}

function said(diagnostic) {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
  if (!diagnostic.file) return text;
  const { line, character } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
  return `${diagnostic.file.fileName}:${line + 1}:${character + 1}: ${text}`;
}
