//! What the console answers when it cannot do what it was asked to.

use super::ask::AskError;
use crate::words::once;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error for people, with the status for programs. In JSON: `{"error": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind it is of.
    pub status: StatusCode,
    /// What went wrong, and what to do.
    pub words: String,
}

impl Fault {
    pub fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into() }
    }

    /// There is no such thing.
    pub fn missing(words: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, words)
    }

    /// Not in the condition that the machine is in.
    pub fn conflict(words: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, words)
    }

    /// The console's own failure, or the system's.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, once(&format!("{error:#}")))
    }
}

impl From<AskError> for Fault {
    fn from(error: AskError) -> Self {
        let status = match error {
            AskError::Silent(_) => StatusCode::GATEWAY_TIMEOUT,
            AskError::Refused(_) => StatusCode::CONFLICT,
            AskError::Nonsense(_) | AskError::Unreachable(_) => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.words }))).into_response()
    }
}
