use super::*;
use proptest::prelude::*;
use std::process::Command;

// Made by ssh-keygen for this test; nobody has the other halves.
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAy7PbB+fSARpJ2DKdbc0ZvN3MzJ+FD+/5yDKGg4b1HA";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDIh7U9pnCgLXEmoiAVNonw5TXCfNWuaKlHBIWgnvR8wWBy1NzFW8sVgSJVb15kFHgylAJ6EivINyCOUSStf6GjiBp/AVgst+c31c958eayRY7+/vzUiz1XDCOurYtExd9Wfd3KV0z2QHVPhljFvsK/yXJupafctiOtuYvc8nu4u3ONFePC6DWNCh1Fle3xYwd7R3RQRxNI35ZU6XM7aDOZFoYmczSmFmvlQFv6SiCn4hGNXlfI2hkXU9zbFN9z7XIUEa8kpbhIfp7rgFr52kpPl8HgQi56IWevTXtfmg8nhp6LnGKg9CDymfSlUmzwgZjS32V3vbIEv5PsLQekEMUF";
const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC70tXCiI2ogolAkudPZGC9Uki1LQklUDcSRihgTDH+QYYmSUeumqZtFxHDCq43ZG/xPI2t+ALWfeD+OvkALWphb1/meg9QHWrpE3pzc+MJoBzXbn0tVZBT1DA/ucOYBJIHVt0kUWfpCVvg5inQR8upoSeqg3JSNruRl9lk1xTykw==";
const P256: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLQokZzJijkicP3+TmGyqNpcNX2lqvjTh/1umjVm6+VXeHE+zCZhAx9DT98eGelWfXxRPmWeqBQGGUaDpLcDfFo=";
const P384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBKERexOFbJdX1dfX1oaHXvm+l8I7TjH512lcrHMAHfffbAw/upeEDdKMjy01Ap4A2a3n86wxpfhG4VGpJp+2ZFAikvaPABo+Y8VI9Vz/aBd/3KQS6JqHxhcoSoStfsdNLg==";
const P521: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAC5XBZJW/TstPbXqxJ4WR6zLgvns67QjBsrMtNcHmT1A3CXRU+ZjxPqnddQmWZsC9aU5yC24nmkkN5+bljgXc5+OAHnUoeOAdAc+yOE81HeVN9CgmTm2Lx+uX2oZdUAoxxZqb4n8t2MeEUU/hCvVKd+579F+LfVBXV0dJk9Ha2se9QM8w==";
const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAPwG/IXW/W2rgHkdLpw911Vy0OSYdWj0QNYGS+jO/EFBGkSEFKSESv3qhWIrbgHXzBE16BdNXbTTqA7UKKhmPKYewFeyOXCkLCMPLDHkHJZN3WvTmzqeccTFw+cWFycSFKWr36pcgSrS/H68MoL/pwznUm/xEpDmM6+zeGOf3Y+tAAAAFQDa8Iy1JgW7D0+gj+GaWApl6FxaJwAAAIBEjYQvhRa9yC/HTABPgydGJnKgaPkrKYXpPyBjqq8JgjTNT3Aj8QsEXB7xpxeOmRpyjluFMVudSVxoPqg0HvX4AE7A2vRYQcxKhWfh/qEGmzUiYbw+S8NAATkhkmdHIwj07GFkU524t30RejmxSqwc/hXg1ayKtHrNE8YGmA8HvQAAAIEAm7lU5nTznBwtd2cA/9vFvRNiwW1a2k3gShkI247BiEx7xb+NZOhLia4yhbD9bP0HnFLeNyXOR28OTVGGNQ+kI0VAxfCYtkakVme6BY3mi7/0u2hJrTiC3oGNSLQEaxVEPWw8ymVjvh5RqYbePt8iJqS1hWeJaIqQJcLpMUs4O1w=";
const ED25519_CERT: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIBOfYrF+A5f0L203obq5HQtdkx5V/DnBFw3GMs1GerF+AAAAIAy7PbB+fSARpJ2DKdbc0ZvN3MzJ+FD+/5yDKGg4b1HAAAAAAAAAAAAAAAABAAAAAmlkAAAABwAAAANhZGEAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgDLs9sH59IBGknYMp1tzRm83czMn4UP7/nIMoaDhvUcAAAABTAAAAC3NzaC1lZDI1NTE5AAAAQJoU4v4K8e78enLrmHPNF7I6RwLVsXc6NRYAjtNJaGEo9ZJmBF95FAQ0JK5ikjjlpAMDlqEeSSDgg7qtyT62rAY=";
const P256_CERT: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgCLRMDs11v8e27x3+vJto1p7i1slBoSDMRcpqkn6lcuEAAAAIbmlzdHAyNTYAAABBBLQokZzJijkicP3+TmGyqNpcNX2lqvjTh/1umjVm6+VXeHE+zCZhAx9DT98eGelWfXxRPmWeqBQGGUaDpLcDfFoAAAAAAAAAAAAAAAEAAAACaWQAAAAHAAAAA2FkYQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAABFwAAAAdzc2gtcnNhAAAAAwEAAQAAAQEAyIe1PaZwoC1xJqIgFTaJ8OU1wnzVrmipRwSFoJ70fMFgctTcxVvLFYEiVW9eZBR4MpQCehIryDcgjlEkrX+ho4gafwFYLLfnN9XPefHmskWO/v781Is9Vwwjrq2LRMXfVn3dyldM9kB1T4ZYxb7Cv8lybqWn3LYjrbmL3PJ7uLtzjRXjwug1jQodRZXt8WMHe0d0UEcTSN+WVOlzO2gzmRaGJnM0phZr5UBb+kogp+IRjV5XyNoZF1Pc2xTfc+1yFBGvJKW4SH6e64Ba+dpKT5fB4EIueiFnr017X5oPJ4aei5xioPQg8pn0pVJs8IGY0t9ld72yBL+T7C0HpBDFBQAAARQAAAAMcnNhLXNoYTItNTEyAAABAHFaCTnwS83Cd3fbM7179luOmZlSoKRtfn9kSV+BOMm22ViuJ1Zbt7W0qciGKgP4IAaHuQHwLy5LUe88ZOfVUGBXiboxchRO7b6cxXr3bhBfkQyR84IYxZXEosqYU9xf0hNZ9B0EYd6vUdjpyVicr4zRoeyP0g4cNSvinM+8eWIj4qdwj79uzCH9iWw7Die5uv4/lDabjaW6MLjFGysEhT7H5SS6oup/7jj08sVvbAWMF6pqc/oiJMU8MGYck62x9DyWN6xUk/CuU0sqtP6pnqpcz70g8cukh6TPFrzo1ugkjWTdH81w8XCAtvIVQV7Ujr6TGmaPdWZAxowNtnIyy7M=";

/// The same bytes with a field more, as keys in security tokens have.
fn token(kind: &str, plain: &str) -> String {
    let data = STANDARD.decode(plain.split(' ').nth(1).expect("base64")).expect("is base64");
    let string =
        |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("is short").to_be_bytes(), bytes].concat();
    let mut blob = Blob(&data);
    blob.string().expect("its type");
    let all = [string(kind.as_bytes()), blob.0.to_vec(), string(b"ssh:")].concat();
    format!("{kind} {}", STANDARD.encode(all))
}

fn with_data(kind: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut data = STANDARD.decode(ED25519.split(' ').nth(1).expect("base64")).expect("is base64");
    change(&mut data);
    format!("{kind} {}", STANDARD.encode(data))
}

/// Lines that OpenSSH takes, as ours come out of them.
fn good() -> Vec<(String, String)> {
    let same = |key: String| (key.clone(), key);
    let mut all: Vec<(String, String)> = [ED25519, RSA, RSA_1024, P256, P384, P521, ED25519_CERT, P256_CERT]
        .map(|key| same(key.to_owned()))
        .into();
    all.push(same(token("sk-ssh-ed25519@openssh.com", ED25519)));
    all.push(same(token("sk-ecdsa-sha2-nistp256@openssh.com", P256)));
    all.push(same(format!("{ED25519} ü€你好 \"q\" \\ comment")));
    all.push(same(format!("from=\"10.0.0.0/8\",no-pty {ED25519} ada lovelace@my box")));
    all.push(same(format!("command=\"echo \\\"a b\\\"\",restrict {ED25519}")));
    let (kind, data) = ED25519.split_once(' ').expect("two parts");
    all.push((format!("  {kind}\t{data}\tada  b\t"), format!("{kind} {data} ada  b")));
    all.push((format!("{kind}   {data}   ada"), format!("{kind} {data} ada")));
    all.push((format!("no-pty\t{kind} {data}"), format!("no-pty {kind} {data}")));
    all
}

fn bad() -> Vec<(String, Why)> {
    let (kind, data) = ED25519.split_once(' ').expect("two parts");
    let short = with_data(kind, |data| data.truncate(40));
    vec![
        (short, Why::Damaged),
        (with_data(kind, |data| data.push(0)), Why::Damaged),
        (with_data(kind, |data| data.truncate(3)), Why::Damaged),
        (with_data(kind, |data| data[0] = 0xff), Why::Damaged),
        (with_data("ssh-rsa", |_| ()), Why::Type),
        (with_data("ssh-ed25519-cert-v01@openssh.com", |_| ()), Why::Type),
        (format!("{kind} {}", &data[..data.len() - 3]), Why::Base64),
        (format!("{kind} {}\u{2026}", &data[..40]), Why::Base64),
        (kind.to_owned(), Why::Form),
        ("ssh-ed448 AAAA".to_owned(), Why::Form),
        (data.to_owned(), Why::Form),
        ("open sesame".to_owned(), Why::Form),
        (format!("command=\"unfinished {ED25519}"), Why::Form),
    ]
}

#[test]
fn what_ssh_keygen_takes_is_taken() {
    for (line, key) in good() {
        assert_eq!(ssh_key(&line), Ok(key.clone()), "{line}");
        assert_eq!(ssh_key(&key), Ok(key.clone()), "what comes out goes in again");
    }
    // sshd passes over any blanks here, ssh-keygen over one.
    assert_eq!(ssh_key(&format!("no-pty \t {ED25519}")), Ok(format!("no-pty {ED25519}")));
    for (line, why) in bad() {
        assert_eq!(ssh_key(&line), Err(why), "{line}");
    }
}

#[test]
fn ssh_keygen_agrees() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("ssh-keygen is not installed: the table above has been its answer");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let takes = |line: &str| {
        let file = folder.path().join("key.pub");
        std::fs::write(&file, format!("{line}\n")).expect("writes");
        Command::new("ssh-keygen").arg("-lf").arg(file).output().expect("runs").status.success()
    };
    for (line, _) in good() {
        // Its certificates are signed, which is not looked into here; and a token's needs no token.
        assert!(takes(&line), "{line}");
    }
    for (line, _) in bad() {
        assert!(!takes(&line), "{line}");
    }
}

#[test]
fn what_sshd_passes_over_is_refused_although_ssh_keygen_shows_it() {
    for line in
        [format!("box.example {ED25519}"), format!("no-such {ED25519}"), format!("from=10.0.0.1 {ED25519}")]
    {
        assert_eq!(ssh_key(&line), Err(Why::Option), "{line}");
    }
    assert_eq!(ssh_key(DSA), Err(Why::Dsa));
}

#[test]
fn other_files_are_told_what_they_are_and_how_they_are_converted() {
    let words = |text: &str| ssh_keys(text).expect_err("is refused").to_string();
    for (head, form) in [
        ("-----BEGIN RSA PUBLIC KEY-----\nMIIBigKC", "-m PEM"),
        ("-----BEGIN PUBLIC KEY-----\nMIIBojAN", "-m PKCS8"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"x\"\nAAAAB3N", "-m RFC4716"),
    ] {
        let words = words(head);
        assert!(words.contains("ssh-keygen -i") && words.contains(form), "{words}");
    }
    for secret in [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n",
        "\n-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nc2VjcmV0\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nc2VjcmV0\n",
        &format!("{ED25519}\n-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0"),
    ] {
        let words = words(secret);
        assert!(words.contains("private") && !words.contains("c2VjcmV0"), "{words}");
    }
    assert!(words("-----BEGIN CERTIFICATE-----\nMIIB").contains("CERTIFICATE"));
    assert_eq!(ssh_keys("# nothing\n\n"), Err(KeyError::None));
    let two = format!("# mine\n\n{ED25519} a\n  {RSA}\n");
    assert_eq!(ssh_keys(&two), Ok(vec![format!("{ED25519} a"), RSA.to_owned()]));
    // A line that is wrong is told by its number, and none of it.
    let words = words(&format!("{ED25519}\n# remark\nopen sesame\n"));
    assert!(words.starts_with("line 3: ") && !words.contains("sesame"), "{words}");
}

proptest! {
    #[test]
    fn no_text_does_harm(text in "\\PC{0,80}", line in "(ssh-ed25519|ssh-rsa|from=\"|no-pty,)[ \t]?[A-Za-z0-9+/=\"\\\\, ]{0,80}") {
        let _ = (ssh_keys(&text), ssh_key(&line));
    }

    #[test]
    fn a_key_of_any_bytes_is_whole_or_refused(bytes: Vec<u8>, kind in 0usize..3) {
        let kind = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"][kind];
        let head = [&u32::try_from(kind.len()).expect("is short").to_be_bytes(), kind.as_bytes()].concat();
        let _ = ssh_key(&format!("{kind} {}", STANDARD.encode([head, bytes].concat())));
    }
}
