//! Loading a file in pieces, by several connections.

use super::{Halt, Transfer, body, part_of};
use crate::error::DownloadError;
use crate::fault::{BadAnswer, NoConnection};
use crate::http::{Answer, Connection, Validator, address, host, status_error};
use crate::journal::Identity;
use crate::progress::State;
use crate::retry;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::StatusCode;
use hyper::body::Body;
use std::ops::Range;
use url::Url;

/// Failures in a row after which a connection leaves the work to the others.
const STRIKES: u32 = 3;

/// Tries in a row after which a silent mirror is given up for the first address. That may lead to a mirror with
/// the same file under another tag, and the download starts over.
const LOYALTY: u32 = 4;

/// The one version of the file that is loaded.
struct Version<'a> {
    url: Url,
    length: u64,
    validator: &'a Validator,
}

impl Transfer<'_> {
    /// Loads all missing pieces; `first` is an answer that is there already.
    pub(super) async fn in_pieces(
        &self,
        identity: &Identity,
        length: u64,
        validator: &Validator,
        first: Option<(Answer, Range<u64>)>,
    ) -> Result<(), Halt> {
        // The journal's address is the mirror that the loaded bytes came from. Without it, the first one will do.
        let plain_http = self.context.request.allow_http || self.digest.is_some();
        let url = address(&identity.url, plain_http).unwrap_or_else(|_| self.url.clone());
        let version = Version { url, length, validator };
        let mut open = self.part.missing(length);
        if let Some((_, taken)) = &first {
            open.clear();
            open.extend((taken.end < length).then_some(taken.end..length));
        }
        let pieces =
            open.iter().map(|r| (r.end - r.start).div_ceil(self.context.settings.piece)).sum::<u64>();
        open.reverse();
        self.open.replace(open);
        let wanted = self.context.settings.connections as u64;
        let count = pieces.saturating_add(u64::from(first.is_some())).clamp(1, wanted);
        let mut first = first;
        let mut workers: FuturesUnordered<_> =
            (0..count as usize).map(|lane| self.worker(lane, &version, first.take())).collect();
        let mut last = None;
        while let Some(ended) = workers.next().await {
            match ended {
                Ok(()) => {}
                // The others go on: a server may refuse the fifth connection and serve four.
                Err(Halt::Error(error)) if error.is_transient() => last = Some(error),
                Err(halt) => return Err(halt),
            }
        }
        match (self.part.missing(length).is_empty(), last) {
            (true, _) => Ok(()),
            (false, Some(error)) => Err(error.into()),
            // A piece that was given back after the others had ended: the next round takes it.
            (false, None) => {
                let why = NoConnection::PieceMissing;
                Err(DownloadError::Network { host: host(&version.url), why }.into())
            }
        }
    }

    /// The next piece, from the front of what is open.
    fn take(&self) -> Option<Range<u64>> {
        let mut open = self.open.borrow_mut();
        let range = open.pop()?;
        let end = range.end.min(range.start.saturating_add(self.context.settings.piece));
        if end < range.end {
            open.push(end..range.end);
        }
        Some(range.start..end)
    }

    fn give_back(&self, range: Range<u64>) {
        if !range.is_empty() {
            self.open.borrow_mut().push(range);
        }
    }

    /// One connection: piece by piece until none is open.
    async fn worker(
        &self,
        lane: usize,
        version: &Version<'_>,
        first: Option<(Answer, Range<u64>)>,
    ) -> Result<(), Halt> {
        let (mut answer, mut piece) = first.unzip();
        let mut connection = None;
        let mut strikes = 0;
        while let Some(range) = piece.take().or_else(|| self.take()) {
            let mut at = range.start;
            let loaded = self.piece(lane, version, &range, &mut at, answer.take(), connection.take()).await;
            self.give_back(at..range.end);
            match loaded {
                Ok(reusable) => {
                    connection = reusable;
                    strikes = 0;
                }
                Err(Halt::Error(error)) if error.is_transient() => {
                    strikes = if at > range.start { 1 } else { strikes + 1 };
                    // Who is sent away does not insist.
                    if strikes >= STRIKES || matches!(error, DownloadError::Status { .. }) {
                        self.context.live.close_lane(lane);
                        return Err(error.into());
                    }
                    let settings = &self.context.settings.retry;
                    let Some(wait) = retry::wait(settings, strikes, &error, retry::random()) else {
                        return Err(error.into());
                    };
                    tokio::time::sleep(wait).await;
                }
                Err(halt) => return Err(halt),
            }
        }
        self.context.live.close_lane(lane);
        Ok(())
    }

    /// One request and its answer; `at` follows what was written. The connection comes back if it can be used again.
    async fn piece(
        &self,
        lane: usize,
        version: &Version<'_>,
        range: &Range<u64>,
        at: &mut u64,
        answer: Option<Answer>,
        connection: Option<Connection>,
    ) -> Result<Option<Connection>, Halt> {
        let answer = match answer {
            Some(answer) => answer,
            None => self.ask(version, range, connection).await?,
        };
        let end = self.same_version(version, range, &answer)?;
        self.context.live.set_loading();
        self.context.live.lane(lane, range.start, Some(end));
        let Answer { url, mut response, connection } = answer;
        while let Some(data) = body::next(&self.context.client, &url, response.body_mut()).await? {
            let next = at.saturating_add(data.len() as u64);
            if next > end {
                let why = BadAnswer::MoreThanAsked;
                return Err(DownloadError::Protocol { url: url.to_string(), why }.into());
            }
            self.store(lane, *at, &data)?;
            *at = next;
        }
        if *at < end {
            let why = NoConnection::EndedOf { loaded: *at - range.start, total: end - range.start };
            return Err(DownloadError::Network { host: host(&url), why }.into());
        }
        Ok(Some(connection))
    }

    async fn ask(
        &self,
        version: &Version<'_>,
        range: &Range<u64>,
        connection: Option<Connection>,
    ) -> Result<Answer, Halt> {
        let get = self.get(&version.url, Some(range.clone()), Some(version.validator.clone()));
        let answer = self.context.client.get(&get, connection).await;
        let gone = match &answer {
            // A mirror that has dropped the file, or an address that was signed for an hour.
            Ok(answer) => matches!(answer.response.status().as_u16(), 401 | 403 | 404 | 410),
            Err(_) => self.failures.get() >= LOYALTY,
        };
        if gone && version.url != self.url {
            let get = self.get(&self.url, Some(range.clone()), Some(version.validator.clone()));
            return Ok(self.context.client.get(&get, None).await?);
        }
        Ok(answer?)
    }

    /// Whether an answer has bytes of our version, and where they end.
    fn same_version(&self, version: &Version<'_>, range: &Range<u64>, answer: &Answer) -> Result<u64, Halt> {
        let (status, headers) = (answer.response.status(), answer.response.headers());
        let other = version.validator.contradicts(headers);
        match status {
            StatusCode::PARTIAL_CONTENT => {
                let (first, end, total) = part_of(&answer.response).ok_or(Halt::NoRanges)?;
                if other || total.is_some_and(|total| total != version.length) {
                    return Err(Halt::Changed);
                }
                let asked = first == range.start && end <= range.end;
                if asked { Ok(end) } else { Err(Halt::NoRanges) }
            }
            // The whole file: another version, or a server that has forgotten how to send parts.
            StatusCode::OK => {
                let length = answer.response.body().size_hint().exact();
                let same = !other
                    && Validator::of(headers).as_ref() == Some(version.validator)
                    && length.is_none_or(|length| length == version.length);
                Err(if same { Halt::NoRanges } else { Halt::Changed })
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(Halt::Changed),
            _ => Err(status_error(&answer.url, &answer.response).map_or(Halt::NoRanges, Halt::Error)),
        }
    }
}

impl crate::live::Live {
    /// Bytes come: said once.
    fn set_loading(&self) {
        if self.state() != State::Loading {
            self.set(State::Loading);
        }
    }
}
