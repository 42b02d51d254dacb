//! Who answers in a running guest, looked up now and then and never waited for: lists ask each second, and a guest takes its time.

use parking_lot::Mutex;
use sampan_control::AgentInfo;
use sampan_session::agent::{Agent, types};
use sampan_session::vm::Vm;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a guest is asked at most.
const PACE: Duration = Duration::from_secs(10);

/// How often one that does not answer is asked in the end: each time is twice as late as the one before.
const RARELY: Duration = Duration::from_secs(320);

/// How long it may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);

/// Addresses that are told, and characters of the system's name: the guest decides how many there are.
const MAX_ADDRESSES: usize = 16;
const MAX_NAME: usize = 100;

/// What the guest has said last.
#[derive(Clone, Default)]
pub(super) struct AgentWatch(Arc<Mutex<Seen>>);

struct Seen {
    info: Option<AgentInfo>,
    asked: Option<Instant>,
    asking: bool,
    pace: Duration,
}

impl Default for Seen {
    fn default() -> Self {
        Self { info: None, asked: None, asking: false, pace: PACE }
    }
}

impl AgentWatch {
    /// Who answered last. Asks again where that was a while ago; `changes` is told once there is news.
    pub(super) fn look(&self, vm: &Arc<Vm>, changes: &watch::Sender<()>) -> Option<AgentInfo> {
        let mut seen = self.0.lock();
        let is_due = seen.asked.is_none_or(|asked| asked.elapsed() >= seen.pace);
        if is_due
            && !seen.asking
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            seen.asking = true;
            seen.asked = Some(Instant::now());
            // What holds the bundle's lock is held while QEMU is asked, not while the guest is waited for.
            let (vm, watch, changes) = (Arc::downgrade(vm), self.clone(), changes.clone());
            runtime.spawn(async move {
                let port = match vm.upgrade() {
                    // A port that nobody reads keeps what it is sent, and has it read years later.
                    Some(vm) => vm.listening_agent().await.map(|agent| agent.with_patience(PATIENCE)),
                    None => None,
                };
                let found = match &port {
                    Some(agent) => ask(agent).await,
                    None => None,
                };
                watch.heard(found, port.is_some(), &changes);
            });
        }
        seen.info.clone()
    }

    fn heard(&self, found: Option<AgentInfo>, was_asked: bool, changes: &watch::Sender<()>) {
        let mut seen = self.0.lock();
        seen.asking = false;
        let is_silent = found.is_none() && was_asked;
        seen.pace = if is_silent { (seen.pace * 2).min(RARELY) } else { PACE };
        if seen.info != found {
            seen.info = found;
            drop(seen);
            changes.send_replace(());
        }
    }
}

/// Who answers; what it does not tell is left out.
pub(super) async fn ask(agent: &Agent) -> Option<AgentInfo> {
    let version = agent.info().await.ok()?.version;
    Some(of(agent, version).await)
}

/// The rest of what is told of an agent.
pub(super) async fn of(agent: &Agent, version: String) -> AgentInfo {
    let (system, id) = match agent.os_info().await {
        Ok(system) => (system.pretty_name, system.id),
        Err(_) => (None, None),
    };
    let addresses = agent.network_interfaces().await.unwrap_or_default();
    let shown = |text: String| text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    AgentInfo {
        version: shown(version),
        system: system.map(shown),
        id: id.map(shown),
        addresses: addresses_of(addresses),
    }
}

/// Addresses by which a guest is known in a network: those of the machine itself and of one link alone are none. The guest's words
/// are taken for an address where they are one.
fn addresses_of(interfaces: Vec<types::GuestNetworkInterface>) -> Vec<String> {
    let all = interfaces.into_iter().flat_map(|interface| interface.ip_addresses.unwrap_or_default());
    let mut found: Vec<String> = all
        .filter_map(|address| address.ip_address.parse::<IpAddr>().ok())
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
        })
        .map(|address| address.to_string())
        .collect();
    found.dedup();
    found.truncate(MAX_ADDRESSES);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_network_are_told_and_nothing_else() {
        let interfaces = serde_json::from_str(
            r#"[{"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","ip-address-type":"ipv4","prefix":8},
                    {"ip-address":"::1","ip-address-type":"ipv6","prefix":128}]},
                {"name":"eth0","ip-addresses":[{"ip-address":"10.0.2.15","ip-address-type":"ipv4","prefix":24},
                    {"ip-address":"fe80::5054:ff:fe12:3456","ip-address-type":"ipv6","prefix":64},
                    {"ip-address":"fec0::1","ip-address-type":"ipv6","prefix":64},
                    {"ip-address":"<b>","ip-address-type":"ipv4","prefix":24}]},
                {"name":"eth1"}]"#,
        )
        .expect("is an answer");
        assert_eq!(addresses_of(interfaces), ["10.0.2.15", "fec0::1"]);
    }

    #[test]
    fn one_that_is_silent_is_asked_ever_more_rarely_until_it_answers() {
        let (watch, changes) = (AgentWatch::default(), watch::Sender::new(()));
        let mut told = changes.subscribe();
        let seen = || {
            let seen = watch.0.lock();
            (seen.pace, seen.info.clone())
        };
        for _ in 0..20 {
            watch.heard(None, true, &changes);
        }
        assert_eq!(seen(), (RARELY, None));
        assert!(!told.has_changed().expect("is open"), "nothing is no news");
        let info = AgentInfo { version: "9.2".into(), system: None, id: None, addresses: Vec::new() };
        watch.heard(Some(info.clone()), true, &changes);
        assert_eq!(seen(), (PACE, Some(info)));
        assert!(told.has_changed().expect("is open"));
        told.mark_unchanged();
        // Nobody listens at its port any more.
        watch.heard(None, false, &changes);
        assert_eq!(seen(), (PACE, None));
    }
}
