use super::Machine;

#[test]
fn a_machine_of_before_is_told_of_the_faster_cpu_and_gets_it_when_its_owner_says_so() {
    let machine = Machine::new();
    let set = |change: &str| machine.0.json(&["set", "vm", change]);
    // Start, what was said, end.
    let hinted = || {
        let said = machine.0.run(&["start", "vm"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let translated = machine.status()["accelerator"] == "tcg";
        machine.0.json(&["stop", "vm", "--force"]);
        (translated, said.err.contains("sampan set vm cpu.tuning=2"))
    };
    set("cpu.model=null");
    set("cpu.tuning=0");
    // With KVM it is the host's CPU.
    let (translated, hint) = hinted();
    assert_eq!(translated, hint, "it is as machines of before are");
    set("cpu.tuning=2");
    assert!(!hinted().1);
    let words = machine.0.refused(&["set", "vm", "cpu.tuning=3"]);
    assert!(
        words.contains("cpu.tuning: the tuning 3 is of a later version of this program: use 0 to 2"),
        "{words}"
    );
}
