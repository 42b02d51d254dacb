//! Does something with the machine in a folder, and kills itself at a step: a program of `tests/suite/kills.rs`. At the end it
//! notes how many steps there were. `interrupted_operation OPERATION STEP FOLDER`

#[path = "../tests/suite/common/mod.rs"]
mod common;
#[path = "../tests/suite/operations/mod.rs"]
mod operations;

use operations::Notes;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [operation, step, folder] = args.as_slice() else {
        panic!("interrupted_operation OPERATION STEP FOLDER")
    };
    let notes = Notes(folder.into());
    let steps = operations::run(operation, step.parse().expect("a number"), &notes).await;
    notes.set("steps", steps.try_into().expect("few"));
}
