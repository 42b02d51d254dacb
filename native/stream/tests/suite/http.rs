//! Who gets what over HTTP.

use crate::common::guest::TestGuest;
use crate::common::{Client, http, parts, within};
use sampan_stream::{ServeError, Server, ServerConfig};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn serve(config: ServerConfig) -> (Server, SocketAddr, String) {
    let server = Server::start(config, TestGuest::new(320, 200)).await.expect("serves");
    let (address, token) = parts(&server.url());
    let bearer = format!("Bearer {token}");
    (server, address, bearer)
}

#[tokio::test]
async fn the_page_needs_no_token_and_all_else_does() {
    let (server, address, bearer) = serve(ServerConfig::default()).await;
    let page = http(address, "GET /", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    for (name, value) in [
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert!(page.header(name).is_some_and(|given| given.contains(value)), "{name}");
    }
    assert!(!page.header("content-security-policy").is_some_and(|policy| policy.contains("unsafe")));

    for line in ["GET /status", "POST /whep", "PATCH /whep/x", "DELETE /whep/x"] {
        for headers in [&[][..], &[("Authorization", "Bearer nonsense")][..]] {
            let answer = http(address, line, headers, "").await;
            assert_eq!(answer.status, 401, "{line}");
            assert!(answer.header("content-security-policy").is_some());
        }
    }
    let status = http(address, "GET /status", &[("Authorization", &bearer)], "").await;
    assert_eq!(status.status, 200);
    assert!(status.body.contains(r#""width":320,"height":200"#), "{}", status.body);
    assert_eq!(http(address, "GET /../Cargo.toml", &[], "").await.status, 404);
    assert_eq!(http(address, "GET /nothing", &[], "").await.status, 404);
    assert_eq!(http(address, "GET /console.html", &[], "").await.status, 404, "another server's page");
    server.stop().await;
}

#[tokio::test]
async fn other_names_and_other_pages_are_refused() {
    let (server, address, bearer) = serve(ServerConfig::default()).await;
    let authorization = ("Authorization", bearer.as_str());
    let rebound = http(address, "GET /status", &[("Host", "evil.example"), authorization], "").await;
    assert_eq!(rebound.status, 421);
    assert_eq!(http(address, "GET /", &[("Host", "evil.example")], "").await.status, 421);
    let local = format!("localhost:{}", address.port());
    assert_eq!(http(address, "GET /status", &[("Host", &local), authorization], "").await.status, 200);
    let foreign = [("Origin", "http://evil.example"), authorization];
    assert_eq!(http(address, "GET /status", &foreign, "").await.status, 403);
    let own = format!("http://{address}");
    assert_eq!(http(address, "GET /status", &[("Origin", &own), authorization], "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn bad_offers_are_answered_in_words() {
    let (server, address, bearer) = serve(ServerConfig::default()).await;
    let authorization = ("Authorization", bearer.as_str());
    let sdp = ("Content-Type", "application/sdp");
    let offer = |body: String| async move { http(address, "POST /whep", &[authorization, sdp], &body).await };
    assert_eq!(http(address, "POST /whep", &[authorization], "v=0").await.status, 415);
    let silent = offer("v=0\r\nm=audio 9 RTP 0\r\n".into()).await;
    assert_eq!(silent.status, 406);
    assert!(silent.body.contains("H.264"), "{}", silent.body);
    let broken = "nonsense\r\nm=video 9 X 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n";
    assert_eq!(offer(broken.into()).await.status, 400);
    assert_eq!(offer("x".repeat(100_000)).await.status, 413);
    let answer = http(address, "DELETE /whep/nobody", &[authorization], "").await;
    assert_eq!(answer.status, 404);
    assert!(server.stats().viewers.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_limited_trickle_and_leave() {
    let config = ServerConfig { max_viewers: 1, ..ServerConfig::default() };
    let (server, address, bearer) = serve(config).await;
    let authorization = ("Authorization", bearer.as_str());
    let mut client = Client::connect(&server.url(), |answer| answer).await;
    client.frame().await;
    let headers = [authorization, ("Content-Type", "application/sdp")];
    let offer = client.pc.local_description().await.expect("an offer").sdp;
    let second = http(address, "POST /whep", &headers, &offer).await;
    assert_eq!(second.status, 503, "{}", second.body);

    let line = format!("PATCH {}", client.location);
    let fragment = "a=mid:0\r\na=candidate:7 1 udp 2122 127.0.0.1 9 typ host\r\na=candidate:8 1 udp 1 x.local 9 typ host\r\n";
    let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
    assert_eq!(http(address, &line, &[authorization, kind], fragment).await.status, 204);
    assert_eq!(http(address, &line, &[authorization, kind], "a=candidate:rubbish\r\n").await.status, 400);

    let line = format!("DELETE {}", client.location);
    assert_eq!(http(address, &line, &[authorization], "").await.status, 200);
    crate::common::until("its departure", || server.stats().viewers.is_empty()).await;
    server.stop().await;
}

#[tokio::test]
async fn only_this_machine_is_listened_on() {
    for listen in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let listen = listen.parse().expect("an address");
        let result =
            Server::start(ServerConfig { listen, ..ServerConfig::default() }, TestGuest::new(64, 64)).await;
        let Err(error) = result else { panic!("{listen} was accepted") };
        assert!(matches!(error, ServeError::NotLoopback(_)));
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
    let listen = "[::1]:0".parse().expect("an address");
    // Where there is IPv6 at all.
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        let (server, address, _) = serve(ServerConfig { listen, ..ServerConfig::default() }).await;
        assert_eq!(http(address, "GET /", &[], "").await.status, 200);
        server.stop().await;
    }
    let (server, address, _) = serve(ServerConfig::default()).await;
    let taken = ServerConfig { listen: address, ..ServerConfig::default() };
    assert!(matches!(Server::start(taken, TestGuest::new(64, 64)).await, Err(ServeError::Listen { .. })));
    server.stop().await;
    let weak = ServerConfig { token: Some("short".into()), ..ServerConfig::default() };
    assert!(matches!(Server::start(weak, TestGuest::new(64, 64)).await, Err(ServeError::WeakToken(_))));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let (server, address, _) = serve(ServerConfig::default()).await;
    let mut idle = TcpStream::connect(address).await.expect("connects");
    let mut slow = TcpStream::connect(address).await.expect("connects");
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").await.expect("sends");
    let mut rest = Vec::new();
    let _ = within("its end", idle.read_to_end(&mut rest)).await;
    let _ = within("its end", slow.read_to_end(&mut rest)).await;
    server.stop().await;
}

/// Sends a request on a connection that stays, and reads the answer's head and body.
async fn ask(stream: &mut TcpStream, address: SocketAddr, bearer: &str) -> String {
    let request = format!("GET /status HTTP/1.1\r\nHost: {address}\r\nAuthorization: {bearer}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.ends_with('}') {
        let read = within("an answer", stream.read(&mut buffer)).await.expect("reads");
        assert!(read > 0, "the connection was closed: {answer}");
        answer += &String::from_utf8_lossy(&buffer[..read]);
    }
    answer
}

#[tokio::test]
async fn whoever_holds_connections_open_keeps_nobody_out() {
    let (server, address, bearer) = serve(ServerConfig::default()).await;
    let mut owner = TcpStream::connect(address).await.expect("connects");
    assert!(ask(&mut owner, address, &bearer).await.starts_with("HTTP/1.1 200"));
    let mut flood = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.expect("sends");
        flood.push(stream);
    }
    let status = http(address, "GET /status", &[("Authorization", &bearer)], "").await;
    assert_eq!(status.status, 200);
    let is_open = |stream: &TcpStream| {
        stream.try_read(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    };
    // Before their time was up: the oldest made room, the youngest did not.
    within("its end", flood[0].read(&mut [0])).await.expect("is closed");
    assert!(is_open(&flood[250]) && is_open(&flood[299]));
    assert!(ask(&mut owner, address, &bearer).await.starts_with("HTTP/1.1 200"), "who has the token stays");
    server.stop().await;
}
