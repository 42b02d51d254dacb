//! What a paired device asks for, and one that is being paired. `docs/streaming.md` has each message.

use super::{Share, now, tag};
use crate::http::whep::{FRAGMENT, SDP, gone, is, status_of};
use crate::server::{Inner, JoinError};
use crate::viewers::{Client, unix};
use crate::web::{self, Guard, PeerAddress, refuse};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use sampan_message::{Coded, Message};
use sampan_trust::{Connect, Device, FirstMessage, Opened, SecondMessage, TrustError, WaitMessage};
use std::sync::{Arc, Weak};

/// The longest request body: an offer stays far below.
const MAX_BODY: usize = 64 * 1024;

/// What a device's signature is called in a request, after the scheme's name.
const SCHEME: &str = "Sampan ";

/// The header of the host's signature of an answer.
const SIGNATURE: &str = "sampan-signature";

/// The header by which a request of a session is known.
const MAC: &str = "sampan-mac";

#[derive(Clone)]
struct Site {
    inner: Weak<Inner>,
    share: Weak<Share>,
}

/// Every route: the routes themselves look at who asks, and give nothing to strangers but the page.
pub(super) fn router(inner: &Arc<Inner>, share: &Arc<Share>, guard: Arc<Guard>) -> Router {
    let site = Site { inner: Arc::downgrade(inner), share: Arc::downgrade(share) };
    let routes = Router::new()
        .route("/pair/1", post(first))
        .route("/pair/2", post(second))
        .route("/pair/3", post(wait))
        .route("/nonce", get(nonce))
        .route("/whep", post(offer))
        .route("/whep/{id}", patch(trickle).delete(leave))
        .with_state(site);
    web::open_site(guard, routes, web::VIEWER, MAX_BODY)
}

/// Why not, as the page reads it.
struct Refused(StatusCode, Message);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(serde_json::json!({ "code": message.code, "error": message.message }))).into_response()
    }
}

impl From<TrustError> for Refused {
    fn from(error: TrustError) -> Self {
        use TrustError as E;
        let status = match &error {
            E::Form(_) => StatusCode::BAD_REQUEST,
            E::NoCode | E::TooManyTries => StatusCode::GONE,
            E::CodeUsed => StatusCode::CONFLICT,
            E::WrongCode => StatusCode::FORBIDDEN,
            E::NotPaired | E::WrongSignature | E::StaleNonce => StatusCode::UNAUTHORIZED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            log::warn!("{error}");
        }
        Self(status, error.message())
    }
}

impl Site {
    fn share(&self) -> Result<Arc<Share>, Refused> {
        self.share.upgrade().ok_or_else(ended)
    }

    fn inner(&self) -> Result<Arc<Inner>, Refused> {
        self.inner.upgrade().ok_or_else(ended)
    }
}

fn ended() -> Refused {
    Refused(StatusCode::SERVICE_UNAVAILABLE, crate::ServeError::NotShared.message())
}

fn body<T>(read: Result<Json<T>, JsonRejection>) -> Result<T, Refused> {
    match read {
        Ok(Json(message)) => Ok(message),
        Err(no) => Err(Refused(no.status(), TrustError::Form("message").message())),
    }
}

async fn first(
    State(site): State<Site>,
    read: Result<Json<FirstMessage>, JsonRejection>,
) -> Result<Response, Refused> {
    let message = body(read)?;
    let answer = site.share()?.gate().first(&message, now())?;
    Ok(Json(answer).into_response())
}

async fn second(
    State(site): State<Site>,
    Extension(PeerAddress(from)): Extension<PeerAddress>,
    read: Result<Json<SecondMessage>, JsonRejection>,
) -> Result<Response, Refused> {
    let message = body(read)?;
    let step = site.share()?.gate().second(&message, &from.to_string(), now())?;
    site.inner()?.changed();
    Ok(Json(step).into_response())
}

async fn wait(
    State(site): State<Site>,
    read: Result<Json<WaitMessage>, JsonRejection>,
) -> Result<Response, Refused> {
    let message = body(read)?;
    let step = site.share()?.gate().wait(&message, now())?;
    Ok(Json(step).into_response())
}

async fn nonce(State(site): State<Site>) -> Result<Response, Refused> {
    let nonce = site.share()?.gate().nonce(now())?;
    Ok(nonce.into_response())
}

/// The device that has signed an offer.
async fn device(
    share: &Arc<Share>,
    headers: &HeaderMap,
    offer: &str,
) -> Result<(Connect, Device), TrustError> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let connect = Connect::parse(value.strip_prefix(SCHEME).unwrap_or_default())?;
    let id = connect.device.clone();
    let device = share.stored(move |store, machine| store.device(&id, machine)).await?;
    share.gate().admit(&connect, &device, offer.as_bytes(), now())?;
    Ok((connect, device))
}

async fn offer(
    State(site): State<Site>,
    Extension(PeerAddress(from)): Extension<PeerAddress>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    if !is(&headers, SDP) {
        return Ok(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send the offer as {SDP}")));
    }
    let (inner, share) = (site.inner()?, site.share()?);
    let (connect, device) = device(&share, &headers, &body).await?;
    let client = Client { from, rights: device.rights, device: Some(tag(&device)) };
    let (id, answer) = match inner.join(&body, client, &share.transport).await {
        Ok(joined) => joined,
        Err(error) => return Ok(not_joined(&error)),
    };
    let opened = share.gate().open(&connect, &device, body.as_bytes(), answer.as_bytes());
    let Opened { signature, session } = match opened {
        Ok(opened) => opened,
        Err(error) => {
            inner.dismiss(&id);
            return Err(error.into());
        }
    };
    inner.viewers.with(&id, |viewer| viewer.session = Some(session));
    // It may have been revoked, or the showing ended, while the offer was being answered.
    let known = device.id().to_owned();
    let still = share.stored(move |store, machine| {
        store.seen(&known, unix())?;
        store.device(&known, machine)
    });
    let still = still.await;
    if still.is_err() || *share.stop.borrow() {
        inner.dismiss(&id);
        still?;
        return Err(ended());
    }
    let headers = [
        (CONTENT_TYPE.as_str(), SDP.to_owned()),
        (LOCATION.as_str(), format!("/whep/{id}")),
        (SIGNATURE, signature),
    ];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

fn not_joined(error: &JoinError) -> Response {
    refuse(status_of(error), error)
}

/// Whether a request is the viewer's own.
fn is_its_own(inner: &Inner, id: &str, method: &str, headers: &HeaderMap, body: &str) -> Result<(), Refused> {
    let carried = headers.get(MAC).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = format!("/whep/{id}");
    let accepts = inner.viewers.with(id, |viewer| {
        viewer
            .session
            .as_mut()
            .is_some_and(|session| session.accepts(carried, method, &path, body.as_bytes()))
    });
    match accepts {
        Some(true) => Ok(()),
        // Of one that is not there and of one that is somebody else's the same is said.
        Some(false) | None => Err(Refused(StatusCode::UNAUTHORIZED, TrustError::WrongSignature.message())),
    }
}

async fn trickle(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    if !is(&headers, FRAGMENT) {
        return Ok(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send candidates as {FRAGMENT}")));
    }
    let inner = site.inner()?;
    is_its_own(&inner, &id, "PATCH", &headers, &body)?;
    let Some(connection) = inner.connection(&id) else { return Ok(gone()) };
    match connection.add_candidates(&body).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Ok(refuse(StatusCode::BAD_REQUEST, error)),
    }
}

async fn leave(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let inner = site.inner()?;
    is_its_own(&inner, &id, "DELETE", &headers, "")?;
    inner.dismiss(&id);
    Ok(StatusCode::OK.into_response())
}
