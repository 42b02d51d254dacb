//! VNC for any client, by a small client after RFC 6143.

use crate::common::{colour_machine, in_process, spec, state};
use des::cipher::{BlockEncrypt, KeyInit, generic_array::GenericArray};
use sampan_config::{Vnc, VncPassword};
use sampan_session::{Command, CommandError, Session, State};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).expect("the server speaks");
    bytes
}

/// The handshake (7.1) with a password: whether the server lets the client in, and why not.
fn knock(port: u16, password: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("somebody listens");
    stream.set_read_timeout(Some(crate::common::PATIENCE)).expect("a timeout");
    assert_eq!(&read::<12>(&mut stream), b"RFB 003.008\n");
    stream.write_all(b"RFB 003.008\n").expect("is sent");
    let [count] = read(&mut stream);
    let mut kinds = vec![0; count.into()];
    stream.read_exact(&mut kinds).expect("the kinds");
    assert_eq!(kinds, [2], "VNC authentication and nothing else");
    stream.write_all(&[2]).expect("is sent");
    // Each byte of the key with its bits in the opposite order (RFC 6143 errata 4951).
    let mut key = [0; 8];
    key.iter_mut().zip(password.bytes()).for_each(|(to, from)| *to = from.reverse_bits());
    let cipher = des::Des::new(&GenericArray::from(key));
    // A server that refuses at once tells so in place of a challenge, whose first word is hardly 1.
    let first: [u8; 4] = read(&mut stream);
    let mut result = first;
    if first != [0, 0, 0, 1] {
        let rest: [u8; 12] = read(&mut stream);
        let mut challenge: Vec<u8> = first.into_iter().chain(rest).collect();
        for block in challenge.chunks_mut(8) {
            cipher.encrypt_block(GenericArray::from_mut_slice(block));
        }
        stream.write_all(&challenge).expect("is sent");
        result = read(&mut stream);
    }
    if result == [0; 4] {
        // In, the screen's size follows (7.3.2).
        stream.write_all(&[1]).expect("is sent");
        let [a, b, c, d] = read(&mut stream);
        assert!(u16::from_be_bytes([a, b]) > 0 && u16::from_be_bytes([c, d]) > 0);
        return Ok(());
    }
    let length = u32::from_be_bytes(read(&mut stream));
    let mut why = vec![0; length as usize];
    stream.read_exact(&mut why).expect("the reason");
    Err(String::from_utf8_lossy(&why).into_owned())
}

fn password(text: &str) -> VncPassword {
    VncPassword::new(text).expect("a password")
}

/// A port of 5900 or above that is free now.
fn free_port() -> u16 {
    let ports = (5930..6900).filter(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    ports.into_iter().next().expect("a free port")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_before_the_password_is_set_and_with_it_alone_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut machine = colour_machine(folder.path(), 2);
    let port = free_port();
    machine.vnc = Some(Vnc { port, ..Vnc::default() });
    let session = Session::start(in_process(), spec(&machine)).await.expect("starts");
    state(&session, State::Running).await;
    let knock = |text: &'static str| tokio::task::spawn_blocking(move || knock(port, text));
    for text in ["", "secret"] {
        let refused = knock(text).await.expect("a client");
        println!("without a password: {refused:?}");
        assert!(refused.is_err(), "{text:?}");
    }
    session.set_vnc_password(&password("secret")).await.expect("is set");
    assert_eq!(knock("secret").await.expect("a client"), Ok(()));
    for text in ["", "Secret", "secret7"] {
        assert!(knock(text).await.expect("a client").is_err(), "{text:?}");
    }
    // Another one replaces it at once.
    session.set_vnc_password(&password("12,3\"\\ 8")).await.expect("is set");
    assert_eq!(knock("12,3\"\\ 8").await.expect("a client"), Ok(()));
    assert!(knock("secret").await.expect("a client").is_err());
    session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_vnc_takes_no_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let session =
        Session::start(in_process(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    let error = session.set_vnc_password(&password("secret")).await.expect_err("is refused");
    assert!(matches!(error, CommandError::Qmp(_)), "{error}");
    session.execute(Command::Quit).await.expect("quits");
}
