//! Runs one machine of a library in this process until it is killed: `host HOME ID`. Tests kill it to see what the next
//! process knows.

use sampan_emulator::LibqemuDir;
use sampan_library::{Library, VmId};
use sampan_manager::run::StartOptions;
use sampan_manager::{Manager, Placement};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(home), Some(id)) = (args.next(), args.next()) else { return Err("host HOME ID".into()) };
    let libqemu = LibqemuDir::find()?;
    let manager = Manager::new(Library::open(home)?, Placement::Here { libqemu, children: true });
    let id: VmId = id.parse()?;
    let options = StartOptions { in_process: true, ..StartOptions::default() };
    manager.start(id, options, None, &|_| {}).await?;
    println!("running");
    std::future::pending().await
}
