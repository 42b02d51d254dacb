//! ICE over TCP (RFC 6544) for one viewer whose UDP is blocked: a passive candidate, behind which only the viewer gets.
//!
//! The library accepts everybody, as many as come, and waits for whoever does not read. A viewer's connection that stands still must
//! not hold up its own task, and a stranger's must cost nothing: so what it listens and writes on is ours.

use super::Flow;
use super::same_host::SameHostSocket;
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Connections of one viewer at a time. A browser opens one for each of its own addresses, and new ones when ICE begins anew.
const MOST_STREAMS: usize = 4;

/// Bytes that may wait for a viewer that does not read; more is lost, as on any path that is full.
const MOST_WAITING: usize = 256 * 1024;

/// How long nobody is accepted after the system refused to: it has no more files, or no memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The runtime of a viewer's connection: tokio's, apart from TCP, from sockets that hear this host alone, and
/// from timers that something due ends.
#[derive(Debug)]
pub struct ViewerRuntime {
    inner: TokioRuntime,
    from: Arc<Mutex<IpAddr>>,
    /// Whether only this host may be heard.
    same_host: bool,
    flow: Arc<Flow>,
}

impl ViewerRuntime {
    /// For a viewer at `from`, as long as it is there. With `same_host` only this host is heard.
    pub fn new(from: Arc<Mutex<IpAddr>>, same_host: bool, flow: Arc<Flow>) -> Self {
        Self { inner: TokioRuntime, from, same_host, flow }
    }
}

impl Runtime for ViewerRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        self.inner.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.inner.wrap_udp_socket(socket)?;
        if !self.same_host {
            return Ok(socket);
        }
        Ok(Arc::new(SameHostSocket::new(socket)?))
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        listener.set_nonblocking(true)?;
        let io = TcpListener::from_std(listener)?;
        Ok(Arc::new(Listener { io, from: self.from.clone(), open: Arc::default() }))
    }

    fn connect_tcp<'a>(&'a self, _: SocketAddr) -> Boxed<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        // A viewer's passive candidate would have us connect to where it says.
        Box::pin(async { Err(io::Error::from(io::ErrorKind::Unsupported)) })
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        self.inner.resolve_host(host)
    }

    /// Ends at once when something is due: after a timer the library looks at all that it has to send.
    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        let (mut slept, flow) = (self.inner.sleep(duration), self.flow.clone());
        Box::pin(poll_fn(move |cx| if flow.take_due() { Poll::Ready(()) } else { slept.as_mut().poll(cx) }))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.inner.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.inner.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        self.inner.yield_now()
    }
}

#[derive(Debug)]
struct Listener {
    io: TcpListener,
    from: Arc<Mutex<IpAddr>>,
    open: Arc<AtomicUsize>,
}

impl AsyncTcpListener for Listener {
    fn accept<'a>(&'a self) -> Boxed<'a, io::Result<(Arc<dyn AsyncTcpStream>, SocketAddr)>> {
        Box::pin(async move {
            loop {
                let (stream, peer) = match self.io.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // The library tries again at once.
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        return Err(error);
                    }
                };
                let is_its_own = peer.ip().to_canonical() == *self.from.lock();
                let Some(place) = Place::take(&self.open).filter(|_| is_its_own) else { continue };
                match Stream::new(stream, peer, place) {
                    Ok(stream) => return Ok((Arc::new(stream) as Arc<dyn AsyncTcpStream>, peer)),
                    // It has gone already.
                    Err(_) => continue,
                }
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }
}

/// One of [`MOST_STREAMS`], until it is dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(open.clone());
        (open.fetch_add(1, Ordering::Relaxed) < MOST_STREAMS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A viewer's connection. What is written waits here and not with who writes.
#[derive(Debug)]
struct Stream {
    read: OwnedReadHalf,
    packets: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    writer: tokio::task::JoinHandle<()>,
    local: SocketAddr,
    peer: SocketAddr,
    _place: Place,
}

impl Stream {
    fn new(stream: TcpStream, peer: SocketAddr, place: Place) -> io::Result<Self> {
        // A packet is not to wait for the next one.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let (read, write) = stream.into_split();
        // Bounded by what `waiting` counts.
        let (packets, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = tokio::spawn(write_out(write, queue, waiting.clone()));
        Ok(Self { read, packets, waiting, writer, local, peer, _place: place })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may wait for somebody who does not read.
        self.writer.abort();
    }
}

async fn write_out(
    mut stream: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(packet) = queue.recv().await {
        let written = stream.write_all(&packet).await;
        waiting.fetch_sub(packet.len(), Ordering::Relaxed);
        if written.is_err() {
            return;
        }
    }
}

impl AsyncTcpStream for Stream {
    fn read<'a, 'b>(&'a self, buf: &'b mut [u8]) -> Boxed<'b, io::Result<usize>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            loop {
                self.read.readable().await?;
                match self.read.try_read(buf) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            }
        })
    }

    fn write_all<'a, 'b>(&'a self, buf: &'b [u8]) -> Boxed<'b, io::Result<()>>
    where
        'a: 'b,
    {
        let before = self.waiting.fetch_add(buf.len(), Ordering::Relaxed);
        let taken = before + buf.len() <= MOST_WAITING && self.packets.send(buf.to_vec()).is_ok();
        if !taken {
            // A packet is lost as a whole, so what follows can be read.
            self.waiting.fetch_sub(buf.len(), Ordering::Relaxed);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    fn listen(from: &str) -> (Arc<dyn AsyncTcpListener>, SocketAddr) {
        let from = Arc::new(Mutex::new(from.parse().expect("an address")));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("is bound");
        (
            ViewerRuntime::new(from, false, Arc::new(Flow::new(0)))
                .wrap_tcp_listener(listener)
                .expect("listens"),
            address,
        )
    }

    #[tokio::test]
    async fn what_is_due_ends_a_timer_once() {
        let flow = Arc::new(Flow::new(0));
        let from = Arc::new(Mutex::new(IpAddr::from([127, 0, 0, 1])));
        let runtime = ViewerRuntime::new(from, false, flow.clone());
        let mut first = runtime.sleep(Duration::from_secs(3600));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        flow.set_due();
        assert!(futures_util::poll!(first.as_mut()).is_ready());
        let mut second = runtime.sleep(Duration::from_secs(3600));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn only_the_viewer_gets_in_and_not_without_end() {
        let (listener, address) = listen("127.0.0.1");
        let mut held = Vec::new();
        for _ in 0..MOST_STREAMS {
            let theirs = TcpStream::connect(address).await.expect("connects");
            held.push((listener.accept().await.expect("is let in"), theirs));
        }
        let (mut extra, mut byte) = (TcpStream::connect(address).await.expect("connects"), [0; 1]);
        tokio::select! {
            _ = listener.accept() => panic!("one too many"),
            read = extra.read(&mut byte) => assert_eq!(read.unwrap_or(0), 0, "it is closed"),
        }
        held.pop();
        let _next = TcpStream::connect(address).await.expect("connects");
        listener.accept().await.expect("there is a place again");

        let (listener, address) = listen("192.0.2.1");
        let mut stranger = TcpStream::connect(address).await.expect("connects");
        tokio::select! {
            _ = listener.accept() => panic!("a stranger was let in"),
            read = stranger.read(&mut byte) => assert_eq!(read.unwrap_or(0), 0, "it is closed"),
        }
    }

    #[tokio::test]
    async fn who_does_not_read_holds_up_nobody_and_gets_whole_packets() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let mut theirs = TcpStream::connect(address).await.expect("connects");
        let (accepted, peer) = listener.accept().await.expect("is there");
        let place = Place::take(&Arc::default()).expect("the first");
        let stream = Stream::new(accepted, peer, place).expect("is open");
        // More than the system's buffers and ours hold: each call returns at once.
        let packet = vec![7; 10_000];
        for _ in 0..4000 {
            stream.write_all(&packet).await.expect("is taken or lost");
        }
        let reader = tokio::spawn(async move {
            let mut bytes = 0;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match theirs.read(&mut buffer).await.unwrap_or(0) {
                    0 => return bytes,
                    read => bytes += read,
                }
            }
        });
        // It reads now, and what waited comes; what found no room does not.
        let waiting = || async {
            let probe = stream.waiting.load(Ordering::Relaxed);
            tokio::task::yield_now().await;
            probe
        };
        while waiting().await > 0 {}
        drop(stream);
        let bytes = reader.await.expect("no panic");
        assert!(bytes >= MOST_WAITING - packet.len() && bytes < 4000 * packet.len(), "{bytes}");
        assert_eq!(bytes % packet.len(), 0, "whole packets");
    }
}
