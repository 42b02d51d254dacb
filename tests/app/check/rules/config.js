// The project's files: their fields by types, and that they agree with each other and with what is there.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ts } from '../lib/ets.js';
import { readJson } from '../lib/resources.js';
import { missing } from './pages.js';

const require = createRequire(import.meta.url);
const MODULE = 'entry/src/main/module.json5';
const APP = 'AppScope/app.json5';
const PROFILES = 'entry/src/main/resources/base/profile';

/** Types that are published, and files of them that have what is exported. */
const PUBLISHED = {
  ModuleJson5: 'module-json',
  WorkspaceLevelBuildProfile: 'workspace-build-profile',
  ProjectLevelBuildProfile: 'build-profile',
  WorkspaceOhPackage: 'workspace-oh-package',
  OhPackage: 'oh-package'
};

/** Files, and the types that they are of. */
const TYPES = [
  [APP, 'AppJson5'],
  [MODULE, 'ModuleJson5'],
  ['build-profile.json5', 'WorkspaceLevelBuildProfile'],
  ['entry/build-profile.json5', 'ProjectLevelBuildProfile'],
  ['oh-package.json5', 'ProjectPackage'],
  ['entry/oh-package.json5', 'ModulePackage'],
  ['entry/types/libsampan/oh-package.json5', 'TypesPackage'],
  ['hvigor/hvigor-config.json5', 'HvigorConfig'],
  [`${PROFILES}/main_pages.json`, 'MainPages'],
  [`${PROFILES}/shortcuts.json`, 'Shortcuts'],
  [`${PROFILES}/form_config.json`, 'FormConfig'],
  [`${PROFILES}/backup_config.json`, 'BackupConfig']
];

/** What hvigor runs. */
const SCRIPTS = ['hvigorfile.ts', 'entry/hvigorfile.ts'];

export function configRules(context) {
  for (const name of SCRIPTS.filter((one) => existsSync(join(context.root, one)))) {
    const source = ts.createSourceFile(name, readFileSync(join(context.root, name), 'utf8'), ts.ScriptTarget.ES2021, true);
    for (const one of source.parseDiagnostics) {
      context.add(name, source.getLineAndCharacterOfPosition(one.start).line + 1, 'parse', ts.flattenDiagnosticMessageText(one.messageText, ' '));
    }
  }
  const present = TYPES.filter(([name]) => {
    missing(context, name, 1, name);
    return existsSync(join(context.root, name));
  });
  present.push(...elements(context.root).map((name) => [name, 'Elements']));
  types(context, present);
  signing(context);
  if (existsSync(join(context.root, MODULE)) && existsSync(join(context.root, APP))) {
    abilities(context);
    identity(context);
  }
}

function elements(root) {
  const found = [];
  for (const scope of ['AppScope/resources', 'entry/src/main/resources']) {
    for (const qualifier of existsSync(join(root, scope)) ? readdirSync(join(root, scope)) : []) {
      const folder = join(root, scope, qualifier, 'element');
      if (existsSync(folder)) {
        found.push(...readdirSync(folder).map((name) => `${scope}/${qualifier}/element/${name}`));
      }
    }
  }
  return found;
}

/** JSON5 is an expression of TypeScript: each file becomes a constant of its type, in a file of its own with the same lines. */
function types(context, files) {
  const virtual = new Map([['/own.d.ts', readFileSync(`${import.meta.dirname}/../types.d.ts`, 'utf8')]]);
  const published = dirname(require.resolve('@arkts/types/module-json'));
  for (const name of readdirSync(published).filter((one) => one.endsWith('.d.mts'))) {
    // Their patterns for references begin with a `^` too many.
    virtual.set(`/types/${name.replace('.d.mts', '.d.ts')}`, readFileSync(join(published, name), 'utf8').replaceAll('`^$', '`$').replaceAll(".mjs'", "'").replaceAll('.mjs"', '"'));
  }
  files.forEach(([name, type], i) => {
    const from = PUBLISHED[type] ? `/types/${PUBLISHED[type]}` : '/own';
    virtual.set(`/file${i}.ts`, `import type { ${type} } from '${from}'; export const it: ${type} = ${readFileSync(join(context.root, name), 'utf8')}`);
  });
  const options = { strict: true, noEmit: true, lib: ['lib.es2020.d.ts'], types: [], skipLibCheck: true, moduleResolution: ts.ModuleResolutionKind.NodeJs };
  const host = ts.createCompilerHost(options);
  const [get, exists] = [host.getSourceFile.bind(host), host.fileExists.bind(host)];
  host.getSourceFile = (name, target) => (virtual.has(name) ? ts.createSourceFile(name, virtual.get(name), target, true) : get(name, target));
  host.fileExists = (name) => virtual.has(name) || exists(name);
  host.directoryExists = undefined;
  const read = host.readFile.bind(host);
  host.readFile = (name) => virtual.get(name) ?? read(name);
  const compiled = ts.createProgram([...virtual.keys()].filter((name) => name.startsWith('/file')), options, host);
  files.forEach(([name], i) => {
    const source = compiled.getSourceFile(`/file${i}.ts`);
    const broken = compiled.getSyntacticDiagnostics(source);
    for (const one of broken.length > 0 ? broken : compiled.getSemanticDiagnostics(source)) {
      const { line } = source.getLineAndCharacterOfPosition(one.start);
      context.add(name, line + 1, 'config', ts.flattenDiagnosticMessageText(one.messageText, ' ').replace(/\s+/g, ' '));
    }
  });
}

/** DevEco Studio writes materials for signing into the project: they are not for the repository. */
function signing(context) {
  const name = 'build-profile.json5';
  if (existsSync(join(context.root, name))) {
    const { value, lineOf } = readJson(context.root, name);
    if (value.app?.signingConfigs?.length > 0) {
      context.add(name, lineOf('signingConfigs'), 'signing', 'materials for signing come from the environment, see hvigorfile.ts');
    }
  }
}

/** Sources of abilities are there, and what names an ability names one. */
function abilities(context) {
  const { value, lineOf } = readJson(context.root, MODULE);
  const module = value.module ?? {};
  const all = [...(module.abilities ?? []), ...(module.extensionAbilities ?? [])];
  for (const source of [module.srcEntry, ...all.map((one) => one.srcEntry)].filter(Boolean)) {
    missing(context, MODULE, lineOf(source), `entry/src/main/${source.replace(/^\.\//, '')}`);
  }
  const names = new Set((module.abilities ?? []).map((one) => one.name));
  if (!names.has(module.mainElement)) {
    context.add(MODULE, lineOf(module.mainElement), 'identity', `there is no ability ${module.mainElement}`);
  }
  const profile = `${PROFILES}/shortcuts.json`;
  if (!existsSync(join(context.root, profile))) {
    return;
  }
  const shortcuts = readJson(context.root, profile);
  const bundle = readJson(context.root, APP).value.app?.bundleName;
  for (const shortcut of shortcuts.value.shortcuts ?? []) {
    for (const want of shortcut.wants ?? []) {
      if (want.bundleName !== bundle || want.moduleName !== module.name || !names.has(want.abilityName)) {
        context.add(profile, shortcuts.line(want), 'identity', `${shortcut.shortcutId} opens ${want.bundleName}/${want.moduleName}/${want.abilityName}, which is not here`);
      }
    }
  }
}

/** One version everywhere: that of the Rust workspace. */
function identity(context) {
  const cargo = join(context.root, 'Cargo.toml');
  const version = existsSync(cargo) ? /^version = "(.*)"/m.exec(readFileSync(cargo, 'utf8'))?.[1] : undefined;
  if (version === undefined) {
    return;
  }
  const [major, minor, patch] = version.split('.').map(Number);
  const app = readJson(context.root, APP);
  const code = major * 1_000_000 + minor * 1000 + patch;
  if (app.value.app?.versionName !== version || app.value.app?.versionCode !== code) {
    context.add(APP, app.lineOf('versionName'), 'identity', `the version is ${version}, and its code ${code}`);
  }
  for (const name of ['oh-package.json5', 'entry/oh-package.json5', 'entry/types/libsampan/oh-package.json5']) {
    if (existsSync(join(context.root, name))) {
      const file = readJson(context.root, name);
      if (file.value.version !== version) {
        context.add(name, file.lineOf('version'), 'identity', `the version is ${version}`);
      }
    }
  }
}
