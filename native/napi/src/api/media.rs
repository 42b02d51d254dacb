//! The library's images, which machines are made of.

use super::downloads::medium_answer;
use crate::job::{Job, begin};
use crate::promise::promise;
use crate::types::{FileRef, Medium, confirmed, int};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;

/// The media, by name.
#[napi(namespace = "media", js_name = "list", catch_unwind)]
pub fn media_list(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Medium>>> {
    promise(env, |core| async move {
        let media = core.manager.media().await?.into_iter();
        Ok(media
            .map(|info| Medium { name: info.medium.name, size: int(info.medium.size), used_by: info.used_by })
            .collect())
    })
}

/// Copies a file that a picker has opened into the library, under its own name.
#[napi(namespace = "media", catch_unwind, ts_return_type = "Job<Medium>")]
pub fn add(file: FileRef, codes: Vec<String>) -> Job {
    let lent = file.lend();
    begin("add-medium", file.name.as_str(), |manager, reporter| async move {
        let medium = manager.add_lent_medium(lent?, &confirmed(codes), &reporter).await?;
        Ok(medium_answer(&medium))
    })
}

/// Removes one that no machine uses.
#[napi(namespace = "media", js_name = "remove", catch_unwind)]
pub fn remove_medium(env: &Env, name: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.remove_medium(&name).await?) })
}
