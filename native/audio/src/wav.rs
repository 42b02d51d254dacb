//! Files: WAVE with PCM.

use crate::endpoint::{Sink, Source};
use crate::kernel::{BEFORE, Kernel, TAPS};
use crate::{AudioError, Frame, RATE, Result, SILENCE};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::io::{Read, Seek, Write};

/// Frames after which the file's header is brought up to date, so that a program that is killed leaves a file that can be read.
const UP_TO_DATE: u32 = RATE;

/// The most frames of a file: its sizes have 32 bits. Some six hours.
const MOST: u32 = (u32::MAX - 1024) / 4;

/// Writes 16 bits, two channels, 48000 frames a second.
pub struct WavSink<W: Write + Seek>(Option<WavWriter<W>>);

impl<W: Write + Seek> WavSink<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(file: W) -> Result<Self> {
        let spec =
            WavSpec { channels: 2, sample_rate: RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        Ok(Self(Some(WavWriter::new(file, spec)?)))
    }
}

impl<W: Write + Seek + Send> Sink for WavSink<W> {
    fn write(&mut self, frames: &[Frame]) -> Result<()> {
        let Some(writer) = &mut self.0 else { return Ok(()) };
        for frame in frames {
            if writer.duration() >= MOST {
                return Err(AudioError::WavFull);
            }
            for sample in frame {
                // `as` ends at the largest number there is.
                writer.write_sample((sample * 32_768.0).round() as i16)?;
            }
            if writer.duration() % UP_TO_DATE == 0 {
                writer.flush()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self.0.take() {
            Some(writer) => Ok(writer.finalize()?),
            None => Ok(()),
        }
    }
}

/// Reads PCM of 8 to 32 bits and floats, of any rate and number of channels that sound cards have.
pub struct WavSource<R: Read> {
    reader: WavReader<R>,
    kernel: Kernel,
    step: f64,
    /// What is read of the file, beginning [`BEFORE`] frames before the place.
    frames: Vec<Frame>,
    place: f64,
    /// Frames of silence behind the end that are still to be given to the kernel.
    rest: usize,
}

impl<R: Read> WavSource<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`AudioError`]: it is no such file.
    pub fn new(file: R) -> Result<Self> {
        let reader = WavReader::new(file)?;
        let WavSpec { channels, sample_rate, .. } = reader.spec();
        if !(1..=8).contains(&channels) || !(4_000..=192_000).contains(&sample_rate) {
            return Err(AudioError::Wav(format!(
                "it has {channels} channels and {sample_rate} frames a second"
            )));
        }
        let step = f64::from(sample_rate) / f64::from(RATE);
        Ok(Self {
            reader,
            kernel: Kernel::new(step),
            step,
            frames: vec![SILENCE; BEFORE],
            place: 0.0,
            rest: TAPS - BEFORE - 1,
        })
    }

    fn frame(&mut self) -> Result<Option<Frame>> {
        let WavSpec { channels, bits_per_sample, sample_format, .. } = self.reader.spec();
        let mut frame = SILENCE;
        for channel in 0..channels {
            let sample = match sample_format {
                SampleFormat::Float => self.reader.samples::<f32>().next().transpose()?,
                SampleFormat::Int => {
                    let full = f64::from(1u32 << (bits_per_sample.clamp(1, 32) - 1));
                    let sample = self.reader.samples::<i32>().next().transpose()?;
                    sample.map(|sample| (f64::from(sample) / full) as f32)
                }
            };
            let Some(sample) = sample else { return Ok(None) };
            let sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
            match channel {
                0 => frame = [sample; 2],
                1 => frame[1] = sample,
                _ => {}
            }
        }
        Ok(Some(frame))
    }

    /// Has at least as many frames as the kernel needs. False at the end.
    fn fill(&mut self) -> Result<bool> {
        while self.frames.len() < TAPS {
            match self.frame()? {
                Some(frame) => self.frames.push(frame),
                None if self.rest > 0 => {
                    self.rest -= 1;
                    self.frames.push(SILENCE);
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl<R: Read + Send> Source for WavSource<R> {
    fn read(&mut self, frames: &mut [Frame]) -> Result<usize> {
        for (done, frame) in frames.iter_mut().enumerate() {
            if !self.fill()? {
                return Ok(done);
            }
            let around: &[Frame] = &self.frames;
            let around = around.first_chunk::<TAPS>().expect("fill has returned true");
            *frame = self.kernel.at(around, self.place);
            self.place += self.step;
            for _ in 0..self.place as usize {
                // A fast file passes some frames without looking at them.
                if !self.fill()? {
                    break;
                }
                self.frames.remove(0);
            }
            self.place = self.place.fract();
        }
        Ok(frames.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file(spec: WavSpec, samples: &[i32]) -> Cursor<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("writes");
        for &sample in samples {
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(sample).expect("writes"),
                SampleFormat::Float => writer.write_sample(sample as f32 / 32_768.0).expect("writes"),
            }
        }
        writer.finalize().expect("writes");
        Cursor::new(bytes.into_inner())
    }

    fn all(source: &mut dyn Source) -> Vec<Frame> {
        let mut all = Vec::new();
        let mut piece = [SILENCE; 700];
        loop {
            match source.read(&mut piece).expect("reads") {
                0 => return all,
                read => all.extend_from_slice(&piece[..read]),
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let frames: Vec<Frame> =
            (0..5_000i16).map(|n| [f32::from(n) / 32_768.0, f32::from(-n * 3) / 32_768.0]).collect();
        let mut bytes = Cursor::new(Vec::new());
        let mut sink = WavSink::new(&mut bytes).expect("begins");
        for piece in frames.chunks(77) {
            sink.write(piece).expect("writes");
        }
        sink.finish().expect("ends");
        drop(sink);
        let mut source = WavSource::new(Cursor::new(bytes.into_inner())).expect("reads");
        assert_eq!(all(&mut source), frames);
    }

    #[test]
    fn a_file_that_was_never_finished_has_what_was_written_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().join("killed.wav");
        let mut sink = WavSink::new(std::io::BufWriter::new(std::fs::File::create(&name).expect("a file")))
            .expect("begins");
        sink.write(&vec![[0.5; 2]; 100_000]).expect("writes");
        let mut source = WavSource::new(std::fs::File::open(&name).expect("opens")).expect("reads");
        assert_eq!(all(&mut source).len(), 96_000);
        drop(sink);
    }

    #[test]
    fn other_rates_and_kinds_sound_the_same() {
        for (rate, bits, format, channels) in [
            (8_000, 16, SampleFormat::Int, 1),
            (44_100, 16, SampleFormat::Int, 2),
            (96_000, 24, SampleFormat::Int, 2),
            (44_100, 32, SampleFormat::Float, 6),
        ] {
            let tone = |n: u32| (f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin();
            let full = if bits == 24 { 4_194_304.0 } else { 16_384.0 };
            let samples: Vec<i32> =
                (0..rate).flat_map(|n| (0..channels).map(move |_| (tone(n) * full) as i32)).collect();
            let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
            let frames = all(&mut WavSource::new(file(spec, &samples)).expect("reads"));
            assert!(frames.len().abs_diff(48_000) <= 12, "{rate}: {} frames", frames.len());
            for (n, frame) in frames.iter().enumerate().skip(500).take(47_000) {
                let wanted = 0.5 * (n as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin() as f32;
                assert!((frame[1] - wanted).abs() < 0.002, "{rate} at {n}: {} {wanted}", frame[1]);
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_an_error() {
        let spec = WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let good = file(spec, &[1; 2_000]).into_inner();
        for length in 0..good.len().min(60) {
            let told =
                WavSource::new(Cursor::new(&good[..length])).map(|mut source| source.read(&mut [SILENCE; 4]));
            assert!(!matches!(told, Ok(Ok(1..))), "{length}");
        }
        assert!(WavSource::new(Cursor::new(b"RIFF but no more of it than this".to_vec())).is_err());
        let mut slow = spec;
        slow.sample_rate = 100;
        assert!(WavSource::new(file(slow, &[1; 20])).is_err());
    }
}
