//! What a paired device asks for, and one that is being paired. `docs/streaming.md` has each message.

use super::shown::{Share, now, tag};
use crate::exchange;
use crate::http::refused::Refused;
use crate::http::whep::{FRAGMENT, SDP, is, patched, status_of, tag as ice_tag, wanted_display};
use crate::state::{JoinError, ServerState};
use crate::viewers::{Client, unix};
use crate::web::{self, Guard, PeerAddress, refuse};
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, LINK, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use sampan_message::Coded;
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
    state: Weak<ServerState>,
    share: Weak<Share>,
}

/// Every route: the routes themselves look at who asks, and give nothing to strangers but the page.
pub(super) fn router(state: &Arc<ServerState>, share: &Arc<Share>, guard: Arc<Guard>) -> Router {
    let site = Site { state: Arc::downgrade(state), share: Arc::downgrade(share) };
    let routes = Router::new()
        .route("/pair/1", post(first))
        .route("/pair/2", post(second))
        .route("/pair/3", post(wait))
        .route("/nonce", get(nonce))
        .route("/whep", post(offer))
        .route("/whep/{id}", patch(trickle).delete(leave))
        .with_state(site.clone())
        .merge(exchange::open_router(state))
        .merge(exchange::router(state).layer(from_fn_with_state(site, own)));
    web::open_site(guard, routes, web::VIEWER, MAX_BODY)
}

impl Site {
    fn share(&self) -> Result<Arc<Share>, Refused> {
        self.share.upgrade().ok_or_else(Refused::ended)
    }

    fn state(&self) -> Result<Arc<ServerState>, Refused> {
        self.state.upgrade().ok_or_else(Refused::ended)
    }
}

fn body<T>(read: Result<Json<T>, JsonRejection>) -> Result<T, Refused> {
    match read {
        Ok(Json(message)) => Ok(message),
        Err(no) => Err(Refused::saying(no.status(), TrustError::Form("message").message())),
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
    site.state()?.changed();
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
    address: Uri,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    if !is(&headers, SDP) {
        return Ok(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send the offer as {SDP}")));
    }
    let (state, share) = (site.state()?, site.share()?);
    let (connect, device) = device(&share, &headers, &body).await?;
    let client = Client { from, rights: device.rights, device: Some(tag(&device)), is_server: false };
    let (id, answer) = match state.join(&body, wanted_display(&address), client, &share.transport).await {
        Ok(joined) => joined,
        Err(error) => return Ok(not_joined(&error)),
    };
    let opened = share.gate().open(&connect, &device, body.as_bytes(), answer.as_bytes());
    let Opened { signature, session } = match opened {
        Ok(opened) => opened,
        Err(error) => {
            state.dismiss(&id);
            return Err(error.into());
        }
    };
    state.viewers.with(&id, |viewer| viewer.session = Some(session));
    // It may have been revoked, or the showing ended, while the offer was being answered.
    let known = device.id().to_owned();
    let still = share.stored(move |store, machine| {
        store.seen(&known, unix())?;
        store.device(&known, machine)?;
        store.ice_servers()
    });
    let servers = match still.await {
        Ok(servers) if !*share.stop.borrow() => servers,
        still => {
            state.dismiss(&id);
            still?;
            return Err(Refused::ended());
        }
    };
    let headers = [
        (CONTENT_TYPE.as_str(), SDP.to_owned()),
        (LOCATION.as_str(), format!("/whep/{id}")),
        (ETAG.as_str(), ice_tag(0)),
        (SIGNATURE, signature),
    ];
    // Who is let in is told of them, and nobody before.
    let links = servers.iter().map(|server| (LINK, server.link()));
    Ok((StatusCode::CREATED, headers, AppendHeaders(links.collect::<Vec<_>>()), answer).into_response())
}

fn not_joined(error: &JoinError) -> Response {
    refuse(status_of(error), error)
}

/// Whether a request is the viewer's own; `path` is as it was asked for, with its query.
fn is_its_own(
    state: &ServerState,
    id: &str,
    (method, path): (&str, &str),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Refused> {
    let carried = headers.get(MAC).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts = state.viewers.with(id, |viewer| {
        viewer.session.as_mut().is_some_and(|session| session.accepts(carried, method, path, body))
    });
    match accepts {
        Some(true) => Ok(()),
        // Of one that is not there and of one that is somebody else's the same is said.
        Some(false) | None => Err(TrustError::WrongSignature.into()),
    }
}

/// Lets requests of a session through that are the viewer's own. Nothing of a body is read where the viewer may not make the
/// request at all; its id is a secret of the viewer's, so strangers have no body read either.
async fn own(State(site): State<Site>, request: Request, next: Next) -> Result<Response, Refused> {
    let state = site.state()?;
    let (parts, body) = request.into_parts();
    let unknown = || Refused::from(TrustError::WrongSignature);
    let rest = parts.uri.path().strip_prefix("/whep/").ok_or_else(unknown)?;
    let (id, what) = rest.split_once('/').ok_or_else(unknown)?;
    state.viewers.with(id, |viewer| viewer.session.is_some()).filter(|open| *open).ok_or_else(unknown)?;
    let body = exchange::whole(body, exchange::limit(&state, id, what)?).await?;
    let path = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), |path| path.as_str());
    is_its_own(&state, id, (parts.method.as_str(), path), &parts.headers, &body)?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

async fn trickle(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(PeerAddress(from)): Extension<PeerAddress>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    if !is(&headers, FRAGMENT) {
        return Ok(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send candidates as {FRAGMENT}")));
    }
    let state = site.state()?;
    let path = format!("/whep/{id}");
    is_its_own(&state, &id, ("PATCH", &path), &headers, body.as_bytes())?;
    let (answer, tag) = match patched(&state, &id, from, &headers, &body).await {
        Ok(Some(restarted)) => restarted,
        Ok(None) => return Ok(StatusCode::NO_CONTENT.into_response()),
        Err(refused) => return Ok(refused),
    };
    let carried = headers.get(MAC).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = state.viewers.with(&id, |viewer| {
        viewer.session.as_ref()?.sign_answer(carried, &path, body.as_bytes(), answer.as_bytes())
    });
    let Some(signed) = signed.flatten() else { return Err(TrustError::WrongSignature.into()) };
    let headers = [(CONTENT_TYPE.as_str(), FRAGMENT.to_owned()), (ETAG.as_str(), tag), (MAC, signed)];
    Ok((headers, answer).into_response())
}

async fn leave(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let state = site.state()?;
    is_its_own(&state, &id, ("DELETE", &format!("/whep/{id}")), &headers, b"")?;
    state.dismiss(&id);
    Ok(StatusCode::OK.into_response())
}
