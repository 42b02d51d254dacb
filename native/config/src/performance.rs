//! How much of the host a machine may use.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A performance mode. It can be changed while the machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Battery before speed.
    Saver,
    /// All of it while somebody looks at the machine, less in the background.
    #[default]
    Standard,
    /// All of it, always.
    Turbo,
}

/// A word that is no mode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no performance mode: use saver, standard or turbo")]
pub struct NotAMode(pub String);

/// What a mode asks for: threads' priority, the cores they may run on, the CPUs that work, and how a machine nobody
/// looks at is slowed down.
///
/// Whoever applies it measures what it did: a system may refuse each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// The vCPU threads' nice value, 0 to 19: the higher, the sooner others come first (`setpriority(2)`). Never below
    /// 0, which needs a privilege.
    pub nice: u8,
    /// On how many of the host's cores the vCPU threads may run (`sched_setaffinity(2)`); the slowest ones where cores
    /// differ and the mode is saver.
    pub cores: u32,
    /// How many of the guest's CPUs work. The others rest only when the guest lets them be unplugged; else as many
    /// threads share fewer cores.
    pub cpus: u32,
    /// In the background: how much of a second the machine runs before it is paused for the rest.
    pub background: Duty,
}

/// A cycle of running and being paused, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Running.
    pub run_ms: u32,
    /// Paused; 0 is never.
    pub pause_ms: u32,
}

impl Duty {
    /// Never paused.
    pub const ALWAYS: Self = Self { run_ms: 1000, pause_ms: 0 };

    /// The share of time that it runs, in per cent.
    pub fn percent(self) -> u32 {
        let (run, pause) = (u64::from(self.run_ms), u64::from(self.pause_ms));
        // At most 100.
        (run * 100).checked_div(run + pause).unwrap_or(0) as u32
    }
}

impl Mode {
    /// Every mode, in the order they are listed to a user.
    pub const ALL: [Self; 3] = [Self::Saver, Self::Standard, Self::Turbo];

    /// What it asks for, of a machine with `cpus` on a host with `host_cores`.
    pub fn effort(self, cpus: u32, host_cores: u32) -> Effort {
        let (cpus, cores) = (cpus.max(1), host_cores.max(1));
        match self {
            Self::Saver => Effort {
                nice: 10,
                cores: (cores / 2).max(1),
                cpus: cpus.div_ceil(2),
                // A guest's network connections survive pauses of this length.
                background: Duty { run_ms: 100, pause_ms: 900 },
            },
            // Turbo's priority: a program without privileges gives a priority up for good, and could not get from here
            // to turbo before the next start.
            Self::Standard => {
                Effort { nice: 0, cores, cpus, background: Duty { run_ms: 500, pause_ms: 500 } }
            }
            Self::Turbo => Effort { nice: 0, cores, cpus, background: Duty::ALWAYS },
        }
    }

    /// What it means, for people.
    pub fn words(self, cpus: u32, host_cores: u32) -> String {
        let Effort { nice, cores, cpus: working, background } = self.effort(cpus, host_cores);
        let background = match background.pause_ms {
            0 => "runs on in the background".to_owned(),
            _ => format!("runs {} % of the time in the background", background.percent()),
        };
        format!(
            "{self}: {working} of {cpus} CPUs on {cores} of {host_cores} cores, priority {nice}, {background}"
        )
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Saver => "saver",
            Self::Standard => "standard",
            Self::Turbo => "turbo",
        })
    }
}

impl FromStr for Mode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        Self::ALL.into_iter().find(|mode| mode.to_string() == text).ok_or_else(|| NotAMode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_tell_the_figures() {
        assert_eq!(
            Mode::Saver.words(4, 8),
            "saver: 2 of 4 CPUs on 4 of 8 cores, priority 10, runs 10 % of the time in the background"
        );
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("fast".parse::<Mode>().is_err());
    }

    proptest! {
        #[test]
        fn no_mode_asks_for_more_than_there_is_or_for_nothing(cpus: u32, cores: u32) {
            let efforts = Mode::ALL.map(|mode| mode.effort(cpus, cores));
            for effort in efforts {
                prop_assert!((1..=cores.max(1)).contains(&effort.cores));
                prop_assert!((1..=cpus.max(1)).contains(&effort.cpus));
                prop_assert!(effort.nice <= 19 && effort.background.run_ms > 0);
            }
            for pair in efforts.windows(2) {
                prop_assert!(pair[0].nice >= pair[1].nice && pair[0].cores <= pair[1].cores && pair[0].cpus <= pair[1].cpus);
                prop_assert!(pair[0].background.percent() <= pair[1].background.percent());
            }
        }
    }
}
