//! Values of seeds: whatever is taken stays a value.

use sampan_seed::{DiskLayout, Processor, Seed, User, WindowsAnswers};

/// One field a line. A seed that is taken has as many lines as one with harmless values.
pub(crate) fn cloud(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    let seed = |next: &mut dyn FnMut() -> String| Seed {
        instance: "i".into(),
        hostname: next(),
        user: Some(User {
            name: next(),
            password: None,
            ssh_keys: Vec::new(),
            sudo: true,
            shell: Some(next()),
        }),
        packages: vec![next()],
        locale: Some(next()),
        timezone: Some(next()),
        run: vec![next().replace("\\n", "\n")],
        ..Seed::default()
    };
    let odd = seed(&mut next);
    let mut harmless = ["h", "u", "/s", "p", "l", "z", "c"].into_iter().map(str::to_owned);
    let plain = seed(&mut || harmless.next().unwrap_or_default());
    let (Ok(odd), Ok(plain)) = (odd.user_data(), plain.user_data()) else { return };
    assert!(odd.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)));
    assert_eq!(odd.lines().count(), plain.lines().count());
}

/// One answer a line. An answer file that is taken has as many elements as one with harmless answers.
pub(crate) fn windows(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    let answers = |next: &mut dyn FnMut() -> String| WindowsAnswers {
        processor: Processor::Amd64,
        computer: next(),
        user: next(),
        password: next(),
        locale: next(),
        keyboard: next(),
        timezone: next(),
        disk: DiskLayout::Uefi,
        edition: Some(next()),
        product_key: None,
        bypass_requirements: false,
    };
    let odd = answers(&mut next);
    let mut harmless = ["c", "u", "p", "de-DE", "de-DE", "UTC", "e"].into_iter().map(str::to_owned);
    let plain = answers(&mut || harmless.next().unwrap_or_default());
    let (Ok(odd), Ok(plain)) = (odd.autounattend(), plain.autounattend()) else { return };
    let count = |text: &str, c: char| text.chars().filter(|&found| found == c).count();
    for c in ['<', '>', '\n'] {
        assert_eq!(count(&odd, c), count(&plain, c));
    }
}

/// A file that a person takes for one of public keys: what comes out of it goes in again, and nothing of a refused one is told.
pub fn ssh_keys(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(keys) = sampan_seed::ssh_keys(&text) else { return };
    // A command that stands in an option may have tabs.
    assert!(!keys.is_empty() && keys.iter().all(|key| !key.chars().any(|c| c.is_control() && c != '\t')));
    assert_eq!(sampan_seed::ssh_keys(&keys.join("\n")), Ok(keys));
}
