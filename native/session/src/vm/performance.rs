//! How much of the host a running machine takes: the mode it is in, and whether anybody looks at it.
//!
//! What is asked for is the document's [`Effort`](sampan_config::Effort). What became of it is read back from the system
//! and measured: a system may refuse each part, and a program without privileges can lower a thread's priority but not
//! raise it again (`setpriority(2)`, `RLIMIT_NICE`).

use super::{Vm, VmError};
use crate::Session;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use sampan_config::{Duty, Mode};
use sampan_message::{Coded, Message, reasons};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long is measured; a whole cycle of the background's.
const MEASURED: Duration = Duration::from_secs(1);

/// Clock ticks of `/proc/…/stat` in a second: `USER_HZ`, part of the ABI of x86-64 and Arm.
const USER_HZ: f64 = 100.0;

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Effect {
    /// What was done, as the system tells it afterwards.
    pub done: Vec<String>,
    /// What was not, and why: `mode_refused` with a [`ModeRefused`].
    pub refused: Vec<Message>,
    /// The vCPU threads' time in the second before, in per cent of one core.
    pub before: u32,
    /// The same in the second after.
    pub after: u32,
}

reasons! {
    /// What the system did not do of a performance mode.
    pub enum ModeRefused {
        CpusKept { cpus: u32 = 4, wanted: u32 = 2 } => "cpus_kept", "no CPU of the guest is taken from it: it keeps all {cpus}, which share what {wanted} would have";
        NotRaised { now: String = "10".into(), wanted: String = "0".into() } => "priority_not_raised", "the CPU threads' nice value stays at {now}, not {wanted}: the system lets programs lower a priority but not raise it again; the next start begins anew";
        Priority { now: String = "0".into(), wanted: String = "10".into(), why: String = "no such process".into() } => "priority_refused", "the CPU threads' nice value stays at {now}, not {wanted}: {why}";
        Cores { why: String = "Invalid argument".into() } => "cores_refused", "the CPU threads stay on the cores they are on: {why}";
    }
}

impl ModeRefused {
    fn message(&self) -> Message {
        Message::because(MODE_REFUSED, self)
    }
}

const MODE_REFUSED: &str = "mode_refused";

impl Vm {
    /// Changes the performance mode, now and for later starts. Takes two seconds, in which it measures.
    ///
    /// # Errors
    /// [`VmError`]; what the system refuses is no error but told.
    pub async fn set_mode(&self, mode: Mode) -> Result<Effect, VmError> {
        let _turn = self.turn.lock().await;
        let threads = threads(&self.session).await?;
        let document = self.document();
        let before = load(&threads).await;
        let mut effect = apply(&threads, mode, document.cpu.count);
        self.mode_refused.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&effect.refused);
        self.edit(|document| document.performance.mode = mode).await?;
        if self.in_background() {
            effect.done.push(duty_words(self.slow_down().await?));
        }
        (effect.before, effect.after) = (before, load(&threads).await);
        Ok(effect)
    }

    /// Slows the machine down because nobody looks at it, by its mode's cycle of running and being halted, or ends that.
    /// A pause, a snapshot, suspending and a press of the power button end the halts first. Takes two seconds, in which
    /// it measures.
    ///
    /// # Errors
    /// [`VmError`]: the machine has ended, or does not answer.
    pub async fn set_background(&self, on: bool) -> Result<Effect, VmError> {
        let _turn = self.turn.lock().await;
        let threads = threads(&self.session).await?;
        let before = load(&threads).await;
        self.background.store(on, Ordering::Relaxed);
        let words = match on {
            true => duty_words(self.slow_down().await?),
            false => {
                self.session.set_background(None).await?;
                "it runs all the time".to_owned()
            }
        };
        Ok(Effect { done: vec![words], refused: Vec::new(), before, after: load(&threads).await })
    }

    /// What the system did not do of the mode that it is in, and why; empty where it did all.
    pub fn mode_refused(&self) -> Vec<Message> {
        self.mode_refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is taken to be in the background; in turbo mode that changes nothing.
    pub fn in_background(&self) -> bool {
        self.background.load(Ordering::Relaxed)
    }

    async fn slow_down(&self) -> Result<Duty, VmError> {
        let document = self.document();
        let duty = document.performance.mode.effort(document.cpu.count, host_cores()).background;
        self.session.set_background(Some(duty)).await?;
        Ok(duty)
    }

    /// Lets it run all the time for what would take ten times as long, or must not be cut in two.
    pub(super) async fn suspend_duty_cycle(&self) -> Result<(), VmError> {
        Ok(self.session.set_background(None).await?)
    }

    /// Ends [`Self::suspend_duty_cycle`].
    pub(super) async fn resume_duty_cycle(&self) -> Result<(), VmError> {
        if self.in_background() {
            self.slow_down().await?;
        }
        Ok(())
    }
}

fn duty_words(duty: Duty) -> String {
    match duty.pause_ms {
        0 => "it runs all the time in the background, too".into(),
        pause => format!("of each second it runs {} ms and is halted {pause} ms", duty.run_ms),
    }
}

/// Puts a machine that has just started into its document's mode, and says what was refused. It runs whatever comes of it.
pub(super) async fn at_start(session: &Session, mode: Mode, cpus: u32) -> Vec<Message> {
    let log = &session.log;
    match threads(session).await {
        Ok(threads) => {
            let Effect { done, refused, .. } = apply(&threads, mode, cpus);
            log.info(format_args!("performance mode {mode}: {}", done.join("; ")));
            for words in &refused {
                log.warn(format_args!("performance mode {mode}: not done: {words}"));
            }
            refused
        }
        Err(error) => {
            log.warn(format_args!("performance mode {mode}: {error}"));
            // Nothing of the mode was done; why has a code of its own.
            let why = error.message();
            vec![Message { code: MODE_REFUSED.into(), params: why.as_reason(), message: why.message }]
        }
    }
}

async fn threads(session: &Session) -> Result<Vec<i32>, VmError> {
    let threads = session.threads().await?;
    if threads.is_empty() {
        return Err(VmError::NoCpuThreads);
    }
    Ok(threads)
}

/// The cores that this process may run on.
fn host_cores() -> u32 {
    // At most `CPU_SETSIZE`.
    allowed().map_or(1, |cores| cores.len().max(1) as u32)
}

fn allowed() -> nix::Result<Vec<usize>> {
    let set = sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect())
}

/// How many of the cores that this process may run on are the fast ones: a CPU of a guest on a slow one holds up all
/// others while they wait for it. All of them where the system does not tell that they differ.
pub fn fast_cores() -> u32 {
    let speeds: Vec<u64> = allowed().unwrap_or_default().into_iter().map(speed).collect();
    // A container's quota may be fewer than its cores.
    let quota =
        std::thread::available_parallelism().map_or(u32::MAX, |n| n.get().try_into().unwrap_or(u32::MAX));
    fast_among(&speeds).min(quota)
}

/// Those at least three quarters as fast as the fastest: of two kinds of core the big ones, of three the prime ones and
/// those next to them.
fn fast_among(speeds: &[u64]) -> u32 {
    let fastest = speeds.iter().copied().max().unwrap_or(0);
    let fast = speeds.iter().filter(|&&speed| speed >= fastest - fastest / 4).count();
    // At most `CPU_SETSIZE`.
    fast.max(1) as u32
}

/// How fast a core is compared with the others; 0 where the system does not tell.
fn speed(core: usize) -> u64 {
    let folder = format!("/sys/devices/system/cpu/cpu{core}");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().parse().ok();
    read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq")).unwrap_or(0)
}

fn apply(threads: &[i32], mode: Mode, cpus: u32) -> Effect {
    let mut effect = Effect::default();
    let effort = mode.effort(cpus, host_cores());
    priority(threads, effort.nice.into(), &mut effect);
    // CPUs that cannot rest share as few cores as they would be.
    let cores = if effort.cpus < cpus { effort.cores.min(effort.cpus) } else { effort.cores };
    if effort.cpus < cpus {
        effect.refused.push(ModeRefused::CpusKept { cpus, wanted: effort.cpus }.message());
    }
    affinity(threads, cores as usize, &mut effect);
    effect
}

fn priority(threads: &[i32], nice: i32, effect: &mut Effect) {
    use rustix::process::{Pid, getpriority_process, setpriority_process};
    let mut failed = None;
    let mut now = Vec::new();
    for &thread in threads {
        let pid = Pid::from_raw(thread);
        failed = setpriority_process(pid, nice).err().or(failed);
        now.extend(getpriority_process(pid));
    }
    now.sort_unstable();
    now.dedup();
    if let Some(error) = failed {
        let (now, wanted) = (list(&now), nice.to_string());
        let refused = match error {
            rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => ModeRefused::NotRaised { now, wanted },
            other => ModeRefused::Priority { now, wanted, why: other.to_string() },
        };
        effect.refused.push(refused.message());
    } else {
        effect.done.push(format!("the CPU threads' nice value is {}", list(&now)));
    }
}

fn affinity(threads: &[i32], cores: usize, effect: &mut Effect) {
    let chosen = allowed().and_then(|mut all| {
        all.sort_by_key(|&core| (speed(core), core));
        all.truncate(cores);
        let mut set = CpuSet::new();
        all.iter().try_for_each(|&core| set.set(core))?;
        Ok(set)
    });
    let done = chosen.and_then(|set| {
        let pids = || threads.iter().map(|&thread| nix::unistd::Pid::from_raw(thread));
        pids().try_for_each(|pid| sched_setaffinity(pid, &set))?;
        pids().next().map_or(Ok(set), sched_getaffinity)
    });
    match done {
        Ok(set) => {
            let now: Vec<usize> = (0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect();
            effect.done.push(format!("the CPU threads may run on {} core(s): {}", now.len(), list(&now)));
        }
        Err(error) => {
            effect.refused.push(ModeRefused::Cores { why: error.desc().to_owned() }.message());
        }
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What threads take, in per cent of one core, over the time that is measured.
async fn load(threads: &[i32]) -> u32 {
    let (begun, before) = (Instant::now(), ticks(threads));
    tokio::time::sleep(MEASURED).await;
    let taken = ticks(threads).saturating_sub(before);
    // Far below 2^32: a thread cannot take more than all of a core.
    (taken as f64 / USER_HZ / begun.elapsed().as_secs_f64() * 100.0).round() as u32
}

/// The CPU time that threads have had (`utime` and `stime`, proc_pid_stat(5)).
fn ticks(threads: &[i32]) -> u64 {
    let of = |thread: &i32| -> Option<u64> {
        // Through `task`: above it stands the sum of the process.
        let text = std::fs::read_to_string(format!("/proc/{thread}/task/{thread}/stat")).ok()?;
        parse_ticks(&text)
    };
    threads.iter().filter_map(of).fold(0, u64::saturating_add)
}

/// The thread's name stands in brackets and may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_cores_are_told_from_the_slow_ones() {
        // cpu_capacity as phones tell it: four small ones, three big ones, one prime; two kinds; one kind; nothing told.
        for (speeds, fast) in [
            (&[250, 250, 250, 250, 830, 830, 830, 1024][..], 4),
            (&[379, 379, 379, 379, 1024, 1024], 2),
            (&[1024, 1024], 2),
            (&[0, 0, 0], 3),
            (&[], 1),
        ] {
            assert_eq!(fast_among(speeds), fast, "{speeds:?}");
        }
        assert!((1..=host_cores()).contains(&fast_cores()));
    }

    #[test]
    fn a_threads_time_is_read_whatever_its_name_is() {
        let stat = "77 (CPU 0/) 9 9) R 1 2 3 4 5 6 7 8 9 10 321 45 0 0 20 0";
        assert_eq!(parse_ticks(stat), Some(366));
        for bad in ["", "77 (CPU", "77 (a) R 1 2", "77 (a) R 1 2 3 4 5 6 7 8 9 10 x y"] {
            assert_eq!(parse_ticks(bad), None, "{bad}");
        }
    }
}
