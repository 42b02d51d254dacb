//! The place in the RTP chain where packets are paced and the viewer's reports are read.

use super::Flow;
use super::estimate::{Estimate, TRAIN_PACKETS};
use super::nacks::Nacks;
use rtc::interceptor::{
    Attribute, BandwidthEstimator, EstimatorStats, Interceptor, Pacer, Packet, PacketReport, StreamInfo,
    TaggedPacket,
};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::marshal::MarshalSize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Packets leave at so many times the target rate: an estimate of the average is no reason to hold back one picture.
/// (The factor of Chromium's pacer.)
const PACING_FACTOR: f64 = 2.5;

/// The same on a path that was full a short while ago: what leaves faster waits in its queue, in front of everything else.
const CAREFUL_FACTOR: f64 = 1.25;

/// Packets are never held back below this rate, in bits per second: a packet is not to wait for long, whatever is estimated.
const LEAST_RATE: f64 = 250_000.0;

/// What leaves at once is what the rate lets through in this time (seconds): a path that takes little is not given a heap.
const BURST_TIME: f64 = 0.02;

/// Bytes that leave at once at most, with room to spare for a difference between two pictures; a receiver's socket buffer of
/// the usual 208 KiB holds it several times.
const BURST_BYTES: f64 = 48.0 * 1024.0;

/// And at least: two packets.
const LEAST_BURST_BYTES: f64 = 2.0 * 1280.0;

/// Packets that may wait; more is dropped, and NACKs or a keyframe mend it.
const QUEUE_LIMIT: usize = 4096;

/// Packets that may wait to be sent again; more are not asked for. They go first: a picture waits for them.
const RESEND_LIMIT: usize = 512;

/// So many packets leave on a path that is to be probed; with one lost they tell as much. They take a path of 300 kb/s a quarter of a
/// second.
const PROBE_PACKETS: usize = TRAIN_PACKETS + 2;

/// And no more for so long, unless a report says before what the path takes.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// Paces what leaves and hears what comes back.
///
/// Unlike the library's own pacer it lets packets through at once while the budget lasts: a timer in between would
/// cost every picture up to a millisecond. And it tells how much waits, so that no picture is encoded before the one
/// before has left.
pub struct Pace {
    flow: Arc<Flow>,
    bucket: Pacer,
    /// The rate of the bucket.
    rate: f64,
    waiting: VecDeque<TaggedPacket>,
    /// What is sent again.
    again: VecDeque<TaggedPacket>,
    waiting_bytes: usize,
    /// When the packets of the probe began to leave, and how many of them have.
    probe: Option<(Instant, usize)>,
    /// Streams whose packets wait for nothing: sound, which is small and late at once.
    at_once: Vec<u32>,
    nacks: Nacks,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
    notify: Notify,
}

/// What [`Pace`] tells outside.
pub struct Notify {
    /// The path can take bytes again.
    pub drained: Arc<dyn Fn() + Send + Sync>,
    /// The viewer needs a keyframe.
    pub key: Box<dyn Fn() + Send + Sync>,
}

impl Pace {
    /// A pacer for the path of `flow`.
    pub fn new(flow: Arc<Flow>, notify: Notify) -> Self {
        let rate = rate(&flow);
        let bucket = Pacer::new(rate).with_burst_bits(burst_bits(rate));
        Self {
            flow,
            bucket,
            rate,
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            waiting_bytes: 0,
            probe: None,
            at_once: Vec::new(),
            nacks: Nacks::default(),
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            notify,
        }
    }

    fn follow(&mut self) {
        let rate = rate(&self.flow);
        if rate == self.rate {
            return;
        }
        self.rate = rate;
        let mut bucket = std::mem::replace(&mut self.bucket, Pacer::new(rate));
        bucket.set_target_bitrate(rate);
        self.bucket = bucket.with_burst_bits(burst_bits(rate));
    }

    /// The packet whose turn it is.
    fn first(&self) -> Option<&TaggedPacket> {
        self.again.front().or(self.waiting.front())
    }

    fn take_first(&mut self) -> Option<TaggedPacket> {
        self.again.pop_front().or_else(|| self.waiting.pop_front())
    }

    /// Leaves of requests for lost packets those that are due.
    fn sift(&mut self, reports: &mut Vec<Box<dyn rtc::rtcp::Packet>>, now: Instant) {
        let full = self.again.len() >= RESEND_LIMIT;
        let (nacks, way) = (&mut self.nacks, self.flow.way());
        let mut sifted: Vec<Box<dyn rtc::rtcp::Packet>> = Vec::with_capacity(reports.len());
        for report in reports.drain(..) {
            match report.as_any().downcast_ref::<TransportLayerNack>() {
                None => sifted.push(report),
                Some(_) if full => {}
                Some(nack) => {
                    if let Some(due) = nacks.due(nack, now, way) {
                        sifted.push(Box::new(due));
                    }
                }
            }
        }
        *reports = sifted;
    }

    /// Until when the path is given no more, because what the first packets tell of it is waited for.
    fn held(&self) -> Option<Instant> {
        let (began, sent) = self.probe?;
        (self.flow.is_probed() && sent >= PROBE_PACKETS && self.again.is_empty()).then(|| began + PROBE_TIME)
    }

    fn is_held(&self, now: Instant) -> bool {
        self.held().is_some_and(|until| now < until)
    }

    /// Counts a packet that leaves.
    fn leaves(&mut self, now: Instant) {
        self.flow.count_sent(1);
        if self.flow.is_probed() {
            let (began, sent) = self.probe.get_or_insert((now, 0));
            if now >= *began + PROBE_TIME {
                // Nothing was learnt: the guess must do.
                self.flow.set_probed(false);
            }
            *sent += 1;
        }
    }

    fn is_at_once(&self, packet: &TaggedPacket) -> bool {
        matches!(&packet.message.packet, Packet::Rtp(rtp) if self.at_once.contains(&rtp.header.ssrc))
    }

    fn tell_backlog(&self) {
        if self.flow.set_backlog(self.waiting_bytes) {
            (self.notify.drained)();
        }
    }
}

fn rate(flow: &Flow) -> f64 {
    let factor = if flow.is_careful() { CAREFUL_FACTOR } else { PACING_FACTOR };
    (f64::from(flow.target()) * factor).max(LEAST_RATE)
}

fn burst_bits(rate: f64) -> f64 {
    (rate * BURST_TIME).clamp(LEAST_BURST_BYTES * 8.0, BURST_BYTES * 8.0)
}

fn size(packet: &TaggedPacket) -> usize {
    match &packet.message.packet {
        Packet::Rtp(rtp) => rtp.marshal_size(),
        _ => 0,
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Pace {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        // The estimate is nearer to the wire: what it makes of a report is there before the report is.
        self.follow();
        if let Packet::Rtcp(reports) = &mut packet.message.packet
            && !reports.is_empty()
        {
            self.sift(reports, packet.now);
            self.flow.count_heard();
            if self.waiting.is_empty() {
                // A small picture is no probe: the next one begins anew.
                self.probe = None;
            }
            // The estimate has it already; where the viewer reports no arrivals, any report will have to do.
            if self.flow.sent() > 0 && self.flow.set_known() {
                (self.notify.drained)();
            }
            let asks = reports.iter().any(|report| {
                report.as_any().is::<PictureLossIndication>() || report.as_any().is::<FullIntraRequest>()
            });
            if asks {
                (self.notify.key)();
            }
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let bytes = size(&packet);
        if bytes == 0 {
            self.outbound.push_back(packet);
            return Ok(());
        }
        self.bucket.refill(packet.now);
        let bits = bytes as f64 * 8.0;
        if self.is_at_once(&packet) {
            // It takes from what pictures may have.
            self.bucket.consume(bits);
            self.flow.count_sent(1);
            self.outbound.push_back(packet);
        } else if self.first().is_none() && self.bucket.can_release(bits) && !self.is_held(packet.now) {
            self.bucket.consume(bits);
            self.leaves(packet.now);
            self.outbound.push_back(packet);
        } else if packet.message.get(&Attribute::Retransmission).is_some() {
            // What one request asks for may be more than what another one is refused for.
            if self.again.len() < 2 * RESEND_LIMIT {
                self.waiting_bytes += bytes;
                self.again.push_back(packet);
            }
        } else if self.waiting.len() < QUEUE_LIMIT {
            self.waiting_bytes += bytes;
            self.waiting.push_back(packet);
            self.tell_backlog();
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.first().is_none() {
            return Ok(());
        }
        self.bucket.refill(now);
        while let Some(bytes) = self.first().map(size) {
            let bits = bytes as f64 * 8.0;
            if !self.bucket.can_release(bits) || self.is_held(now) {
                break;
            }
            self.bucket.consume(bits);
            if let Some(mut packet) = self.take_first() {
                // The congestion control measures from when the packet leaves, not from when it was made.
                packet.now = now;
                self.waiting_bytes -= bytes;
                self.leaves(now);
                self.outbound.push_back(packet);
            }
        }
        self.tell_backlog();
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let bytes = self.first().map(size)?;
        // Its answer is rounded to a nanosecond, and may be one too early: the same would be asked and answered for ever.
        let at = self.bucket.releasable_at(bytes as f64 * 8.0)? + Duration::from_micros(1);
        Some(self.held().map_or(at, |until| at.max(until)))
    }
}

impl Interceptor for Pace {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        if info.mime_type.starts_with("audio/") {
            self.at_once.push(info.ssrc);
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.at_once.retain(|ssrc| *ssrc != info.ssrc);
    }

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// An estimator that shows its target to the encoder and to the pacer.
pub struct Shown {
    /// The estimator that does the work.
    pub inner: Estimate,
    /// Where its target is shown.
    pub flow: Arc<Flow>,
}

impl BandwidthEstimator for Shown {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.inner.on_reports(now, reports);
        // A target above 4 Gb/s does not occur: the estimator has a maximum.
        self.flow.set_target(self.inner.target_bitrate() as u32);
        self.flow.set_careful(self.inner.is_careful(now));
        if self.inner.has_measured() {
            self.flow.set_probed(false);
        }
        self.flow.set_way(self.inner.way());
    }

    fn target_bitrate(&self) -> f64 {
        self.inner.target_bitrate()
    }

    fn stats(&self) -> EstimatorStats {
        self.inner.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::AttributedPacket;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::NackPair;
    use rtc::rtp;
    use rtc::shared::TransportContext;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn packet(now: Instant, message: Packet) -> TaggedPacket {
        TaggedPacket { now, transport: TransportContext::default(), message: AttributedPacket::new(message) }
    }

    fn media(now: Instant) -> TaggedPacket {
        let payload = bytes::Bytes::from(vec![0; 1188]);
        packet(now, Packet::Rtp(rtp::Packet { payload, ..rtp::Packet::default() }))
    }

    fn pace(flow: &Arc<Flow>) -> (Pace, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let (drained, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (d, k) = (drained.clone(), keys.clone());
        let notify = Notify {
            drained: Arc::new(move || {
                d.fetch_add(1, Ordering::Relaxed);
            }),
            key: Box::new(move || {
                k.fetch_add(1, Ordering::Relaxed);
            }),
        };
        (Pace::new(flow.clone(), notify), drained, keys)
    }

    #[test]
    fn a_small_picture_leaves_at_once_and_a_large_one_in_order_at_the_rate() {
        let start = Instant::now();
        let target = 12_000_000;
        let flow = Arc::new(Flow::new(target));
        flow.set_known();
        let (mut pace, drained, _) = pace(&flow);
        for _ in 0..10 {
            pace.handle_write(media(start)).expect("accepted");
        }
        assert_eq!(std::iter::from_fn(|| pace.poll_write()).count(), 10);
        assert!(pace.poll_timeout().is_none() && flow.can_take());

        for _ in 0..500 {
            pace.handle_write(media(start)).expect("accepted");
        }
        let at_once = std::iter::from_fn(|| pace.poll_write()).count();
        assert!(at_once < 50 && !flow.can_take());
        let mut now = start;
        let mut left = at_once;
        while let Some(next) = pace.poll_timeout() {
            assert!(next > now, "a deadline lies ahead");
            now = next;
            pace.handle_timeout(now).expect("accepted");
            left += std::iter::from_fn(|| pace.poll_write()).count();
        }
        assert_eq!(left, 500);
        assert_eq!(drained.load(Ordering::Relaxed), 1);
        let expected = 450.0 * 1200.0 * 8.0 / (f64::from(target) * PACING_FACTOR);
        let took = (now - start).as_secs_f64();
        assert!((expected * 0.8..expected * 1.2).contains(&took), "{took} s instead of {expected}");
    }

    #[test]
    fn a_path_that_is_probed_gets_a_few_packets_until_a_report_tells_what_it_takes() {
        let (flow, start) = (Arc::new(Flow::new(1_000_000)), Instant::now());
        flow.set_probed(true);
        let all = |pace: &mut Pace, until: Instant| {
            let mut sent = 0;
            loop {
                sent += std::iter::from_fn(|| pace.poll_write()).count();
                match pace.poll_timeout().filter(|next| *next < until) {
                    Some(next) => pace.handle_timeout(next).expect("accepted"),
                    None => return sent,
                }
            }
        };
        let report = |now| {
            packet(now, Packet::Rtcp(vec![Box::new(PictureLossIndication { sender_ssrc: 1, media_ssrc: 2 })]))
        };
        // A picture that is smaller than the probe goes whole, and the next one is as free.
        let (mut pace, ..) = pace(&flow);
        for at in [start, start + Duration::from_millis(200)] {
            for _ in 0..PROBE_PACKETS {
                pace.handle_write(media(at)).expect("accepted");
            }
            assert_eq!(all(&mut pace, at + Duration::from_millis(100)), PROBE_PACKETS);
            pace.handle_read(report(at + Duration::from_millis(100))).expect("accepted");
        }
        let second = start + Duration::from_millis(400);
        for _ in 0..30 {
            pace.handle_write(media(second)).expect("accepted");
        }
        assert_eq!(all(&mut pace, second + PROBE_TIME), PROBE_PACKETS);
        // What was lost is sent again all the same.
        let mut again = media(second);
        again.message = again.message.with(Attribute::Retransmission);
        pace.handle_write(again).expect("accepted");
        assert_eq!(all(&mut pace, second + PROBE_TIME), 1);
        // The report has told it.
        flow.set_probed(false);
        assert_eq!(all(&mut pace, second + PROBE_TIME), 30 - PROBE_PACKETS);

        // Where no report comes the guess must do.
        flow.set_probed(true);
        let third = second + 2 * PROBE_TIME;
        pace.handle_read(report(third)).expect("accepted");
        for _ in 0..30 {
            pace.handle_write(media(third)).expect("accepted");
        }
        assert_eq!(all(&mut pace, third + PROBE_TIME), PROBE_PACKETS);
        assert_eq!(all(&mut pace, third + 2 * PROBE_TIME), 30 - PROBE_PACKETS);
        assert!(!flow.is_probed());
    }

    #[test]
    fn sound_does_not_wait_for_pictures() {
        let (flow, start) = (Arc::new(Flow::new(300_000)), Instant::now());
        let (mut pace, ..) = pace(&flow);
        pace.bind_local_stream(&StreamInfo { ssrc: 9, mime_type: "audio/opus".into(), ..Default::default() });
        for _ in 0..100 {
            pace.handle_write(media(start)).expect("accepted");
        }
        while pace.poll_write().is_some() {}
        let sound = rtp::header::Header { ssrc: 9, ..Default::default() };
        let payload = bytes::Bytes::from_static(&[0; 120]);
        let sound = packet(start, Packet::Rtp(rtp::Packet { header: sound, payload }));
        pace.handle_write(sound).expect("accepted");
        let left = pace.poll_write().expect("at once");
        assert!(matches!(&left.message.packet, Packet::Rtp(rtp) if rtp.header.ssrc == 9));
        assert!(pace.poll_write().is_none());
    }

    #[test]
    fn requests_for_keyframes_are_heard_and_reports_pass() {
        let flow = Arc::new(Flow::new(1_000_000));
        let (mut pace, _, keys) = pace(&flow);
        let request = PictureLossIndication { sender_ssrc: 1, media_ssrc: 2 };
        let now = Instant::now() + Duration::from_millis(1);
        pace.handle_read(packet(now, Packet::Rtcp(vec![Box::new(request)]))).expect("accepted");
        assert!(pace.poll_read().is_some());
        assert_eq!((keys.load(Ordering::Relaxed), flow.heard()), (1, 1));
    }

    /// How long packets of so many bytes wait in all.
    fn drain(pace: &mut Pace, start: Instant, bytes: usize) -> Duration {
        for _ in 0..bytes.div_ceil(1200) {
            pace.handle_write(media(start)).expect("accepted");
        }
        let mut now = start;
        while let Some(next) = pace.poll_timeout() {
            now = next;
            pace.handle_timeout(now).expect("accepted");
        }
        now - start
    }

    #[test]
    fn a_keyframe_waits_for_no_longer_than_its_time_on_any_path() {
        use crate::pipeline::{Budget, KEY_TIME};
        for target in [100_000, 300_000, 1_000_000, 5_000_000, 12_000_000, 40_000_000] {
            let (flow, start) = (Arc::new(Flow::new(target)), Instant::now());
            let (mut pace, ..) = pace(&flow);
            let bytes = Budget::new(start).most(start, target, 60, true);
            let took = drain(&mut pace, start, bytes);
            assert!(took <= KEY_TIME, "{bytes} bytes at {target} bit/s took {took:?}");
            // Nor is the path itself given more at once than it takes in a moment.
            let at_once = (0..).map_while(|_| pace.poll_write()).take_while(|packet| packet.now == start);
            let sent = at_once.count() as f64 * 1200.0 * 8.0;
            assert!(sent <= f64::from(target) * 0.1 + 2.0 * 1300.0 * 8.0, "{sent} bits at {target} bit/s");
        }
    }

    #[test]
    fn what_was_lost_goes_first_and_is_not_sent_again_without_end() {
        let (flow, start) = (Arc::new(Flow::new(1_000_000)), Instant::now());
        let (mut pace, ..) = pace(&flow);
        for _ in 0..300 {
            pace.handle_write(media(start)).expect("accepted");
        }
        while pace.poll_write().is_some() {}
        let mut again = media(start);
        again.message = again.message.with(Attribute::Retransmission);
        pace.handle_write(again).expect("accepted");
        let next = pace.poll_timeout().expect("packets wait");
        pace.handle_timeout(next).expect("accepted");
        let first = pace.poll_write().expect("its turn");
        assert!(first.message.get(&Attribute::Retransmission).is_some());

        let ask = || {
            let nacks = vec![NackPair { packet_id: 7, lost_packets: 0xffff }];
            packet(
                start,
                Packet::Rtcp(vec![Box::new(TransportLayerNack { sender_ssrc: 1, media_ssrc: 2, nacks })]),
            )
        };
        let mut asked = 0;
        for _ in 0..100 {
            pace.handle_read(ask()).expect("accepted");
            let read = pace.poll_read().expect("reports pass");
            let Packet::Rtcp(reports) = &read.message.packet else { panic!("a report stays one") };
            asked += reports
                .iter()
                .filter_map(|report| report.as_any().downcast_ref::<TransportLayerNack>())
                .map(|nack| nack.nacks.len())
                .sum::<usize>();
        }
        assert_eq!(asked, 17, "each packet once");
    }
}
