//! What a stranger sends to be paired, and to be let in.

use sampan_trust::{Connect, FirstMessage, Gate, Identity, Now, SecondMessage, WaitMessage};
use std::sync::OnceLock;
use std::time::Instant;

/// Lines of requests: nobody gets in by chance, and no more than five exchanges come of one code.
pub(crate) fn pairing(data: &[u8]) {
    static HOST: OnceLock<Identity> = OnceLock::new();
    let identity = HOST.get_or_init(|| Identity::generate().expect("the system gives random numbers"));
    let now = Now { at: Instant::now(), unix: 0 };
    let mut gate = Gate::new(identity);
    let code = gate.pair(now).expect("the system gives random numbers");
    let mut begun = 0;
    // What cannot be known is put in, so that what is behind it is tried, too.
    let id =
        code.url("").split_once("#i=").map(|(_, rest)| rest[..16].to_owned()).expect("the address has an id");
    for line in data.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line).replace("$ID", &id);
        if let Ok(message) = serde_json::from_str::<FirstMessage>(&line) {
            begun += u32::from(gate.first(&message, now).is_ok());
        }
        if let Ok(message) = serde_json::from_str::<SecondMessage>(&line) {
            assert!(gate.second(&message, "192.0.2.1", now).is_err(), "nobody proves what he does not know");
        }
        if let Ok(message) = serde_json::from_str::<WaitMessage>(&line) {
            assert!(gate.wait(&message, now).is_err());
        }
        if let Ok(connect) = Connect::parse(&line) {
            assert_eq!(connect.device.len(), 16);
        }
        let words = sampan_trust::normalised(&line);
        assert_eq!(sampan_trust::normalised(&words), words);
    }
    assert!(begun <= sampan_trust::TRIES && gate.request(now).is_none());
}
