//! What the console answers when it cannot do what it was asked to.

use crate::words::once;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sampan_manager::Error;
use sampan_message::{Coded, Message};
use serde_json::json;

/// An error for people, with its code and the status for programs. In JSON: `{"error": "…", "code": "…"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    message: Message,
}

impl ApiError {
    pub fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, message: Message::new("invalid_request", words) }
    }

    /// There is no such thing.
    pub fn missing(words: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: Message::new("not_found", words) }
    }

    /// The console's own failure, or the system's.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        let words = once(&format!("{error:#}"));
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: Message::new("internal", words) }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let mut message = error.message();
        message.message = once(&message.message);
        let status = match &*message.code {
            "machine_silent" => StatusCode::GATEWAY_TIMEOUT,
            "machine_unintelligible" => StatusCode::BAD_GATEWAY,
            "not_found" | "no_picture" => StatusCode::NOT_FOUND,
            "io" | "internal" | "bad_picture" => StatusCode::INTERNAL_SERVER_ERROR,
            // Not in the condition that the machine is in.
            _ => StatusCode::CONFLICT,
        };
        Self { status, message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Message { code, message, .. } = self.message;
        (self.status, Json(json!({ "error": message, "code": code }))).into_response()
    }
}
