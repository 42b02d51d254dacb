//! Starting and ending machines: what is done first, what is waited for, and what is refused.

use crate::error::{Error, Result};
use crate::force;
use crate::machine::text;
use crate::run::{self, EndRecord, Restarts, StartOptions, Starting, Tell};
use crate::supervisor::{self, Started};
use crate::{Machine, Manager, Placement, blocking};
use sampan_control::{ClientError, Reporter, Request, State};
use sampan_library::{Bundle, Error as LibraryError, Locked, VmId};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// How often it is checked whether a machine has ended.
const PACE: Duration = Duration::from_millis(50);

/// How long a machine may take to end once it was told to: disks are flushed.
pub(crate) const ENDING: Duration = Duration::from_secs(60);

/// How long a process may take to go once its machine has ended.
const LAST_MOMENTS: Duration = Duration::from_secs(20);

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did not run.
    WasOff,
    /// It was told to, and there was no guest to be asked.
    Quit,
    /// The guest shut down.
    ShutDown,
    /// The guest was not asked, or did not listen.
    Forced,
    /// Its process did not answer and was killed.
    Killed,
}

/// What came of the power button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// The guest was asked to shut down.
    Asked,
    /// There was no guest to be asked, and the machine has ended.
    Ended,
}

impl Manager {
    /// Starts a machine, or resumes one that is suspended, and returns when it runs.
    ///
    /// # Errors
    /// [`Error::RunsAlready`], [`Error::BeingStarted`]; whatever keeps it from starting. The machine is as it was then.
    pub async fn start(
        &self,
        id: VmId,
        options: StartOptions,
        listen: Option<SocketAddr>,
        tell: Tell<'_>,
    ) -> Result<Started> {
        let machine = self.machine(id).await?;
        if let Some(status) = machine.status().await? {
            match status.state {
                State::Ended => {
                    // Its process is about to go.
                    let bundle = machine.bundle().clone();
                    drop(machine);
                    self.wait_ended(&bundle, LAST_MOMENTS).await?;
                }
                State::Starting => return Err(Error::BeingStarted { name: machine.name().to_owned() }),
                _ => {
                    let viewer = status.facts.and_then(|facts| facts.viewer);
                    return Err(Error::RunsAlready { name: machine.name().to_owned(), viewer });
                }
            }
        }
        let started = match self.placement() {
            Placement::Here { .. } | Placement::App { .. } => {
                self.start_here(id, options, Restarts::default(), tell).await
            }
            Placement::Supervised(program) => {
                let bundle = self.bundle(id).await?;
                supervisor::launch(self, &**program, &bundle, options, listen, tell).await
            }
        };
        self.changed();
        started
    }

    /// Starts a machine in this process, which follows it to its end.
    async fn start_here(
        &self,
        id: VmId,
        options: StartOptions,
        restarts: Restarts,
        tell: Tell<'_>,
    ) -> Result<Started> {
        let library = self.library().clone();
        let again = restarts != Restarts::default();
        let Some(guard) = self.runs().starting(id) else {
            return Err(Error::BeingStarted { name: self.bundle(id).await?.name().to_owned() });
        };
        // Who lists machines sees it from here on.
        self.changed();
        let locked = self.lock(id).await?;
        let (starting, cut_off) = blocking(move || {
            let (starting, cut_off) = Starting::new(library, locked, again);
            Ok((starting.with_log_file()?, cut_off))
        })
        .await?;
        if let Some(record) = cut_off {
            tell(record.cut_off_message());
        }
        let run = starting.start(self.libqemu()?, self.hosts(), options, tell).await?;
        guard.runs(run.machine().clone());
        self.attach_sound(run.vm().session());
        run.machine().share_again().await;
        let pid = run.vm().session().pid();
        let manager = self.clone();
        tokio::spawn(async move {
            run.until_the_end().await;
            let (_, again) = run.finish(&restarts).await;
            manager.runs().remove(id);
            run.release();
            manager.changed();
            if let Some(restarts) = again {
                if let Err(error) = manager.clone().start_again(id, options, restarts).await {
                    log::error!("the machine was not started again: {}", text(&error));
                }
                manager.changed();
            }
        });
        Ok(Started { viewer: None, pid })
    }

    /// The same after a crash. Boxed, since it is the future of [`Manager::start_here`] within itself.
    fn start_again(
        self,
        id: VmId,
        options: StartOptions,
        restarts: Restarts,
    ) -> Pin<Box<dyn Future<Output = Result<Started>> + Send>> {
        // What was to be given up was at the first start.
        let options = StartOptions { discard_state: false, ..options };
        Box::pin(async move { self.start_here(id, options, restarts, &|_| {}).await })
    }

    /// What became of runs whose end nobody noted, for a person who opens the app again: machines that this process, or
    /// the host, took along. Each is told once.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn recover(&self) -> Result<Vec<(VmId, EndRecord)>> {
        let library = self.library().clone();
        blocking(move || {
            crate::lent::sweep(&library);
            let mut found = Vec::new();
            for bundle in library.list()?.into_iter().filter_map(|entry| entry.bundle.ok()) {
                // Somebody who holds the lock runs it.
                if let Ok(locked) = library.try_lock(bundle.id()) {
                    found.extend(run::settle(locked.path(), locked.name()).map(|end| (bundle.id(), end)));
                }
            }
            Ok(found)
        })
        .await
    }

    /// Presses the machine's power button. Where no guest would hear it, the machine is ended.
    ///
    /// # Errors
    /// [`Error::Paused`], [`Error::NotRunning`].
    pub async fn press_power(&self, id: VmId) -> Result<Pressed> {
        let machine = self.running(id).await?;
        match machine.status().await?.map(|status| status.state) {
            Some(State::Running) => {
                machine.tell(Request::Powerdown).await?;
                Ok(Pressed::Asked)
            }
            // Nobody there would hear it.
            Some(State::Paused) => Err(Error::Paused { name: machine.name().to_owned() }),
            Some(_) => {
                machine.tell(Request::Quit).await?;
                self.wait_ended(machine.bundle(), ENDING).await?;
                Ok(Pressed::Ended)
            }
            None => Err(Error::NotRunning { name: machine.name().to_owned() }),
        }
    }

    /// Has the guest shut down, and waits for it for so long.
    ///
    /// # Errors
    /// [`Error::NotShutDown`], [`Error::Paused`].
    pub async fn shut_down(&self, id: VmId, patience: Duration) -> Result<Ended> {
        let pressed = match self.press_power(id).await {
            Err(Error::NotRunning { .. }) => return Ok(Ended::WasOff),
            pressed => pressed?,
        };
        if pressed == Pressed::Ended {
            return Ok(Ended::Quit);
        }
        let bundle = self.bundle(id).await?;
        match self.wait_ended(&bundle, patience).await {
            Err(Error::StillRuns { name, seconds }) => Err(Error::NotShutDown { name, seconds }),
            ended => ended.map(|()| Ended::ShutDown),
        }
    }

    /// Ends the machine now; its disks are flushed, its guest is not asked. A process that does not answer is killed, where
    /// it is certain to be the machine's.
    ///
    /// # Errors
    /// [`Error::ProcessUnknown`], [`Error::ProcessStays`], [`Error::StillRuns`].
    pub async fn force_off(&self, id: VmId) -> Result<Ended> {
        let bundle = self.bundle(id).await?;
        match self.quit(&bundle).await {
            Err(Error::Client(ClientError::Silent { pid })) => {
                let (library, killed) = (self.library().clone(), bundle.clone());
                blocking(move || force::kill(&library, &killed, pid)).await?;
                self.wait_ended(&bundle, ENDING).await?;
                let library = self.library().clone();
                blocking(move || {
                    // Whoever starts it at this very moment has other news.
                    if let Ok(locked) = library.lock(id) {
                        run::note_end_by_force(locked.path());
                    }
                    Ok(())
                })
                .await?;
                Ok(Ended::Killed)
            }
            ended => ended,
        }
    }

    async fn quit(&self, bundle: &Bundle) -> Result<Ended> {
        let begun = Instant::now();
        let machine = loop {
            let machine = self.machine(bundle.id()).await?;
            if machine.runs() {
                break machine;
            }
            // Nobody answers for it any more, or not yet, but whoever asks means to change it or start it anew.
            if !self.is_held_by_run(bundle.id()).await? {
                return Ok(Ended::WasOff);
            }
            if begun.elapsed() > ENDING {
                return Err(Error::StillRuns { name: bundle.name().to_owned(), seconds: ENDING.as_secs() });
            }
            tokio::time::sleep(PACE).await;
        };
        let state = machine.status().await?.map(|status| status.state);
        machine.tell(Request::Quit).await?;
        drop(machine);
        self.wait_ended(bundle, ENDING).await?;
        Ok(if state == Some(State::Running) { Ended::Forced } else { Ended::Quit })
    }

    /// Saves the machine's memory to its bundle and ends it; returns when it may be started again.
    ///
    /// # Errors
    /// Whatever keeps it from being saved; it runs on then.
    pub async fn suspend(&self, id: VmId, reporter: &Reporter) -> Result<()> {
        let machine = self.running(id).await?;
        machine.call(Request::Suspend, reporter).await?;
        let bundle = machine.bundle().clone();
        drop(machine);
        self.wait_ended(&bundle, ENDING).await
    }

    /// A machine that runs.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn running(&self, id: VmId) -> Result<Machine> {
        let machine = self.machine(id).await?;
        if machine.runs() { Ok(machine) } else { Err(Error::NotRunning { name: machine.name().to_owned() }) }
    }

    /// Takes the machine's lock. A run of this very process that has ended, and is about to let go, is waited for.
    ///
    /// # Errors
    /// The machine is in use, or cannot be read.
    pub(crate) async fn lock(&self, id: VmId) -> Result<Locked> {
        let begun = Instant::now();
        loop {
            let library = self.library().clone();
            match blocking(move || Ok(library.lock(id))).await? {
                Err(LibraryError::InUse { runs: true, pid: Some(pid), .. })
                    if pid == std::process::id()
                        && self.runs().local(id).is_none()
                        && begun.elapsed() < LAST_MOMENTS =>
                {
                    tokio::time::sleep(PACE).await;
                }
                locked => return Ok(locked?),
            }
        }
    }

    /// Whether somebody holds the machine's lock who runs it.
    async fn is_held_by_run(&self, id: VmId) -> Result<bool> {
        let library = self.library().clone();
        blocking(move || Ok(matches!(library.try_lock(id), Err(LibraryError::InUse { runs: true, .. }))))
            .await
    }

    /// Waits until nobody runs the machine any more, and whoever did has let go of it: it may be started then, or changed.
    ///
    /// # Errors
    /// [`Error::StillRuns`].
    pub async fn wait_ended(&self, bundle: &Bundle, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let (library, id) = (self.library().clone(), bundle.id());
            // The socket goes first: whoever holds the lock need not be listening any more.
            let held =
                blocking(move || Ok(matches!(library.try_lock(id), Err(LibraryError::InUse { .. })))).await?;
            if !held && self.runs().local(id).is_none() {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(Error::StillRuns { name: bundle.name().to_owned(), seconds: patience.as_secs() });
            }
            tokio::time::sleep(PACE).await;
        }
    }
}
