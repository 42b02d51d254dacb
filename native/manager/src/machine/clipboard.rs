//! A running guest's clipboard, as requests ask for it.

use crate::BadRequest;
use crate::sentences::bad_request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_control::{ClipboardContent, ClipboardInfo, ClipboardKind, Reply};
use sampan_message::{Coded, Message};
use sampan_session::vdagent::{ClipboardError, Content, Kind};
use sampan_session::vm::VmError;
use sampan_session::{Clipboard, Session};

fn of(session: &Session) -> Result<&Clipboard, Message> {
    session.clipboard().ok_or_else(|| VmError::NoClipboardPort.message())
}

fn kind_of(kind: ClipboardKind) -> Kind {
    match kind {
        ClipboardKind::Text => Kind::Text,
        ClipboardKind::Png => Kind::Png,
    }
}

/// What is in it.
pub(super) async fn get(session: &Session, kind: ClipboardKind) -> Result<Reply, Message> {
    let content = of(session)?.get(kind_of(kind)).await.map_err(|e| e.message())?;
    Ok(Reply::Clipboard(ClipboardContent { kind, data: content.bytes().to_vec() }))
}

/// Puts something into it.
pub(super) async fn set(
    session: &Session,
    kind: ClipboardKind,
    data: &str,
    secret: bool,
) -> Result<Reply, Message> {
    let clipboard = of(session)?;
    if secret {
        return Err(ClipboardError::Secret.message());
    }
    let not_base64 = |e: base64::DecodeError| bad_request(&BadRequest::NotBase64 { why: e.to_string() });
    let bytes = STANDARD.decode(data).map_err(not_base64)?;
    let content = Content::new(kind_of(kind), &bytes).map_err(|e| e.message())?;
    clipboard.set(content).await.map_err(|e| e.message())?;
    Ok(Reply::Done)
}

/// What is known of it.
pub(super) fn info(session: &Session) -> Option<ClipboardInfo> {
    let clipboard = session.clipboard()?;
    let known = session.status().borrow().clipboard?;
    let kinds = known.kinds.iter().map(|kind| match kind {
        Kind::Text => ClipboardKind::Text,
        Kind::Png => ClipboardKind::Png,
    });
    Some(ClipboardInfo {
        agent: known.agent,
        policy: clipboard.policy(),
        kinds: kinds.collect(),
        copied: known.copied,
        files: known.files,
        sizes: known.sizes,
    })
}
