//! What the linker must know of a module that its host's engine gives the symbols of N-API.
fn main() {
    // ArkTS's engine is a library that the module names, so nothing is left open there.
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() != Ok("ohos") {
        napi_build::setup();
    }
}
