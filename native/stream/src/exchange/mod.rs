//! What a viewer exchanges with the guest besides input: its clipboard, and files. Each goes by a request of its own to the same server, so
//! that TCP limits its rate and keys never wait for it; `docs/streaming.md` has each request.
//!
//! Who asks is known before anything here is reached: by the token on this host, by the MAC of its session elsewhere.

mod files;

pub use files::FileNews;
pub(crate) use files::Transfer;

use crate::http::refused::Refused;
use crate::state::ServerState;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use sampan_guest::{Clipboard, ClipboardKind};
use sampan_trust::Right;
use std::sync::{Arc, Weak};

/// The most bytes of a clipboard's content, either way.
pub(crate) const MAX_CONTENT: usize = 16 << 20;

const TEXT: &str = "text/plain;charset=utf-8";
const PNG: &str = "image/png";

/// The routes, for whoever has found out who asks.
pub(crate) fn router(state: &Arc<ServerState>) -> Router {
    Router::new()
        .route("/whep/{id}/clipboard", put(clipboard_set))
        .route("/whep/{id}/clipboard/{kind}", get(clipboard_get))
        .route("/whep/{id}/files", post(files::announce))
        .route("/whep/{id}/files/{number}", delete(files::give_up))
        .route("/whep/{id}/files/{number}/{at}", put(files::piece))
        .route("/whep/{id}/pulls", post(files::pull))
        .with_state(Arc::downgrade(state))
}

/// The routes for whoever knows what nobody else does.
pub(crate) fn open_router(state: &Arc<ServerState>) -> Router {
    Router::new().route("/file/{key}", get(files::load)).with_state(Arc::downgrade(state))
}

/// The most bytes that the body of a request may have, where the viewer may make it at all. Looked at before a byte is read.
pub(crate) fn limit(state: &ServerState, id: &str, path: &str) -> Result<usize, Refused> {
    match path {
        "clipboard" | "clipboard/text" | "clipboard/png" => {
            may(state, id, Right::Clipboard).map(|()| MAX_CONTENT)
        }
        "files" | "pulls" => may_exchange(state, id, Right::Files).map(|_| files::ANNOUNCEMENT),
        _ if path.starts_with("files/") => may_exchange(state, id, Right::Files).map(|_| files::PIECE),
        _ => Err(Refused::not_found()),
    }
}

/// Whether a viewer drives and has a right.
fn may(state: &ServerState, id: &str, right: Right) -> Result<(), Refused> {
    let label = may_exchange(state, id, right)?;
    if !state.drive.people().borrow().is_driver(&label) {
        return Err(Refused::new(
            StatusCode::CONFLICT,
            "not_driving",
            "another viewer drives the machine: ask for control first",
        ));
    }
    Ok(())
}

/// Whether a viewer has a right; gives its number.
fn may_exchange(state: &ServerState, id: &str, right: Right) -> Result<String, Refused> {
    let known = state.viewers.with(id, |viewer| (viewer.label.clone(), viewer.client.rights.has(right)));
    let (label, has) = known.ok_or_else(Refused::not_found)?;
    if !has {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "no_right",
            format!("this device has no right to this: {right}"),
        ));
    }
    Ok(label)
}

fn of(state: &Weak<ServerState>) -> Result<Arc<ServerState>, Refused> {
    state.upgrade().ok_or_else(Refused::ended)
}

fn clipboard(state: &ServerState) -> Result<Arc<dyn Clipboard>, Refused> {
    let none = || {
        Refused::new(
            StatusCode::NOT_FOUND,
            "no_clipboard_port",
            "this machine has no clipboard that is shared",
        )
    };
    state.guest().clipboard().ok_or_else(none)
}

async fn clipboard_get(
    State(state): State<Weak<ServerState>>,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    may(&state, &id, Right::Clipboard)?;
    let (kind, content_type) = match kind.as_str() {
        "text" => (ClipboardKind::Text, TEXT),
        "png" => (ClipboardKind::Png, PNG),
        _ => return Err(Refused::not_found()),
    };
    let _turn = state.exchanges.try_acquire().map_err(|_| Refused::busy())?;
    let content = clipboard(&state)?.get(kind).await?;
    Ok(([(CONTENT_TYPE, content_type)], content).into_response())
}

async fn clipboard_set(
    State(state): State<Weak<ServerState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    may(&state, &id, Right::Clipboard)?;
    let kind = if crate::http::whep::is(&headers, PNG) {
        ClipboardKind::Png
    } else if crate::http::whep::is(&headers, "text/plain") {
        ClipboardKind::Text
    } else {
        let words = format!("send text as {TEXT}, or a picture as {PNG}");
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_content", words));
    };
    let _turn = state.exchanges.try_acquire().map_err(|_| Refused::busy())?;
    let content = whole(body, MAX_CONTENT).await?;
    // Control may have changed hands while it came.
    may(&state, &id, Right::Clipboard)?;
    clipboard(&state)?.set(kind, content.to_vec()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A body that is not longer than it may be.
pub(crate) async fn whole(body: Body, most: usize) -> Result<Bytes, Refused> {
    to_bytes(body, most).await.map_err(|error| {
        log::debug!("a body was not taken: {}", crate::web::escaped(&error));
        Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("more than {most} bytes are not taken"),
        )
    })
}
