//! What a guest's programs copy and paste.

use crate::core::id;
use crate::promise::{Failure, Outcome, promise};
use crate::types::int;
use napi::bindgen_prelude::{Env, PromiseRaw, Uint8Array};
use napi_derive::napi;
use sampan_config::ClipboardPolicy as Policy;
use sampan_control::{ClipboardContent, ClipboardInfo, ClipboardKind as Kind, Reply, Reporter, Request};
use sampan_manager::edit::Change;
use sampan_manager::{Error, Manager, Sentence};

/// A kind of what a clipboard holds.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipboardKind {
    /// Text.
    Text,
    /// A picture.
    Png,
}

/// Which way a clipboard is shared.
#[napi(string_enum = "kebab-case")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClipboardPolicy {
    /// Not at all.
    Off,
    /// The guest may be given something.
    ToGuest,
    /// Something may be taken from the guest.
    FromGuest,
    /// Both.
    Both,
}

impl From<Policy> for ClipboardPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Off => Self::Off,
            Policy::ToGuest => Self::ToGuest,
            Policy::FromGuest => Self::FromGuest,
            Policy::Both => Self::Both,
        }
    }
}

/// What is known of a running guest's clipboard.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Clipboard {
    /// The machine.
    pub machine: String,
    /// Whether an agent answers in the guest; without one nothing is shared.
    pub agent: bool,
    /// Which way it is shared.
    pub policy: ClipboardPolicy,
    /// What a program of the guest's has copied, as far as it may be taken. Its content is asked for when it is pasted.
    pub kinds: Vec<ClipboardKind>,
    /// How often one has since the start.
    pub copied: i64,
}

impl Clipboard {
    pub(crate) fn of(machine: &str, info: &ClipboardInfo) -> Self {
        let kind = |kind: &Kind| match kind {
            Kind::Text => ClipboardKind::Text,
            Kind::Png => ClipboardKind::Png,
        };
        Self {
            machine: machine.to_owned(),
            agent: info.agent,
            policy: info.policy.into(),
            kinds: info.kinds.iter().map(kind).collect(),
            copied: int(info.copied),
        }
    }
}

async fn content(manager: &Manager, machine: &str, kind: Kind) -> Outcome<Vec<u8>> {
    let machine = manager.running(id(machine)?).await?;
    match machine.call(Request::ClipboardGet { kind }, &Reporter::new()).await? {
        Reply::Clipboard(ClipboardContent { data, .. }) => Ok(data),
        _ => Err(Error::Thread.into()),
    }
}

async fn give(manager: &Manager, machine: &str, kind: Kind, bytes: &[u8], secret: bool) -> Outcome<()> {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    let machine = manager.running(id(machine)?).await?;
    Ok(machine.tell(Request::ClipboardSet { kind, data, secret }).await?)
}

/// The text in a running guest's clipboard. The program in the guest that has it is asked now, which may take some seconds.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn get_text(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        let bytes = content(&core.manager, &machine, Kind::Text).await?;
        String::from_utf8(bytes).map_err(|_| Failure::saying(&Sentence::ClipboardNotText))
    })
}

/// The picture in a running guest's clipboard, as a PNG file.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn get_png(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Uint8Array>> {
    promise(env, move |core| async move {
        content(&core.manager, &machine, Kind::Png).await.map(Uint8Array::from)
    })
}

/// Lets the programs of a running guest paste a text, until one of them copies something else. What its source has marked as
/// `secret` is refused.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn set_text(env: &Env, machine: String, text: String, secret: bool) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        give(&core.manager, &machine, Kind::Text, text.as_bytes(), secret).await
    })
}

/// The same with a picture, as a PNG file.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn set_png(
    env: &Env,
    machine: String,
    png: Uint8Array,
    secret: bool,
) -> napi::Result<PromiseRaw<'_, ()>> {
    let png = png.to_vec();
    promise(env, move |core| async move { give(&core.manager, &machine, Kind::Png, &png, secret).await })
}

/// Which way a machine's clipboard is shared; null for a machine without the port for it.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn policy(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<ClipboardPolicy>>> {
    promise(env, move |core| async move {
        let document = core.manager.machine(id(&machine)?).await?.document()?;
        Ok(document.serial.vdagent.then(|| document.input.clipboard.into()))
    })
}

/// Changes that, of a running machine at once. One without the port gets it with its next start.
#[napi(namespace = "clipboard", catch_unwind)]
pub fn set_policy(env: &Env, machine: String, policy: ClipboardPolicy) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let vm = id(&machine)?;
        let change = |field: &str, value: &str| Change { field: field.into(), value: value.into() };
        let policy = match policy {
            ClipboardPolicy::Off => "off",
            ClipboardPolicy::ToGuest => "to-guest",
            ClipboardPolicy::FromGuest => "from-guest",
            ClipboardPolicy::Both => "both",
        };
        let mut changes = vec![change("input.clipboard", policy)];
        if policy != "off" {
            changes.push(change("serial.vdagent", "true"));
        }
        core.manager.change(vm, changes).await?;
        Ok(())
    })
}
