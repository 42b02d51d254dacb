// The compiler of ArkTS as it was published for TypeScript's users, with what it has to be told of ArkUI.
import { createRequire } from 'node:module';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const require = createRequire(import.meta.url);
export const ts = require('ohos-typescript');

const declarations = join(dirname(require.resolve('@arkts/declarations/dist/index.d.ts')));
const newer = resolve(import.meta.dirname, '../newer');

/** The API level that the app is installed from: what is newer is guarded. */
export const BASE_LEVEL = 12;

/** Not components: they make other components repeat. */
const REPEATING = new Set(['ForEach', 'LazyForEach', 'Repeat']);

/** The components, by their declarations: `declare const Row: RowInterface`. */
export const components = (() => {
  const names = new Set();
  const folder = join(declarations, 'component');
  for (const file of readdirSync(folder)) {
    for (const [, name] of readFileSync(join(folder, file), 'utf8').matchAll(/^declare const (\w+): \w+Interface\b/gm)) {
      if (!REPEATING.has(name)) {
        names.add(name);
      }
    }
  }
  return names;
})();

const ets = {
  render: { method: ['build', 'pageTransition'], decorator: ['Builder', 'LocalBuilder'] },
  components: [...components],
  libs: [],
  extend: {
    decorator: ['Extend', 'AnimatableExtend'],
    components: [...components].map((name) => ({ name, type: `${name}Attribute`, instance: `${name}Instance` }))
  },
  styles: { decorator: 'Styles', component: { name: 'Common', type: 'T', instance: 'CommonInstance' }, property: 'stateStyles' },
  concurrent: { decorator: 'Concurrent' },
  customComponent: 'CustomComponent',
  propertyDecorators: ['Link', 'Prop', 'ObjectLink', 'Consume'].map((name) => ({ name, needInitialization: false })),
  emitDecorators: [],
  syntaxComponents: { paramsUICallback: ['ForEach', 'LazyForEach'], attrUICallback: [{ name: 'Repeat', attributes: ['each', 'template'] }] }
};

/** Where the system's modules are declared, by their names: `@ohos.window`, `@kit.ArkUI`. */
const system = new Map();
for (const folder of ['api', 'arkts', 'kits']) {
  for (const file of readdirSync(join(declarations, folder))) {
    system.set(file.replace(/\.d\.e?ts$/, ''), join(declarations, folder, file));
  }
}

const moduleAt = (path) => ({ resolvedFileName: path, extension: path.endsWith('.d.ets') ? '.d.ets' : '.d.ts', isExternalLibraryImport: false });

function options(root) {
  return {
    target: ts.ScriptTarget.ES2021,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.NodeJs,
    lib: ['lib.es2021.d.ts'],
    types: [],
    ets,
    // As the real compiler: the linter is strict, but for what system modules declare loosely.
    alwaysStrict: true,
    noImplicitAny: true,
    noFallthroughCasesInSwitch: true,
    allowSyntheticDefaultImports: true,
    experimentalDecorators: true,
    skipLibCheck: true,
    noEmit: true,
    incremental: true,
    tsBuildInfoFile: join(root, 'never-written.tsbuildinfo'),
    // Else the types of native modules are not read.
    needDoArkTsLinter: true,
    isCompatibleVersion: false,
    compatibleSdkVersion: BASE_LEVEL,
    compatibleSdkVersionStage: 'release'
  };
}

/** Declarations are the same for every root: parsed once. */
const parsed = new Map();

/**
 * A program of the ArkTS files of a checkout. What APIs of later levels are called is in `newer/`, in a file of the name that its
 * declarations have: it is read as if it stood at their end.
 */
export function program(root, files) {
  const made = options(root);
  const host = ts.createIncrementalCompilerHost(made);
  const read = host.readFile.bind(host);
  const withNewer = (name) => {
    const text = read(name);
    const addition = name.startsWith(declarations) ? join(newer, name.slice(declarations.length + 1)) : '';
    return text !== undefined && addition !== '' && existsSync(addition) ? text + readFileSync(addition, 'utf8') : text;
  };
  host.readFile = withNewer;
  host.resolveModuleNames = (names, from) => names.map((name) => {
    if (name === 'libsampan.so') {
      return moduleAt(join(root, 'entry/types/libsampan/Index.d.ts'));
    }
    return system.has(name) ? moduleAt(system.get(name)) : ts.resolveModuleName(name, from, made, host).resolvedModule;
  });
  const get = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    if (!name.includes('node_modules')) {
      return get(name, ...rest);
    }
    if (!parsed.has(name)) {
      parsed.set(name, get(name, ...rest));
    }
    return parsed.get(name);
  };
  const shown = readdirSync(join(declarations, 'component')).map((file) => join(declarations, 'component', file));
  const rootNames = [...shown, join(declarations, 'global.d.ts'), ...files];
  return ts.createIncrementalProgram({ rootNames, options: made, host });
}

/** What the linter of ArkTS finds in some files. It is kept from all others: it would check the declarations too. */
export function lint(builder, sources) {
  const some = Object.create(builder.getProgram());
  some.getSourceFiles = () => sources;
  const seen = Object.create(builder);
  seen.getProgram = () => some;
  seen.getSemanticDiagnostics = (file, ...rest) => (file ? builder.getSemanticDiagnostics(file, ...rest) : []);
  return ts.ArkTSLinter_1_1.runArkTSLinter(seen);
}

export const decoratorsOf = (node) => ts.getAllDecorators(node) ?? [];

export function decoratorName(decorator) {
  const called = ts.isCallExpression(decorator.expression) ? decorator.expression.expression : decorator.expression;
  return ts.isIdentifier(called) ? called.text : '';
}

export const decorated = (node, ...names) => decoratorsOf(node).some((one) => names.includes(decoratorName(one)));

/** Calls `see` for a node and all that is in it, until it returns `false` for a branch. */
export function walk(node, see) {
  if (see(node) !== false) {
    ts.forEachChild(node, (child) => walk(child, see));
  }
}

/** The name of a member or a parameter, if it is a plain one. */
export const nameOf = (node) => (node.name && (ts.isIdentifier(node.name) || ts.isStringLiteral(node.name)) ? node.name.text : '');

/** The members that were written; the parser adds a constructor. */
export const membersOf = (struct) => struct.members.filter((member) => !ts.isConstructorDeclaration(member));
