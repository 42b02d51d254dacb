//! How requests are refused, as the page reads it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sampan_guest::GuestError;
use sampan_message::{Coded, Message};
use sampan_trust::TrustError;

/// Why not: a code for the page, and the reason in words.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    code: String,
    words: String,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, code: impl Into<String>, words: impl Into<String>) -> Self {
        Self { status, code: code.into(), words: words.into() }
    }

    pub(crate) fn saying(status: StatusCode, message: Message) -> Self {
        Self { status, code: message.code.to_string(), words: message.message }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_viewer", "there is no such viewer (any more): connect again")
    }

    pub(crate) fn ended() -> Self {
        Self::saying(StatusCode::SERVICE_UNAVAILABLE, crate::ServeError::NotShared.message())
    }

    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "exchange_busy",
            "something else is on its way: try again in a moment",
        )
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, code, words } = self;
        (status, Json(serde_json::json!({ "code": code, "error": words }))).into_response()
    }
}

impl From<GuestError> for Refused {
    fn from(error: GuestError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code, error.words)
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
        Self::saying(status, error.message())
    }
}
