//! `sampan serve`: the library's machines in a browser. `docs/console.md` describes it.

mod api;
mod error;
#[cfg(test)]
mod tests;

use crate::app::manager;
use crate::args::ServeArgs;
use crate::exit::Code;
use crate::run::{FAREWELL, Signals, runtime};
use crate::vm::library_to_fill;
use crate::words::say;
use anyhow::Result;
use sampan_manager::Manager;
use sampan_manager::host::raise_file_limit;
use sampan_stream::web::{self, Guard, Refusal};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// `sampan serve`.
pub fn serve(args: &ServeArgs) -> Result<Code> {
    let library = library_to_fill()?;
    let runtime = runtime()?;
    raise_file_limit();
    let code = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let console = Console::start(args.listen, manager(library)).await?;
        say(&format!("console: {}", console.url));
        let code = signals.first().await;
        drop(console);
        Ok(code)
    });
    runtime.shutdown_timeout(FAREWELL);
    code
}

/// A console that is served until it is dropped.
struct Console {
    url: String,
    stop: watch::Sender<bool>,
}

impl Console {
    async fn start(listen: SocketAddr, manager: Manager) -> Result<Self> {
        let (listener, address) = web::listen(listen).await?;
        let guard = Arc::new(Guard::new(address, None)?.refusing(Refusal::Json));
        let url = guard.url();
        let router = web::site(guard, api::routes(manager), web::CONSOLE, api::MAX_BODY);
        let stop = watch::Sender::new(false);
        tokio::spawn(web::serve(listener, router, stop.subscribe()));
        Ok(Self { url, stop })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
