//! Reading bodies, with a limit on silence.

use super::Context;
use crate::error::DownloadError;
use crate::http::{Answer, Client, Get, broken, silent, status_error};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use url::Url;

/// The next bytes, or `None` at the body's end. A body that ends before its promised length is an error.
pub(super) async fn next(
    client: &Client,
    url: &Url,
    body: &mut Incoming,
) -> Result<Option<Bytes>, DownloadError> {
    loop {
        let frame = tokio::time::timeout(client.timeouts.read, body.frame()).await;
        let frame = frame.map_err(|_| silent(url, client.timeouts.read, "it sent the file"))?;
        match frame {
            None => return Ok(None),
            Some(Err(e)) => return Err(broken(url, &e)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers mean nothing to us.
                Err(_) => {}
            },
        }
    }
}

/// A small text, whole.
pub(super) async fn text(context: &Context, get: &Get, limit: usize) -> Result<String, DownloadError> {
    let Answer { url, mut response, connection } = context.client.get(get, None).await?;
    if let Some(error) = status_error(&url, &response) {
        return Err(error);
    }
    let mut bytes = Vec::new();
    while let Some(data) = next(&context.client, &url, response.body_mut()).await? {
        if bytes.len() + data.len() > limit {
            let size = (bytes.len() + data.len()) as u64;
            return Err(DownloadError::TooLarge { url: url.to_string(), size, limit: limit as u64 });
        }
        bytes.extend_from_slice(&data);
    }
    drop(connection);
    // Names of files may be in any encoding; those that are looked for are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
