//! The clipboard and files, by requests of a viewer: on this host by the token, elsewhere by the MAC of its session.

use crate::common::guest::TestGuest;
use crate::common::{Answer, Client, exchange, http, parts, request, until};
use crate::share::{Shown, drive};
use sampan_guest::{ClipboardKind, ClipboardStatus};
use sampan_stream::{Server, ServerConfig};
use sampan_trust::{Right, Rights};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt;

/// A guest that is served here, and a page that sees it.
struct Here {
    guest: Arc<TestGuest>,
    server: Server,
    page: Client,
}

impl Here {
    async fn new() -> Self {
        let guest = TestGuest::new(640, 360);
        let server = Server::start(ServerConfig::default(), guest.clone()).await.expect("serves");
        let mut page = Client::connect(&server.url(), |answer| answer).await;
        page.message(r#""t":"people""#).await;
        Self { guest, server, page }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (address, token) = parts(&self.server.url());
        let bearer = format!("Bearer {token}");
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        http(address, &format!("{method} {}{path}", self.page.location), &all, body).await
    }

    /// Announces a file; gives its number.
    async fn announce(&self, name: &str, size: u64) -> u64 {
        let answer =
            self.ask("POST", "/files", &[], &json!({ "name": name, "size": size }).to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        of(&answer)["id"].as_u64().expect("a number")
    }

    fn given(&self) -> Vec<(String, Vec<u8>)> {
        self.guest.files.given.lock().expect("ok").clone()
    }
}

fn of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or(Value::Null)
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain;charset=utf-8");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clipboard_goes_both_ways_when_asked_for() {
    let mut here = Here::new().await;
    let status =
        ClipboardStatus { agent: true, to_guest: true, from_guest: true, text: true, png: false, copied: 1 };
    here.guest.clipboard.status.send_replace(status);
    let told = here.page.message(r#""agent":true"#).await;
    assert_eq!(
        told,
        r#"{"t":"clipboard","agent":true,"to":true,"from":true,"text":true,"png":false,"copied":1}"#
    );
    assert_eq!(here.ask("PUT", "/clipboard", &[TEXT], "中文 😀").await.status, 204);
    assert_eq!(here.ask("PUT", "/clipboard", &[("Content-Type", "image/png")], "png").await.status, 204);
    let set = here.guest.clipboard.set.lock().expect("ok").clone();
    assert_eq!(set, [(ClipboardKind::Text, "中文 😀".into()), (ClipboardKind::Png, b"png".to_vec())]);
    let empty = here.ask("GET", "/clipboard/text", &[], "").await;
    assert_eq!((empty.status, of(&empty)["code"].as_str()), (422, Some("clipboard_empty")));
    here.guest.clipboard.has.lock().expect("ok").replace("from the guest".into());
    let taken = here.ask("GET", "/clipboard/text", &[], "").await;
    assert_eq!((taken.status, taken.body.as_str()), (200, "from the guest"));
    assert_eq!(taken.header("content-type"), Some("text/plain;charset=utf-8"));

    // What is none is refused, and nothing of it reaches the guest.
    for (method, path, headers, status) in [
        ("GET", "/clipboard/html", &[][..], 404),
        ("GET", "/clipboard", &[], 405),
        ("PUT", "/clipboard", &[("Content-Type", "text/html")], 415),
        ("PUT", "/clipboard", &[], 415),
    ] {
        assert_eq!(here.ask(method, path, headers, "x").await.status, status, "{method} {path}");
    }
    let large = here.ask("PUT", "/clipboard", &[TEXT], &"x".repeat((16 << 20) + 1)).await;
    assert_eq!((large.status, of(&large)["code"].as_str()), (413, Some("too_large")));
    assert_eq!(here.guest.clipboard.set.lock().expect("ok").len(), 2);
    let (address, _) = parts(&here.server.url());
    let stranger = http(address, &format!("PUT {}/clipboard", here.page.location), &[TEXT], "x").await;
    assert_eq!(stranger.status, 401);
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_driver_with_the_right_has_the_clipboard() {
    let shown = Shown::new().await;
    let both: Rights = [Right::Drive, Right::Clipboard].into_iter().collect();
    let (phone, host) = shown.pair("phone", both).await;
    let (tablet, _) = shown.pair("tablet", drive()).await;
    let (mut first, (nonce, offer, answer)) = shown.connect(&phone, &host).await;
    let of_phone = (nonce.as_str(), offer.as_str(), answer.as_str());
    first.message(r#""driver":"1""#).await;
    let put = async |number: u64, path: &str, signed: &str| {
        let mac = phone.mac(of_phone, number, "PUT", path, signed);
        shown.https(&format!("PUT {path}"), &[TEXT, ("Sampan-Mac", &mac)], "text").await
    };
    let path = format!("{}/clipboard", first.location);
    assert_eq!(put(2, &path, "text").await.status, 204);
    assert_eq!(put(1, &path, "text").await.status, 204, "one that was overtaken");
    assert_eq!(put(2, &path, "text").await.status, 401, "replayed");
    assert_eq!(put(3, &path, "another").await.status, 401, "changed on the way");
    assert_eq!(put(4, &format!("{path}?x"), "text").await.status, 204, "with its query");
    let none = shown.https(&format!("PUT {path}"), &[TEXT], "text").await;
    assert_eq!(none.status, 401);
    assert_eq!(shown.guest.clipboard.set.lock().expect("ok").len(), 3);

    let (mut second, (nonce, offer, answer)) = shown.connect(&tablet, &host).await;
    second.message(r#""you":"2","driver":"1""#).await;
    shown.server.give_control("2").expect("is there");
    second.message(r#""driver":"2""#).await;
    let refused = put(5, &path, "text").await;
    assert_eq!((refused.status, of(&refused)["code"].as_str()), (409, Some("not_driving")));
    let path = format!("{}/clipboard/text", second.location);
    let mac = tablet.mac((&nonce, &offer, &answer), 1, "GET", &path, "");
    let refused = shown.https(&format!("GET {path}"), &[("Sampan-Mac", &mac)], "").await;
    assert_eq!((refused.status, of(&refused)["code"].as_str()), (403, Some("no_right")));
    assert_eq!(shown.guest.clipboard.set.lock().expect("ok").len(), 3);
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_body_is_read_for_strangers() {
    let shown = Shown::new().await;
    for path in ["/whep/x/clipboard", "/whep/x/files/1/0"] {
        let head = request(shown.address, &format!("PUT {path}"), &[TEXT], "");
        let head = head.replace("Content-Length: 0", "Content-Length: 1000000000");
        // The answer comes although the body does not.
        let mut stream = shown.tls().await;
        stream.write_all(head.as_bytes()).await.expect("sends");
        let answer = exchange(stream, "").await;
        assert_eq!(answer.status, 401, "{path}");
    }
    shown.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_comes_in_pieces_and_is_given_when_it_is_whole() {
    let mut here = Here::new().await;
    here.guest.files.open.send_replace(false);
    let id = here.announce("a b.txt", 6).await;
    let piece = async |here: &Here, at: u64, body: &str| {
        here.ask("PUT", &format!("/files/{id}/{at}"), &[], body).await
    };
    assert_eq!(of(&piece(&here, 0, "abc").await)["have"], 3);
    let again = piece(&here, 0, "abc").await;
    assert_eq!((again.status, of(&again)["code"].as_str()), (409, Some("wrong_piece")));
    assert_eq!(piece(&here, 3, "defg").await.status, 400, "longer than announced");
    assert_eq!(of(&piece(&here, 3, "def").await)["have"], 6);
    here.page.message(r#""state":"giving""#).await;
    until("the giving", || here.guest.files.moving.load(Ordering::Relaxed) == 1).await;
    let busy = here.ask("POST", "/files", &[], r#"{"name":"b","size":1}"#).await;
    assert_eq!((busy.status, of(&busy)["code"].as_str()), (429, Some("exchange_busy")));
    here.guest.files.open.send_replace(true);
    let done = here.page.message(r#""state":"done""#).await;
    assert!(done.contains(r#""done":6,"size":6"#), "{done}");
    assert_eq!(here.given(), [("a b.txt".to_owned(), b"abcdef".to_vec())]);

    here.announce("empty", 0).await;
    until("the empty file", || here.given().len() == 2).await;
    let id = here.announce("locked", 1).await;
    assert_eq!(here.ask("PUT", &format!("/files/{id}/0"), &[], "x").await.status, 200);
    assert!(here.page.message(r#""state":"failed""#).await.contains("guest_locked"));
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_whose_path_breaks_off_is_sent_again() {
    let here = Here::new().await;
    let id = here.announce("a", 3).await;
    let (address, token) = parts(&here.server.url());
    let path = format!("/files/{id}/0");
    let bearer = format!("Bearer {token}");
    let line = format!("PUT {}{path}", here.page.location);
    let head = request(address, &line, &[("Authorization", &bearer)], "");
    let mut broken = tokio::net::TcpStream::connect(address).await.expect("connects");
    let begun = head.replace("Content-Length: 0", "Content-Length: 3") + "a";
    broken.write_all(begun.as_bytes()).await.expect("sends");
    // The file is taken by the piece that is under way.
    let begun = tokio::time::Instant::now();
    let elsewhere = format!("/files/{id}/2");
    while here.ask("PUT", &elsewhere, &[], "x").await.status != 429 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the piece is never under way");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(broken);
    loop {
        let answer = here.ask("PUT", &path, &[], "abc").await;
        if answer.status == 200 {
            break;
        }
        assert!(
            answer.status == 429 && begun.elapsed() < std::time::Duration::from_secs(30),
            "{}",
            answer.body
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    until("the file", || here.given() == [("a".to_owned(), b"abc".to_vec())]).await;
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_given_up_when_asked_to_and_with_their_viewer() {
    let here = Here::new().await;
    here.guest.files.open.send_replace(false);
    let id = here.announce("a", 1).await;
    assert_eq!(here.ask("PUT", &format!("/files/{id}/0"), &[], "x").await.status, 200);
    let moving = |here: &Here| here.guest.files.moving.load(Ordering::Relaxed);
    until("the giving", || moving(&here) == 1).await;
    assert_eq!(here.ask("DELETE", &format!("/files/{id}"), &[], "").await.status, 204);
    until("its end", || moving(&here) == 0).await;
    let id = here.announce("b", 1).await;
    assert_eq!(here.ask("PUT", &format!("/files/{id}/0"), &[], "x").await.status, 200);
    until("the giving", || moving(&here) == 1).await;
    here.server.kick("1").expect("is there");
    until("its end", || moving(&here) == 0).await;
    assert_eq!(here.given(), []);
    assert_eq!(here.ask("POST", "/files", &[], r#"{"name":"c","size":1}"#).await.status, 404);
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_before_it_comes() {
    let here = Here::new().await;
    here.guest.files.room.store(10, Ordering::Relaxed);
    let answer = here.ask("POST", "/files", &[], r#"{"name":"a","size":11}"#).await;
    assert_eq!((answer.status, of(&answer)["code"].as_str()), (422, Some("host_disk_full")));
    let answer = here.ask("POST", "/files", &[], r#"{"name":"a","size":99999999999999}"#).await;
    assert_eq!((answer.status, of(&answer)["code"].as_str()), (413, Some("too_large")));
    let id = here.announce("a", 10).await;
    here.guest.files.room.store(0, Ordering::Relaxed);
    let answer = here.ask("PUT", &format!("/files/{id}/0"), &[], "0123456789").await;
    assert_eq!(
        (answer.status, of(&answer)["code"].as_str()),
        (422, Some("host_disk_full")),
        "full meanwhile"
    );
    let large = here.ask("PUT", &format!("/files/{id}/0"), &[], &"x".repeat((1 << 20) + 1)).await;
    assert_eq!(large.status, 413);
    for body in
        ["", "[]", "{}", r#"{"name":"a"}"#, r#"{"name":"a","size":-1}"#, r#"{"name":"a","size":1,"more":1}"#]
    {
        assert_eq!(here.ask("POST", "/files", &[], body).await.status, 400, "{body}");
    }
    for path in ["/files/9/0", "/files/x/0", "/files/1/x"] {
        let status = here.ask("PUT", path, &[], "x").await.status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    // An announcement takes the place of one of which nothing has come: none piles up.
    here.guest.files.room.store(10, Ordering::Relaxed);
    for _ in 0..100 {
        here.announce("never finished", 5).await;
    }
    let last = here.announce("finished", 1).await;
    assert_eq!(here.ask("PUT", &format!("/files/{last}/0"), &[], "x").await.status, 200);
    until("the last one", || here.given() == [("finished".to_owned(), b"x".to_vec())]).await;
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_guests_is_loaded_once() {
    let mut here = Here::new().await;
    let pulled = here.ask("POST", "/pulls", &[], r#"{"path":"/etc/hostname"}"#).await;
    assert_eq!(pulled.status, 202, "{}", pulled.body);
    let ready: Value = serde_json::from_str(&here.page.message(r#""state":"ready""#).await).expect("JSON");
    let at = ready["at"].as_str().expect("a path").to_owned();
    let (address, _) = parts(&here.server.url());
    let load = async |at: &str| http(address, &format!("GET {at}"), &[], "").await;
    assert_eq!(load(&format!("{at}x")).await.status, 404);
    let loaded = load(&at).await;
    assert_eq!((loaded.status, loaded.body.as_str()), (200, "sampan\n"));
    assert_eq!(loaded.header("content-disposition"), Some("attachment; filename*=UTF-8''hostname"));
    assert_eq!(loaded.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(load(&at).await.status, 404, "once");
    let rebound = http(address, &format!("GET {at}"), &[("Host", "evil.example")], "").await;
    assert_eq!(rebound.status, 421);
    here.ask("POST", "/pulls", &[], r#"{"path":"/nowhere"}"#).await;
    assert!(here.page.message(r#""state":"failed""#).await.contains("guest_file_failed"));
    here.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_need_their_right_and_no_control() {
    let shown = Shown::new().await;
    let (driver, host) = shown.pair("driver", drive()).await;
    let (watcher, _) = shown.pair("files", [Right::Files].into_iter().collect()).await;
    let (mut first, (nonce, offer, answer)) = shown.connect(&driver, &host).await;
    assert!(first.message(r#""t":"status""#).await.contains(r#""files":false"#));
    let path = format!("{}/files", first.location);
    let body = r#"{"name":"a","size":0}"#;
    let mac = driver.mac((&nonce, &offer, &answer), 1, "POST", &path, body);
    let refused = shown.https(&format!("POST {path}"), &[("Sampan-Mac", &mac)], body).await;
    assert_eq!((refused.status, of(&refused)["code"].as_str()), (403, Some("no_right")));
    let (mut second, (nonce, offer, answer)) = shown.connect(&watcher, &host).await;
    assert!(second.message(r#""t":"status""#).await.contains(r#""files":true"#));
    let path = format!("{}/files", second.location);
    let mac = watcher.mac((&nonce, &offer, &answer), 1, "POST", &path, body);
    assert_eq!(shown.https(&format!("POST {path}"), &[("Sampan-Mac", &mac)], body).await.status, 201);
    until("the file", || shown.guest.files.given.lock().expect("ok").len() == 1).await;
    shown.server.stop().await;
}
