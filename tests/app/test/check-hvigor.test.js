// What hvigor runs, on a stand-in for hvigor: signing by the environment, and the permission of the product `jit`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { ts } from '../check/lib/ets.js';
import { readJson } from '../check/lib/resources.js';

const root = resolve(import.meta.dirname, '../../..');

/** Runs a script of hvigor's for a product; what it leaves of the profile and of module.json5. */
function run(script, product, environment) {
  const source = readFileSync(`${root}/${script}`, 'utf8');
  const code = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2021 } }).outputText;
  const profile = readJson(root, 'build-profile.json5').value;
  const config = readJson(root, 'entry/src/main/module.json5').value;
  const later = [];
  const context = {
    getBuildProfileOpt: () => structuredClone(profile),
    setBuildProfileOpt: (changed) => Object.assign(profile, changed),
    getModuleJsonOpt: () => structuredClone(config),
    setModuleJsonOpt: (changed) => Object.assign(config, changed),
    getCurrentProduct: () => ({ getProductName: () => product })
  };
  const node = { getContext: () => context, afterNodeEvaluate: (work) => later.push(() => work(node)) };
  const modules = {
    '@ohos/hvigor': { getNode: () => node, hvigor: { getRootNode: () => node, nodesEvaluated: (work) => later.push(work) } },
    '@ohos/hvigor-ohos-plugin': { appTasks: 'app', hapTasks: 'hap', OhosPluginId: { OHOS_APP_PLUGIN: 'app', OHOS_HAP_PLUGIN: 'hap' } }
  };
  const module = { exports: {} };
  new Function('require', 'exports', 'module', '__filename', 'process', code)(
    (name) => modules[name], module.exports, module, script, { env: environment });
  later.forEach((work) => work());
  return { profile: profile.app, module: config.module, system: module.exports.default.system };
}

const SIGNING = {
  SAMPAN_SIGN_CERT: 'a.cer', SAMPAN_SIGN_PROFILE: 'a.p7b', SAMPAN_SIGN_STORE: 'a.p12', SAMPAN_SIGN_ALIAS: 'key',
  SAMPAN_SIGN_STORE_PASSWORD: '00', SAMPAN_SIGN_KEY_PASSWORD: '01'
};

test('what the environment names signs every product', () => {
  const { profile, system } = run('hvigorfile.ts', 'default', SIGNING);
  assert.equal(system, 'app');
  assert.deepEqual(profile.signingConfigs, [{
    name: 'environment', type: 'HarmonyOS',
    material: { signAlg: 'SHA256withECDSA', certpath: 'a.cer', profile: 'a.p7b', storeFile: 'a.p12', keyAlias: 'key', storePassword: '00', keyPassword: '01' }
  }]);
  assert.deepEqual(profile.products.map((one) => [one.name, one.signingConfig]), [['default', 'environment'], ['jit', 'environment']]);
});

test('nothing is signed without it, and a part of it is an error', () => {
  const { profile } = run('hvigorfile.ts', 'default', {});
  assert.deepEqual(profile.signingConfigs, []);
  assert.ok(profile.products.every((one) => one.signingConfig === undefined));
  const { SAMPAN_SIGN_ALIAS: _, ...rest } = SIGNING;
  assert.throws(() => run('hvigorfile.ts', 'default', rest), /SAMPAN_SIGN_ALIAS$/);
});

const JIT = 'ohos.permission.kernel.ALLOW_WRITABLE_CODE_MEMORY';

test('only the product jit asks to write code', () => {
  const names = ({ module }) => module.requestPermissions.map((one) => one.name);
  const plain = run('entry/hvigorfile.ts', 'default', {});
  assert.ok(!names(plain).includes(JIT));
  assert.deepEqual(plain.module.deviceTypes, ['phone', 'tablet', '2in1']);
  const jit = run('entry/hvigorfile.ts', 'jit', {});
  assert.deepEqual(names(jit), [...names(plain), JIT]);
  assert.deepEqual(jit.module.deviceTypes, ['tablet', '2in1']);
  assert.equal(jit.system, 'hap');
});
