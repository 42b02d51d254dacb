//! A stretch of network between a viewer and the server: it loses packets, or all of them, when told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tokio::net::UdpSocket;

#[derive(Default)]
pub struct Network {
    /// Of a thousand media packets to the viewer, so many are lost.
    pub loss: AtomicU32,
    /// Nothing passes, in either direction.
    pub silent: AtomicBool,
    /// Media packets that were lost.
    pub lost: AtomicU64,
    /// Retransmissions that passed (told by their SSRC, which is not encrypted).
    pub resent: AtomicU64,
    rtx: AtomicU32,
}

impl Network {
    /// Leads an answer's candidates through a proxy; answers the rewritten SDP.
    pub fn through(self: &Arc<Self>, sdp: String) -> String {
        // Over TCP a viewer would go past it.
        let is_tcp = |line: &str| line.starts_with("a=candidate:") && line.contains(" tcp ");
        let sdp: String = sdp.split_inclusive('\n').filter(|line| !is_tcp(line)).collect();
        let port: u16 = sdp
            .lines()
            .find_map(|line| line.strip_prefix("a=candidate:")?.split(' ').nth(5)?.parse().ok())
            .expect("a candidate");
        let group = sdp.lines().find_map(|line| line.strip_prefix("a=ssrc-group:FID ")).expect("a group");
        let rtx = group.split(' ').nth(1).and_then(|ssrc| ssrc.parse().ok()).expect("an SSRC");
        self.rtx.store(rtx, Ordering::Relaxed);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        socket.set_nonblocking(true).expect("an option");
        let own = socket.local_addr().expect("an address").port();
        let socket = UdpSocket::from_std(socket).expect("in a runtime");
        tokio::spawn(self.clone().forward(socket, SocketAddr::from(([127, 0, 0, 1], port))));
        sdp.replace(&format!(" {port} typ host"), &format!(" {own} typ host"))
    }

    async fn forward(self: Arc<Self>, socket: UdpSocket, server: SocketAddr) {
        let mut viewer = None;
        let mut buffer = vec![0; 2048];
        let mut random = 0x9e37_79b9_u32;
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let packet = &buffer[..length];
            if self.silent.load(Ordering::Relaxed) {
                continue;
            }
            if from != server {
                viewer = Some(from);
                let _ = socket.send_to(packet, server).await;
                continue;
            }
            // RFC 7983: media has first bytes from 128 on; RFC 5761: RTCP has types from 192 to 223.
            let media = length > 12 && packet[0] >> 6 == 2 && !(192..=223).contains(&packet[1]);
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if media && (random >> 16) % 1000 < self.loss.load(Ordering::Relaxed) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let ssrc = media.then(|| u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]));
            if ssrc == Some(self.rtx.load(Ordering::Relaxed)) {
                self.resent.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(viewer) = viewer {
                let _ = socket.send_to(packet, viewer).await;
            }
        }
    }
}
