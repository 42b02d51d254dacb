//! What the console's page asks for, as JSON.

use super::fault::Fault;
use super::job::{Action, begin};
use super::machines::Machines;
use super::picture::picture;
use crate::supervisor::newest_report;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The longest request body.
pub const MAX_BODY: usize = 1024;

/// How long an answer waits for what was asked for; it goes on after that.
const SHORTLY: Duration = Duration::from_secs(5);

/// The routes; all need the token.
pub fn routes(machines: Arc<Machines>) -> Router {
    Router::new()
        .route("/api/vms", get(list))
        .route("/api/vms/{id}", axum::routing::post(act))
        .route("/api/vms/{id}/picture", get(image))
        .route("/api/vms/{id}/report", get(report))
        .with_state(machines)
}

async fn list(State(machines): State<Arc<Machines>>) -> Result<Response, Fault> {
    Ok(Json(&*machines.list().await?).into_response())
}

/// What is asked of a machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    action: Action,
}

async fn act(
    State(machines): State<Arc<Machines>>,
    Path(id): Path<String>,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(Ask { action }) = body.map_err(|no| match no.status() {
        kind @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
            Fault::new(kind, format!("{}: send at most {MAX_BODY} bytes of JSON", no.body_text()))
        }
        _ => Fault::new(StatusCode::BAD_REQUEST, no.body_text()),
    })?;
    let (bundle, machine) = machines.find(&id).await?;
    let job = begin(&machines, machine, bundle, action)?;
    match tokio::time::timeout(SHORTLY, job).await {
        Ok(done) => {
            done.map_err(Fault::failed)??;
            Ok(Json(json!({ "done": true })).into_response())
        }
        Err(_) => Ok((StatusCode::ACCEPTED, Json(json!({ "done": false }))).into_response()),
    }
}

async fn image(State(machines): State<Arc<Machines>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let (bundle, machine) = machines.find(&id).await?;
    let png = picture(&machines, &machine, bundle).await?;
    Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
}

/// The report of the last crash.
async fn report(State(machines): State<Arc<Machines>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let (bundle, _) = machines.find(&id).await?;
    let read = tokio::task::spawn_blocking(move || newest_report(bundle.path()));
    let text = read.await.map_err(Fault::failed)?.map_err(Fault::failed)?;
    let text = text.ok_or_else(|| Fault::missing("the machine has not crashed"))?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
