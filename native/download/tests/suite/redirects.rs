//! Redirects: followed as far as is sensible, and the file is loaded from where the first one led.

use crate::bench::{Bench, stored};
use crate::server::{Server, status};
use sampan_download::DownloadError;

#[test]
fn a_chain_is_followed_once_and_its_end_serves_every_piece() {
    let file = stored(20_000);
    let served = file.clone();
    let server = Server::start(move |hit, out| match hit.path.as_str() {
        "/0" => status(out, "301 Moved", "Location: /1?x=1\r\n"),
        "/1?x=1" => status(out, "302 Found", "Location: 2/./b\r\n"),
        "/2/b" => status(out, "307 Temporary", "Location: /file\r\n"),
        "/file" => served.serve(hit, out),
        _ => status(out, "404 Not Found", ""),
    });
    assert_eq!(Bench::new().fetch(&server.url("/0")).unwrap(), file.bytes);
    let first = server.hits().iter().filter(|h| h.path == "/0").count();
    assert_eq!(first, 1, "a name with many mirrors must not give each piece from another one");
}

#[test]
fn a_mirror_that_drops_the_file_is_left_for_another_one_with_it() {
    let file = stored(20_000);
    let served = file.clone();
    let server = Server::start(move |hit, out| match hit.path.as_str() {
        "/0" if hit.number < 5 => status(out, "302 Found", "Location: /one\r\n"),
        "/0" => status(out, "302 Found", "Location: /two\r\n"),
        "/one" if hit.number >= 8 => status(out, "404 Not Found", ""),
        _ => served.serve(hit, out),
    });
    assert_eq!(Bench::new().fetch(&server.url("/0")).unwrap(), file.bytes);
    assert_eq!(server.sent(), 20_000, "nothing was loaded twice");
}

#[test]
fn what_leads_nowhere_is_an_error() {
    let cases = [
        ("Location: /a\r\n", "redirects"),
        ("", "does not say where"),
        ("Location: http://[::\r\n", "IPv6"),
        ("Location: ftp://127.0.0.1/a\r\n", "only https and http"),
        ("Location: file:///etc/passwd\r\n", "only https and http"),
        ("Location: http://u:p@127.0.0.1/a\r\n", "user name"),
    ];
    for (location, word) in cases {
        let server = Server::start(move |_, out| status(out, "302 Found", location));
        let error = Bench::new().fetch(&server.url("/a")).unwrap_err();
        assert!(matches!(error, DownloadError::Redirect { .. } | DownloadError::Url { .. }), "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert!(server.hits().len() <= 11, "{}", server.hits().len());
    }
}
