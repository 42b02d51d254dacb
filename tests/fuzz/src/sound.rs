//! A hostile guest's sound, and hostile files.

use crate::Source;
use sampan_audio::{Described, Input, Origin, Output, SILENCE, Source as _, WavSource};

/// QEMU calls in any order with any numbers, while somebody listens, speaks and turns the volume; then the same bytes are a file.
pub fn sound(data: &[u8]) {
    let mut source = Source::new(data);
    let (output, input) = (Output::new(|_| {}), Input::new(|_| {}));
    let (mut playback, mut capture) = (output.listen(), input.capture(Origin::Microphone));
    let mut frames = [SILENCE; 960];
    while !source.is_empty() {
        let (what, id) = (source.u8(), u64::from(source.u8() % 8));
        // Each refuses or not: what must hold is said below.
        let _ = match what % 10 {
            0 | 1 => {
                let bits = [8, 16, 32, source.u8()][usize::from(source.u8() % 4)];
                let rate =
                    [44_100, 48_000, 192_000, u32::from(source.u16()) << 12][usize::from(source.u8() % 4)];
                let channels = source.u8() % 12;
                let bytes_per_frame =
                    u32::from(channels) * u32::from(bits / 8) + u32::from(source.u8() / 250);
                let bytes_per_second = bytes_per_frame.wrapping_mul(rate);
                let flags = source.u8();
                let (is_signed, is_float, is_big_endian) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                let described = Described {
                    bits,
                    is_signed,
                    is_float,
                    rate,
                    channels,
                    bytes_per_frame,
                    bytes_per_second,
                    is_big_endian,
                };
                if what % 10 == 0 { output.init(id, &described) } else { input.init(id, &described) }
            }
            2 => output
                .set_enabled(id, source.u8().is_multiple_of(2))
                .and(input.set_enabled(id, source.u8().is_multiple_of(2))),
            3 => output.fini(id).and(input.fini(id)),
            4 => output.set_stream_volume(id, source.u8().is_multiple_of(2), source.bytes(3)),
            5 | 6 => {
                let length = source.u16().into();
                output.write(id, source.bytes(length))
            }
            7 => {
                let (size, mut bytes) = (u64::from(source.u16()), Vec::new());
                let read = input.read(id, size, &mut bytes);
                assert!(bytes.len() as u64 <= size);
                // Nobody has allowed anything.
                assert!(read.is_err() || bytes.iter().all(|byte| matches!(byte, 0 | 0x80)));
                read
            }
            8 => {
                capture.push(&[[0.5; 2]; 480]);
                output.set_volume(f32::from(source.u8()) / 100.0, source.u8().is_multiple_of(2));
                Ok(())
            }
            _ => {
                playback.pull(&mut frames);
                assert!(frames.iter().flatten().all(|sample| sample.abs() <= 1.0));
                Ok(())
            }
        };
    }
    if let Ok(mut file) = WavSource::new(data) {
        while let Ok(read @ 1..) = file.read(&mut frames) {
            assert!(frames[..read].iter().flatten().all(|sample| sample.is_finite()));
        }
    }
}
