//! Accepts connections, within limits.

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Connections at a time: a browser opens six.
const CONNECTIONS: usize = 128;

/// How long a connection may take to send a request's head, be it the first or the next.
const HEAD: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// A pause when the system refuses to accept, for instance because it is out of file descriptors.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` turns true.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some((stream, permit)) = accepted else {
            tokio::time::sleep(BREATHER).await;
            continue;
        };
        let (service, mut stop) = (TowerToHyperService::new(router.clone()), stop.clone());
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
            let served = http.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                result = served => if let Err(error) = result {
                    log::debug!("an HTTP connection ended: {error}");
                },
                _ = stop.wait_for(|stop| *stop) => {}
            }
            drop(permit);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The permit first: what is not accepted waits in the kernel's queue, which is bounded too.
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Signalling is a few short messages, which must not wait for each other.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            log::warn!("cannot accept a connection: {error}");
            None
        }
    }
}
