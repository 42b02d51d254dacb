//! TLS and proxies.

use crate::bench::{Bench, LIMIT, settings, stored};
use crate::server::{Hit, Keep, Out, Server, Stored, status};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sampan_download::{DownloadError, Proxy, Queue, Request, Retry, Settings, Timeouts};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

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

/// A tunnel's bytes, both ways, until one side ends.
fn pump(out: &mut Out<'_>, port: u16) -> bool {
    let mut up = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut back, mut down) = (up.try_clone().unwrap(), out.stream.try_clone().unwrap());
    let pump = thread::spawn(move || drop(std::io::copy(&mut back, &mut down)));
    let _ = std::io::copy(out.stream, &mut up);
    let _ = up.shutdown(std::net::Shutdown::Both);
    let _ = pump.join();
    false
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
        pump(out, port)
    });
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let bench = trusting(Some(server.roots.path().into()), Proxy::Fixed(url.clone()));
    assert_eq!(bench.run(https(&bench, port)).unwrap(), b"hello");
    assert_eq!(proxy.hits()[0].method, "CONNECT");
    let bench = trusting(None, Proxy::Fixed(url));
    let error = bench.run(https(&bench, 1)).unwrap_err();
    assert!(error.to_string().contains("refuses"), "{error}");
}

#[test]
fn a_tunnel_is_asked_for_as_its_rules_demand_and_taken_as_proxies_give_it() {
    for answer in [
        "HTTP/1.0 200 Connection established\r\nProxy-Agent: old\r\n\r\n",
        // RFC 9110 section 9.3.6: any 2xx, and these fields mean nothing.
        "HTTP/1.1 201 Yes\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let server = tls(HELLO.into());
        let port = server.port;
        let proxy = Server::start(move |_, out| {
            // In two pieces, as a network may cut it.
            let (first, second) = answer.split_at(20);
            out.send(first.as_bytes());
            thread::sleep(Duration::from_millis(20));
            out.send(second.as_bytes());
            pump(out, port)
        });
        let url = format!("http://me:secret@127.0.0.1:{}", proxy.port());
        let bench = trusting(Some(server.roots.path().into()), Proxy::Fixed(url));
        assert_eq!(bench.run(https(&bench, port)).expect(answer), b"hello");
        let hit = proxy.hits().remove(0);
        let of = |name: &str| hit.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!((hit.method.as_str(), hit.path.as_str()), ("CONNECT", &*format!("localhost:{port}")));
        assert_eq!(of("host"), Some(hit.path.as_str()));
        assert_eq!(of("proxy-authorization"), Some("Basic bWU6c2VjcmV0"));
        assert!(of("user-agent").is_some_and(|agent| agent.starts_with("sampan/")));
    }
}

/// What a download by https through such a proxy ends with, and how often the proxy was asked.
fn through(
    connect: Duration,
    tries: u32,
    url: &str,
    answer: impl Fn(&Hit, &mut Out<'_>) -> Keep + Send + Sync + 'static,
) -> (DownloadError, Vec<Hit>) {
    let proxy = Server::start(answer);
    let bench = Bench::with(Settings {
        proxy: Proxy::Fixed(format!("http://127.0.0.1:{}", proxy.port())),
        timeouts: Timeouts { connect, ..settings().timeouts },
        retry: Retry { tries, ..settings().retry },
        ..settings()
    });
    let error = bench.run(bench.request(url)).expect_err("such a proxy gives no tunnel");
    (error, proxy.hits())
}

const FAR: &str = "https://example.invalid/a";

#[test]
fn a_proxy_that_demands_a_login_says_so_at_once() {
    let (error, hits) = through(LIMIT, 4, FAR, |_, out| {
        status(out, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\"\r\n")
    });
    assert!(matches!(error, DownloadError::Status { status: 407, .. }), "{error}");
    assert!(error.to_string().contains("the proxy demands a login"), "{error}");
    assert_eq!(hits.len(), 1, "no try without the login is another");
}

#[test]
fn a_proxy_that_refuses_is_told_with_its_status_and_words() {
    for (line, told) in [
        ("403 Forbidden", "403: Forbidden;"),
        ("503 Blocked by the firm", "503: Blocked by the firm;"),
        ("599", "599: ;"),
        // What belongs to no tunnel.
        ("101 Switching Protocols", "101: Switching Protocols;"),
        ("302 Found", "302: Found;"),
        (&format!("500 {}", "a".repeat(5000)), &format!("500: {};", "a".repeat(80))),
    ] {
        // Its page never ends; nobody reads it.
        let head = format!("HTTP/1.1 {line}\r\nConnection: close\r\n\r\n");
        let (error, hits) = through(LIMIT, 1, FAR, move |_, out| {
            out.send(head.as_bytes());
            while out.send(&[b' '; 4096]) {}
            false
        });
        assert!(
            matches!(&error, DownloadError::Network { host, .. } if host == "the proxy 127.0.0.1"),
            "{error}"
        );
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(hits.len(), 2, "{line}: it may be another time");
    }
}

#[test]
fn a_proxy_that_breaks_http_is_an_error_in_time() {
    type Bad = fn(&Hit, &mut Out<'_>) -> Keep;
    let cases: [(&str, Bad); 5] = [
        ("ends without an answer", |_, _| false),
        ("ends in the head", |_, out| {
            out.send(b"HTTP/1.1 200 OK\r\nX-A: b\r\n");
            false
        }),
        ("no HTTP", |_, out| out.send(b"\x16\x03\x01 hello\r\n\r\n")),
        ("a head without end", |_, out| {
            out.send(b"HTTP/1.1 200 OK\r\n");
            while out.send(b"X-Filler: 0123456789012345678901234567890123456789\r\n") {}
            false
        }),
        ("a line without end", |_, out| {
            out.send(b"HTTP/1.1 200 ");
            while out.send(&[b'a'; 4096]) {}
            false
        }),
    ];
    for (name, bad) in cases {
        // The limit is beyond what the test waits for: the answer itself is what ends it.
        let (error, _) = through(2 * LIMIT, 0, FAR, bad);
        assert!(
            matches!(&error, DownloadError::Network { host, .. } if host == "the proxy 127.0.0.1"),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_proxy_that_gives_no_tunnel_in_time_is_given_up() {
    type Slow = fn(&Hit, &mut Out<'_>) -> Keep;
    let cases: [(&str, Slow); 4] = [
        ("silent", |_, out| {
            out.stall(LIMIT);
            false
        }),
        ("silent after a part of the head", |_, out| {
            out.send(b"HTTP/1.1 200 OK\r\n");
            out.stall(LIMIT);
            false
        }),
        ("slow without end", |_, out| {
            out.send(b"HTTP/1.1 200 OK\r\nX-A: ");
            while out.send(b"a") {
                thread::sleep(Duration::from_millis(10));
            }
            false
        }),
        ("announces an answer without end", |_, out| {
            while out.send(b"HTTP/1.1 100 Continue\r\n\r\n") {}
            false
        }),
    ];
    for (name, slow) in cases {
        let (error, _) = through(Duration::from_millis(300), 0, FAR, slow);
        assert!(
            matches!(error, DownloadError::Timeout { doing: "a connection was made", .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_tunnel_to_an_address_is_asked_for_as_the_address_is_written() {
    for (url, target) in [
        ("https://[2001:db8::1]/a", "[2001:db8::1]:443"),
        ("https://[::1]:8443/a", "[::1]:8443"),
        ("https://192.0.2.1/a", "192.0.2.1:443"),
    ] {
        let (_, hits) = through(LIMIT, 0, url, |_, out| status(out, "403 Forbidden", ""));
        assert_eq!(hits[0].path, target);
        assert!(hits[0].headers.contains(&("host".into(), target.into())), "{hits:?}");
    }
}
