//! What is kept survives, is the owner's alone, and is not believed when it is damaged.

use crate::device::{Device as Page, Known};
use sampan_message::Coded;
use sampan_trust::{Device, Gate, Identity, Now, Place, Right, Rights, Store};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

fn device(name: &str, machine: &str) -> Device {
    let identity = Identity::generate().expect("is made");
    let mut gate = Gate::new(&identity);
    let now = Now { at: Instant::now(), unix: 5 };
    let code = gate.pair(now).expect("is made");
    let page = Page::new(name);
    let begun = page.begin(&Known::words(&code.words));
    let first = serde_json::from_value(begun.message.clone()).expect("is one");
    let answer = json!(gate.first(&first, now).expect("is answered"));
    let agreed = page.agree(begun, &answer).expect("agrees");
    gate.second(&serde_json::from_value(agreed.second).expect("is one"), "::1", now).expect("is right");
    let request = gate.request(now).expect("is asked").request;
    Device::new(&gate.asked(&request, now).expect("waits"), machine, Rights::ALL, 7).expect("is one")
}

#[test]
fn an_identity_is_made_once_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    // Many processes at a time: each sees the same one.
    let hashes: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let ask = || *Store::new(folder.path()).identity().expect("is made").hash();
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(hashes.windows(2).all(|two| two[0] == two[1]));
    let mode = |name: &str| {
        std::fs::metadata(folder.path().join(name)).expect("is there").permissions().mode() & 0o777
    };
    assert_eq!((mode("identity.json"), mode(".lock")), (0o600, 0o600));
    // What a killed process has left in the middle of writing.
    std::fs::write(folder.path().join(".identity.json.new"), "{").expect("is written");
    assert_eq!(*Store::new(folder.path()).identity().expect("is there").hash(), hashes[0]);
}

#[test]
fn devices_are_kept_listed_and_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    assert_eq!(store.devices().expect("none"), []);
    let (phone, tablet, other) = (device("phone", "a"), device("tablet", "a"), device("tablet", "b"));
    for device in [&phone, &tablet, &other, &phone] {
        store.add(device.clone()).expect("is kept");
    }
    let names = |store: &Store| {
        store.devices().expect("are read").into_iter().map(|device| device.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&store), ["tablet", "tablet", "phone"], "one that is paired anew is there once");
    assert_eq!(store.device(phone.id(), "a").expect("is paired"), phone);
    assert_eq!(store.device(phone.id(), "b").expect_err("is of another machine").code(), "not_paired");
    store.seen(phone.id(), 99).expect("is noted");
    assert_eq!(store.device(phone.id(), "a").expect("is paired").last_seen, 99);
    assert_eq!(store.revoke("tablet").expect_err("which?").code(), "several_devices");
    assert_eq!(store.revoke("nobody").expect_err("none").code(), "no_device");
    assert_eq!(store.revoke(other.id()).expect("is revoked").machine, "b");
    assert_eq!(store.revoke("phone").expect("is revoked").id(), phone.id());
    assert_eq!(names(&Store::new(folder.path())), ["tablet"]);
    let text = std::fs::read_to_string(folder.path().join("devices.json")).expect("is there");
    assert!(!text.contains("phone"));
}

#[test]
fn a_list_has_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    let text = {
        store.add(device("phone", "a")).expect("is kept");
        std::fs::read_to_string(folder.path().join("devices.json")).expect("is there")
    };
    let one: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let many: Vec<serde_json::Value> = (0..256)
        .map(|number| {
            let mut device = one["devices"][0].clone();
            device["id"] = format!("{number:016x}").into();
            device
        })
        .collect();
    let all = json!({ "devices": many }).to_string();
    std::fs::write(folder.path().join("devices.json"), all).expect("is written");
    assert_eq!(store.add(device("one more", "a")).expect_err("too many").code(), "too_many_devices");
}

#[test]
fn what_is_damaged_lets_nobody_in_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    store.add(device("phone", "a")).expect("is kept");
    let path = folder.path().join("devices.json");
    let text = std::fs::read_to_string(&path).expect("is there");
    for damaged in [&text[..text.len() / 2], "", "[]", &text.replace("\"key\": \"", "\"key\": \"!")] {
        std::fs::write(&path, damaged).expect("is written");
        assert_eq!(store.devices().expect_err("is damaged").code(), "devices_damaged");
        assert_eq!(store.add(device("other", "a")).expect_err("is damaged").code(), "devices_damaged");
        assert_eq!(std::fs::read_to_string(&path).expect("is there"), damaged);
    }
    std::fs::write(folder.path().join("identity.json"), r#"{"key":"AA==","certificate":"AA=="}"#)
        .expect("is written");
    assert_eq!(store.identity().expect_err("is damaged").code(), "devices_damaged");
}

#[test]
fn where_a_machine_was_shown_is_known_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path());
    let place = Place { address: "2001:db8::1".parse().expect("an address"), port: 4433, lasting: true };
    store.set_place("a", place.clone()).expect("is noted");
    assert_eq!(store.place("a").expect("is read"), Some(place));
    assert_eq!(store.place("b").expect("is read"), None);
    assert_eq!(Rights::from_iter([Right::Watch]).iter().count(), 1);
}
