//! The place in the RTP chain where packets are paced and the viewer's reports are read.

use super::Flow;
use rtc::interceptor::{
    Attribute, BandwidthEstimator, EstimatorStats, Interceptor, Pacer, Packet, PacketReport, StreamInfo,
    TaggedPacket,
};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::marshal::MarshalSize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Packets leave at so many times the target rate: an estimate of the average is no reason to hold back one picture.
/// (The factor of Chromium's pacer.)
const PACING_FACTOR: f64 = 2.5;

/// Packets are never held back below this rate, in bits per second: a keyframe is not to take long on a path that was
/// only ever asked for little.
const LEAST_RATE: f64 = 30_000_000.0;

/// Bytes that leave at once, with room to spare for a difference between two pictures; a receiver's socket buffer of
/// the usual 208 KiB holds it several times.
const BURST_BYTES: f64 = 48.0 * 1024.0;

/// Packets that may wait; more is dropped, and NACKs or a keyframe mend it.
const QUEUE_LIMIT: usize = 4096;

/// Paces what leaves and hears what comes back.
///
/// Unlike the library's own pacer it lets packets through at once while the budget lasts: a timer in between would
/// cost every picture up to a millisecond. And it tells how much waits, so that no picture is encoded before the one
/// before has left.
pub struct Pace {
    flow: Arc<Flow>,
    bucket: Pacer,
    waiting: VecDeque<TaggedPacket>,
    waiting_bytes: usize,
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
        let bucket = Pacer::new(rate(f64::from(flow.target()))).with_burst_bits(BURST_BYTES * 8.0);
        Self {
            flow,
            bucket,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            notify,
        }
    }

    fn tell_backlog(&self) {
        if self.flow.set_backlog(self.waiting_bytes) {
            (self.notify.drained)();
        }
    }
}

fn rate(target: f64) -> f64 {
    (target * PACING_FACTOR).max(LEAST_RATE)
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

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let changed = Attribute::TargetBitrateChanged { bits_per_second: 0.0 };
        if let Some(Attribute::TargetBitrateChanged { bits_per_second }) = packet.message.get(&changed) {
            self.bucket.set_target_bitrate(rate(*bits_per_second));
        }
        if let Packet::Rtcp(reports) = &packet.message.packet
            && !reports.is_empty()
        {
            self.flow.count_heard();
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
        if self.waiting.is_empty() && self.bucket.can_release(bits) {
            self.bucket.consume(bits);
            self.flow.count_sent(1);
            self.outbound.push_back(packet);
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
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.bucket.refill(now);
        while let Some(bytes) = self.waiting.front().map(size) {
            let bits = bytes as f64 * 8.0;
            if !self.bucket.can_release(bits) {
                break;
            }
            self.bucket.consume(bits);
            if let Some(mut packet) = self.waiting.pop_front() {
                // The congestion control measures from when the packet leaves, not from when it was made.
                packet.now = now;
                self.waiting_bytes -= bytes;
                self.flow.count_sent(1);
                self.outbound.push_back(packet);
            }
        }
        self.tell_backlog();
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let bytes = self.waiting.front().map(size)?;
        self.bucket.releasable_at(bytes as f64 * 8.0)
    }
}

impl Interceptor for Pace {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// An estimator that shows its target to the encoder.
pub struct Shown<E> {
    /// The estimator that does the work.
    pub inner: E,
    /// Where its target is shown.
    pub flow: Arc<Flow>,
}

impl<E: BandwidthEstimator> Shown<E> {
    fn show(&self) {
        // A target above 4 Gb/s does not occur: the estimator has a maximum.
        self.flow.set_target(self.inner.target_bitrate() as u32);
    }
}

impl<E: BandwidthEstimator> BandwidthEstimator for Shown<E> {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.inner.on_reports(now, reports);
        self.show();
    }

    fn target_bitrate(&self) -> f64 {
        self.inner.target_bitrate()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
        self.show();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        self.inner.stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc::interceptor::AttributedPacket;
    use rtc::rtp;
    use rtc::shared::TransportContext;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

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
        let flow = Arc::new(Flow::new(1_000_000));
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
        let expected = 450.0 * 1200.0 * 8.0 / LEAST_RATE;
        let took = (now - start).as_secs_f64();
        assert!((expected * 0.8..expected * 1.2).contains(&took), "{took} s instead of {expected}");
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
}
