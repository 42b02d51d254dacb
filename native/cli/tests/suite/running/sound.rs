use super::Machine;
use serde_json::json;

/// The wave of a WAV file with 16 bits and two channels.
fn wave(file: &std::path::Path) -> Vec<u8> {
    let bytes = std::fs::read(file).expect("a file");
    assert_eq!(&bytes[..4], b"RIFF");
    bytes[44..].to_vec()
}

#[test]
fn a_machines_sound_is_set_written_to_a_file_and_given_one() {
    let machine = Machine::new();
    let sound = |arguments: &[&str]| machine.0.json(&[&["sound", "vm"], arguments].concat());
    // At rest, for later starts.
    assert_eq!(sound(&["--volume", "30", "--mute"])["sound"]["volume"], 30);
    let early = machine.0.path("early.wav").display().to_string();
    machine.0.refused(&["sound", "vm", "--to", &early, "--for", "1"]);
    assert!(!std::path::Path::new(&early).exists());
    machine.start();
    machine.until("its sound", |status| status["sound"]["muted"] == json!(true));
    // While it runs, at once, and the rest stays.
    let told = sound(&["--unmute", "--microphone", "on"]);
    let wanted =
        json!({ "playing": false, "recording": false, "volume": 30, "muted": false, "microphone": true });
    assert_eq!(told["sound"], wanted);
    assert_eq!(machine.status()["sound"], wanted);
    let heard = machine.0.path("heard.wav");
    let name = heard.display().to_string();
    let told = sound(&["--to", &name, "--for", "1"]);
    assert_eq!(told["peak"], 0.0);
    let seconds = wave(&heard).len() as f64 / 192_000.0;
    assert!((told["seconds"].as_f64().expect("a number") - seconds).abs() < 0.01, "{told}");
    assert!(seconds > 0.5, "{seconds}");
    assert!(wave(&heard).iter().all(|byte| *byte == 0), "a guest that plays nothing is silent");
    // A file is sent to its end, in its own time.
    let begun = std::time::Instant::now();
    sound(&["--from", &name]);
    assert!(begun.elapsed().as_secs_f64() > seconds - 0.1);
    std::fs::write(machine.0.path("text.wav"), "no sound").expect("writes");
    let text = machine.0.path("text.wav").display().to_string();
    assert!(machine.0.refused(&["sound", "vm", "--from", &text]).contains("WAV"));
    machine.0.json(&["stop", "vm", "--force"]);
    machine.start();
    machine.until("its sound", |status| status["sound"] == wanted);
}
