//! A way for browsers on this host that do not connect to loopback addresses: one of the host's own addresses, on which only the host
//! itself is heard.
//!
//! Firefox gathers no loopback candidates and pairs none of its own with ours, unless `media.peerconnection.ice.loopback` is set (the
//! flags of nICEr's `nr_ice_ctx`). What it sends to this host's other addresses stays on this host.
//!
//! Nobody else gets through: Linux drops what comes from outside and says that it comes from one of its own addresses (a martian
//! source: `fib_validate_source` in net/ipv4/fib_frontend.c; with IPv6 the answers stay here), and what says that it comes from
//! another is dropped here before it is looked at.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// A socket that hears only who sends from the very address that it is bound to.
#[derive(Debug)]
pub(super) struct SameHostSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    own: IpAddr,
}

impl SameHostSocket {
    /// # Errors
    /// The socket is bound to nothing.
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>) -> io::Result<Self> {
        let own = inner.local_addr()?.ip().to_canonical();
        Ok(Self { inner, own })
    }
}

/// Moves the messages that `keeps` says to the front; how many those are.
fn keep(bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta], keeps: impl Fn(&RecvMeta) -> bool) -> usize {
    let mut kept = 0;
    for index in 0..meta.len() {
        let Some(one) = meta.get(index).copied().filter(|one| keeps(one)) else { continue };
        if kept != index {
            let (front, back) = bufs.split_at_mut(index);
            let (Some(to), Some(from)) = (front.get_mut(kept), back.first()) else { continue };
            let (Some(to), Some(from)) = (to.get_mut(..one.len), from.get(..one.len)) else { continue };
            to.copy_from_slice(from);
        }
        if let Some(place) = meta.get_mut(kept) {
            *place = one;
        }
        kept += 1;
    }
    kept
}

impl AsyncUdpSocket for SameHostSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let came = match self.inner.poll_recv(cx, bufs, meta) {
                Poll::Ready(Ok(came)) => came.min(meta.len()),
                other => return other,
            };
            let kept = keep(bufs, meta.get_mut(..came).unwrap_or_default(), |one| {
                one.addr.ip().to_canonical() == self.own
            });
            if kept > 0 || came == 0 {
                return Poll::Ready(Ok(kept));
            }
            // Only strangers: the next ones, or none yet.
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;
    use webrtc::runtime::{Runtime, TokioRuntime};

    #[tokio::test]
    async fn only_who_sends_from_the_same_address_is_heard() {
        let bound = |address: &str| UdpSocket::bind(address).expect("all of 127/8 is this host's");
        let socket = bound("127.0.0.2:0");
        let to = socket.local_addr().expect("is bound");
        let socket = TokioRuntime.wrap_udp_socket(socket).expect("is one");
        let socket = SameHostSocket::new(socket).expect("is bound");
        let (stranger, own) = (bound("127.0.0.1:0"), bound("127.0.0.2:0"));
        for round in 0..3_u8 {
            stranger.send_to(b"let me in", to).expect("is sent");
            own.send_to(&[round], to).expect("is sent");
            stranger.send_to(&[round; 40], to).expect("is sent");
        }
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let (mut a, mut b) = ([0_u8; 64], [0_u8; 64]);
            let mut meta = [RecvMeta::default(); 2];
            let mut bufs = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
            let came = std::future::poll_fn(|cx| socket.poll_recv(cx, &mut bufs, &mut meta));
            let came =
                tokio::time::timeout(Duration::from_secs(30), came).await.expect("in time").expect("comes");
            for (buffer, one) in bufs.iter().zip(&meta).take(came) {
                assert_eq!(one.addr, own.local_addr().expect("is bound"));
                heard.extend_from_slice(&buffer[..one.len]);
            }
        }
        assert_eq!(heard, [0, 1, 2]);
    }

    #[test]
    fn what_is_kept_moves_to_the_front() {
        let mut buffers = [*b"a..", *b"b..", *b"cc.", *b"d.."];
        let mut bufs: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let mut meta = [RecvMeta::default(); 4];
        for (one, (len, port)) in meta.iter_mut().zip([(1, 9), (1, 7), (2, 7), (1, 9)]) {
            (one.len, one.addr) = (len, SocketAddr::from(([127, 0, 0, 1], port)));
        }
        assert_eq!(keep(&mut bufs, &mut meta, |one| one.addr.port() == 7), 2);
        assert_eq!((&bufs[0][..meta[0].len], &bufs[1][..meta[1].len]), (&b"b"[..], &b"cc"[..]));
        assert_eq!(keep(&mut bufs, &mut meta[..2], |_| false), 0);
    }
}
