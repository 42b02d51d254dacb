//! A guest shown to devices that are paired: over TLS, with a device that is written by the documentation.

#[path = "../../../trust/tests/suite/device.rs"]
mod device;

use crate::common::guest::{Painter, TestGuest};
use crate::common::{Answer, Client, exchange, request, until, within};
use device::{Device, Known, b64, sha256, unb64};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sampan_input::{Event, Key};
use sampan_message::Coded;
use sampan_stream::{ServeError, Server, ServerConfig, ShareConfig};
use sampan_trust::{IceServer, Right, Rights, Store};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webrtc::peer_connection::RTCPeerConnectionState;

/// Believes one certificate, by its hash.
#[derive(Debug)]
struct Pinned(Vec<u8>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if sha256(certificate) == self.0 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another certificate".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let all = &rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, all)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let all = &rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, all)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A guest that is shown.
pub struct Shown {
    pub guest: Arc<TestGuest>,
    pub server: Server,
    store: Store,
    pub address: SocketAddr,
    certificate: Vec<u8>,
    folder: TempDir,
}

impl Shown {
    pub async fn new() -> Self {
        let guest = TestGuest::new(640, 360);
        let server = Server::start(ServerConfig::default(), guest.clone()).await.expect("serves");
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path());
        let address = share(&server, &store, "127.0.0.1:0").await.expect("is shown");
        let certificate = store.identity().expect("is there").hash().to_vec();
        Self { guest, server, store, address, certificate, folder }
    }

    pub async fn tls(&self) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("has versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(self.certificate.clone())))
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let name = ServerName::from(self.address.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("speaks TLS")
    }

    pub async fn https(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        exchange(self.tls().await, &request(self.address, line, headers, body)).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let json = [("Content-Type", "application/json")];
        let answer = self.https(&format!("POST {path}"), &json, &body.to_string()).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// Pairs a device, with an owner who gives it `rights`.
    pub async fn pair(&self, name: &str, rights: Rights) -> (Device, Vec<u8>) {
        let code = self.server.pair().expect("is shown");
        let device = Device::new(name);
        let begun = device.begin(&Known::url(&code.url));
        let (status, answer) = self.post("/pair/1", &begun.message).await;
        assert_eq!(status, 200, "{answer}");
        let agreed = device.agree(begun, &answer).expect("both know the code");
        let (status, step) = self.post("/pair/2", &agreed.second).await;
        assert_eq!((status, &step), (200, &json!({ "state": "asking" })));
        let request = self.server.sharing().expect("is shown").request.expect("is asked");
        assert_eq!((request.name.as_str(), request.check.as_str()), (name, agreed.check.as_str()));
        assert_eq!(request.address, "127.0.0.1");
        self.server.answer(&request.request, rights).await.expect("is answered");
        let (status, step) = self.post("/pair/3", &agreed.wait).await;
        assert_eq!((status, step["state"].as_str()), (200, Some("granted")));
        assert_eq!(step["device"], device.id());
        device.session.set(Some(agreed.session));
        (device, agreed.host)
    }

    async fn nonce(&self) -> String {
        let nonce = self.https("GET /nonce", &[], "").await;
        assert_eq!(nonce.status, 200);
        nonce.body
    }

    async fn offer(&self, device: &Device, offer: &str) -> Answer {
        let signed = format!("Sampan {}", device.sign(&self.certificate, &self.nonce().await, offer));
        let headers = [("Authorization", signed.as_str()), ("Content-Type", "application/sdp")];
        self.https("POST /whep", &headers, offer).await
    }

    /// Connects a paired device; gives what a session's requests are made of.
    pub async fn connect(&self, device: &Device, host: &[u8]) -> (Client, (String, String, String)) {
        let kept = std::cell::RefCell::new(None);
        let client = Client::connect_by("127.0.0.1:0", async |offer| {
            let nonce = self.nonce().await;
            let signed = format!("Sampan {}", device.sign(&self.certificate, &nonce, &offer));
            let headers = [("Authorization", signed.as_str()), ("Content-Type", "application/sdp")];
            let answer = self.https("POST /whep", &headers, &offer).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
            let servers = self.store.ice_servers().expect("is read");
            assert_eq!(links(&answer), servers.iter().map(IceServer::link).collect::<Vec<_>>());
            let signature = answer.header("sampan-signature").expect("is signed").to_owned();
            assert!(Device::is_answer(host, &offer, &answer.body, &signature));
            let location = answer.header("location").expect("a location").to_owned();
            kept.replace(Some((nonce, offer, answer.body.clone())));
            (location, answer.body)
        })
        .await;
        (client, kept.into_inner().expect("was kept"))
    }
}

/// Of which servers for ICE an answer tells.
fn links(answer: &Answer) -> Vec<String> {
    let value = |line: &str| {
        line.split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("link"))
            .map(|(_, value)| value.to_owned())
    };
    answer.head.lines().filter_map(value).collect()
}

async fn share(server: &Server, store: &Store, listen: &str) -> Result<SocketAddr, ServeError> {
    let listen = listen.parse().expect("an address");
    let config = ShareConfig { listen, store: store.clone(), machine: "machine".into(), lasting: false };
    server.share(config).await
}

pub fn drive() -> Rights {
    [Right::Drive].into_iter().collect()
}

async fn is_gone(client: &mut Client) {
    let closed = |state: &RTCPeerConnectionState| {
        matches!(
            state,
            RTCPeerConnectionState::Closed
                | RTCPeerConnectionState::Failed
                | RTCPeerConnectionState::Disconnected
        )
    };
    within("the end of the connection", client.state.wait_for(closed)).await.expect("is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paired_device_sees_and_drives_until_it_is_revoked() {
    let shown = Shown::new().await;
    let _painter = Painter::start(shown.guest.clone(), 30);
    let (device, host) = shown.pair("phone", drive()).await;
    for (url, user) in [("turn:127.0.0.1:9?transport=udp", Some("a \"user\"")), ("stun:127.0.0.1:9", None)] {
        let user = user.map(str::to_owned);
        let server = IceServer::new(url, user.clone(), user).expect("a server");
        shown.store.add_ice_server(server).expect("is kept");
    }
    let (mut client, _) = shown.connect(&device, &host).await;
    let (first, second) = (client.frame().await, client.frame().await);
    // Without a decoder two pictures have come, and that is all that is known of them.
    if cfg!(not(target_env = "ohos")) {
        assert!(second.counter() > first.counter());
    }
    client.keys.send_text(r#"{"t":"key","code":"KeyA","down":true}"#).await.expect("sends");
    let key = Key::from_dom("KeyA").expect("a key");
    until("the key", || shown.guest.events().contains(&Event::Key { key, down: true })).await;
    let sharing = shown.server.sharing().expect("is shown");
    assert_eq!(sharing.url, format!("https://{}", shown.address));
    let viewer = sharing.viewers.first().expect("is here").clone();
    assert_eq!((viewer.device, viewer.name.as_str(), viewer.rights), (device.id(), "phone", drive()));

    // In the middle of the stream, by whoever has the list: the server has not been told.
    shown.store.revoke(&device.id()).expect("is revoked");
    is_gone(&mut client).await;
    until("its departure", || shown.server.sharing().is_some_and(|sharing| sharing.viewers.is_empty())).await;
    until("its key's release", || shown.guest.events().contains(&Event::Key { key, down: false })).await;
    let again = shown.offer(&device, "v=0\r\n").await;
    assert_eq!(again.status, 401);
    assert!(again.body.contains("not_paired") && links(&again).is_empty(), "{}", again.body);
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kicked_revoked_and_ended_at_once() {
    let shown = Shown::new().await;
    let (device, host) = shown.pair("phone", Rights::ALL).await;
    let (mut client, _) = shown.connect(&device, &host).await;
    until("its arrival", || shown.server.sharing().is_some_and(|sharing| sharing.viewers.len() == 1)).await;
    let number = shown.server.sharing().expect("is shown").viewers[0].viewer.clone();
    assert_eq!(shown.server.kick("none").expect_err("is not there").code(), "no_viewer");
    shown.server.kick(&number).expect("is there");
    is_gone(&mut client).await;

    let (mut client, _) = shown.connect(&device, &host).await;
    until("its arrival", || shown.server.sharing().is_some_and(|sharing| sharing.viewers.len() == 1)).await;
    shown.server.revoked(&device.id());
    is_gone(&mut client).await;

    let mut here = Client::connect(&shown.server.url(), |answer| answer).await;
    let (mut client, _) = shown.connect(&device, &host).await;
    until("its arrival", || shown.server.sharing().is_some_and(|sharing| sharing.viewers.len() == 1)).await;
    shown.server.unshare();
    is_gone(&mut client).await;
    assert_eq!(shown.server.sharing(), None);
    assert_eq!(shown.server.pair().expect_err("is not shown").code(), "not_shared");
    here.frame().await;
    until("the port", || std::net::TcpListener::bind(shown.address).is_ok()).await;
    // At the same place the device is known again.
    share(&shown.server, &shown.store, &shown.address.to_string()).await.expect("is shown again");
    let (client, _) = shown.connect(&device, &host).await;
    client.close().await;
    shown.server.stop().await;
    assert!(shown.folder.path().join("identity.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_watches_is_not_heard() {
    let shown = Shown::new().await;
    let (watcher, host) = shown.pair("tv", [Right::Watch].into_iter().collect()).await;
    let (driver, _) = shown.pair("phone", drive()).await;
    let (mut watching, _) = shown.connect(&watcher, &host).await;
    assert!(watching.message("\"status\"").await.contains(r#""rights":["watch"]"#));
    watching.keys.send_text(r#"{"t":"key","code":"KeyA","down":true}"#).await.expect("sends");
    watching.keys.send_text(r#"{"t":"resize","w":800,"h":600,"mmw":0,"mmh":0}"#).await.expect("sends");
    watching.motion.send_text(r#"{"t":"move","s":1,"x":3,"y":4,"w":640,"h":360}"#).await.expect("sends");
    let (driving, _) = shown.connect(&driver, &host).await;
    until("the channel", || shown.server.sharing().is_some_and(|sharing| sharing.viewers.len() == 2)).await;
    let key = Key::from_dom("KeyB").expect("a key");
    until("the driver's key", || {
        // The channel may not be open yet.
        let send = driving.keys.send_text(r#"{"t":"key","code":"KeyB","down":true}"#);
        let _ = futures_util::FutureExt::now_or_never(send);
        shown.guest.events().contains(&Event::Key { key, down: true })
    })
    .await;
    assert!(shown.guest.events().iter().all(|event| *event == Event::Key { key, down: true }));
    assert!(shown.guest.resized.lock().expect("ok").is_empty());
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_viewers_drives_and_hands_over() {
    let shown = Shown::new().await;
    let (phone, host) = shown.pair("phone", drive()).await;
    let (tablet, _) = shown.pair("tablet", drive()).await;
    let (mut driver, _) = shown.connect(&phone, &host).await;
    assert!(driver.message(r#""t":"people""#).await.contains(r#""you":"1","driver":"1""#));
    let (mut second, _) = shown.connect(&tablet, &host).await;
    assert!(second.message(r#""t":"people""#).await.contains(r#""you":"2","driver":"1""#));
    let said = driver.message(r#""name":"tablet""#).await;
    assert!(
        said.contains(r#"{"id":"2","name":"tablet","own":false,"may":true,"asks":false,"refused":false,"drives":false,"display":1}"#)
    );
    let (a, b) = (Key::from_dom("KeyA").expect("a key"), Key::from_dom("KeyB").expect("a key"));
    let (down, up) = (|key| Event::Key { key, down: true }, |key| Event::Key { key, down: false });
    driver.keys.send_text(r#"{"t":"key","code":"KeyA","down":true}"#).await.expect("sends");
    until("the driver's key", || shown.guest.events().contains(&down(a))).await;

    // Whoever does not drive has no say, however much it sends.
    for text in [
        r#"{"t":"key","code":"KeyB","down":true}"#,
        r#"{"t":"text","text":"b"}"#,
        r#"{"t":"resize","w":800,"h":600,"mmw":0,"mmh":0}"#,
        r#"{"t":"give","to":"2"}"#,
        r#"{"t":"refuse","to":"1"}"#,
        r#"{"t":"ask"}"#,
    ] {
        second.keys.send_text(text).await.expect("sends");
    }
    driver.message(r#""name":"tablet","own":false,"may":true,"asks":true"#).await;
    assert_eq!(shown.guest.events(), [down(a)]);
    assert!(shown.guest.resized.lock().expect("ok").is_empty());
    let doing = |server: &Server| server.viewers().iter().map(|v| (v.driving, v.asking)).collect::<Vec<_>>();
    assert_eq!(doing(&shown.server), [(true, false), (false, true)]);

    driver.keys.send_text(r#"{"t":"refuse","to":"2"}"#).await.expect("sends");
    second.message(r#""refused":true"#).await;
    driver.keys.send_text(r#"{"t":"give","to":"2"}"#).await.expect("sends");
    second.message(r#""driver":"2""#).await;
    second.keys.send_text(r#"{"t":"key","code":"KeyB","down":true}"#).await.expect("sends");
    until("the other's key", || shown.guest.events().contains(&down(b))).await;
    assert_eq!(shown.guest.events(), [down(a), up(a), down(b)], "what was held went up before");

    // The owner decides, from outside and by a page of its own.
    shown.server.give_control("1").expect("is there");
    driver.message(r#""driver":"1""#).await;
    assert_eq!(shown.server.give_control("9").expect_err("is not there").code(), "no_viewer");
    let (tv, _) = shown.pair("tv", [Right::Watch].into_iter().collect()).await;
    let (mut watching, _) = shown.connect(&tv, &host).await;
    watching.message(r#""you":"3""#).await;
    assert_eq!(shown.server.give_control("3").expect_err("only watches").code(), "viewer_may_not_drive");
    let mut owner = Client::connect(&shown.server.url(), |answer| answer).await;
    owner.message(r#""you":"4","driver":"1""#).await;
    assert_eq!(shown.server.sharing().expect("is shown").viewers.len(), 3, "devices alone");
    assert_eq!(shown.server.viewers().len(), 4);
    owner.keys.send_text(r#"{"t":"ask"}"#).await.expect("sends");
    driver.message(r#""driver":"4""#).await;
    shown.server.kick("4").expect("is there");
    // Of those who may, the longest-standing one follows.
    driver.message(r#""driver":"1""#).await;
    let shown_stats = serde_json::to_value(shown.server.stats()).expect("JSON");
    assert_eq!(shown_stats["viewers"][0]["driving"], json!(true), "{shown_stats}");
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ice_begins_anew_and_everything_else_stays() {
    let shown = Shown::new().await;
    let _painter = Painter::start(shown.guest.clone(), 30);
    let (device, host) = shown.pair("phone", drive()).await;
    let (mut client, (nonce, offer, answer)) = shown.connect(&device, &host).await;
    let of = (nonce.as_str(), offer.as_str(), answer.as_str());
    client.message(r#""driver":"1""#).await;
    client.frame().await;
    let path = client.location.clone();
    let line = format!("PATCH {path}");
    let patch = async |number: u64, tag: &str, body: &str| {
        let mac = device.mac(of, number, "PATCH", &path, body);
        let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
        shown.https(&line, &[kind, ("If-Match", tag), ("Sampan-Mac", &mac)], body).await
    };
    // The same credentials again are no restart, and who is a stranger begins nothing.
    let same: String =
        offer.lines().filter(|line| line.starts_with("a=ice-")).map(|line| format!("{line}\r\n")).collect();
    assert_eq!(patch(1, "*", &same).await.status, 400);
    assert_eq!(patch(2, "*", "a=mid:0\r\n").await.status, 400);
    let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
    assert_eq!(shown.https(&line, &[kind, ("If-Match", "*")], &same).await.status, 401);

    client
        .restart(async |fragment| {
            let told = patch(3, "*", &fragment).await;
            assert_eq!(told.status, 200, "{}", told.body);
            assert_eq!(told.header("etag"), Some("\"ice-1\""));
            assert_eq!(told.header("content-type"), Some("application/trickle-ice-sdpfrag"));
            let mark = device.restart_mac(of, 3, &path, &fragment, &told.body);
            assert_eq!(told.header("sampan-mac"), Some(mark.as_str()));
            let again = patch(4, "*", &same.replace("ufrag:", "ufrag:x").replace("pwd:", "pwd:x")).await;
            assert_eq!(again.status, 429, "a moment ago");
            told.body
        })
        .await;
    // Candidates of the generation before are of no use, those of the new one are.
    let candidate = "a=candidate:7 1 udp 2122 127.0.0.1 9 typ host\r\n";
    assert_eq!(patch(5, "\"ice-0\"", candidate).await.status, 412);
    assert_eq!(patch(6, "\"ice-1\"", candidate).await.status, 204);
    // Pictures that were sent before may come still: so many are not on their way.
    for _ in 0..100 {
        client.frame().await;
    }
    client.keys.send_text(r#"{"t":"key","code":"KeyA","down":true}"#).await.expect("sends");
    let key = Key::from_dom("KeyA").expect("a key");
    until("the key", || shown.guest.events().contains(&Event::Key { key, down: true })).await;
    let viewers = shown.server.viewers();
    assert_eq!(viewers.iter().map(|v| (v.viewer.as_str(), v.driving)).collect::<Vec<_>>(), [("1", true)]);
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_the_viewers_own() {
    let shown = Shown::new().await;
    let (device, host) = shown.pair("phone", drive()).await;
    let (other, _) = shown.pair("other", drive()).await;
    let (client, (nonce, offer, answer)) = shown.connect(&device, &host).await;
    let of = (nonce.as_str(), offer.as_str(), answer.as_str());
    let path = client.location.clone();
    let fragment = "a=candidate:7 1 udp 2122 127.0.0.1 9 typ host\r\n";
    let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
    let line = format!("PATCH {path}");
    let patch =
        async |mac: &str, body: &str| shown.https(&line, &[kind, ("Sampan-Mac", mac)], body).await.status;
    let good = device.mac(of, 1, "PATCH", &path, fragment);
    assert_eq!(shown.https(&line, &[kind], fragment).await.status, 401);
    assert_eq!(patch(&other.mac(of, 1, "PATCH", &path, fragment), fragment).await, 401);
    assert_eq!(patch(&good, "a=candidate:7 1 udp 2122 127.0.0.1 80 typ host\r\n").await, 401);
    assert_eq!(patch(&good, fragment).await, 204);
    assert_eq!(patch(&good, fragment).await, 401, "replayed");
    let numbers = 2..200_u64;
    let mut last = 0;
    for number in numbers {
        last = patch(&device.mac(of, number, "PATCH", &path, fragment), fragment).await;
        if last != 204 {
            break;
        }
    }
    assert_eq!(last, 400, "there is an end to them");
    let line = format!("DELETE {path}");
    assert_eq!(shown.https(&line, &[], "").await.status, 401);
    let end = device.mac(of, (1 << 53) - 1, "DELETE", &path, "");
    assert_eq!(shown.https(&line, &[("Sampan-Mac", &end)], "").await.status, 200);
    until("its departure", || shown.server.stats().viewers.is_empty()).await;
    shown.server.stop().await;
}

#[tokio::test]
async fn strangers_get_the_page_and_nothing_else() {
    let shown = Shown::new().await;
    let page = shown.https("GET /", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors")));
    for line in ["GET /status", "GET /console.html", "GET /whep/x", "GET /pair/1"] {
        let status = shown.https(line, &[], "").await.status;
        assert!([404, 405].contains(&status), "{line}: {status}");
    }
    let token = shown.server.url().split_once("token=").expect("a token").1.to_owned();
    let bearer = format!("Bearer {token}");
    let sdp = ("Content-Type", "application/sdp");
    for authorization in ["", &bearer, "Sampan x", "Sampan 0000000000000000.AA.AA"] {
        let answer = shown.https("POST /whep", &[sdp, ("Authorization", authorization)], "v=0").await;
        assert!([400, 401].contains(&answer.status), "{authorization}: {}", answer.status);
    }
    let stranger = shown.offer(&Device::new("stranger"), "v=0").await;
    assert_eq!(stranger.status, 401);
    for line in ["PATCH /whep/x", "DELETE /whep/x"] {
        let kind = ("Content-Type", "application/trickle-ice-sdpfrag");
        assert_eq!(shown.https(line, &[kind], "").await.status, 401, "{line}");
    }
    // By other names, and from other pages.
    for host in ["evil.example", "localhost", &format!("localhost:{}", shown.address.port())] {
        assert_eq!(shown.https("GET /", &[("Host", host)], "").await.status, 421, "{host}");
        assert_eq!(shown.https("GET /nonce", &[("Host", host)], "").await.status, 421, "{host}");
    }
    let own = format!("https://{}", shown.address);
    assert_eq!(shown.https("GET /nonce", &[("Origin", &own)], "").await.status, 200);
    for origin in ["https://evil.example", "null", &own.replace("https", "http")] {
        assert_eq!(shown.https("GET /nonce", &[("Origin", origin)], "").await.status, 403, "{origin}");
    }
    shown.server.stop().await;
}

#[tokio::test]
async fn codes_over_the_wire() {
    let shown = Shown::new().await;
    let stray = Known { id: "0000000000000000".into(), secret: vec![0; 16], certificate: None };
    let (status, answer) = shown.post("/pair/1", &Device::new("x").begin(&stray).message).await;
    assert_eq!((status, answer["code"].as_str()), (410, Some("no_pairing_code")), "nobody has made one");
    let code = shown.server.pair().expect("is shown");
    assert!(code.url.len() <= 512 && code.url.starts_with(&format!("https://{}/#i=", shown.address)));
    let known = Known::url(&code.url);
    assert_eq!(known.certificate.as_deref(), Some(shown.certificate.as_slice()));
    let mut tries = Vec::new();
    for _ in 0..6 {
        let begun = Device::new("guess").begin(&known);
        let (status, answer) = shown.post("/pair/1", &begun.message).await;
        let guess = json!({ "exchange": answer["exchange"], "mac": b64(&[0; 32]) });
        tries.push((status, shown.post("/pair/2", &guess).await.0));
    }
    assert_eq!(tries[..5], [(200, 403); 5]);
    assert_eq!(tries[5].0, 410, "the sixth");
    for body in ["", "[]", "{", r#"{"id":"x"}"#, r#"{"exchange":"x","mac":"y","more":1}"#] {
        for path in ["/pair/1", "/pair/2", "/pair/3"] {
            let json = [("Content-Type", "application/json")];
            let status = shown.https(&format!("POST {path}"), &json, body).await.status;
            assert!((400..500).contains(&status), "{path} {body}: {status}");
        }
    }
    assert_eq!(shown.post("/pair/1", &json!({ "id": "x".repeat(100_000) })).await.0, 413);
    // One who is refused hears it.
    let code = shown.server.pair().expect("is shown");
    let device = Device::new("phone");
    let begun = device.begin(&Known::words(&code.words));
    let (_, answer) = shown.post("/pair/1", &begun.message).await;
    assert_eq!(unb64(answer["certificate"].as_str().expect("a text")), shown.certificate);
    let agreed = device.agree(begun, &answer).expect("both know the words");
    shown.post("/pair/2", &agreed.second).await;
    let request = shown.server.sharing().expect("is shown").request.expect("is asked").request;
    shown.server.answer(&request, Rights::NONE).await.expect("is answered");
    assert_eq!(shown.post("/pair/3", &agreed.wait).await.1, json!({ "state": "refused" }));
    assert_eq!(shown.store.devices().expect("are read"), []);
    let late = shown.server.answer(&request, Rights::ALL).await.expect_err("is over");
    assert_eq!(late.code(), "no_pairing_request");
    shown.server.stop().await;
}

#[tokio::test]
async fn only_an_address_of_this_host_can_be_shown_at() {
    let shown = Shown::new().await;
    for listen in ["0.0.0.0:0", "[::]:0", "224.0.0.1:0", "[fe80::1]:0"] {
        let error = share(&shown.server, &shown.store, listen).await.expect_err("is none");
        assert_eq!(error.code(), "bad_share_address", "{listen}");
    }
    let elsewhere = share(&shown.server, &shown.store, "192.0.2.1:0").await.expect_err("is not ours");
    assert_eq!(elsewhere.code(), "listen_failed");
    let taken = TcpStream::connect(shown.address).await.expect("is shown as before");
    drop(taken);
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        let mut shown = shown;
        shown.address = share(&shown.server, &shown.store, "[::1]:0").await.expect("is shown");
        assert_eq!(shown.https("GET /nonce", &[], "").await.status, 200);
        let code = shown.server.pair().expect("is shown");
        assert!(code.url.starts_with(&format!("https://[::1]:{}/#", shown.address.port())), "{}", code.url);
        shown.server.stop().await;
    }
}

#[tokio::test]
async fn thousands_of_half_open_connections_keep_nobody_out() {
    let shown = Shown::new().await;
    let mut flood = Vec::new();
    for round in 0..10_000 {
        let mut stream = TcpStream::connect(shown.address).await.expect("connects");
        // Half of them begin a handshake that they never go on with.
        if round % 2 == 0 {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &[22, 3, 1, 2, 0]).await;
        }
        flood.push(stream);
        // As many as a process may have open.
        if flood.len() > 500 {
            flood.drain(..250);
        }
    }
    assert_eq!(shown.https("GET /nonce", &[], "").await.status, 200);
    within("the end of the oldest", flood[0].read(&mut [0])).await.ok();
    shown.server.stop().await;
}
