//! Loading a file by one request, from its beginning to its end.

use super::{Halt, Transfer, body};
use crate::error::DownloadError;
use crate::fault::{BadAnswer, NoConnection};
use crate::http::{Answer, Validator, host};
use hyper::body::Body;

impl Transfer<'_> {
    /// `length` is told by a 206 that covers the whole file, else by the body.
    pub(super) async fn single(&self, answer: Answer, length: Option<u64>) -> Result<(), Halt> {
        let length = length.or(answer.response.body().size_hint().exact());
        let validator = Validator::of(answer.response.headers());
        self.begin(&answer, length, validator)?;
        let Answer { url, mut response, connection } = answer;
        self.context.live.lane(0, 0, length);
        let mut at: u64 = 0;
        while let Some(data) = body::next(&self.context.client, &url, response.body_mut()).await? {
            let end = at.saturating_add(data.len() as u64);
            self.limit(end)?;
            if length.is_some_and(|length| end > length) {
                let why = BadAnswer::MoreThanSaid;
                return Err(DownloadError::Protocol { url: url.to_string(), why }.into());
            }
            self.store(0, at, &data)?;
            at = end;
        }
        drop(connection);
        self.context.live.close_lane(0);
        if length.is_some_and(|length| at != length) {
            let why = NoConnection::Ended { loaded: at };
            return Err(DownloadError::Network { host: host(&url), why }.into());
        }
        self.context.live.size(at, Some(at));
        Ok(())
    }
}
