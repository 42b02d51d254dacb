//! Accepts connections, within limits.

use super::crowd::{Crowd, Place};
use super::patience::{Patient, READING};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How long a connection may take to send a request's head, be it the first or the next.
const HEAD: Duration = Duration::from_secs(10);

/// How long it may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// A pause when the system refuses to accept, for instance because it is out of file descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// Serves `router` until `stop` turns true.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    serve_with(listener, None, router, stop).await;
}

/// The same, by TLS where there is an acceptor.
pub async fn serve_with(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let crowd = Crowd::default();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &crowd) => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, from, place) = match accepted {
            Accepted::Client(stream, from, place) => (stream, from, place),
            Accepted::Refused => continue,
            Accepted::Failed => {
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let (router, tls, mut stop) = (router.clone(), tls.clone(), stop.clone());
        tokio::spawn(async move {
            let lost = place.clone();
            let served = async move {
                let stream = Patient::new(stream, READING);
                let Some(tls) = tls else { return talk(stream, from, place, router).await };
                // Whoever says nothing holds no more than a place that it loses to the next one.
                match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => talk(stream, from, place, router).await,
                    Ok(Err(error)) => log::debug!("no TLS with {from}: {}", super::escaped(&error)),
                    Err(_) => log::debug!("no TLS with {from}: it took too long"),
                }
            };
            tokio::select! {
                () = served => {}
                () = lost.lost() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

/// HTTP with one client, to its end.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, from: IpAddr, place: Place, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let answering = place.answering();
        // So that the token's guard can tell of whom it has seen it.
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(PeerAddress(from));
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            drop(answering);
            answer
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        log::debug!("an HTTP connection ended: {}", super::escaped(&error));
    }
}

enum Accepted {
    Client(TcpStream, IpAddr, Place),
    /// There are too many from its address, and none of them is idle.
    Refused,
    /// The system does not accept any now.
    Failed,
}

async fn accept(listener: &TcpListener, crowd: &Crowd) -> Accepted {
    match listener.accept().await {
        Ok((stream, address)) => {
            // Signalling is a few short messages, which must not wait for each other.
            let _ = stream.set_nodelay(true);
            let from = canonical(address);
            match crowd.enter(from).await {
                Some(place) => Accepted::Client(stream, from, place),
                None => Accepted::Refused,
            }
        }
        Err(error) => {
            log::warn!("cannot accept a connection: {error}");
            Accepted::Failed
        }
    }
}

fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}
