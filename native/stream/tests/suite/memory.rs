//! What many viewers, one after the other, leave behind. Alone in its process, which nextest gives each test, so that nothing else allocates.

use crate::common::Client;
use crate::common::guest::TestGuest;
use sampan_stream::{Server, ServerConfig};
use std::time::Duration;

/// Bytes that this process has from `malloc` and has not given back. Not what is resident: glibc returns pages when it sees fit,
/// and the same test was seen with 0 and with 9.5 MB more.
fn in_use() -> usize {
    // SAFETY: only reads what the allocator counts.
    let counted = unsafe { libc::mallinfo2() };
    counted.uordblks + counted.hblkhd
}

/// The least within a second: an encoder's thread gives its memory back a moment after the last viewer has gone.
async fn settled() -> usize {
    let mut least = usize::MAX;
    for _ in 0..20 {
        least = least.min(in_use());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    least
}

async fn visit(server: &Server, times: u32) {
    for _ in 0..times {
        let mut client = Client::connect(&server.url(), |answer| answer).await;
        client.frame().await;
        // Its channels are open, so that its end is told through them.
        client.message("\"status\"").await;
        client.close().await;
        crate::common::until("its departure", || server.stats().viewers.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_leave_nothing_behind() {
    let times = std::env::var("SAMPAN_CONNECTS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let server = Server::start(ServerConfig::default(), TestGuest::new(640, 360)).await.expect("serves");
    visit(&server, 20).await;
    let before = settled().await;
    visit(&server, times).await;
    let grown = settled().await.saturating_sub(before) / 1024;
    println!("{times} connections, {} kB before, {grown} kB more after", before / 1024);
    // Both ends live in this process: 109 kB each is what an old version of the library leaked at one of them.
    assert!(grown < times as usize * 16, "{grown} kB after {times} connections");
    server.stop().await;
}

/// What this process has of the host's memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("is told");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

// Only glibc keeps what is freed until it is asked.
#[cfg(target_env = "gnu")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_encoder_had_is_the_systems_again() {
    let guest = TestGuest::new(1920, 1080);
    let server = Server::start(ServerConfig::default(), guest.clone()).await.expect("serves");
    let mut client = Client::connect(&server.url(), |answer| answer).await;
    for seed in 0..60 {
        guest.noise(seed);
        client.frame().await;
    }
    let with = resident();
    client.close().await;
    crate::common::until("its departure", || server.stats().viewers.is_empty()).await;
    // Its thread ends a moment later. Some 60 MiB go back, and half of that does where nobody asks for the rest.
    crate::common::until("its memory", || resident() + 48 * 1024 < with).await;
    server.stop().await;
}
