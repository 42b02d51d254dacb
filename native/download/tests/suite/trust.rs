//! TLS and proxies.

use crate::bench::{Bench, settings, stored};
use crate::server::{Server, Stored, status};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sampan_download::{DownloadError, Proxy, Queue, Request, Settings};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A TLS server for `localhost` with an authority of its own: it answers every request with one text.
struct Tls {
    port: u16,
    roots: tempfile::NamedTempFile,
}

fn tls(answer: String) -> Tls {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(issuer.pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        // Bounded: a test makes a few connections.
        for stream in listener.incoming().take(20).flatten() {
            let (config, answer) = (config.clone(), answer.clone());
            thread::spawn(move || serve(stream, config, &answer));
        }
    });
    Tls { port, roots }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, answer: &str) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut tls = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && tls.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    let _ = tls.write_all(answer.as_bytes());
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

fn trusting(roots: Option<PathBuf>, proxy: Proxy) -> Bench {
    Bench::with(Settings { extra_roots: roots, proxy, ..settings() })
}

fn https(bench: &Bench, port: u16) -> Request {
    Request::new(format!("https://localhost:{port}/a"), bench.file())
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_server_is_believed_only_with_a_certificate_that_is_trusted() {
    let server = tls(HELLO.into());
    let bench = trusting(None, Proxy::Direct);
    let error = bench.run(https(&bench, server.port)).unwrap_err();
    assert!(matches!(error, DownloadError::Certificate { .. }), "{error}");
    let bench = trusting(Some(server.roots.path().into()), Proxy::Direct);
    assert_eq!(bench.run(https(&bench, server.port)).unwrap(), b"hello");
    let bench = trusting(Some(server.roots.path().into()), Proxy::Direct);
    // As Windows' editors save it.
    let mut marked = tempfile::NamedTempFile::new().unwrap();
    marked.write_all(b"\xef\xbb\xbf").unwrap();
    marked.write_all(&std::fs::read(server.roots.path()).unwrap()).unwrap();
    let same = trusting(Some(marked.path().into()), Proxy::Direct);
    assert_eq!(same.run(https(&same, server.port)).unwrap(), b"hello");
    let other = Request::new(format!("https://127.0.0.1:{}/a", server.port), bench.file());
    let error = bench.run(other).unwrap_err();
    assert!(matches!(error, DownloadError::Certificate { .. }), "another name: {error}");
}

#[test]
fn https_never_leads_to_http() {
    let plain = Server::start(|_, out| status(out, "200 OK", ""));
    let server =
        tls(format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", plain.url("/a")));
    let bench = trusting(Some(server.roots.path().into()), Proxy::Direct);
    let error = bench.run(https(&bench, server.port).allow_http()).unwrap_err();
    assert!(matches!(error, DownloadError::Redirect { .. }), "{error}");
    assert_eq!(plain.hits().len(), 0);
}

#[test]
fn a_file_without_certificates_is_refused_at_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().into(), PathBuf::from("/nonexistent.pem")] {
        let started = Queue::start(Settings { extra_roots: Some(path), ..settings() });
        assert!(matches!(started, Err(DownloadError::Start { .. })));
    }
}

#[test]
fn a_proxy_that_cannot_be_is_refused_at_the_start() {
    for proxy in ["", "here", "socks5://127.0.0.1:1080", "https://127.0.0.1:1"] {
        let started = Queue::start(Settings { proxy: Proxy::Fixed(proxy.into()), ..settings() });
        assert!(matches!(started, Err(DownloadError::Start { .. })), "{proxy}");
    }
}

#[test]
fn plain_http_goes_through_the_proxy_by_its_whole_address() {
    let file = Stored { ranges: false, ..stored(500) };
    let served = file.clone();
    let proxy = Server::start(move |hit, out| served.serve(hit, out));
    let url = format!("http://me:secret@127.0.0.1:{}", proxy.port());
    let bench = trusting(None, Proxy::Fixed(url));
    assert_eq!(bench.fetch("http://example.invalid/a?b").unwrap(), file.bytes);
    let hit = proxy.hits().remove(0);
    assert_eq!(hit.path, "http://example.invalid/a?b");
    let login = hit.headers.iter().find(|(name, _)| name == "proxy-authorization").unwrap();
    assert_eq!(login.1, "Basic bWU6c2VjcmV0");
}

#[test]
fn https_goes_through_a_tunnel_and_a_refused_one_is_said() {
    let server = tls(HELLO.into());
    let port = server.port;
    let proxy = Server::start(move |hit, out| {
        if hit.method != "CONNECT" || hit.path != format!("localhost:{port}") {
            return status(out, "403 Forbidden", "");
        }
        out.send(b"HTTP/1.1 200 Tunnel\r\n\r\n");
        let mut up = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut back, mut down) = (up.try_clone().unwrap(), out.stream.try_clone().unwrap());
        let pump = thread::spawn(move || drop(std::io::copy(&mut back, &mut down)));
        let _ = std::io::copy(out.stream, &mut up);
        let _ = up.shutdown(std::net::Shutdown::Both);
        let _ = pump.join();
        false
    });
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let bench = trusting(Some(server.roots.path().into()), Proxy::Fixed(url.clone()));
    assert_eq!(bench.run(https(&bench, port)).unwrap(), b"hello");
    assert_eq!(proxy.hits()[0].method, "CONNECT");
    let bench = trusting(None, Proxy::Fixed(url));
    let error = bench.run(https(&bench, 1)).unwrap_err();
    assert!(error.to_string().contains("refuses"), "{error}");
}
