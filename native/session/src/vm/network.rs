//! How a running machine is reached: forwards of its network, VNC.

use super::{Vm, VmError, reach};
use crate::Session;
use sampan_config::{Forward, VmConfig, VncPassword};
use sampan_library::HostSettings;

impl Vm {
    /// Leads ports of the host to the guest, now and at later starts.
    ///
    /// # Errors
    /// [`VmError`]; nothing changes.
    pub async fn add_forward(&self, forward: Forward) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let mut document = self.document();
        let Some(card) = document.network.cards.first_mut() else { return Err(VmError::NoNetworkCard) };
        card.forwards.push(forward);
        let nic = card.id.clone();
        if let Some(fault) = document.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        reach::check_forward(&forward)?;
        let add = |document: &mut VmConfig| {
            if let Some(card) = document.network.cards.iter_mut().find(|card| card.id == nic) {
                card.forwards.push(forward);
            }
        };
        self.change_network(forward.add_lines(&nic), forward.remove_lines(&nic), add).await
    }

    /// Takes a forward away.
    ///
    /// # Errors
    /// [`VmError`]; nothing changes.
    pub async fn remove_forward(&self, forward: Forward) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let document = self.document();
        let card = document.network.cards.iter().find(|card| card.forwards.contains(&forward));
        let nic = card.ok_or(VmError::NoSuchForward(forward))?.id.clone();
        let remove = |document: &mut VmConfig| {
            for card in document.network.cards.iter_mut().filter(|card| card.id == nic) {
                card.forwards.retain(|kept| *kept != forward);
            }
        };
        self.change_network(forward.remove_lines(&nic), forward.add_lines(&nic), remove).await
    }

    /// First QEMU, which may refuse, then the document; what was done in QEMU before a step that fails is undone.
    async fn change_network(
        &self,
        lines: Vec<String>,
        undo: Vec<String>,
        change: impl Fn(&mut VmConfig),
    ) -> Result<(), VmError> {
        for (done, line) in lines.iter().enumerate() {
            // QEMU's human monitor prints nothing when it has done what it was told, but for removing:
            // `host forwarding rule for … removed`.
            let (error, done) = match self.human(line).await {
                Ok(said) if said.is_empty() || said.contains("removed") => continue,
                Ok(said) => (VmError::Qemu { words: said }, done),
                // Without an answer it may have been done; undoing what is not there changes nothing.
                Err(error) => (error, done + 1),
            };
            self.take_back(undo.get(..done).unwrap_or(&undo)).await;
            return Err(error);
        }
        let written = self.edit(change).await;
        if written.is_err() {
            self.take_back(&undo).await;
        }
        written
    }

    async fn take_back(&self, undo: &[String]) {
        for line in undo {
            match self.human(line).await {
                Ok(said) if said.is_empty() || said.contains("removed") => {}
                Ok(said) => self.log.warn(format_args!("{line}: {said}")),
                Err(error) => return self.log.warn(format_args!("{line}: {error}")),
            }
        }
    }

    async fn human(&self, line: &str) -> Result<String, VmError> {
        Ok(self.session.human(line).await?.trim().to_owned())
    }

    /// Sets the VNC password, from now on.
    ///
    /// # Errors
    /// The machine has no VNC server, or QEMU refuses.
    pub async fn set_vnc_password(&self, password: VncPassword) -> Result<(), VmError> {
        if self.document().displays.vnc.is_none() {
            return Err(VmError::VncOff);
        }
        self.session.set_vnc_password(&password).await?;
        // Told first: what is kept is what it has, or what it has at its next start.
        self.change_host(move |host| host.vnc_password = Some(password.as_str().to_owned())).await
    }

    /// Changes what belongs to it on this host. Its start has taken what it needs of that already.
    ///
    /// # Errors
    /// What was there before stays.
    pub async fn change_host(
        &self,
        change: impl FnOnce(&mut HostSettings) + Send + 'static,
    ) -> Result<(), VmError> {
        self.with_locked(move |locked| {
            let mut host = locked.host()?;
            change(&mut host);
            locked.set_host(&host)
        })
        .await
    }
}

/// The machine runs without it, too: then VNC lets nobody in, which the log says.
pub(super) async fn tell_vnc(session: &Session, password: Option<VncPassword>) {
    let Some(password) = password else {
        return session.log.warn("VNC lets nobody in: the machine has no password for it, give it one");
    };
    if let Err(error) = session.set_vnc_password(&password).await {
        session.log.error(format_args!("VNC lets nobody in: {error}"));
    }
}
