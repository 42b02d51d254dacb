use super::{LIMIT, Machine, Said, said, tell};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::sync::mpsc;

#[test]
fn a_log_is_followed_into_the_next_run_and_until_ctrl_c() {
    let machine = Machine::new();
    assert!(machine.0.refused(&["logs", "vm", "-f"]).contains("has not run yet"));
    machine.start();
    let mut child = machine.0.command(&["logs", "vm", "-f"]).spawn().expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    let (tell_line, line) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell_line.send(line)));
    let mut shown = Vec::new();
    let mut until = |what: &str, is: &dyn Fn(&[String]) -> bool| {
        while !is(&shown) {
            shown.push(line.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("nothing was said of {what}")));
        }
        shown.clone()
    };
    let runs = |shown: &[String]| shown.iter().filter(|line| line.ends_with("vm runs")).count();
    until("the first run", &|shown| runs(shown) == 1);
    machine.0.json(&["stop", "vm", "--force"]);
    // It has seen the end of the run when it has shown all of its log.
    let whole = machine.0.run(&["logs", "vm"]).out;
    let whole: Vec<String> = whole.lines().map(str::to_owned).collect();
    let first = until("the run's end", &|shown| shown.len() >= whole.len());
    assert!(first.starts_with(&whole), "{first:?} begins with {whole:?}");
    assert!(child.try_wait().expect("is asked").is_none(), "it waits for the next run");
    machine.start();
    until("the second run", &|shown| runs(shown) == 2);
    tell(i32::try_from(child.id()).expect("a process"), Signal::SIGINT);
    let Said { code, err, .. } = said(child.wait_with_output().expect("ends"));
    assert_eq!((code, err.as_str()), (Some(130), ""));
}
