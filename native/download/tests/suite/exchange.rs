//! Small requests, and a server that redirects, refuses and talks too much.

use sampan_download::{Answer, BadRedirect, DownloadError, Exchange, Proxy, Timeouts, Verb};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What came in: first lines and whole requests.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that answers each path as it is told to. Where it is, and what it was asked.
async fn serve(answers: &[(&str, &str)]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let answers: HashMap<String, String> =
        answers.iter().map(|(path, answer)| ((*path).to_owned(), (*answer).to_owned())).collect();
    let seen = Seen::default();
    let told = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            // All of a request that is as short as these comes at once or in a few pieces: until its length is there.
            loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    length.and_then(|length| length.parse().ok()).unwrap_or(0) <= body.len()
                });
                if read == 0 || whole {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            told.lock().unwrap().push(text);
            let answer =
                answers.get(&path).cloned().unwrap_or_else(|| "404 Not Found\r\ncontent-length: 0".into());
            let (head, body) = answer.split_once("\n\n").unwrap_or((&answer, ""));
            let _ = stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n{body}").as_bytes()).await;
        }
    });
    (at, seen)
}

async fn post(to: &str) -> Result<Answer, DownloadError> {
    let exchange = Exchange::new(None, &Proxy::Direct, Timeouts::default(), false).unwrap();
    let headers =
        [("content-type", "application/sdp".to_owned()), ("authorization", "Bearer secret".to_owned())];
    exchange.send(Verb::Post, to, &headers, "v=0\r\n", 1024).await
}

#[tokio::test]
async fn what_is_posted_arrives_and_the_answer_is_read_whole() {
    let (at, seen) =
        serve(&[("/whip/a?b=1", "201 Created\r\nlocation: ../session/7\r\ncontent-length: 6\n\nanswer")])
            .await;
    let answer = post(&format!("{at}/whip/a?b=1")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (201, "answer"));
    assert_eq!(answer.location().unwrap(), format!("{at}/session/7"));
    let request = seen.lock().unwrap()[0].clone();
    assert!(
        request.starts_with("POST /whip/a?b=1 HTTP/1.1\r\n") && request.ends_with("\r\n\r\nv=0\r\n"),
        "{request}"
    );
    assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
}

#[tokio::test]
async fn redirects_that_keep_a_request_are_followed_and_no_others() {
    let (other, elsewhere) = serve(&[("/b", "201 Created\r\ncontent-length: 0")]).await;
    let away = format!("308 Permanent Redirect\r\nlocation: {other}/b\r\ncontent-length: 0");
    let (at, seen) = serve(&[
        ("/here", "307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0"),
        ("/there", "201 Created\r\ncontent-length: 0"),
        ("/away", &away),
        ("/get", "302 Found\r\nlocation: /there\r\ncontent-length: 0"),
        ("/round", "307 Temporary Redirect\r\nlocation: /round\r\ncontent-length: 0"),
        ("/beyond", "307 Temporary Redirect\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0"),
        ("/nowhere", "307 Temporary Redirect\r\ncontent-length: 0"),
    ])
    .await;
    assert_eq!(post(&format!("{at}/here")).await.unwrap().status, 201);
    {
        let seen = seen.lock().unwrap();
        assert!(seen[1].starts_with("POST /there ") && seen[1].ends_with("v=0\r\n"), "{}", seen[1]);
        assert!(seen[1].contains("Bearer secret"), "the same server");
    }
    assert_eq!(post(&format!("{at}/away")).await.unwrap().status, 201);
    let asked = elsewhere.lock().unwrap()[0].clone();
    assert!(!asked.contains("secret"), "another server, by an open way: {asked}");
    assert_eq!(post(&format!("{at}/get")).await.unwrap().status, 302, "it would become a GET");
    let why = |answer: Result<Answer, DownloadError>| match answer.unwrap_err() {
        DownloadError::Redirect { why, .. } => why,
        other => panic!("{other}"),
    };
    assert!(matches!(why(post(&format!("{at}/round")).await), BadRedirect::TooMany(_)));
    assert!(matches!(why(post(&format!("{at}/nowhere")).await), BadRedirect::Nowhere));
    assert!(matches!(post(&format!("{at}/beyond")).await, Err(DownloadError::PlainHttp { .. })));
}

#[tokio::test]
async fn what_is_open_or_too_long_is_refused() {
    let (at, _) = serve(&[("/", "200 OK\r\ncontent-length: 2000\n\n")]).await;
    let long = format!("200 OK\r\ncontent-length: 1025\n\n{}", "x".repeat(1025));
    let (talks, _) = serve(&[("/", &long)]).await;
    assert!(matches!(post(&format!("{talks}/")).await, Err(DownloadError::Protocol { .. })));
    assert!(matches!(post(&format!("{at}/")).await, Err(DownloadError::Network { .. })), "it ends early");
    assert!(matches!(post("http://192.0.2.1/").await, Err(DownloadError::PlainHttp { .. })));
    assert!(matches!(post("ftp://127.0.0.1/").await, Err(DownloadError::Url { .. })));
    assert!(matches!(post("https://ada:secret@example.org/").await, Err(DownloadError::Url { .. })));
    let exchange = Exchange::new(None, &Proxy::Direct, Timeouts::default(), false).unwrap();
    let token = [("authorization", "Bearer a\r\nb: c".to_owned())];
    let sent = exchange.send(Verb::Delete, &at, &token, "", 10).await;
    assert!(matches!(sent, Err(DownloadError::Start { .. })), "no header is put in by a token");
}
