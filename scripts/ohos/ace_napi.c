/* libace_napi.z.so for a Node.js that loads the module for OpenHarmony. Node.js's own functions serve, but for one, which the
 * copy of the module that is loaded knows by this name: see scripts/toolchain/cross/node.py. */

/* napi-ohos describes the module in a variable on its stack. ArkTS's engine copies that; Node.js would keep its address, and
 * does not need it, since it finds the module's entry by its name. */
void napi_module_registeR(void *module)
{
    (void)module;
}
