// Signs with what the environment names, so that nothing of it is ever in this repository. Without it the package stays unsigned.
import { appTasks, OhosAppContext, OhosPluginId } from '@ohos/hvigor-ohos-plugin';
import { getNode } from '@ohos/hvigor';

const needed = {
  certpath: 'SAMPAN_SIGN_CERT',
  profile: 'SAMPAN_SIGN_PROFILE',
  storeFile: 'SAMPAN_SIGN_STORE',
  keyAlias: 'SAMPAN_SIGN_ALIAS',
  storePassword: 'SAMPAN_SIGN_STORE_PASSWORD',
  keyPassword: 'SAMPAN_SIGN_KEY_PASSWORD'
};

/** The materials, or nothing if the environment names none. */
function material(): Record<string, string> | undefined {
  const missing = Object.values(needed).filter((name) => !process.env[name]);
  if (missing.length === Object.keys(needed).length) {
    return undefined;
  }
  if (missing.length > 0) {
    throw new Error(`To sign the package, set these too: ${missing.join(', ')}`);
  }
  const found: Record<string, string> = { signAlg: 'SHA256withECDSA' };
  for (const [field, name] of Object.entries(needed)) {
    found[field] = process.env[name] as string;
  }
  return found;
}

getNode(__filename).afterNodeEvaluate((node) => {
  const signing = material();
  if (signing === undefined) {
    return;
  }
  const context = node.getContext(OhosPluginId.OHOS_APP_PLUGIN) as OhosAppContext;
  const profile = context.getBuildProfileOpt();
  profile.app.signingConfigs = [{ name: 'environment', type: 'HarmonyOS', material: signing }];
  // A product signs only with what it names itself.
  for (const product of profile.app.products) {
    product.signingConfig = 'environment';
  }
  context.setBuildProfileOpt(profile);
});

export default {
  system: appTasks,
  plugins: []
};
