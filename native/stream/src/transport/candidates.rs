//! Which of a viewer's ICE candidates are tried.
//!
//! A candidate is an address that we send STUN to, and a viewer may name any: a printer, a router, every port of a neighbour. So only
//! the address counts from which the viewer speaks to us anyway, a few ports of it. No other is needed: the viewer checks our
//! candidate from wherever it is, and ICE learns its address from that (RFC 8445, 7.3.1.3).

use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Candidates of one viewer that are tried, those of its offer among them.
pub const MOST: usize = 16;

/// Fragments with candidates that one viewer may send.
pub const FRAGMENTS: usize = 32;

/// The least time between two restarts of ICE: each tries as many candidates again.
pub const RESTART_GAP: Duration = Duration::from_millis(500);

/// The candidates of one viewer.
#[derive(Debug)]
pub struct Candidates {
    /// Where it is; another place after it has moved.
    from: Arc<Mutex<IpAddr>>,
    taken: AtomicUsize,
    fragments: AtomicUsize,
    restarted: Mutex<Option<Instant>>,
}

impl Candidates {
    /// Those of a viewer that speaks to us from this address.
    pub fn new(from: IpAddr) -> Self {
        Self {
            from: Arc::new(Mutex::new(from.to_canonical())),
            taken: AtomicUsize::new(0),
            fragments: AtomicUsize::new(0),
            restarted: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn from(&self) -> &Arc<Mutex<IpAddr>> {
        &self.from
    }

    /// ICE begins anew at `now`, for a viewer that speaks to us from this address now. Whether it may: not too often.
    pub fn restart(&self, from: IpAddr, now: Instant) -> bool {
        let mut restarted = self.restarted.lock();
        if restarted.is_some_and(|last| now.saturating_duration_since(last) < RESTART_GAP) {
            return false;
        }
        *restarted = Some(now);
        *self.from.lock() = from.to_canonical();
        self.taken.store(0, Ordering::Relaxed);
        self.fragments.store(0, Ordering::Relaxed);
        true
    }

    /// Whether a line, `candidate:…`, is one to try.
    fn takes(&self, line: &str) -> bool {
        let mut words = line.split_ascii_whitespace();
        let (transport, address) = (words.nth(2), words.nth(1));
        let is_udp = transport.is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
        // Names of mDNS are none: a browser that hides its addresses finds ours from its side.
        let address = address.and_then(|address| address.parse::<IpAddr>().ok());
        let is_its_own = address.is_some_and(|address| address.to_canonical() == *self.from.lock());
        // One without an address leads nowhere: the library says what is wrong with it.
        let is_none = words.next().is_none();
        (is_none || is_udp && is_its_own) && self.taken.fetch_add(1, Ordering::Relaxed) < MOST
    }

    /// An offer without the candidates that are not tried.
    pub fn of_offer(&self, offer: &str) -> String {
        let keeps = |line: &&str| match line.trim().strip_prefix("a=") {
            Some(attribute) if attribute.starts_with("candidate:") => self.takes(attribute),
            _ => true,
        };
        offer.split_inclusive('\n').filter(keeps).collect()
    }

    /// The candidates of a fragment (RFC 8840 section 9); `None` where there were too many fragments.
    pub fn of_fragment(&self, fragment: &str) -> Option<Vec<String>> {
        if self.fragments.fetch_add(1, Ordering::Relaxed) >= FRAGMENTS {
            return None;
        }
        let lines = fragment.lines().map(|line| line.trim().trim_start_matches("a="));
        let candidates = lines.filter(|line| line.starts_with("candidate:") && self.takes(line));
        Some(candidates.map(str::to_owned).collect())
    }
}

/// The answer of a media server, whose address the owner has named, without candidates that lead nowhere for us: names of mDNS, TCP (we
/// connect to nobody), and more than [`MOST`]. It may have other addresses for media than for its requests.
pub fn of_answer(answer: &str) -> String {
    let mut taken = 0;
    let mut keeps = |line: &&str| {
        let Some(candidate) = line.trim().strip_prefix("a=candidate:") else { return true };
        let mut words = candidate.split_ascii_whitespace();
        let (transport, address) = (words.nth(2), words.nth(1));
        let is_udp = transport.is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
        let is_address = address.is_some_and(|address| address.parse::<IpAddr>().is_ok());
        let takes = is_udp && is_address && taken < MOST;
        taken += usize::from(takes);
        takes
    };
    answer.split_inclusive('\n').filter(|line| keeps(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_a_media_servers_candidates_those_are_tried_that_lead_somewhere() {
        let answer = "v=0\r\nm=video 9 UDP 0\r\na=candidate:1 1 udp 2122 192.0.2.7 5000 typ host\r\n\
            a=candidate:2 1 udp 2122 1234-5.local 5001 typ host\r\n\
            a=candidate:3 1 tcp 2122 192.0.2.7 5002 typ host tcptype passive\r\n\
            a=candidate:4 1 UDP 2122 2001:db8::7 5003 typ host\r\na=candidate:5\r\na=mid:0\r\n";
        let found = of_answer(answer);
        let kept: Vec<&str> = found.lines().filter_map(|line| line.split(' ').nth(5)).collect();
        assert_eq!(kept, ["5000", "5003"]);
        assert!(found.starts_with("v=0\r\n") && found.ends_with("a=mid:0\r\n"));
        let many = "a=candidate:1 1 udp 2122 192.0.2.7 5000 typ host\r\n".repeat(99);
        assert_eq!(of_answer(&many).lines().count(), MOST);
    }

    fn of(from: &str) -> Candidates {
        Candidates::new(from.parse().expect("an address"))
    }

    #[test]
    fn only_the_viewers_own_address_is_tried() {
        let fragment = "a=ice-ufrag:abc\r\nm=video 9 UDP 0\r\na=mid:0\r\n\
            a=candidate:1 1 udp 2122 192.0.2.7 5000 typ host\r\n\
            a=candidate:2 1 udp 2122 1234-5.local 5001 typ host\r\n\
            a=candidate:3 1 udp 2122 192.0.2.1 80 typ host\r\n\
            a=candidate:4 1 tcp 2122 192.0.2.7 5000 typ host tcptype active\r\n\
            a=candidate:5 1 udp 2122 ::ffff:192.0.2.7 5002 typ srflx\r\na=end-of-candidates\r\n";
        let found = of("192.0.2.7").of_fragment(fragment).expect("is taken");
        let ports: Vec<&str> = found.iter().filter_map(|line| line.split(' ').nth(5)).collect();
        assert_eq!(ports, ["5000", "5002"]);
    }

    #[test]
    fn there_is_an_end_to_them() {
        let candidates = of("::1");
        let one = "a=candidate:1 1 udp 2122 ::1 5000 typ host\r\n";
        let offer = format!("v=0\r\n{}m=video 9 UDP 0\r\n", one.repeat(10));
        assert_eq!(candidates.of_offer(&offer).matches("candidate:").count(), 10);
        assert!(candidates.of_offer("v=0\r\na=mid:0\r\n").ends_with("a=mid:0\r\n"));
        assert_eq!(candidates.of_fragment(&one.repeat(100)).expect("is taken").len(), MOST - 10);
        for _ in 1..FRAGMENTS {
            assert_eq!(candidates.of_fragment(one), Some(Vec::new()));
        }
        assert_eq!(candidates.of_fragment(one), None);
    }

    #[test]
    fn after_a_restart_it_may_be_elsewhere() {
        let (candidates, now) = (of("192.0.2.7"), Instant::now());
        let at = |address| format!("a=candidate:1 1 udp 2122 {address} 5000 typ host\r\n");
        let tried = |address| candidates.of_fragment(&at(address)).expect("is taken").len();
        assert_eq!((tried("192.0.2.7"), tried("192.0.2.8")), (1, 0));
        let elsewhere = "192.0.2.8".parse().expect("an address");
        assert!(candidates.restart(elsewhere, now));
        assert_eq!((tried("192.0.2.7"), tried("192.0.2.8")), (0, 1));
        assert!(!candidates.restart(elsewhere, now + RESTART_GAP / 2), "each tries as many again");
        assert!(candidates.restart(elsewhere, now + RESTART_GAP));
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text: String) {
            let candidates = of("192.0.2.7");
            let _ = candidates.of_offer(&text);
            let _ = of_answer(&text);
            prop_assert!(candidates.of_fragment(&text).is_some_and(|found| found.len() <= MOST));
        }
    }
}
