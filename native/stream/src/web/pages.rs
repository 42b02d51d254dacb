//! The pages' files, which are part of the program.

use super::Guard;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// Paths below `viewer/dist` and their bytes, listed by the build script.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/viewer.rs"));

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sampan</title>\
    <h1>The page is not part of this build</h1>\
    <p>Run <code>scripts/viewer</code>, then build the program again.</p></html>";

/// Answers with one of them. `index` is the page at `/`; other pages are not served here.
pub fn file(guard: &Guard, index: &str, uri: &Uri) -> Response {
    let path = match uri.path() {
        "/" => index,
        path => path.trim_start_matches('/'),
    };
    let foreign = path.ends_with(".html") && path != index;
    if let Some((name, bytes)) = FILES.iter().find(|(name, _)| *name == path && !foreign) {
        // Names below assets/ hold a hash of their contents.
        let cache = if name.starts_with("assets/") { "max-age=31536000, immutable" } else { "no-cache" };
        return ([(CONTENT_TYPE, kind(name)), (CACHE_CONTROL, cache)], *bytes).into_response();
    }
    if path == index {
        return ([(CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response();
    }
    guard.refuse(StatusCode::NOT_FOUND, "there is no such page")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
