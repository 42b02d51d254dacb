//! The console over real HTTP.

mod site;

use sampan_control::{Picture, Reply, Request, State};
use sampan_frame::Size;
use sampan_library::VmId;
use sampan_message::Message;
use sampan_session::Screenshot;
use serde_json::{Value, json};
use site::{Played, Site, bind};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::test]
async fn nothing_but_the_page_is_given_without_the_token() {
    let site = Site::new().await;
    let id = site.vm("one");
    let (host, token) = site.parts();
    let page = site.raw("GET /", &[("Host", host)], "").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("frame-ancestors 'none'"), "{}", page.head);
    assert!(!String::from_utf8_lossy(&page.body).contains(token));
    let lines = [
        "GET /api/vms".into(),
        format!("POST /api/vms/{id}"),
        format!("GET /api/vms/{id}/picture"),
        format!("GET /api/vms/{id}/report"),
    ];
    for line in &lines {
        for value in ["", "Bearer nonsense", token] {
            let reply = site.raw(line, &[("Host", host), ("Authorization", value)], "").await;
            assert_eq!(reply.status, 401, "{line} {value}");
            assert!(reply.error().contains("token"));
        }
        let bearer = format!("Bearer {token}");
        let right = ("Authorization", bearer.as_str());
        for other in ["evil.example", "127.0.0.1", ""] {
            let reply = site.raw(line, &[("Host", other), right], "").await;
            assert_eq!(reply.status, 421, "{line} {other}");
        }
        for other in ["http://evil.example", "null", "https://localhost"] {
            let reply = site.raw(line, &[("Host", host), ("Origin", other), right], "").await;
            assert_eq!(
                (reply.status, reply.error().as_str()),
                (403, "this page may not ask for that"),
                "{line} {other}"
            );
        }
    }
    let reply = site.ask("GET /api/nothing", "").await;
    assert_eq!((reply.status, reply.error().as_str()), (404, "there is no such page"));
    assert_eq!(site.ask("GET /index.html", "").await.status, 404, "the viewer's page is not served here");
}

#[tokio::test]
async fn names_that_are_no_ids_lead_nowhere() {
    let site = Site::new().await;
    let id = site.vm("one").to_string();
    let others = [
        "one".to_owned(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        id.chars().take(8).collect(),
        format!("{id}%00"),
        format!("..%2Fvms%2F{id}"),
        "%2e%2e".into(),
        "..%2f..%2fetc".into(),
        VmId::random().to_string(),
        "x".repeat(4000),
    ];
    for other in others.iter().filter(|other| **other != id) {
        for (line, body) in [("POST", r#"{"action":"start"}"#), ("GET", "")] {
            let path = if line == "GET" { format!("{other}/picture") } else { other.clone() };
            let reply = site.ask(&format!("{line} /api/vms/{path}"), body).await;
            assert_eq!(reply.status, 404, "{line} {other}");
            assert!(!reply.error().is_empty());
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused_in_words() {
    let site = Site::new().await;
    let id = site.vm("one");
    let line = format!("POST /api/vms/{id}");
    for (body, status) in [
        ("", 415),
        ("{", 400),
        ("null", 400),
        ("{}", 400),
        (r#"{"action":"fly"}"#, 400),
        (r#"{"action":"start","listen":"0.0.0.0:1"}"#, 400),
        (r#"{"action":["start"]}"#, 400),
        (&format!(r#"{{"action":"start"{}}}"#, " ".repeat(5000)), 413),
        (&"[".repeat(1000), 400),
    ] {
        let reply = site.ask(&line, body).await;
        assert!(!reply.error().is_empty());
        assert_eq!(reply.status, status, "{body}");
    }
    let (host, token) = site.parts();
    let bearer = format!("Bearer {token}");
    let headers = [("Host", host), ("Authorization", &bearer), ("Content-Type", "text/plain")];
    assert_eq!(site.raw(&line, &headers, r#"{"action":"start"}"#).await.status, 415);
    assert_eq!(site.listed(id).await["doing"], Value::Null, "nothing was begun");
    assert_eq!(site.ask(&format!("DELETE /api/vms/{id}"), "").await.status, 405);
}

#[tokio::test]
async fn machines_are_listed_as_they_are() {
    let site = Site::new().await;
    assert!(site.list().await.is_empty());
    site.later();
    let (off, on, broken) = (site.vm("off"), site.vm("on"), site.vm("broken"));
    std::fs::write(site.folder(broken).join("manifest.json"), "{").expect("writes");
    let running = Played::new(&site.folder(on), |_| Ok(Reply::Done));
    let vm = site.until(on, "running", |vm| vm["state"] == "running").await;
    assert_eq!(vm["viewer"], "http://127.0.0.1:9/#token=v");
    assert_eq!((&vm["picture"], &vm["arch"]), (&json!("live"), &json!("x86_64")));
    let vm = site.listed(off).await;
    assert_eq!(
        (&vm["state"], &vm["viewer"], &vm["picture"]),
        (&json!("stopped"), &Value::Null, &Value::Null)
    );
    assert_eq!(vm["name"], "off");
    let vm = site.listed(broken).await;
    assert_eq!(vm["state"], "broken");
    assert!(vm["detail"].as_str().is_some_and(|words| words.contains("manifest")), "{vm}");
    let picture = site.ask(&format!("GET /api/vms/{off}/picture"), "").await;
    assert_eq!(picture.status, 404);
    assert!(picture.error().contains("snapshot"));
    drop(running);
    site.until(on, "stopped", |vm| vm["state"] == "stopped").await;
}

#[tokio::test]
async fn a_supervisor_that_hangs_holds_nobody_up() {
    let site = Site::new().await;
    let (hung, fine) = (site.vm("hung"), site.vm("fine"));
    let listener = bind(&site.folder(hung));
    let _playing = Played::new(&site.folder(fine), |_| Ok(Reply::Done));
    for _ in 0..3 {
        assert_eq!(site.listed(hung).await["state"], "silent");
        assert_eq!(site.listed(fine).await["state"], "running");
        site.later();
    }
    let picture = site.ask(&format!("GET /api/vms/{hung}/picture"), "").await;
    assert_eq!(picture.status, 504);
    // It was asked once, so that its queue does not fill up.
    let first = listener.accept().await.expect("the question");
    let second = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(second.is_err(), "a second question was asked while the first had no answer");
    drop((first, listener));
    site.until(hung, "gone", |vm| vm["state"] == "stopped").await;
}

#[tokio::test]
async fn one_picture_serves_everybody_until_it_is_old() {
    let site = Site::new().await;
    let id = site.vm("one");
    let size = Size { width: 480, height: 240 };
    let png = Screenshot { size, rgb: [1, 2, 3].repeat(480 * 240) }.to_png();
    let played = Played::new(&site.folder(id), move |request| match request {
        Request::Thumbnail { .. } => {
            Ok(Reply::Picture(Picture { width: 480, height: 240, png: png.clone() }))
        }
        _ => Ok(Reply::Done),
    });
    let line = format!("GET /api/vms/{id}/picture");
    for made in 1..=3 {
        for _ in 0..5 {
            let (one, two) = tokio::join!(site.ask(&line, ""), site.ask(&line, ""));
            assert_eq!((one.status, two.status), (200, 200));
            assert!(
                one.head.contains("content-type: image/png") && one.head.contains("no-store"),
                "{}",
                one.head
            );
            let reader = png::Decoder::new(std::io::Cursor::new(&one.body)).read_info().expect("a PNG");
            assert_eq!((reader.info().width, reader.info().height), (480, 240));
            assert_eq!(played.count("thumbnail"), made);
        }
        site.later();
    }
}

#[tokio::test]
async fn machines_are_told_what_to_do_and_their_words_come_back() {
    let site = Site::new().await;
    let id = site.vm("one");
    let refused = site.act(id, "pause").await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("does not run"), "{}", refused.error());
    assert_eq!(site.act(id, "stop").await.status, 200, "it is stopped already");

    let played = Played::new(&site.folder(id), move |request| match request {
        Request::Reset => Err(Message::new("wrong_state", "it cannot be reset: wait")),
        _ => Ok(Reply::Done),
    });
    for (action, command) in [("pause", "pause"), ("resume", "resume"), ("stop", "powerdown")] {
        assert_eq!(site.act(id, action).await.status, 200, "{action}");
        assert_eq!(played.count(command), 1, "{action}");
    }
    assert_eq!(site.listed(id).await["asked_to_stop"], true);
    let refused = site.act(id, "reset").await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "it cannot be reset: wait"));
    assert_eq!(site.listed(id).await["problem"], "it cannot be reset: wait");
    let refused = site.act(id, "start").await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("runs already"), "{}", refused.error());
    // Nobody there would hear the power button.
    played.set(State::Paused);
    assert!(site.act(id, "stop").await.error().contains("paused"));
    assert_eq!((played.count("powerdown"), played.count("quit")), (1, 0));
    drop(played);
    let vm = site.until(id, "gone", |vm| vm["state"] == "stopped").await;
    assert_eq!(vm["asked_to_stop"], false, "that was another run");
}

#[tokio::test]
async fn what_takes_long_is_answered_before_it_ends_and_ends_once() {
    let site = Site::new().await;
    let id = site.vm("one");
    let folder = site.folder(id);
    let listener = bind(&folder);
    // Reads the request and never answers: a memory that is written for minutes.
    let (told, waits) = tokio::sync::oneshot::channel();
    let saving = tokio::spawn(async move {
        let mut told = Some(told);
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.expect("a request");
            if line.contains("suspend")
                && let Some(told) = told.take()
            {
                let _ = told.send(());
            }
            held.push(stream);
        }
    });
    let reply = site.act(id, "suspend").await;
    assert_eq!((reply.status, reply.json()), (202, json!({ "done": false })));
    waits.await.expect("was asked");
    assert_eq!(site.listed(id).await["doing"], "suspend");
    let second = site.act(id, "pause").await;
    assert_eq!(second.status, 409);
    assert!(second.error().contains("being suspended"), "{}", second.error());
    saving.abort();
    let _ = saving.await;
    site.until(id, "the end", |vm| vm["doing"].is_null() && vm["state"] == "stopped").await;
}
