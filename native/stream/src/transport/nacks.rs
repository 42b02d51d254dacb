//! Which of a viewer's requests for lost packets are answered.

use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::time::{Duration, Instant};

/// A packet is sent again at most this often: a request that crosses the answer to the one before means nothing. Chromium repeats its
/// own after a round trip, and looks every 20 ms.
const COOLDOWN: Duration = Duration::from_millis(20);

/// And at least this often. In between it is sent again once it could have come: Chromium does not know of a queue that has just grown,
/// and what it asks for over and over would fill the path.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(1);

/// Packets that are remembered, by their numbers; as many as are kept for sending again.
const REMEMBERED: usize = 2048;

/// When packets were sent again. The library's responder answers every request, and one RTCP packet may ask for thousands.
pub struct Nacks {
    answered: Vec<Option<(u16, Instant)>>,
}

impl Default for Nacks {
    fn default() -> Self {
        Self { answered: vec![None; REMEMBERED] }
    }
}

impl Nacks {
    /// What is left of a request at `now`, where it takes `way` until a packet has come; nothing if no packet is due. No packet is
    /// asked for twice.
    pub fn due(
        &mut self,
        nack: &TransportLayerNack,
        now: Instant,
        way: Duration,
    ) -> Option<TransportLayerNack> {
        let cooldown = way.clamp(COOLDOWN, LONGEST_COOLDOWN);
        let mut due: Vec<u16> = Vec::new();
        for pair in &nack.nacks {
            let following = (0..16).filter(|bit| pair.lost_packets & (1 << bit) != 0);
            let numbers = following.map(|bit| pair.packet_id.wrapping_add(bit + 1));
            for number in std::iter::once(pair.packet_id).chain(numbers) {
                let entry = &mut self.answered[usize::from(number) % REMEMBERED];
                let recent = entry.is_some_and(|(other, at)| {
                    other == number && now.saturating_duration_since(at) < cooldown
                });
                if !recent {
                    *entry = Some((number, now));
                    due.push(number);
                }
            }
        }
        let nacks: Vec<NackPair> =
            due.into_iter().map(|packet_id| NackPair { packet_id, lost_packets: 0 }).collect();
        (!nacks.is_empty()).then(|| TransportLayerNack { nacks, ..nack.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_sent_again_once_in_a_while_however_often_it_is_asked_for() {
        let mut nacks = Nacks::default();
        let start = Instant::now();
        let pair = |packet_id, lost_packets| NackPair { packet_id, lost_packets };
        let ask = TransportLayerNack {
            sender_ssrc: 1,
            media_ssrc: 2,
            nacks: vec![pair(65_535, 0b101), pair(65_535, 0), pair(0, 0)],
        };
        let due = nacks.due(&ask, start, Duration::ZERO).expect("the first time");
        let numbers: Vec<_> = due.nacks.iter().map(|pair| (pair.packet_id, pair.lost_packets)).collect();
        assert_eq!(numbers, [(65_535, 0), (0, 0), (2, 0)], "each once, across the end of the numbers");
        assert_eq!(due.media_ssrc, 2);
        assert!(nacks.due(&ask, start + COOLDOWN / 2, Duration::ZERO).is_none());
        assert_eq!(
            nacks.due(&ask, start + COOLDOWN, Duration::ZERO).expect("it is lost again").nacks.len(),
            3
        );
        let (later, queue) = (start + COOLDOWN, Duration::from_millis(700));
        assert!(nacks.due(&ask, later + queue / 2, queue).is_none(), "it is on its way");
        assert!(nacks.due(&ask, later + queue, queue).is_some());
        assert!(
            nacks.due(&ask, later + queue + LONGEST_COOLDOWN, Duration::MAX).is_some(),
            "nobody waits for ever"
        );
    }
}
