//! What downloads go over, as the system tells the app.

use super::{medium_name, there};
use crate::error::Result;
use crate::sentences::Sentence;
use crate::{Manager, blocking};
use sampan_config::{Finding, Severity};
use sampan_download::Request;
use sampan_message::Message;

/// What downloads go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether there is any.
    pub online: bool,
    /// Whether what is loaded may cost money.
    pub metered: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { online: true, metered: false }
    }
}

impl Network {
    /// What is to be said of a download over it.
    pub(crate) fn finding(self, name: &str) -> Option<Finding> {
        let name = name.to_owned();
        let (severity, sentence) = match (self.online, self.metered) {
            (false, _) => (Severity::Refuse, Sentence::Offline { name }),
            (true, true) => (Severity::Confirm, Sentence::Metered { name }),
            (true, false) => return None,
        };
        Some(Finding::new(severity, "download", Message::saying(&sentence)))
    }
}

impl Manager {
    /// What downloads go over. When it begins to cost money, those that go on rest until somebody resumes them or it costs nothing
    /// any more.
    pub fn set_network(&self, network: Network) {
        let changes = {
            let mut downloads = self.downloads().lock();
            downloads.network = network;
            // Without a network nothing is loaded, so nothing changes until there is one again.
            network.online && std::mem::replace(&mut downloads.costs, network.metered) != network.metered
        };
        if changes {
            self.hold_downloads(network.metered);
        }
    }

    /// The same, as it was told last.
    pub fn network(&self) -> Network {
        self.downloads().lock().network
    }

    /// What is to be said of a download before it begins: `metered` must be confirmed, `offline` refuses it. Nothing of what is here.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn download_findings(&self, request: &Request) -> Result<Vec<Finding>> {
        let name = medium_name(request);
        let Some(finding) = self.network().finding(&name) else { return Ok(Vec::new()) };
        let (library, to) = (self.library().clone(), request.to.clone());
        let is_here = blocking(move || Ok(to.is_file() || there(&library, &name)?.is_some())).await?;
        Ok(if is_here { Vec::new() } else { vec![finding] })
    }
}
