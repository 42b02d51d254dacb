//! A producer and a consumer whose clocks differ, and who both are late now and then.

use sampan_audio::{Frame, JitterBuffer, SILENCE};
use std::time::Duration;

/// Slow, so that an hour of it is computed in a moment.
const RATE: u32 = 8_000;

/// Not random, but irregular.
struct Irregular(u64);

impl Irregular {
    fn next(&mut self, most: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64 * most
    }
}

/// A producer whose clock runs `drift` faster than the consumer's.
struct Producer {
    drift: f64,
    late: f64,
    piece: usize,
    hz: f64,
    made: usize,
    next: f64,
    irregular: Irregular,
}

impl Producer {
    fn new(drift: f64, late: f64) -> Self {
        Self {
            drift,
            late,
            piece: RATE as usize / 50,
            hz: 200.0,
            made: 0,
            next: 0.0,
            irregular: Irregular(1),
        }
    }

    fn sample(&self, n: usize) -> f32 {
        (0.5 * (n as f64 * self.hz * std::f64::consts::TAU / f64::from(RATE)).sin()) as f32
    }

    /// Pushes what is ready at `now`.
    fn run(&mut self, now: f64, buffer: &mut JitterBuffer) {
        while self.next <= now {
            let piece: Vec<Frame> =
                (self.made..self.made + self.piece).map(|n| [self.sample(n); 2]).collect();
            self.made += self.piece;
            buffer.push(Duration::from_secs_f64(self.next), &piece);
            let due = self.made as f64 / (f64::from(RATE) * (1.0 + self.drift));
            self.next = (due + self.irregular.next(self.late)).max(self.next);
        }
    }
}

/// The largest step from frame to frame.
#[derive(Default)]
struct Steps {
    last: f32,
    largest: f32,
}

impl Steps {
    fn look(&mut self, frames: &[Frame]) {
        for frame in frames {
            self.largest = self.largest.max((frame[0] - self.last).abs());
            self.last = frame[0];
        }
    }
}

/// The largest step of half a scale's tone of 200 Hz at 8000 frames a second, and a little: fades and other speeds add to it.
const STEP: f32 = 0.5 * 0.157 * 1.25;

fn pull(buffer: &mut JitterBuffer, now: f64, frames: &mut [Frame]) -> bool {
    buffer.pull(Duration::from_secs_f64(now), frames)
}

#[test]
fn an_hour_of_two_clocks_that_differ() {
    for (drift, late) in [(0.0, 0.0), (3e-4, 0.008), (-3e-4, 0.008), (1e-3, 0.002), (-1e-3, 0.002)] {
        let mut buffer = JitterBuffer::new(RATE, RATE);
        let mut producer = Producer::new(drift, late);
        let mut irregular = Irregular(7);
        let mut steps = Steps::default();
        let mut frames = [SILENCE; 171];
        let mut longest = Duration::ZERO;
        let mut silent = 0;
        for n in 0..3600 * RATE as usize / frames.len() {
            let now = 1.0 + (n * frames.len()) as f64 / f64::from(RATE) + irregular.next(late / 2.0);
            producer.run(now - 1.0, &mut buffer);
            let is_sound = pull(&mut buffer, now - 1.0, &mut frames);
            silent += usize::from(!is_sound);
            steps.look(&frames);
            longest = longest.max(buffer.latency());
        }
        assert!(silent < 6, "{drift}: {silent} pieces of silence");
        assert_eq!(buffer.counts(), Default::default(), "{drift} with {late} s");
        assert!(longest <= Duration::from_millis(60), "{drift} with {late} s: {longest:?}");
        assert!(steps.largest <= STEP, "{drift} with {late} s: a step of {}", steps.largest);
    }
}

/// What a stream pulls: 10 ms at a time, with little kept for what is late, by clocks that differ as computers' do.
#[test]
fn an_hour_of_a_small_margin() {
    for (drift, late) in [(2e-4, 0.002), (-2e-4, 0.002), (2e-4, 0.008), (-2e-4, 0.008)] {
        let mut buffer = JitterBuffer::new(RATE, RATE).with_margin(Duration::from_millis(10));
        let mut producer = Producer::new(drift, late);
        producer.piece = RATE as usize / 100;
        let mut irregular = Irregular(3);
        let mut steps = Steps::default();
        let mut frames = [SILENCE; RATE as usize / 100];
        let (mut longest, mut silent) = (Duration::ZERO, 0);
        for n in 0..360_000 {
            let now = f64::from(n) * 0.01 + irregular.next(late / 2.0);
            producer.run(now, &mut buffer);
            silent += usize::from(!pull(&mut buffer, now, &mut frames));
            steps.look(&frames);
            longest = longest.max(buffer.latency());
        }
        assert!(silent < 6, "{drift} with {late} s: {silent} pieces of silence");
        assert_eq!(buffer.counts(), Default::default(), "{drift} with {late} s");
        assert!(longest <= Duration::from_millis(40), "{drift} with {late} s: {longest:?}");
        assert!(steps.largest <= STEP, "{drift} with {late} s: a step of {}", steps.largest);
    }
}

#[test]
fn at_one_speed_frames_pass_as_they_are() {
    let mut buffer = JitterBuffer::new(RATE, RATE);
    let mut producer = Producer::new(0.0, 0.0);
    let mut heard = Vec::new();
    for n in 0..1000 {
        let now = f64::from(n) * 0.02;
        producer.run(now, &mut buffer);
        let mut frames = [SILENCE; 160];
        pull(&mut buffer, now, &mut frames);
        heard.extend(frames.map(|frame| frame[0]));
    }
    let begin = heard.iter().position(|sample| *sample != 0.0).unwrap();
    // The fade is over by then.
    let from = begin + 300;
    let shift = (0..2_000).find(|n| (0..50).all(|k| producer.sample(n + k) == heard[from + k]));
    let shift = shift.expect("a place of the tone from where it is the same");
    assert!(heard[from..].iter().enumerate().all(|(n, sample)| *sample == producer.sample(shift + n)));
}

#[test]
fn a_stall_and_the_burst_after_it_are_heard_once_and_not_as_clicks() {
    let mut buffer = JitterBuffer::new(RATE, RATE);
    let mut producer = Producer::new(0.0, 0.0);
    let mut steps = Steps::default();
    let mut frames = [SILENCE; 80];
    for n in 0..3_000 {
        let now = f64::from(n) * 0.01;
        // Each five seconds its thread is not run for a while; then all comes at once.
        if n % 500 < 400 || n % 500 >= 400 + (n / 500) * 12 {
            producer.run(now, &mut buffer);
        }
        pull(&mut buffer, now, &mut frames);
        steps.look(&frames);
        assert!(buffer.latency() <= Duration::from_millis(80), "at {now}: {:?}", buffer.latency());
    }
    assert!(buffer.counts().dry <= 5 && buffer.counts().dry >= 3, "{:?}", buffer.counts());
    assert!(steps.largest <= STEP * 1.3, "a step of {}", steps.largest);
}

#[test]
fn a_reader_that_comes_back_hears_what_is_now() {
    let mut buffer = JitterBuffer::new(RATE, RATE);
    let mut producer = Producer::new(0.0, 0.0);
    let mut steps = Steps::default();
    let mut frames = [SILENCE; 160];
    for n in 0..1_000 {
        let now = f64::from(n) * 0.02;
        producer.run(now, &mut buffer);
        // It reads nothing for 5 s, in which much more comes than is kept.
        if !(200..450).contains(&n) {
            pull(&mut buffer, now, &mut frames);
            steps.look(&frames);
        }
        if n == 460 {
            assert!(buffer.latency() <= Duration::from_millis(60), "{:?}", buffer.latency());
        }
    }
    assert!(buffer.counts().dry == 0, "{:?}", buffer.counts());
}

#[test]
fn a_sound_that_ends_is_played_to_its_end_however_short() {
    for length in [8, 80, 160, 1_000] {
        let mut buffer = JitterBuffer::new(RATE, RATE);
        buffer.push(Duration::ZERO, &vec![[0.5; 2]; length]);
        buffer.end();
        let mut frames = vec![SILENCE; 2_000];
        assert!(pull(&mut buffer, 0.0, &mut frames));
        let sound = frames.iter().filter(|frame| frame[0] != 0.0).count();
        assert!(sound.abs_diff(length.min(length)) <= 9, "{length}: {sound}");
        assert_eq!(buffer.counts().dry, 0);
        let step = frames.windows(2).map(|two| (two[1][0] - two[0][0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.01 || length < 20, "{length}: a step of {step}");
        assert!(!pull(&mut buffer, 0.1, &mut frames), "there is no more");
    }
}

#[test]
fn a_short_sound_without_an_end_is_played_all_the_same() {
    let mut buffer = JitterBuffer::new(RATE, RATE);
    buffer.push(Duration::ZERO, &[[0.5; 2]; 40]);
    let mut frames = [SILENCE; 160];
    assert!(!pull(&mut buffer, 0.01, &mut frames));
    assert!(pull(&mut buffer, 0.2, &mut frames));
}

#[test]
fn nobody_reads_and_nothing_grows() {
    let mut buffer = JitterBuffer::new(48_000, 48_000);
    for n in 0..1_000u64 {
        buffer.push(Duration::from_millis(n * 20), &[[0.1; 2]; 960]);
    }
    let mut frames = vec![SILENCE; 48_000 * 2];
    pull(&mut buffer, 20.0, &mut frames);
    assert!(frames.iter().filter(|frame| frame[0] != 0.0).count() <= 48_000);
}

#[test]
fn another_rate_is_the_same_tone() {
    for from in [8_000u32, 44_100, 96_000] {
        let mut buffer = JitterBuffer::new(from, 48_000);
        let tone = |n: u32, rate: u32| {
            (f64::from(n) * 1_000.0 * std::f64::consts::TAU / f64::from(rate)).sin() as f32
        };
        let piece = from / 50;
        let mut heard = Vec::new();
        for n in 0..100 {
            let now = f64::from(n) * 0.02;
            let frames: Vec<Frame> = (n * piece..(n + 1) * piece).map(|n| [tone(n, from); 2]).collect();
            buffer.push(Duration::from_secs_f64(now), &frames);
            let mut frames = [SILENCE; 960];
            pull(&mut buffer, now, &mut frames);
            heard.extend(frames.map(|frame| frame[0]));
        }
        let heard = &heard[20_000..68_000];
        let crossings = heard.windows(2).filter(|two| two[0] <= 0.0 && two[1] > 0.0).count();
        assert!(crossings.abs_diff(1_000) <= 1, "{from}: {crossings} Hz");
        let peak = heard.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.97..=1.01).contains(&peak), "{from}: {peak}");
    }
}
