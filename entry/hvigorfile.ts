// The product `jit` is the app with one permission more. A device refuses to install a package that asks for it without a signing
// profile that grants it, and phones do not offer it, so the product `default` does not have it.
import { hapTasks, OhosAppContext, OhosHapContext, OhosPluginId } from '@ohos/hvigor-ohos-plugin';
import { getNode, hvigor } from '@ohos/hvigor';

hvigor.nodesEvaluated(() => {
  const app = hvigor.getRootNode().getContext(OhosPluginId.OHOS_APP_PLUGIN) as OhosAppContext;
  if (app.getCurrentProduct().getProductName() !== 'jit') {
    return;
  }
  const context = getNode(__filename).getContext(OhosPluginId.OHOS_HAP_PLUGIN) as OhosHapContext;
  const config = context.getModuleJsonOpt();
  config.module.deviceTypes = ['tablet', '2in1'];
  config.module.requestPermissions.push({
    name: 'ohos.permission.kernel.ALLOW_WRITABLE_CODE_MEMORY',
    reason: '$string:reason_jit',
    usedScene: { abilities: ['EntryAbility'], when: 'inuse' }
  });
  context.setModuleJsonOpt(config);
});

export default {
  system: hapTasks,
  plugins: []
};
