//! Signalling: an offer is posted and answered at once (draft-ietf-wish-whep).

use crate::state::{JoinError, ServerState};
use crate::transport::{Connection, TransportError};
use crate::web::{PeerAddress, refuse};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

pub(crate) const SDP: &str = "application/sdp";
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Whether a request is of a kind.
pub(crate) fn is(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(kind))
}

/// The display that an offer's address asks for, from 0; it counts from 1. An address that says nothing of the kind asks for the first.
pub(crate) fn wanted_display(address: &Uri) -> usize {
    let mut parts = address.query().unwrap_or_default().split('&');
    let number = parts.find_map(|part| part.strip_prefix("display=")).and_then(|number| number.parse().ok());
    number.map_or(0, |number: NonZeroUsize| number.get() - 1)
}

/// Whether the viewer's browser does not connect to loopback addresses.
fn no_loopback(address: &Uri) -> bool {
    address.query().unwrap_or_default().split('&').any(|part| part == "loopback=no")
}

/// `POST /whep`: an offer, answered with a new viewer.
pub async fn offer(
    State(state): State<Arc<ServerState>>,
    Extension(PeerAddress(from)): Extension<PeerAddress>,
    address: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !is(&headers, SDP) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send the offer as {SDP}"));
    }
    match state.join_here(&body, wanted_display(&address), from, no_loopback(&address)).await {
        Ok((id, answer)) => {
            let location = format!("/whep/{id}");
            let headers = [(CONTENT_TYPE, SDP.to_owned()), (LOCATION, location), (ETAG, tag(0))];
            (StatusCode::CREATED, headers, answer).into_response()
        }
        Err(error) => refuse(status_of(&error), error),
    }
}

/// The status of a refusal.
pub(crate) fn status_of(error: &JoinError) -> StatusCode {
    match error {
        JoinError::Room(_) => StatusCode::SERVICE_UNAVAILABLE,
        JoinError::Transport(TransportError::NoCodec) => StatusCode::NOT_ACCEPTABLE,
        JoinError::Transport(TransportError::Offer(_)) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What names ICE's generation (RFC 9725, section 4.3): another one after each restart.
pub(crate) fn tag(restarts: u32) -> String {
    format!("\"ice-{restarts}\"")
}

/// What a `PATCH` is about, by its `If-Match` (RFC 9725, sections 4.3.2 and 4.3.3).
enum Patch {
    Candidates,
    Restart,
    /// Candidates of a generation that is no more.
    Stale,
}

impl Patch {
    fn of(headers: &HeaderMap, connection: &dyn Connection) -> Self {
        // Without one it is for the generation that there is: so viewers trickle that know no generations.
        let Some(wanted) = headers.get(IF_MATCH) else { return Self::Candidates };
        match wanted.to_str().unwrap_or_default().trim() {
            // As the header's own grammar has it, and as the examples of RFC 9725 have it.
            "*" | "\"*\"" => Self::Restart,
            wanted if wanted == tag(connection.restarts()) => Self::Candidates,
            _ => Self::Stale,
        }
    }
}

/// What came of a `PATCH`: a restart's own fragment, or nothing to say.
pub(crate) async fn patched(
    state: &ServerState,
    id: &str,
    from: IpAddr,
    headers: &HeaderMap,
    body: &str,
) -> Result<Option<(String, String)>, Response> {
    let Some(connection) = state.connection(id) else { return Err(gone()) };
    let done = match Patch::of(headers, &*connection) {
        Patch::Candidates => connection.add_candidates(body).await.map(|()| None),
        Patch::Restart => connection.restart(body, from).await.map(Some),
        Patch::Stale => {
            let words =
                "these candidates are for a path that was given up: send them for the one that there is";
            return Err(refuse(StatusCode::PRECONDITION_FAILED, words));
        }
    };
    match done {
        Ok(None) => Ok(None),
        Ok(Some(answer)) => {
            state.moved(id, from);
            Ok(Some((answer, tag(connection.restarts()))))
        }
        Err(error) => {
            let status = match &error {
                TransportError::TooManyRestarts => StatusCode::TOO_MANY_REQUESTS,
                TransportError::Library(_) => StatusCode::INTERNAL_SERVER_ERROR,
                TransportError::Closed => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            };
            Err(refuse(status, error))
        }
    }
}

/// `PATCH /whep/ID`: more candidates of the viewer's, or, with `If-Match: "*"`, ICE anew.
pub async fn trickle(
    State(state): State<Arc<ServerState>>,
    Path(id): Path<String>,
    Extension(PeerAddress(from)): Extension<PeerAddress>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !is(&headers, FRAGMENT) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format_args!("send candidates as {FRAGMENT}"));
    }
    match patched(&state, &id, from, &headers, &body).await {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some((answer, tag))) => {
            ([(CONTENT_TYPE, FRAGMENT.to_owned()), (ETAG, tag)], answer).into_response()
        }
        Err(refused) => refused,
    }
}

/// `DELETE /whep/ID`: the viewer leaves.
pub async fn leave(State(state): State<Arc<ServerState>>, Path(id): Path<String>) -> Response {
    if state.dismiss(&id) { StatusCode::OK.into_response() } else { gone() }
}

/// There is none.
pub(crate) fn gone() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no such viewer (any more): connect again")
}

/// `GET /status`: the guest and its viewers in numbers.
pub async fn status(State(state): State<Arc<ServerState>>) -> Response {
    Json(state.report()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_for_a_display_or_gets_the_first() {
        for (address, display) in [
            ("/whep", 0),
            ("/whep?display=1", 0),
            ("/whep?display=2", 1),
            ("/whep?a=b&display=16", 15),
            ("/whep?display=0", 0),
            ("/whep?display=-1", 0),
            ("/whep?display=99999999999999999999", 0),
        ] {
            assert_eq!(wanted_display(&address.parse().expect("an address")), display, "{address}");
        }
    }
}
