use super::Machine;

#[test]
fn a_crash_is_told_and_a_start_is_offered() {
    let machine = Machine::new();
    machine.start();
    machine.crash();
    let status = machine.until("the end", |status| status["state"] == "stopped");
    assert_eq!((&status["last_run"]["how"], &status["last_run"]["again"]), (&"died".into(), &().into()));
    let said = machine.0.run(&["status", "vm"]);
    for words in ["QEMU died on", "SIGKILL", "sampan logs vm --crash", "sampan start vm"] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(machine.0.run(&["logs", "vm", "--crash"]).out.contains("most guests repair themselves"));
    let said = machine.0.run(&["start", "vm"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("QEMU died on"), "{said:?}");
    // What ends as it should ends the talk of it.
    machine.0.json(&["stop", "vm", "--force"]);
    assert!(!machine.0.run(&["status", "vm"]).out.contains("died"));
}

#[test]
fn a_machine_that_is_to_be_is_started_again_a_few_times_at_the_same_address() {
    let machine = Machine::new();
    machine.0.json(&["set", "vm", "system.restart_after_crash=true"]);
    let viewer = machine.start()["viewer"].clone();
    for _ in 0..3 {
        let before = machine.crash();
        // Until its supervisor answers, all that is known of a machine is that somebody holds it.
        let another = |status: &serde_json::Value| {
            status["state"] == "running" && status["pid"].is_u64() && status["pid"] != before["pid"]
        };
        let now = machine.until("another QEMU", another);
        assert_eq!(now["viewer"], viewer, "open pages find it again");
        assert_eq!((&now["last_run"]["how"], &now["last_run"]["again"]), (&"died".into(), &true.into()));
        let said = machine.0.run(&["status", "vm"]);
        assert!(said.out.contains("started again by itself"), "{said:?}");
    }
    machine.crash();
    let status = machine.until("the end", |status| status["state"] == "stopped");
    assert_eq!((&status["last_run"]["how"], &status["last_run"]["again"]), (&"died".into(), &().into()));
    assert!(machine.0.run(&["status", "vm"]).out.contains("sampan start vm"));
    assert!(machine.0.run(&["logs", "vm"]).out.contains("too often"));
    // By hand it may be started always, and what its power button ends is not started again.
    machine.start();
    machine.0.json(&["stop", "vm", "--force"]);
    assert_eq!(machine.status()["state"], "stopped");
}
