//! How much a path takes, by what the viewer reports of packets that were sent (transport-wide feedback). Pure: time is a parameter.
//!
//! A screen is still for minutes and then changes at once, so the rate that is sent says little of the path. What says something is
//! how far apart the packets of one picture arrive: they leave close together, and a narrow path spreads them by just its rate. So
//! each picture is a probe, the first one, too. And a path that is too narrow for what is sent shows it by a queue that does not
//! empty: even the luckiest packet is late then, which those that a radio holds back are not.
//!
//! Losses count only where they go with as much as the path takes: those of a bad radio are mended by sending again.

use rtc::interceptor::{BandwidthEstimator, EstimatorStats, PacketReport};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets that leave within this of each other (seconds) belong to one train.
const TRAIN_GAP: f64 = 0.03;

/// A train tells something if it has so many packets, and if so many bytes follow the first one.
pub(super) const TRAIN_PACKETS: usize = 6;
const TRAIN_BYTES: f64 = 6_000.0;

/// A train that arrives so much longer (seconds) than it left has filled the path; less may be a radio's whim.
const SPREAD: f64 = 0.05;

/// Times of arrival are told in steps of 0.25 ms, and what takes less than this (seconds) is not measured by them.
const LEAST_SPAN: f64 = 0.001;

/// The time (seconds of arrival) in which even the luckiest packet is late where there is a queue.
const WINDOW: f64 = 0.3;

/// What a packet of the usual size takes of a path (bits): by itself it is later by that than the smallest ones.
const PACKET_BITS: f64 = 1_240.0 * 8.0;

/// How late the luckiest packet is (seconds) besides that where there is a queue, and where there is none.
const QUEUED: f64 = 0.06;
const EMPTY: f64 = 0.02;

/// After a decrease its effect is waited for.
const SETTLE: Duration = Duration::from_millis(300);

/// Decreases that leave the delay as it was: it is the path's own then, and not a queue's.
const VAIN: u32 = 4;

/// A path that was full is probed with care for so long.
const CARE: Duration = Duration::from_secs(10);

/// What is left of the rate that a full path takes, so that its queue empties; and how much less for each second of queue, down to
/// what.
const BACKOFF: f64 = 0.85;
const DRAIN: f64 = 0.5;
const LEAST_BACKOFF: f64 = 0.3;

/// What of it is used once the queue is empty.
const RESUME: f64 = 0.7;

/// How much of what a train has proved is believed.
const BELIEF: f64 = 0.9;

/// The most by which one train raises the estimate: before the path was ever full, and after.
const LEAP: f64 = 8.0;
const STEP: f64 = 1.5;

/// Growth a second while the rate is used and nothing waits.
const GROWTH: f64 = 1.08;

/// The share of lost packets that counts as a full path, where about as much is sent as the estimate says.
const LOSSES: f64 = 0.25;

/// Packets of which a share can be told.
const LOSS_PACKETS: usize = 60;

/// Whether the path is used: the share of the estimate that is sent.
const USED: f64 = 0.5;

/// The time in which the shortest way to a report is looked for.
const WAY_TIME: Duration = Duration::from_secs(1);

/// How long the least delay counts (twice this at most).
const BASE_TIME: Duration = Duration::from_secs(20);

/// A packet that has arrived: seconds on our clock, and on the viewer's.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    departure: f64,
    arrival: f64,
    size: f64,
}

impl Arrived {
    /// How long it took, but for what the two clocks differ by.
    fn delay(&self) -> f64 {
        self.arrival - self.departure
    }
}

/// The packets of one train.
#[derive(Clone, Copy, Debug)]
struct Train {
    first: Arrived,
    last_departure: f64,
    /// The same of those that arrived.
    last_arrived: f64,
    last_arrival: f64,
    packets: usize,
    /// Of all but the first.
    bytes: f64,
}

impl Train {
    fn of(first: Arrived) -> Self {
        let (departure, last_arrival) = (first.departure, first.arrival);
        Self {
            first,
            last_departure: departure,
            last_arrived: departure,
            last_arrival,
            packets: 1,
            bytes: 0.0,
        }
    }

    fn takes(&self, departure: f64) -> bool {
        departure - self.last_departure <= TRAIN_GAP
    }

    fn add(&mut self, next: &Arrived) {
        self.last_departure = self.last_departure.max(next.departure);
        self.last_arrived = self.last_arrived.max(next.departure);
        self.last_arrival = self.last_arrival.max(next.arrival);
        self.packets += 1;
        self.bytes += next.size;
    }

    fn tells(&self) -> bool {
        self.packets >= TRAIN_PACKETS && self.bytes >= TRAIN_BYTES
    }

    /// How much longer it arrived than it left, in seconds.
    fn spread(&self) -> f64 {
        (self.last_arrival - self.first.arrival) - (self.last_arrived - self.first.departure)
    }

    /// The rate at which it arrived, in bits per second.
    fn rate(&self) -> f64 {
        self.bytes * 8.0 / (self.last_arrival - self.first.arrival).max(LEAST_SPAN)
    }
}

/// The least delay of a while.
#[derive(Debug)]
struct Base {
    before: f64,
    now: f64,
    turned: Option<Instant>,
}

impl Base {
    fn add(&mut self, now: Instant, delay: f64) {
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) >= BASE_TIME {
            (self.before, self.now, self.turned) = (self.now, f64::INFINITY, Some(now));
        }
        self.now = self.now.min(delay);
    }

    fn least(&self) -> f64 {
        self.before.min(self.now)
    }

    fn set(&mut self, delay: f64) {
        (self.before, self.now) = (delay, delay);
    }
}

/// An estimate of one path.
#[derive(Debug)]
pub struct Estimate {
    target: f64,
    least: f64,
    most: f64,
    epoch: Option<Instant>,
    base: Base,
    recent: VecDeque<Arrived>,
    /// When packets left of late (seconds), and their sizes, whether they arrived or not.
    sent: VecDeque<(f64, f64)>,
    train: Option<Train>,
    /// Fates of the last packets, lost or not.
    fates: VecDeque<bool>,
    /// When the path was full last.
    full: Option<Instant>,
    /// What the path took when it was full, until its queue is empty again.
    narrow: Option<f64>,
    /// How late the luckiest packet of the last moment was, in seconds.
    late: f64,
    /// The same at the last decrease, and how many of them have not changed it.
    late_then: f64,
    vain: u32,
    updated: Option<Instant>,
    /// Whether a train has told how much the path takes.
    measured: bool,
    /// How long packets took until they were reported, with when that was.
    ways: VecDeque<(Instant, Duration)>,
}

impl Estimate {
    /// Begins with a guess; bits per second.
    pub fn new(initial: f64, least: f64, most: f64) -> Self {
        Self {
            target: initial.clamp(least, most),
            least,
            most,
            epoch: None,
            base: Base { before: f64::INFINITY, now: f64::INFINITY, turned: None },
            recent: VecDeque::new(),
            sent: VecDeque::new(),
            train: None,
            fates: VecDeque::new(),
            full: None,
            narrow: None,
            late: 0.0,
            late_then: 0.0,
            vain: 0,
            updated: None,
            measured: false,
            ways: VecDeque::new(),
        }
    }

    /// Whether the path was full a short while ago: then little more than the estimate is put on it at a time.
    pub fn is_careful(&self, now: Instant) -> bool {
        self.full.is_some_and(|full| now.saturating_duration_since(full) < CARE)
    }

    /// Whether more is known of the path than the guess that all begin with.
    pub fn has_measured(&self) -> bool {
        self.measured
    }

    /// How long it takes at the least now until a packet is reported: both ways, and the queue in front of them.
    pub fn way(&self) -> Duration {
        self.ways.iter().map(|(_, way)| *way).min().unwrap_or_default()
    }

    fn set(&mut self, target: f64) {
        self.target = target.clamp(self.least, self.most);
    }

    /// The path is full, and takes so much; the luckiest packet was late by so many seconds.
    fn is_full(&mut self, now: Instant, rate: f64, late: f64) {
        if self.full.is_some_and(|full| now.saturating_duration_since(full) < SETTLE) {
            return;
        }
        // What was measured while little was sent says nothing of what the path takes.
        let left = (BACKOFF - DRAIN * late).max(LEAST_BACKOFF);
        self.set((rate * left).min(self.target));
        self.narrow = Some(rate);
        self.full = Some(now);
        self.train = None;
    }

    /// A train has arrived, or a part of it.
    fn judge(&mut self, now: Instant) {
        let Some(train) = self.train.filter(Train::tells) else { return };
        self.measured = true;
        if train.spread() > SPREAD {
            if train.rate() < self.target {
                self.is_full(now, train.rate(), self.late);
            }
            return;
        }
        if self.late > EMPTY || (self.is_careful(now) && train.spread() > SPREAD / 2.0) {
            return;
        }
        let (belief, leap) = if self.full.is_some() { (BACKOFF, STEP) } else { (BELIEF, LEAP) };
        let proved = train.rate() * belief;
        if proved > self.target {
            self.set(proved.min(self.target * leap));
            // The next rise takes another proof.
            self.train = None;
        }
    }

    /// How late the luckiest packet of the last moment was (seconds), and the rate at which all arrived; nothing where there are too
    /// few.
    fn moment(&mut self) -> Option<(f64, f64)> {
        let last = self.recent.iter().map(|packet| packet.arrival).fold(f64::NEG_INFINITY, f64::max);
        while self.recent.front().is_some_and(|packet| packet.arrival < last - WINDOW) {
            self.recent.pop_front();
        }
        let first = self.recent.iter().map(|packet| packet.arrival).fold(f64::INFINITY, f64::min);
        let span = last - first;
        if self.recent.len() < 4 || span < WINDOW / 3.0 {
            return None;
        }
        let luckiest = self.recent.iter().map(Arrived::delay).fold(f64::INFINITY, f64::min);
        let own = PACKET_BITS / self.target;
        let bytes: f64 = self.recent.iter().map(|packet| packet.size).sum();
        let of_first = self.recent.front().map_or(0.0, |packet| packet.size);
        Some(((luckiest - self.base.least() - own).max(0.0), (bytes - of_first) * 8.0 / span))
    }

    /// The rate that was put on the path of late, in bits per second.
    fn offered(&mut self) -> f64 {
        let last = self.sent.back().map_or(0.0, |(at, _)| *at);
        while self.sent.front().is_some_and(|(at, _)| *at < last - WINDOW) {
            self.sent.pop_front();
        }
        self.sent.iter().map(|(_, size)| size * 8.0).sum::<f64>() / WINDOW
    }

    /// The share of packets that were lost of late; nothing where it cannot be told.
    fn losses(&self) -> Option<f64> {
        let lost = self.fates.iter().filter(|lost| **lost).count();
        (self.fates.len() >= LOSS_PACKETS).then(|| lost as f64 / self.fates.len() as f64)
    }
}

impl BandwidthEstimator for Estimate {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let newest = reports.iter().filter(|report| report.arrived).map(|report| report.departure).max();
        if let Some(newest) = newest {
            self.ways.push_back((now, now.saturating_duration_since(newest)));
            while self.ways.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WAY_TIME) {
                self.ways.pop_front();
            }
        }
        for report in reports {
            self.fates.push_back(!report.arrived);
            if self.fates.len() > 2 * LOSS_PACKETS {
                self.fates.pop_front();
            }
            let epoch = *self.epoch.get_or_insert(report.departure);
            let departure = if report.departure >= epoch {
                (report.departure - epoch).as_secs_f64()
            } else {
                -(epoch - report.departure).as_secs_f64()
            };
            let size = report.size as f64;
            self.sent.push_back((departure, size));
            let Some(arrival) = report.arrival.filter(|_| report.arrived) else {
                // It left close to the others, wherever it is.
                if let Some(train) = self.train.as_mut().filter(|train| train.takes(departure)) {
                    train.last_departure = train.last_departure.max(departure);
                }
                continue;
            };
            let packet = Arrived { departure, arrival: arrival.as_secs_f64(), size };
            self.base.add(now, packet.delay());
            self.recent.push_back(packet);
            match &mut self.train {
                Some(train) if train.takes(departure) => train.add(&packet),
                _ => {
                    self.judge(now);
                    self.train = Some(Train::of(packet));
                }
            }
        }
        self.judge(now);
        let Some((late, rate)) = self.moment() else { return };
        self.late = late;
        let is_used = self.offered() >= self.target * USED;
        if late > QUEUED {
            let was_full = self.full;
            if is_used && self.vain < VAIN {
                self.is_full(now, rate, late);
            } else if !self.is_careful(now) || self.vain >= VAIN {
                // Little is sent, or less did not help: this is how long the way is now.
                self.base.set(self.base.least() + late);
                self.vain = 0;
            }
            if was_full != self.full {
                self.vain = if late > self.late_then * 0.8 { self.vain + 1 } else { 0 };
                self.late_then = late;
            }
        } else {
            self.vain = 0;
            if late < EMPTY
                && let Some(rate) = self.narrow.take()
            {
                // The queue is gone, and with it the reason to stay that far below what the path takes.
                self.set(self.target.max(rate * RESUME));
            }
            if is_used && self.losses().is_some_and(|losses| losses > LOSSES) {
                self.is_full(now, rate, late);
                self.fates.clear();
            } else if is_used && late < EMPTY {
                let since = self.updated.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
                self.set(self.target * GROWTH.powf(since.min(1.0)));
            }
        }
        self.updated = Some(now);
    }

    fn target_bitrate(&self) -> f64 {
        self.target
    }

    fn stats(&self) -> EstimatorStats {
        let mut stats = EstimatorStats::default();
        (stats.delay_based_bitrate, stats.packet_loss) = (Some(self.target), self.losses());
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A path: so many bits a second, so long, with a queue that has no end, and a radio's whims.
    struct Path {
        rate: f64,
        delay: f64,
        jitter: f64,
        loss: f64,
        /// The longest queue, in seconds.
        queue: f64,
        free: f64,
        last: f64,
        seed: u64,
    }

    impl Path {
        fn new(rate: f64, delay: f64) -> Self {
            Self { rate, delay, jitter: 0.0, loss: 0.0, queue: f64::INFINITY, free: 0.0, last: 0.0, seed: 1 }
        }

        fn lot(&mut self) -> f64 {
            self.seed =
                self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 40) as f64 / (1u64 << 24) as f64
        }

        /// When a packet that leaves then arrives, and how long it waited.
        fn pass(&mut self, at: f64, size: f64) -> (Option<f64>, f64) {
            let wait = (self.free - at).max(0.0);
            if wait > self.queue {
                return (None, self.queue);
            }
            self.free = self.free.max(at) + size * 8.0 / self.rate;
            let spread = self.jitter * self.lot();
            self.last = self.last.max(self.free + self.delay + spread);
            (if self.lot() < self.loss { None } else { Some(self.last) }, wait)
        }
    }

    struct Run {
        estimate: Estimate,
        path: Path,
        start: Instant,
        now: f64,
        /// Reports under way: when they come, and what of.
        coming: VecDeque<(f64, PacketReport)>,
        longest_wait: f64,
        sent: f64,
    }

    impl Run {
        fn new(path: Path) -> Self {
            let start = Instant::now();
            Self {
                estimate: Estimate::new(1_000_000.0, 100_000.0, 40_000_000.0),
                path,
                start,
                now: 0.0,
                coming: VecDeque::new(),
                longest_wait: 0.0,
                sent: 0.0,
            }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        /// Sends pictures of `bytes` (or as many as the estimate lets through in `share` seconds, if those are fewer), `fps` a second,
        /// paced as the pacer does, with a report each 50 ms.
        fn play(&mut self, seconds: f64, fps: f64, bytes: f64, share: f64) {
            let end = self.now + seconds;
            let (mut picture, mut report, mut left, mut credit) = (self.now, self.now, 0.0, 0.0);
            let mut debt: f64 = 0.0;
            while self.now < end {
                let target = self.estimate.target_bitrate();
                if self.now >= picture {
                    picture += 1.0 / fps;
                    if left <= 4096.0 {
                        // As the encoder's budget has it.
                        let most = (target / 8.0 * share - debt).max(target / 8.0 / 60.0);
                        left += bytes.min(most);
                        debt += bytes.min(most);
                    }
                }
                debt = (debt - target / 8.0 * 0.001).max(0.0);
                let factor = if self.estimate.is_careful(self.at(self.now)) { 1.25 } else { 2.5 };
                let pace = target * factor / 8.0;
                credit = f64::min(credit + pace * 0.001, (pace * 0.02).clamp(2560.0, 49152.0));
                while left > 0.0 && credit >= 1200.0 {
                    (left, credit) = (left - 1200.0, credit - 1200.0);
                    let (arrival, wait) = self.path.pass(self.now, 1200.0);
                    self.longest_wait = self.longest_wait.max(wait);
                    self.sent += 1200.0;
                    let departure = self.at(self.now);
                    let told = PacketReport {
                        ssrc: 1,
                        id: 0,
                        rtp_sequence_number: 0,
                        is_twcc: true,
                        twcc_sequence_number: 0,
                        size: 1200,
                        arrived: arrival.is_some(),
                        departure,
                        // The viewer's clock is another one.
                        arrival: arrival.map(|at| Duration::from_secs_f64(at + 5000.0)),
                        ecn: Default::default(),
                    };
                    let comes = self.path.last + self.path.delay;
                    self.coming.push_back((comes, told));
                }
                if self.now >= report {
                    report += 0.05;
                    let mut reports = Vec::new();
                    while self.coming.front().is_some_and(|(at, _)| *at <= self.now) {
                        reports.extend(self.coming.pop_front().map(|(_, report)| report));
                    }
                    if !reports.is_empty() {
                        self.estimate.on_reports(self.at(self.now), &reports);
                    }
                }
                self.now += 0.001;
            }
        }

        fn target(&self) -> f64 {
            self.estimate.target_bitrate()
        }
    }

    #[test]
    fn a_wide_path_is_found_by_the_first_pictures() {
        for delay in [0.0005, 0.02, 0.1] {
            let mut run = Run::new(Path::new(100e6, delay));
            run.play(1.0 + 2.0 * delay, 10.0, 60_000.0, 0.3);
            assert!(run.target() > 10e6, "{} with {delay} s", run.target());
        }
    }

    #[test]
    fn a_narrow_path_is_found_and_kept_to() {
        for rate in [300e3, 1e6, 5e6] {
            for delay in [0.005, 0.05, 0.1] {
                let mut run = Run::new(Path::new(rate, delay));
                run.play(6.0, 30.0, 200_000.0, 0.1);
                assert!(
                    (0.3..1.15).contains(&(run.target() / rate)),
                    "{} of {rate} with {delay} s",
                    run.target()
                );
                (run.longest_wait, run.sent) = (0.0, 0.0);
                run.play(20.0, 30.0, 200_000.0, 0.1);
                let used = run.sent * 8.0 / 20.0 / rate;
                assert!((0.6..1.05).contains(&used), "{used} of {rate} with {delay} s");
                assert!(run.longest_wait < 0.35, "{} s of queue at {rate} with {delay} s", run.longest_wait);
            }
        }
    }

    #[test]
    fn a_path_that_drops_what_does_not_fit_is_kept_to() {
        for (rate, queue) in [(300e3, 2.0), (300e3, 0.2), (1e6, 0.1), (5e6, 0.05)] {
            let mut run = Run::new(Path { queue, ..Path::new(rate, 0.05) });
            run.play(10.0, 30.0, 200_000.0, 0.1);
            (run.longest_wait, run.sent) = (0.0, 0.0);
            run.play(20.0, 30.0, 200_000.0, 0.1);
            let used = run.sent * 8.0 / 20.0 / rate;
            assert!((0.5..1.3).contains(&used), "{used} of {rate} with {queue} s of queue");
        }
    }

    #[test]
    fn even_if_it_was_believed_to_be_far_wider() {
        let mut run = Run::new(Path { queue: 2.0, ..Path::new(300e3, 0.05) });
        run.estimate = Estimate::new(10e6, 100e3, 40e6);
        run.play(15.0, 30.0, 200_000.0, 0.1);
        assert!(run.target() < 400e3, "{}", run.target());
    }

    #[test]
    fn a_keyframe_after_a_rest_waits_no_longer_than_it_may() {
        for rate in [300e3, 1e6, 5e6] {
            let mut run = Run::new(Path::new(rate, 0.05));
            run.play(6.0, 30.0, 200_000.0, 0.1);
            run.play(30.0, 1.0, 1_000.0, 0.1);
            run.longest_wait = 0.0;
            run.play(0.1, 1.0, 200_000.0, 0.3);
            run.play(1.0, 1.0, 1_000.0, 0.1);
            assert!(run.longest_wait < 0.3, "{} s at {rate}", run.longest_wait);
        }
    }

    #[test]
    fn the_way_to_a_report_has_the_queue_in_it() {
        let mut run = Run::new(Path::new(10e6, 0.05));
        run.play(2.0, 30.0, 20_000.0, 0.1);
        assert!((95..160).contains(&run.estimate.way().as_millis()), "{:?}", run.estimate.way());
        run.path.rate = 500e3;
        run.play(0.4, 30.0, 20_000.0, 0.1);
        run.play(1.5, 1.0, 1_200.0, 0.1);
        assert!(run.estimate.way().as_millis() > 250, "{:?}", run.estimate.way());
    }

    #[test]
    fn a_path_that_widens_is_used() {
        let mut run = Run::new(Path::new(1e6, 0.03));
        run.play(8.0, 30.0, 200_000.0, 0.1);
        run.path.rate = 20e6;
        run.play(20.0, 30.0, 200_000.0, 0.1);
        assert!(run.target() > 6e6, "{}", run.target());
    }

    #[test]
    fn a_radio_that_holds_back_or_loses_packets_is_no_narrow_path() {
        for (jitter, loss) in [(0.03, 0.0), (0.0, 0.05), (0.0, 0.1), (0.02, 0.05)] {
            let mut run = Run::new(Path { jitter, loss, ..Path::new(50e6, 0.03) });
            run.play(10.0, 20.0, 5_000.0, 0.1);
            run.play(1.0, 5.0, 60_000.0, 0.3);
            run.play(10.0, 20.0, 5_000.0, 0.1);
            assert!(run.target() > 3e6, "{} with {jitter} s, {loss}", run.target());
        }
    }

    #[test]
    fn a_longer_way_is_not_taken_for_a_queue() {
        let mut run = Run::new(Path::new(20e6, 0.01));
        run.play(5.0, 20.0, 5_000.0, 0.1);
        run.path.delay = 0.2;
        run.play(20.0, 20.0, 5_000.0, 0.1);
        assert!(run.target() > 1e6, "{}", run.target());
    }

    proptest! {
        #[test]
        fn any_reports_leave_it_within_its_bounds(
            packets in proptest::collection::vec((0u64..10_000, proptest::option::of(0u64..10_000), 0usize..2000), 1..300),
        ) {
            let start = Instant::now();
            let mut estimate = Estimate::new(1e6, 1e5, 4e7);
            for (n, chunk) in packets.chunks(7).enumerate() {
                let reports: Vec<PacketReport> = chunk.iter().map(|(departure, arrival, size)| PacketReport {
                    ssrc: 1,
                    id: 0,
                    rtp_sequence_number: 0,
                    is_twcc: true,
                    twcc_sequence_number: 0,
                    size: *size,
                    arrived: arrival.is_some(),
                    departure: start + Duration::from_millis(*departure),
                    arrival: arrival.map(Duration::from_millis),
                    ecn: Default::default(),
                }).collect();
                estimate.on_reports(start + Duration::from_millis(50 * n as u64), &reports);
                prop_assert!((1e5..=4e7).contains(&estimate.target_bitrate()));
            }
        }
    }
}
