//! The sound card, by the kernel's OSS emulation: a tone is played, and what is recorded is described.

#![allow(unsafe_code, reason = "ioctls")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::ioctl::{Updater, ioctl};
use tiny_guest::sound::{Heard, RATE, Tone, describe, tone};

use crate::modules::Modules;

/// The card's codec comes before the card, which asks for it while it starts and has nobody here to load it. Then the interface.
const MODULES: [&str; 5] =
    ["snd_hda_codec_generic", "snd_hda_intel", "snd_intel8x0", "snd_pcm_oss", "snd_mixer_oss"];

/// How long a card may take to start.
const STARTING: Duration = Duration::from_secs(20);

const CARD: &str = "/dev/dsp";
const MIXER: &str = "/dev/mixer";

// `include/uapi/linux/soundcard.h`.
const SPEED: u32 = 0xc004_5002;
const SET_FORMAT: u32 = 0xc004_5005;
const CHANNELS: u32 = 0xc004_5006;
const SIGNED_16: i32 = 0x10;
/// The mixer's first control; the others follow.
const MIXER_WRITE: u32 = 0xc004_4d00;
const CONTROLS: u32 = 25;
/// Both sides at 100 %.
const LOUD: i32 = 100 | 100 << 8;

/// Plays a tone to its end.
///
/// # Errors
/// There is no card, or it does not play.
pub fn play(wanted: &Tone, modules: &mut Modules) -> io::Result<()> {
    let mut card = open(OpenOptions::new().write(true), modules)?;
    for piece in tone(wanted).chunks(4096) {
        card.write_all(piece)?;
    }
    // Closing it waits until all has been played.
    drop(card);
    Ok(())
}

/// Records for so many milliseconds.
///
/// # Errors
/// There is no card, or it does not record.
pub fn record(ms: u32, modules: &mut Modules) -> io::Result<Heard> {
    let mut card = open(OpenOptions::new().read(true), modules)?;
    let begun = Instant::now();
    let mut bytes = vec![0; (u64::from(ms) * u64::from(RATE) / 1000 * 4) as usize];
    card.read_exact(&mut bytes)?;
    let took = begun.elapsed().as_millis() as u64;
    Ok(describe(&bytes, took))
}

fn open(options: &OpenOptions, modules: &mut Modules) -> io::Result<File> {
    for name in MODULES {
        modules.load_by_name(name);
    }
    let begun = Instant::now();
    let card = loop {
        match options.open(CARD) {
            Ok(card) => break card,
            Err(error) if begun.elapsed() > STARTING => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    };
    // A card begins silent; one without a mixer has nothing to turn up.
    if let Ok(mixer) = File::open(MIXER) {
        for control in 0..CONTROLS {
            let _ = turn_up(&mixer, control);
        }
    }
    set::<SET_FORMAT>(&card, SIGNED_16)?;
    set::<CHANNELS>(&card, 2)?;
    set::<SPEED>(&card, RATE as i32)?;
    Ok(card)
}

fn set<const WHAT: u32>(file: &File, wanted: i32) -> io::Result<()> {
    let mut value = wanted;
    // SAFETY: these requests read and write one int.
    unsafe { ioctl(file, Updater::<WHAT, i32>::new(&mut value))? };
    if value == wanted {
        Ok(())
    } else {
        Err(io::Error::other(format!("the card wants {value}, not {wanted}")))
    }
}

fn turn_up(mixer: &File, control: u32) -> io::Result<()> {
    macro_rules! controls {
        ($($number:literal)+) => {
            match control {
                $($number => set::<{ MIXER_WRITE + $number }>(mixer, LOUD),)+
                _ => Ok(()),
            }
        };
    }
    controls!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24)
}
