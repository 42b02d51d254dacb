//! One viewer's part in the guest's sound: what it hears, and what the guest hears of it.

use crate::drive::People;
use crate::sound::{Sound, Voice, VoicePacket};
use crate::transport::{Connection, Flow};
use sampan_audio::{Capture, Origin};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// What a viewer has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// To hear the guest.
    pub hear: bool,
    /// To be heard by it.
    pub speak: bool,
}

/// What a page is told of the guest's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundStatus {
    /// Whether the machine's settings let the guest hear a microphone.
    pub microphone: bool,
    /// Whether the guest records now.
    pub recording: bool,
}

impl SoundStatus {
    /// How it is now.
    pub fn of(sound: &Sound) -> Self {
        let Some(input) = sound.input() else { return Self::default() };
        Self { microphone: input.is_microphone_allowed(), recording: input.is_recording() }
    }
}

/// Sends the viewer what the guest plays while it wants to hear it. Does not end.
pub async fn play(
    connection: Arc<dyn Connection>,
    sound: Arc<Sound>,
    flow: &Flow,
    mut wants: watch::Receiver<Wants>,
) {
    while wants.wait_for(|wants| wants.hear).await.is_ok() {
        let ear = match sound.hear() {
            Ok(ear) => ear,
            Err(error) => {
                log::error!("{error}");
                break;
            }
        };
        loop {
            let packet = tokio::select! {
                packet = ear.next() => packet,
                _ = wants.wait_for(|wants| !wants.hear) => break,
            };
            // A viewer that shows no life is sent nothing; what it has missed is over.
            if flow.muted() {
                continue;
            }
            if let Err(error) = connection.send_sound(&packet).await {
                log::debug!("{error}");
                return std::future::pending().await;
            }
        }
    }
    std::future::pending().await
}

/// Lets the guest hear what the viewer says while it drives, wants it, and the machine's settings allow it. Does not end.
pub async fn speak(
    label: String,
    sound: Arc<Sound>,
    mut voice: mpsc::Receiver<VoicePacket>,
    mut people: watch::Receiver<People>,
    mut wants: watch::Receiver<Wants>,
) {
    let mut speaking: Option<(Voice, Capture)> = None;
    let mut frames = Vec::new();
    loop {
        let packet = tokio::select! {
            packet = voice.recv() => match packet {
                Some(packet) => Some(packet),
                None => break,
            },
            Ok(()) = people.changed() => None,
            Ok(()) = wants.changed() => None,
        };
        let may = wants.borrow_and_update().speak && people.borrow_and_update().is_driver(&label);
        let input = sound.input().filter(|input| may && input.is_microphone_allowed());
        let Some(input) = input else {
            // What was on its way is not heard any more.
            speaking = None;
            continue;
        };
        let Some(packet) = packet else { continue };
        // Nobody listens: nothing is decoded.
        if !input.is_recording() {
            speaking = None;
            continue;
        }
        let now = Instant::now();
        if speaking.is_none() {
            let made = Voice::new(now);
            speaking = made.ok().map(|made| (made, input.capture(Origin::Microphone)));
        }
        if let Some((voice, capture)) = &mut speaking {
            frames.clear();
            voice.take(now, &packet, &mut frames);
            capture.push(&frames);
        }
    }
    std::future::pending().await
}
