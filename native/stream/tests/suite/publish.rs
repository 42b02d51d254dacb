//! A stream that a media server takes.

use crate::common::guest::{Painter, Player, TestGuest};
use crate::common::{Client, MediaServer, OPUS, until, within};
use sampan_stream::{ServeError, Server, ServerConfig};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn serve(guest: &Arc<TestGuest>) -> Server {
    Server::start(ServerConfig::default(), guest.clone()).await.expect("serves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_server_gets_the_picture_and_is_nobody() {
    let guest = TestGuest::new(640, 360);
    let painter = Painter::start(guest.clone(), 30);
    let server = serve(&guest).await;
    let offer = server.offer(HERE, Vec::new()).await.expect("an offer");
    let sdp = offer.sdp().to_owned();
    assert!(
        !sdp.contains("m=application") && !sdp.contains("a=sendrecv") && !sdp.contains("a=recvonly"),
        "{sdp}"
    );
    let mut media = MediaServer::take(&sdp).await;
    let mut published = offer.answered(&media.answer, HERE).await.expect("an answer");
    within("the connection", published.connected()).await.expect("connects");
    let first = within("a picture", media.frames.recv()).await.expect("a picture");
    assert!(first.key);
    let mut last = first.counter();
    for _ in 0..30 {
        let counter = within("a picture", media.frames.recv()).await.expect("a picture").counter();
        assert!(counter > last, "{counter} after {last}");
        last = counter;
    }
    assert!(server.viewers().is_empty(), "it is none of the people");
    let stats = server.stats();
    assert!(stats.viewers.len() == 1 && stats.viewers[0].published && !stats.viewers[0].driving, "{stats:?}");

    // A viewer that comes later drives, and both see the picture of one encoder.
    let mut viewer = Client::connect(&server.url(), |answer| answer).await;
    viewer.frame().await;
    until("the driver", || server.viewers().iter().any(|viewer| viewer.driving)).await;
    viewer.close().await;

    // At rest it is sent pictures all the same, and they are no keyframes.
    drop(painter);
    until("rest", || server.stats().refined > 0).await;
    while media.frames.try_recv().is_ok() {}
    for _ in 0..2 {
        assert!(!within("a picture at rest", media.frames.recv()).await.expect("a picture").key);
    }

    published.end();
    assert_eq!(within("the end", published.ended()).await, "it was asked to");
    until("its departure", || server.stats().viewers.is_empty()).await;
    media.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_server_hears_the_guest_and_says_nothing() {
    let guest = TestGuest::with_sound(640, 360);
    let server = serve(&guest).await;
    let _player = Player::start(&guest, 440.0, 0.5);
    let offer = server.offer(HERE, Vec::new()).await.expect("an offer");
    let sdp = offer.sdp().to_owned();
    assert_eq!(sdp.matches("a=sendonly").count(), 2, "{sdp}");
    let mut media = MediaServer::take(&sdp).await;
    let mut published = offer.answered(&media.answer, HERE).await.expect("an answer");
    within("the connection", published.connected()).await.expect("connects");
    for _ in 0..20 {
        let packet = within("sound", media.sounds.recv()).await.expect("sound");
        assert_eq!(packet.header.payload_type, OPUS);
    }
    within("a picture", media.frames.recv()).await.expect("a picture");
    let stats = server.stats();
    assert!(stats.viewers[0].hears && !stats.viewers[0].speaks, "{stats:?}");
    drop(published);
    until("its departure", || server.stats().viewers.is_empty()).await;
    media.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_server_that_goes_is_noticed() {
    let guest = TestGuest::new(640, 360);
    let server = serve(&guest).await;
    let offer = server.offer(HERE, Vec::new()).await.expect("an offer");
    let media = MediaServer::take(offer.sdp()).await;
    // One that reports no arrivals, of whose path nothing is known.
    let silent: String =
        media.answer.split_inclusive('\n').filter(|line| !line.contains("transport-cc")).collect();
    let mut published = offer.answered(&silent, HERE).await.expect("an answer");
    within("the connection", published.connected()).await.expect("connects");
    assert_eq!(server.stats().viewers[0].bitrate, 6_000_000);
    media.close().await;
    let why = within("the end", published.ended()).await;
    assert!(!why.is_empty());
    assert_eq!(published.ended().await, why, "it is told again");
    until("its departure", || server.stats().viewers.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_no_use_is_told_and_leaves_nothing() {
    let guest = TestGuest::new(640, 360);
    let server = serve(&guest).await;
    let offer = async || server.offer(HERE, Vec::new()).await.expect("an offer");
    let answered = async |answer: &str| offer().await.answered(answer, HERE).await.map(drop);
    assert!(matches!(answered("").await, Err(ServeError::NoStreamFormat)));
    let media = MediaServer::take(offer().await.sdp()).await;
    let none = media.answer.replace("H264", "H999");
    assert!(matches!(answered(&none).await, Err(ServeError::NoStreamFormat)));
    let unproven = media.answer.replace("a=fingerprint", "a=finger");
    assert!(matches!(answered(&unproven).await, Err(ServeError::BadStreamAnswer(_))));
    media.close().await;
    // Far more offers than there are places, each of them given up.
    for _ in 0..40 {
        drop(offer().await);
    }
    assert!(server.stats().viewers.is_empty());
}
