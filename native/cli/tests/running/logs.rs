use super::{LIMIT, Machine, Said, said, tell};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn a_log_is_followed_into_the_next_run_and_until_ctrl_c() {
    let machine = Machine::new();
    assert!(machine.0.refused(&["logs", "vm", "-f"]).contains("has not run yet"));
    machine.start();
    let mut child = machine.0.command(&["logs", "vm", "-f"]).spawn().expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    let (tell_line, line) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell_line.send(line)));
    let runs = |what: &str| loop {
        let line = line.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("nothing was said of {what}"));
        if line.ends_with("vm runs") {
            return;
        }
    };
    runs("the first run");
    machine.0.json(&["stop", "vm", "--force"]);
    std::thread::sleep(Duration::from_millis(600));
    assert!(child.try_wait().expect("is asked").is_none(), "it waits for the next run");
    machine.start();
    runs("the second run");
    tell(i32::try_from(child.id()).expect("a process"), Signal::SIGINT);
    let Said { code, err, .. } = said(child.wait_with_output().expect("ends"));
    assert_eq!((code, err.as_str()), (Some(130), ""));
}
