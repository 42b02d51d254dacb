//! Starting a machine again by itself whose QEMU has died, where its description asks for it: a few times and no more,
//! so that one that dies at once does not do so for ever.

use crate::args::SuperviseArgs;
use crate::vm::now;
use anyhow::{Context, Result};
use sampan_stream::Server;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// How often at most, in how many seconds.
const TRIES: usize = 3;
const WITHIN: u64 = 600;

/// What the next supervisor must know of this one. It goes through a pipe, since it holds the viewer's secret.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Again {
    /// When it was started again, in seconds since 1970.
    tries: Vec<u64>,
    /// Where the viewer was, and what it wanted: pages that are open find it again.
    listen: Option<SocketAddr>,
    token: Option<String>,
}

impl Again {
    /// What the last supervisor left on stdin.
    pub fn read() -> Result<Self> {
        serde_json::from_reader(std::io::stdin().lock()).context("what the last supervisor left")
    }

    /// Whether one more try is within the bounds at `now`. A clock that went back makes them tighter, never wider.
    fn is_due(&self, now: u64) -> bool {
        self.tries.iter().filter(|at| now.saturating_sub(**at) < WITHIN).count() < TRIES
    }

    /// One more try at `now`; none where there were enough.
    pub fn next(self, server: Option<(SocketAddr, String)>) -> Option<Self> {
        let now = now();
        if !self.is_due(now) {
            return None;
        }
        let mut tries = self.tries;
        tries.retain(|at| now.saturating_sub(*at) < WITHIN);
        tries.push(now);
        let (listen, token) = server.unzip();
        Some(Self { tries, listen, token })
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
        let mut command = Command::new(super::program()?);
        command.arg("supervise").arg("--again").arg("--home").arg(&args.home).args(["--id", &args.id]);
        command.arg("--listen").arg(args.listen.to_string());
        if args.throw_away {
            command.arg("--throw-away");
        }
        if args.in_process {
            command.arg("--in-process");
        }
        Err(command.stdin(Stdio::from(reader)).exec()).context("the program cannot be started again")
    }
}

/// Where a viewer is, and the secret it wants.
pub fn place_of(server: &Server) -> Option<(SocketAddr, String)> {
    let url = server.url();
    let token = url.rsplit_once("#token=")?.1;
    Some((server.local_addr(), token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_dies_at_once_is_left_alone_after_a_few_tries() {
        let mut again = Again::default();
        for _ in 0..TRIES {
            again = again.next(None).expect("is tried");
        }
        let last = *again.tries.last().expect("a try");
        assert!(!again.is_due(last) && !again.is_due(last + WITHIN - 1));
        assert!(!again.is_due(last - 5), "a clock that went back");
        assert!(again.is_due(last + WITHIN), "later it may be tried again");
        assert!(again.next(None).is_none());
    }
}
