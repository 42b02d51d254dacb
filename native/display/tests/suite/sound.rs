//! Sound of a peer that misbehaves, and of a real QEMU without a guest.

use crate::common::double::{Double, Manners, Pixels as Bytes, connected};
use crate::common::{PATIENCE, start_qemu};
use sampan_display::FaultKind;
use zbus::message::Flags;
use zbus::{Connection, DynamicType, Message};

const OUT: &str = "org.qemu.Display1.AudioOutListener";
const IN: &str = "org.qemu.Display1.AudioInListener";

/// An answer's array of bytes.
fn bytes_of(message: &Message) -> Vec<u8> {
    message.body().deserialize::<&[u8]>().unwrap().to_vec()
}

/// Stream, bits, signed, float, rate, channels, bytes of a frame and of a second, big-endian.
type Init = (u64, u8, bool, bool, u32, u8, u32, u32, bool);

const CD: Init = (1, 16, true, false, 44_100, 2, 4, 176_400, false);

async fn call<B>(connection: &Connection, interface: &str, member: &str, body: &B) -> Result<Message, String>
where
    B: serde::Serialize + DynamicType,
{
    let path = format!("/{}", interface.replace('.', "/"));
    let called = connection.call_method(None::<&str>, &*path, Some(interface), member, body);
    tokio::time::timeout(PATIENCE, called).await.expect("an answer").map_err(|e| e.to_string())
}

/// Both ends, once the double has taken the second, of which the display does not wait to hear.
async fn listeners(double: &Double) -> (Connection, Connection) {
    let both = async {
        loop {
            if let [out, inward, ..] = &double.sound.lock().unwrap()[..] {
                return (out.clone(), inward.clone());
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("two listeners")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_sound_is_refused_and_logged_once() {
    let (double, display) = connected(Manners { sound: true, ..Manners::default() }).await;
    let (out, inward) = listeners(&double).await;
    let sound = display.sound().expect("a card").clone();
    // Nothing was described yet.
    assert!(call(&out, OUT, "Write", &(1u64, Bytes(&[0; 4]))).await.is_err());
    assert!(call(&out, OUT, "SetEnabled", &(1u64, true)).await.is_err());
    for bad in [
        (1, 16, true, false, 0, 2, 4, 0, false),
        (1, 16, true, false, u32::MAX, 2, 4, u32::MAX, false),
        (1, 0, true, false, 44_100, 2, 0, 0, false),
        (1, 255, true, true, 44_100, 255, u32::MAX, u32::MAX, true),
        (1, 16, true, false, 44_100, 2, 5, 176_400, false),
    ] as [Init; 5]
    {
        assert!(call(&out, OUT, "Init", &bad).await.is_err(), "{bad:?}");
        assert!(call(&inward, IN, "Init", &bad).await.is_err(), "{bad:?}");
    }
    assert!(call(&out, OUT, "Init", &(1u64, 2u64)).await.is_err());
    assert!(call(&out, OUT, "Dance", &()).await.is_err());
    assert!(call(&inward, OUT, "Write", &(1u64, Bytes(&[]))).await.is_err());
    // Whatever is asked of a recording is answered with something, and not with much.
    for size in [0, 3, 1 << 20, u64::MAX] {
        let answer = call(&inward, IN, "Read", &(9u64, size)).await.expect("silence");
        let bytes = bytes_of(&answer);
        assert!(bytes.len() as u64 <= size.min(64 << 10) && bytes.iter().all(|byte| *byte == 0), "{size}");
    }
    // It goes on as if nothing had been.
    call(&out, OUT, "Init", &CD).await.expect("a stream");
    call(&out, OUT, "SetVolume", &(1u64, false, Bytes(&[255; 200]))).await.expect("loud");
    call(&out, OUT, "SetEnabled", &(1u64, true)).await.expect("plays");
    assert!(sound.activity().borrow().is_playing);
    let mut playback = sound.output().listen();
    let loud: Vec<u8> = (0..8_820).flat_map(|_| 16_384i16.to_le_bytes()).collect();
    for _ in 0..2 {
        call(&out, OUT, "Write", &(1u64, Bytes(&loud))).await.expect("is played");
    }
    let mut frames = [[0.0; 2]; 960];
    playback.pull(&mut frames);
    assert!((frames[900][0] - 0.5).abs() < 1e-3, "{:?}", frames[900]);
    call(&inward, IN, "Init", &CD).await.expect("a stream");
    call(&inward, IN, "SetEnabled", &(1u64, true)).await.expect("records");
    let bytes = bytes_of(&call(&inward, IN, "Read", &(1u64, 4_000u64)).await.expect("silence"));
    assert!(bytes.len() <= 4_000 && bytes.len().is_multiple_of(4) && bytes.iter().all(|byte| *byte == 0));
    let kinds: Vec<FaultKind> = display.faults().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        [FaultKind::Arguments, FaultKind::UnknownMember, FaultKind::SoundStream, FaultKind::SoundData]
    );
    // The emulator goes: the guest does nothing any more.
    drop((out, inward));
    double.sound.lock().unwrap().clear();
    let mut activity = sound.activity();
    let over = activity.wait_for(|activity| !activity.is_playing && !activity.is_recording);
    tokio::time::timeout(PATIENCE, over).await.expect("an end").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_nobody_hears_fills_nothing() {
    let (double, display) = connected(Manners { sound: true, ..Manners::default() }).await;
    let (out, _inward) = listeners(&double).await;
    call(&out, OUT, "Init", &CD).await.expect("a stream");
    let playback = display.sound().unwrap().output().listen();
    let piece = vec![1; 3_840];
    for _ in 0..20_000 {
        let message = Message::method_call("/org/qemu/Display1/AudioOutListener", "Write")
            .interface(OUT)
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .build(&(1u64, Bytes(&piece)))
            .unwrap();
        out.send(&message).await.unwrap();
    }
    call(&out, OUT, "SetEnabled", &(1u64, false)).await.expect("it still answers");
    assert_eq!(display.faults(), []);
    drop(playback);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_card_is_connected_and_one_without_is_none() {
    let mut with = start_qemu(&[
        "-device",
        "VGA",
        "-audiodev",
        "dbus,id=a,out.frequency=48000,in.frequency=48000,nsamples=960",
        "-display",
        "dbus,p2p=on,audiodev=a",
        "-device",
        "intel-hda",
        "-device",
        "hda-duplex,audiodev=a",
    ]);
    let display = with.display().await;
    assert!(display.sound().is_some());
    assert_eq!(display.faults(), []);
    let mut without = start_qemu(&["-device", "VGA"]);
    let display = without.display().await;
    assert!(display.sound().is_none());
    assert_eq!(display.faults(), []);
}
