//! Sound both ways, over real sockets: who hears what the guest plays, and whom the guest hears.

use crate::common::guest::{PCM, Player, TestGuest};
use crate::common::{Client, OPUS, RED, VOICE, until, within};
use bytes::Bytes;
use rtc::rtp;
use sampan_audio::{Frame, RATE};
use sampan_stream::codec::opus::{Decoder, Encoder, PACKET};
use sampan_stream::{Rates, Server, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use webrtc::media_stream::track_local::TrackLocal;

async fn serve(guest: &Arc<TestGuest>) -> Server {
    // The path is known to be wide: what sound is sent as depends on it.
    let rates = Rates { initial: 12_000_000, ..ServerConfig::default().rates };
    Server::start(ServerConfig { rates, ..ServerConfig::default() }, guest.clone()).await.expect("serves")
}

async fn want(client: &Client, hear: bool, speak: bool) {
    let text = format!(r#"{{"t":"sound","hear":{hear},"speak":{speak}}}"#);
    client.keys.send_text(&text).await.expect("sends");
}

/// The newest packet in a redundant one.
fn newest(packet: &rtp::Packet) -> Bytes {
    let payload = &packet.payload;
    if packet.header.payload_type == OPUS {
        return payload.clone();
    }
    assert_eq!(packet.header.payload_type, RED);
    let (mut at, mut before) = (0, 0);
    while payload[at] & 0x80 != 0 {
        before += usize::from(payload[at + 2] & 3) << 8 | usize::from(payload[at + 3]);
        at += 4;
    }
    assert_eq!(payload[at], OPUS);
    payload.slice(at + 1 + before..)
}

fn pitch(frames: &[Frame]) -> f64 {
    let rises = frames.windows(2).filter(|two| two[0][0] < 0.0 && two[1][0] >= 0.0).count();
    rises as f64 * f64::from(RATE) / frames.len() as f64
}

fn peak(frames: &[Frame]) -> f32 {
    frames.iter().flatten().fold(0.0, |peak, sample| sample.abs().max(peak))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_to_hears_what_the_guest_plays_and_nothing_is_encoded_for_nobody() {
    let guest = TestGuest::with_sound(640, 360);
    let server = serve(&guest).await;
    let player = Player::start(&guest, 440.0, 0.5);
    let mut first = Client::connect_with_sound(&server.url()).await;
    let mut second = Client::connect_with_sound(&server.url()).await;
    let told = first.message("\"t\":\"sound\"").await;
    assert_eq!(told, r#"{"t":"sound","microphone":false,"recording":false}"#);
    second.message("\"t\":\"sound\"").await;
    // A picture that comes says that time has passed in which sound could have come.
    first.frame().await;
    assert_eq!(server.stats().sound_packets, 0, "nobody has asked for it");

    want(&first, true, false).await;
    let (mut decoder, mut frames) = (Decoder::new().expect("made"), Vec::new());
    let mut last: Option<(u16, u32)> = None;
    let mut most_again = 0;
    for count in 0..60 {
        let packet = within("sound", first.sounds.recv()).await.expect("sound");
        let (sequence, timestamp) = (packet.header.sequence_number, packet.header.timestamp);
        if let Some((before, time)) = last {
            assert_eq!(sequence.wrapping_sub(before), 1);
            assert_eq!(timestamp.wrapping_sub(time) % PACKET as u32, 0);
        }
        assert_eq!(packet.header.marker, count == 0, "silence was before the first alone");
        last = Some((sequence, timestamp));
        if packet.header.payload_type == RED {
            let heads = packet.payload.chunks(4).take_while(|head| head[0] & 0x80 != 0);
            most_again = most_again.max(heads.count());
        }
        decoder.decode(&newest(&packet), &mut frames).expect("Opus");
    }
    assert_eq!(most_again, 2, "packets come with those before them while the path takes it");
    let heard = &frames[RATE as usize / 5..];
    assert!((pitch(heard) - 440.0).abs() < 10.0, "{} Hz", pitch(heard));
    assert!((0.4..0.6).contains(&peak(heard)), "{}", peak(heard));
    assert!(second.sounds.try_recv().is_err(), "who has not asked hears nothing");

    // One encoder for both.
    want(&second, true, false).await;
    within("sound", second.sounds.recv()).await.expect("sound");
    let viewers = server.stats().viewers;
    assert_eq!(viewers.iter().filter(|viewer| viewer.hears).count(), 2, "{viewers:?}");
    let begun = std::time::Instant::now();
    let before = server.stats().sound_packets;
    for _ in 0..50 {
        within("sound", second.sounds.recv()).await.expect("sound");
    }
    let (encoded, due) = (server.stats().sound_packets - before, begun.elapsed().as_millis() as u64 / 10);
    assert!(encoded <= due + 20, "{encoded} packets in the time of {due}");

    // Who leaves without a word leaves, too.
    want(&first, false, false).await;
    second.close().await;
    until("its departure", || server.stats().viewers.len() == 1).await;
    until("the end of hearing", || server.stats().viewers.iter().all(|viewer| !viewer.hears)).await;
    let quiet = server.stats().sound_packets;
    first.keys.send_text(r#"{"t":"resize","w":800,"h":600,"mmw":0,"mmh":0}"#).await.expect("sends");
    until("a turn of the viewer's", || !guest.resized.lock().expect("ok").is_empty()).await;
    assert!(server.stats().sound_packets <= quiet + 2, "the last packet may have been on its way");
    drop(player);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_costs_no_packet_and_what_follows_it_is_heard_in_its_time() {
    let guest = TestGuest::with_sound(640, 360);
    let server = serve(&guest).await;
    let mut client = Client::connect_with_sound(&server.url()).await;
    client.message("\"t\":\"sound\"").await;
    want(&client, true, false).await;
    until("hearing", || server.stats().viewers[0].hears).await;
    // Zeros for ten times as long as silence is sent after a sound.
    let silent = Player::start(&guest, 440.0, 0.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(silent);
    assert_eq!(server.stats().sound_packets, 0);

    let mut ends = Vec::new();
    for _ in 0..2 {
        let player = Player::start(&guest, 440.0, 0.5);
        let first = within("sound", client.sounds.recv()).await.expect("sound");
        assert!(first.header.marker, "it begins anew");
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(player);
        // What is there is sent to its end, and then no more.
        let mut last = first.header.timestamp;
        while let Ok(Some(packet)) = tokio::time::timeout(Duration::from_secs(1), client.sounds.recv()).await
        {
            // On a busy computer the player may stumble; what follows that begins anew, and nothing else does.
            let passed = packet.header.timestamp.wrapping_sub(last) as usize;
            assert!(!packet.header.marker || passed > PACKET, "a beginning {passed} after the last");
            last = packet.header.timestamp;
        }
        ends.push((first.header.timestamp, last));
    }
    let gap = ends[1].0.wrapping_sub(ends[0].1);
    assert!(gap >= RATE * 9 / 10, "a second of silence is one in the times of packets, not {gap}");
    server.stop().await;
}

/// Says a tone until it is dropped, in packets of 10 ms.
fn say(client: &Client, hz: f32) -> tokio::task::JoinHandle<()> {
    let voice = client.voice.clone().expect("sound");
    tokio::spawn(async move {
        let mut encoder = Encoder::new().expect("made");
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for number in 0u32.. {
            ticks.tick().await;
            let sample = |n: usize| {
                let at = (number as usize * PACKET + n) as f32;
                [(at * hz * std::f32::consts::TAU / RATE as f32).sin() * 0.4; 2]
            };
            let payload = encoder.encode(&std::array::from_fn(sample)).expect("encoded");
            let header = rtp::header::Header {
                version: 2,
                payload_type: OPUS,
                sequence_number: number as u16,
                timestamp: number * PACKET as u32,
                ssrc: VOICE,
                ..Default::default()
            };
            // The connection may have gone with the test.
            let _ = voice.write_rtp(rtp::Packet { header, payload }).await;
        }
    })
}

/// What the guest records in so many milliseconds.
async fn record(guest: &TestGuest, milliseconds: u64) -> Vec<Frame> {
    let (_, input) = guest.sound.as_ref().expect("a sound card");
    let (mut bytes, begun) = (Vec::new(), std::time::Instant::now());
    while begun.elapsed() < Duration::from_millis(milliseconds) {
        input.read(1, 1920, &mut bytes).expect("records");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut frames = Vec::new();
    sampan_audio::Format::WIRE.decode(&bytes, &mut frames);
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_hears_whoever_drives_and_wants_it_while_its_owner_allows_it() {
    let guest = TestGuest::with_sound(640, 360);
    let (_, input) = guest.sound.clone().expect("a sound card");
    let server = serve(&guest).await;
    let mut driver = Client::connect_with_sound(&server.url()).await;
    driver.message("\"t\":\"sound\"").await;
    let mut other = Client::connect_with_sound(&server.url()).await;
    other.message("\"t\":\"sound\"").await;
    let voices = [say(&driver, 700.0), say(&other, 1_300.0)];
    input.init(1, &PCM).expect("a stream");
    input.set_enabled(1, true).expect("a stream");
    want(&driver, false, true).await;
    want(&other, false, true).await;
    until("the microphone", || server.stats().viewers.iter().filter(|viewer| viewer.speaks).count() == 1)
        .await;
    assert_eq!(peak(&record(&guest, 300).await), 0.0, "the machine's setting does not allow it");

    input.allow_microphone(true);
    let told = driver.message("\"recording\":true").await;
    if !told.contains("\"microphone\":true") {
        driver.message("\"microphone\":true").await;
    }
    let heard = within("the voice", async {
        loop {
            let heard = record(&guest, 500).await;
            if peak(&heard[heard.len() / 2..]) > 0.3 {
                return record(&guest, 500).await;
            }
        }
    })
    .await;
    assert!((pitch(&heard) - 700.0).abs() < 20.0, "{} Hz: the driver's alone", pitch(&heard));

    // It goes silent with the page's switch, with the driver, and with the setting.
    want(&driver, false, false).await;
    until("its end", || server.stats().viewers.iter().all(|viewer| !viewer.speaks)).await;
    record(&guest, 200).await;
    assert_eq!(peak(&record(&guest, 300).await), 0.0, "it is off");
    other.keys.send_text(r#"{"t":"ask"}"#).await.expect("sends");
    want(&driver, false, true).await;
    until("the other's part", || {
        let viewers = server.stats().viewers;
        viewers.iter().any(|viewer| viewer.driving && viewer.speaks && viewer.label == "2")
    })
    .await;
    record(&guest, 300).await;
    let heard = record(&guest, 500).await;
    assert!((pitch(&heard) - 1_300.0).abs() < 30.0, "{} Hz: whoever drives now", pitch(&heard));
    input.allow_microphone(false);
    record(&guest, 200).await;
    assert_eq!(peak(&record(&guest, 300).await), 0.0, "the owner has taken it back");
    voices.iter().for_each(tokio::task::JoinHandle::abort);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_without_a_sound_card_is_seen_all_the_same() {
    let guest = TestGuest::new(640, 360);
    let server = serve(&guest).await;
    let mut client = Client::connect_with_sound(&server.url()).await;
    client.frame().await;
    // A picture may come before the channels are open.
    client.message("\"status\"").await;
    want(&client, true, true).await;
    client.keys.send_text(r#"{"t":"resize","w":800,"h":600,"mmw":0,"mmh":0}"#).await.expect("sends");
    until("a turn of the viewer's", || !guest.resized.lock().expect("ok").is_empty()).await;
    while let Ok(message) = client.messages.try_recv() {
        assert!(!message.contains("\"t\":\"sound\""), "{message}");
    }
    assert_eq!(server.stats().sound_packets, 0);
    server.stop().await;
}
