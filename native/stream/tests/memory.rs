//! What many viewers, one after the other, leave behind. Alone in its process, so that nothing else allocates.

mod common;

use common::Client;
use common::guest::TestGuest;
use sampan_stream::{Server, ServerConfig};

/// Resident kilobytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux system");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

async fn visit(server: &Server, times: u32) {
    for _ in 0..times {
        let mut client = Client::connect(&server.url(), |answer| answer).await;
        client.frame().await;
        // Its channels are open, so that its end is told through them.
        client.message("\"status\"").await;
        client.close().await;
        common::until("its departure", || server.stats().viewers.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_leave_nothing_behind() {
    let times = std::env::var("SAMPAN_CONNECTS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let server = Server::start(ServerConfig::default(), TestGuest::new(640, 360)).await.expect("serves");
    visit(&server, 20).await;
    let before = resident();
    visit(&server, times).await;
    let grown = resident().saturating_sub(before);
    println!(
        "{times} connections, {before} kB before, {grown} kB more after: {} kB each",
        grown / u64::from(times)
    );
    // Both ends live in this process: 109 kB each is what an old version of the library leaked at one of them.
    assert!(grown < u64::from(times) * 64, "{grown} kB after {times} connections");
    server.stop().await;
}
