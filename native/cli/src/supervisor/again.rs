//! Starting a machine again by itself whose QEMU has died: a new supervisor takes the place of this one.

use crate::args::SuperviseArgs;
use anyhow::{Context, Result};
use sampan_manager::run::{Restarts, StartOptions};
use sampan_stream::Server;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What the next supervisor must know of this one. It goes through a pipe, since it holds the viewer's secret.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Again {
    restarts: Restarts,
    /// Where the viewer was, and what it wanted: pages that are open find it again.
    listen: Option<SocketAddr>,
    token: Option<String>,
}

impl Again {
    /// One more start.
    pub fn new(restarts: Restarts, viewer: Option<(SocketAddr, String)>) -> Self {
        let (listen, token) = viewer.unzip();
        Self { restarts, listen, token }
    }

    /// What the last supervisor left on stdin.
    pub fn read() -> Result<Self> {
        serde_json::from_reader(std::io::stdin().lock()).context("what the last supervisor left")
    }

    /// When the machine was started again by itself.
    pub fn restarts(&self) -> &Restarts {
        &self.restarts
    }

    /// Where the viewer is to be, if it was somewhere.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// The viewer's secret, if it had one.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// Puts a new supervisor into the place of this process, which is the one that others wait for. Nothing of this one
    /// is left to it: neither threads nor files, the bundle's lock among them.
    ///
    /// # Errors
    /// The only way it returns.
    pub fn exec(&self, args: &SuperviseArgs) -> Result<()> {
        let (reader, mut writer) = std::io::pipe().context("a pipe")?;
        // A pipe has room for it: a few hundred bytes.
        writer.write_all(&serde_json::to_vec(self)?).context("a pipe")?;
        drop(writer);
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let mut command = Command::new(program);
        command.arg("supervise").arg("--again").arg("--home").arg(&args.home).args(["--id", &args.id]);
        command.arg("--listen").arg(args.listen.to_string());
        let (throw_away, in_process) = (args.throw_away, args.in_process);
        command.args(crate::app::flags(StartOptions { throw_away, in_process, discard_state: false }));
        Err(command.stdin(Stdio::from(reader)).exec()).context("the program cannot be started again")
    }
}

/// Where a viewer is, and the secret it wants.
pub fn place_of(server: &Server) -> Option<(SocketAddr, String)> {
    let url = server.url();
    let token = url.rsplit_once("#token=")?.1;
    Some((server.local_addr(), token.to_owned()))
}
