//! What the console's page asks for, as JSON.

use super::error::ApiError;
use crate::args::ANY_PORT;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use sampan_library::{Bundle, VmId};
use sampan_manager::run::logs::newest_report;
use sampan_manager::{Action, Manager, Summary};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest request body.
pub const MAX_BODY: usize = 1024;

/// How long an answer waits for what was asked for; it goes on after that.
const SHORTLY: Duration = Duration::from_secs(5);

/// The routes; all need the token.
pub fn routes(manager: Manager) -> Router {
    Router::new()
        .route("/api/vms", get(list))
        .route("/api/vms/{id}", axum::routing::post(act))
        .route("/api/vms/{id}/picture", get(image))
        .route("/api/vms/{id}/report", get(report))
        .with_state(manager)
}

async fn list(State(manager): State<Manager>) -> Result<Response, ApiError> {
    let machines = manager.recent_list().await?;
    Ok(Json(machines.iter().map(|machine| shown(&manager, machine)).collect::<Value>()).into_response())
}

/// A machine as the page shows it: with what is being done with it.
fn shown(manager: &Manager, machine: &Summary) -> Value {
    let mut value = json!(machine);
    if let Some(id) = parse(&machine.id) {
        let activity = manager.activity(id);
        value["doing"] = json!(activity.doing);
        value["asked_to_stop"] = activity.asked_to_stop.into();
        value["problem"] = json!(activity.problem.map(|problem| problem.message));
    }
    value
}

/// An id in the one spelling that the library gives it.
fn parse(id: &str) -> Option<VmId> {
    VmId::from_folder(&format!("{id}.sampan"))
}

/// A machine by its id.
async fn find(manager: &Manager, id: &str) -> Result<(VmId, Bundle), ApiError> {
    let missing = || ApiError::missing("there is no such machine (any more): the list tells those there are");
    let id = parse(id).ok_or_else(missing)?;
    match manager.bundle(id).await {
        Ok(bundle) => Ok((id, bundle)),
        Err(sampan_manager::Error::Library(sampan_library::Error::NotFound(_))) => Err(missing()),
        Err(error) => Err(ApiError::failed(error)),
    }
}

/// What is asked of a machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    action: Action,
}

async fn act(
    State(manager): State<Manager>,
    Path(id): Path<String>,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Ask { action }) = body.map_err(|no| match no.status() {
        kind @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
            ApiError::new(kind, format!("{}: send at most {MAX_BODY} bytes of JSON", no.body_text()))
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, no.body_text()),
    })?;
    let (id, _) = find(&manager, &id).await?;
    let job = manager.begin(id, action, Some(ANY_PORT))?;
    match tokio::time::timeout(SHORTLY, job.wait()).await {
        Ok(done) => {
            done?;
            Ok(Json(json!({ "done": true })).into_response())
        }
        Err(_) => Ok((StatusCode::ACCEPTED, Json(json!({ "done": false }))).into_response()),
    }
}

async fn image(State(manager): State<Manager>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let (id, _) = find(&manager, &id).await?;
    let picture = manager.thumbnail(id).await?;
    Ok(([(CONTENT_TYPE, "image/png")], picture.png).into_response())
}

/// The report of the last crash.
async fn report(State(manager): State<Manager>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let (_, bundle) = find(&manager, &id).await?;
    let read = tokio::task::spawn_blocking(move || newest_report(bundle.path()));
    let text = read.await.map_err(ApiError::failed)?.map_err(ApiError::failed)?;
    let text = text.ok_or_else(|| ApiError::missing("the machine has not crashed"))?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
