//! Accepts connections, within limits.

use super::crowd::{Crowd, Place};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a connection may take to send a request's head, be it the first or the next.
const HEAD: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// A pause when the system refuses to accept, for instance because it is out of file descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` turns true.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let crowd = Crowd::default();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &crowd) => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some((stream, place)) = accepted else {
            tokio::time::sleep(BREATHER).await;
            continue;
        };
        let (router, mut stop) = (TowerToHyperService::new(router.clone()), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|mut request: Request<Incoming>| {
                let answering = place.answering();
                // So that the token's guard can tell of whom it has seen it.
                request.extensions_mut().insert(place.clone());
                let answer = router.call(request);
                async move {
                    let answer = answer.await;
                    drop(answering);
                    answer
                }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
            let served = http.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                result = served => if let Err(error) = result {
                    log::debug!("an HTTP connection ended: {error}");
                },
                () = place.lost() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn accept(listener: &TcpListener, crowd: &Crowd) -> Option<(TcpStream, Place)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // Signalling is a few short messages, which must not wait for each other.
            let _ = stream.set_nodelay(true);
            Some((stream, crowd.enter().await))
        }
        Err(error) => {
            log::warn!("cannot accept a connection: {error}");
            None
        }
    }
}
