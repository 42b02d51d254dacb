//! Many who watch what a media server relays, for `tests/bench/sfu`: each with ICE, DTLS and SRTP of its own, and without a decoder.
//!
//!   subscribers http://HOST:PORT COUNT
//!
//! `POST /watch` gives the server's offer, `PATCH` of its `Location` takes the answer. A line of JSON says when all have had a picture's
//! packet; then each line read gives one of what has come so far, until there are no more.

use anyhow::{Context, Result, bail};
use rtc::interceptor::Registry;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCSessionDescription, SettingEngineBuilder,
};

/// Who connects at a time: DTLS costs most.
const AT_A_TIME: usize = 8;

#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    bytes: AtomicU64,
    seeing: AtomicUsize,
}

struct Handler {
    gathered: watch::Sender<bool>,
    seen: watch::Sender<bool>,
    counters: Arc<Counters>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let (counters, seen) = (self.counters.clone(), self.seen.clone());
        tokio::spawn(async move {
            let first = AtomicBool::new(true);
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                counters.packets.fetch_add(1, Ordering::Relaxed);
                counters.bytes.fetch_add(packet.payload.len() as u64, Ordering::Relaxed);
                if first.swap(false, Ordering::Relaxed) {
                    counters.seeing.fetch_add(1, Ordering::Relaxed);
                    seen.send_replace(true);
                }
            }
        });
    }
}

async fn http(host: &str, line: &str, body: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    if head.as_bytes().get(9) != Some(&b'2') {
        bail!("{line}: {}", head.lines().next().unwrap_or_default());
    }
    Ok((head.to_owned(), body.to_owned()))
}

/// A body that came in chunks, as Node.js sends what it knows no length of.
fn whole(head: &str, body: &str) -> String {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut all) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        all.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    all
}

async fn watch_stream(host: &str, counters: Arc<Counters>) -> Result<Arc<dyn PeerConnection>> {
    let (head, body) = http(host, "POST /watch", "").await?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let (gathered, mut gathering) = watch::channel(false);
    let (seen, mut seeing) = watch::channel(false);
    let mut engine = MediaEngine::default();
    engine.register_default_codecs()?;
    let registry = register_default_interceptors(Registry::new(), &mut engine)?;
    let pc = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_setting_engine(SettingEngineBuilder::new().with_include_loopback_candidate(true).build())
        .with_handler(Arc::new(Handler { gathered, seen, counters }))
        .with_udp_addrs(vec!["0.0.0.0:0"])
        .build()
        .await?;
    pc.set_remote_description(RTCSessionDescription::offer(whole(&head, &body))?).await?;
    let answer = pc.create_answer(None).await?;
    pc.set_local_description(answer).await?;
    gathering.wait_for(|done| *done).await?;
    let answer = pc.local_description().await.context("no answer")?.sdp;
    http(host, &format!("PATCH {}", location.context("no location")?), &answer).await?;
    tokio::time::timeout(Duration::from_secs(60), seeing.wait_for(|seen| *seen))
        .await
        .context("no picture")??;
    Ok(Arc::new(pc))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let host = args.next().context("the gateway's address")?;
    let host: Arc<str> = host.trim_start_matches("http://").into();
    let count: usize = args.next().context("how many")?.parse()?;
    let (counters, turns) = (Arc::new(Counters::default()), Arc::new(Semaphore::new(AT_A_TIME)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (host, counters, turns) = (host.clone(), counters.clone(), turns.clone());
            tokio::spawn(async move {
                let _turn = turns.acquire().await?;
                watch_stream(&host, counters).await
            })
        })
        .collect();
    let mut all = Vec::with_capacity(count);
    let mut failed = 0;
    for task in tasks {
        match task.await? {
            Ok(pc) => all.push(pc),
            Err(error) => {
                eprintln!("{error:#}");
                failed += 1;
            }
        }
    }
    println!(
        "{{\"watching\":{},\"failed\":{failed},\"seconds\":{:.1}}}",
        all.len(),
        begun.elapsed().as_secs_f64()
    );
    // The runtime's other threads go on; this one has nothing else to do.
    for line in std::io::stdin().lines() {
        line?;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seeing = counters.seeing.load(Ordering::Relaxed);
        println!(
            "{{\"seeing\":{seeing},\"packets\":{},\"bytes\":{}}}",
            load(&counters.packets),
            load(&counters.bytes)
        );
    }
    Ok(())
}
