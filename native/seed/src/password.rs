//! Hashed passwords, as `crypt(3)` of Linux and the BSDs takes them.

use crate::error::SeedError;
use crate::rule::PasswordRule;
use sha_crypt::{Algorithm, Params, PasswordHasher, ShaCrypt};

/// The longest password, in bytes: a longer one makes each login slow.
const MAX_BYTES: usize = 256;
/// SHA-512-crypt's rounds: some tenths of a second on a slow machine.
const ROUNDS: u32 = 100_000;

/// A password's hash. The password itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password by SHA-512-crypt with a random salt.
    ///
    /// # Errors
    /// [`SeedError::Password`] for one that cannot be typed at a login; [`SeedError::Random`].
    pub fn new(password: &str) -> Result<Self, SeedError> {
        let mut salt = [0; 12];
        getrandom::fill(&mut salt).map_err(|e| SeedError::Random { why: e.to_string() })?;
        Self::with_salt(password, &salt)
    }

    /// Whether a password could be hashed, without the time that hashing takes.
    ///
    /// # Errors
    /// [`SeedError::Password`] for one that cannot be typed at a login.
    pub fn check(password: &str) -> Result<(), SeedError> {
        match password.is_empty() || password.len() > MAX_BYTES || password.chars().any(char::is_control) {
            true => Err(SeedError::Password { rule: PasswordRule::Typed }),
            false => Ok(()),
        }
    }

    /// Hashes a password with 12 bytes of salt, which must be random: the same salt gives the same hash.
    ///
    /// # Errors
    /// See [`PasswordHash::new`].
    pub fn with_salt(password: &str, salt: &[u8; 12]) -> Result<Self, SeedError> {
        Self::check(password)?;
        let params = Params::new(ROUNDS).unwrap_or_default();
        // 12 bytes become the 16 characters that crypt(3) uses of a salt.
        let hash = ShaCrypt::new(Algorithm::Sha512Crypt, params)
            .hash_password_with_salt(password.as_bytes(), salt)
            .map_err(|_| SeedError::Password { rule: PasswordRule::Typed })?;
        Ok(Self(hash.as_str().to_owned()))
    }

    /// Takes a hash that `mkpasswd` or `/etc/shadow` has.
    ///
    /// # Errors
    /// [`SeedError::Password`] for what is no hash: with a plain password here nobody could log in.
    pub fn from_crypt(hash: &str) -> Result<Self, SeedError> {
        let known = ["$5$", "$6$", "$y$", "$gy$", "$2b$", "$7$"].iter().any(|id| hash.starts_with(id));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"./$=,-_".contains(&b);
        let sound = known && (20..=400).contains(&hash.len()) && hash.bytes().all(plain);
        let rule = PasswordRule::Hash;
        if sound { Ok(Self(hash.to_owned())) } else { Err(SeedError::Password { rule }) }
    }

    /// The hash, as `/etc/shadow` has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_c_library_agrees() {
        for password in ["secret", "a", "ünïcödé 密码", &"x".repeat(200)] {
            let hash = PasswordHash::with_salt(password, b"twelve bytes").unwrap();
            assert!(hash.as_str().starts_with("$6$rounds=100000$"), "{}", hash.as_str());
            // Perl is essential on Debian, and its crypt is the C library's.
            let program = "print crypt($ARGV[0], $ARGV[1])";
            let output =
                Command::new("perl").args(["-e", program, password, hash.as_str()]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), hash.as_str(), "{password}");
            assert_eq!(PasswordHash::from_crypt(hash.as_str()), Ok(hash));
        }
    }

    #[test]
    fn a_salt_is_new_each_time_and_nothing_is_shown() {
        let (a, b) = (PasswordHash::new("secret").unwrap(), PasswordHash::new("secret").unwrap());
        assert_ne!(a, b);
        assert_eq!(format!("{a:?}"), "PasswordHash(…)");
    }

    #[test]
    fn what_is_no_password_or_hash_is_refused() {
        for bad in ["", "a\nb", "a\0", &"x".repeat(257)] {
            assert!(PasswordHash::with_salt(bad, &[0; 12]).is_err(), "{bad:?}");
        }
        for bad in
            ["secret", "$6$", "$1$abcdefgh$abcdefghijklmnopqrstuv", "$6$salt$hash:0:0:root:/root\n::::::::"]
        {
            assert!(PasswordHash::from_crypt(bad).is_err(), "{bad:?}");
        }
    }
}
