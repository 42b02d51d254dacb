//! The HTTP side: the page, and signalling in the manner of WHEP.

pub(crate) mod refused;
pub(crate) mod whep;

use crate::exchange;
use crate::state::ServerState;
use crate::web;
use axum::Router;
use axum::routing::{get, patch, post};
use std::sync::Arc;

/// The longest request body: an offer with many candidates stays far below.
const MAX_BODY: usize = 64 * 1024;

/// Every route. Only the page's own files go without the token.
pub fn router(state: Arc<ServerState>) -> Router {
    let guard = state.guard().clone();
    let open = exchange::open_router(&state);
    let guarded = Router::new()
        .route("/whep", post(whep::offer))
        .route("/whep/{id}", patch(whep::trickle).delete(whep::leave))
        .route("/status", get(whep::status))
        .with_state(state.clone())
        .merge(exchange::router(&state));
    web::site_with(guard, guarded, open, web::VIEWER, MAX_BODY)
}
