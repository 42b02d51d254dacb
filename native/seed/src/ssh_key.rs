//! Public keys of SSH, as lines of `authorized_keys` (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"). What `ssh-keygen -l` takes is taken: a
//! key that `sshd` passes over leaves a new machine without a way in, and nobody learns why.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest line, in bytes: certificates name many principals.
const MAX: usize = 16 << 10;
/// OpenSSH refuses RSA keys with fewer bits (`SSH_RSA_MINIMUM_MODULUS_SIZE`).
const LEAST_RSA_BITS: usize = 1024;

/// What may stand before a key. Behind the ones with `=` stands a text in quotes.
const OPTIONS: [&str; 22] = [
    "agent-forwarding",
    "cert-authority",
    "command=",
    "environment=",
    "expiry-time=",
    "from=",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "permitlisten=",
    "permitopen=",
    "port-forwarding",
    "principals=",
    "pty",
    "restrict",
    "tunnel=",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];

/// Why a text is no list of public keys. Nothing of it is in the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The other half.
    #[error("that is the private key, which stays with you: name the public one, which ends with .pub")]
    Private,
    /// PuTTY's other half.
    #[error("that is PuTTY's private key, which stays with you: `puttygen FILE -L` prints the public one")]
    Putty,
    /// A public key in another form, which `ssh-keygen -i -m` takes by this name.
    #[error(
        "it is a public key in the form {0}: `ssh-keygen -i -m {0} -f FILE` prints it as OpenSSH writes it"
    )]
    Form(&'static str),
    /// A certificate of X.509, or something else of this kind.
    #[error("it is no SSH key but “{0}”: name the file of a public SSH key, which ends with .pub")]
    Other(String),
    /// A line that is no key.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why not.
        why: Why,
    },
    /// No key at all.
    #[error("there is no key in it")]
    None,
}

/// Why a line is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Neither begins with a type nor has one behind options.
    #[error(
        "it is no public SSH key: one line has the key's type (ssh-ed25519, ssh-rsa, ecdsa-… or sk-…), its base64 and a comment"
    )]
    Form,
    /// Something before the type.
    #[error("what stands before the key is no option that sshd knows: the key would be passed over")]
    Option,
    /// DSA.
    #[error(
        "OpenSSH takes no keys of the type ssh-dss any more: make another one with `ssh-keygen -t ed25519`"
    )]
    Dsa,
    /// Not base64.
    #[error("its base64 is damaged: copy the whole line anew")]
    Base64,
    /// The type inside is another one.
    #[error("it is called by one type and is of another inside: copy the whole line anew")]
    Type,
    /// Cut off, or with more behind it.
    #[error("it is cut off or damaged: copy the whole line anew")]
    Damaged,
    /// An RSA key that OpenSSH refuses.
    #[error(
        "it has fewer than 1024 bits, which OpenSSH refuses: make another one with `ssh-keygen -t ed25519`"
    )]
    Short,
    /// A line that goes on for ever, or has control characters.
    #[error("it is longer than 16384 bytes, or has control characters")]
    Line,
}

impl Why {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Option => "option",
            Self::Dsa => "dsa",
            Self::Base64 => "bad_base64",
            Self::Type => "other_type",
            Self::Damaged => "cut_off",
            Self::Short => "short",
            Self::Line => "bad_line",
        }
    }
}

/// The keys of a text, one a line as `authorized_keys` has them; empty lines and remarks are passed over.
///
/// # Errors
/// [`KeyError`]: none is taken where one cannot be.
pub fn ssh_keys(text: &str) -> Result<Vec<String>, KeyError> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().any(|line| line.contains("PRIVATE KEY")) {
        return Err(KeyError::Private);
    }
    if lines().any(|line| line.starts_with("PuTTY-User-Key-File")) {
        return Err(KeyError::Putty);
    }
    if let Some(first) = lines().next().filter(|line| line.starts_with("----")) {
        let what = first.trim_matches(['-', ' ']).trim_start_matches("BEGIN ");
        return Err(match what {
            "RSA PUBLIC KEY" => KeyError::Form("PEM"),
            "PUBLIC KEY" => KeyError::Form("PKCS8"),
            "SSH2 PUBLIC KEY" => KeyError::Form("RFC4716"),
            other => KeyError::Other(other.chars().filter(|c| !c.is_control()).take(40).collect()),
        });
    }
    let numbered = (1..).zip(text.lines().map(str::trim));
    let keys = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys = keys.map(|(line, text)| ssh_key(text).map_err(|why| KeyError::Line { line, why }));
    let keys: Vec<String> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}

/// One key, with single spaces between its parts.
///
/// # Errors
/// [`Why`] not.
pub(crate) fn ssh_key(line: &str) -> Result<String, Why> {
    let line = line.trim();
    if line.len() > MAX || line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Why::Line);
    }
    let (first, rest) = word(line);
    // As ssh-keygen does: a key, else something before one.
    let (options, kind, rest) = if is_type(first) {
        (None, first, rest)
    } else {
        let end = end_of_options(line);
        let (options, rest) = (&line[..end], line[end..].trim_start());
        let (kind, rest) = word(rest);
        if !is_type(kind) {
            return Err(Why::Form);
        }
        (Some(options), kind, rest)
    };
    let (data, comment) = word(rest);
    check(kind, data)?;
    let mut key = String::new();
    if let Some(options) = options {
        if !are_options(options) {
            return Err(Why::Option);
        }
        key = format!("{options} ");
    }
    key += &format!("{kind} {data}");
    if !comment.is_empty() {
        // A tab is a control character for whoever reads it next.
        key += &format!(" {}", comment.replace('\t', " "));
    }
    Ok(key)
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    (&text[..end], text[end..].trim_matches([' ', '\t']))
}

/// Where the first blank is that stands in no quotes.
fn end_of_options(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            // `\"` is a quote within quotes.
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return at,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    line.len()
}

/// Whether all of it is options that sshd knows: of others it passes the whole line over.
fn are_options(text: &str) -> bool {
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let Some(option) =
            OPTIONS.iter().filter(|option| lower.starts_with(**option)).max_by_key(|o| o.len())
        else {
            return false;
        };
        rest = &rest[option.len()..];
        if option.ends_with('=') {
            let Some(quoted) = rest.strip_prefix('"') else { return false };
            let mut escaped = false;
            let end = quoted.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            let Some((end, _)) = end else { return false };
            rest = &quoted[end + 1..];
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.is_empty(),
        }
    }
}

/// The types of `sshkey.c`, certificates included.
fn is_type(word: &str) -> bool {
    let plain = word.strip_suffix("-cert-v01@openssh.com").map(|plain| match plain {
        // A certificate's type has the address once.
        "sk-ssh-ed25519" | "sk-ecdsa-sha2-nistp256" => format!("{plain}@openssh.com"),
        other => other.to_owned(),
    });
    matches!(
        plain.as_deref().unwrap_or(word),
        "ssh-ed25519"
            | "ssh-rsa"
            | "ssh-dss"
            | "ecdsa-sha2-nistp256"
            | "ecdsa-sha2-nistp384"
            | "ecdsa-sha2-nistp521"
            | "sk-ssh-ed25519@openssh.com"
            | "sk-ecdsa-sha2-nistp256@openssh.com"
    )
}

/// Whether the base64 is a whole key of this type (RFC 4253, 6.6; RFC 5656; OpenSSH's PROTOCOL.u2f and PROTOCOL.certkeys).
fn check(kind: &str, data: &str) -> Result<(), Why> {
    if data.is_empty() {
        return Err(Why::Form);
    }
    let blob = STANDARD.decode(data).map_err(|_| Why::Base64)?;
    let mut blob = Blob(&blob);
    if blob.string()? != kind.as_bytes() {
        return Err(Why::Type);
    }
    let plain = kind.strip_suffix("-cert-v01@openssh.com");
    if plain.is_some() {
        // Its nonce.
        blob.string()?;
    }
    match plain.unwrap_or(kind).trim_end_matches("@openssh.com") {
        "ssh-dss" => return Err(Why::Dsa),
        "ssh-rsa" => {
            let (_exponent, modulus) = (blob.number()?, blob.number()?);
            let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if bits < LEAST_RSA_BITS {
                return Err(Why::Short);
            }
        }
        ed25519 @ ("ssh-ed25519" | "sk-ssh-ed25519") => {
            if blob.string()?.len() != 32 {
                return Err(Why::Damaged);
            }
            if ed25519.starts_with("sk-") {
                // The application it is for.
                blob.string()?;
            }
        }
        ecdsa => {
            let curve = ecdsa.rsplit('-').next().unwrap_or_default();
            let coordinate = match curve {
                "nistp256" => 32,
                "nistp384" => 48,
                "nistp521" => 66,
                _ => return Err(Why::Type),
            };
            if blob.string()? != curve.as_bytes() {
                return Err(Why::Type);
            }
            let point = blob.string()?;
            // Both coordinates, uncompressed (SEC 1, 2.3.3).
            if point.first() != Some(&4) || point.len() != 1 + 2 * coordinate {
                return Err(Why::Damaged);
            }
            if ecdsa.starts_with("sk-") {
                blob.string()?;
            }
        }
    }
    if plain.is_some() {
        // Serial number, type, name, principals, its two times, options, extensions, what is reserved, who signed, and how.
        blob.skip(8 + 4)?;
        blob.string()?;
        blob.string()?;
        blob.skip(8 + 8)?;
        for _ in 0..5 {
            blob.string()?;
        }
    }
    if blob.0.is_empty() { Ok(()) } else { Err(Why::Damaged) }
}

/// What is left of a key's fields.
struct Blob<'a>(&'a [u8]);

impl<'a> Blob<'a> {
    fn skip(&mut self, count: usize) -> Result<&'a [u8], Why> {
        let (skipped, rest) = self.0.split_at_checked(count).ok_or(Why::Damaged)?;
        self.0 = rest;
        Ok(skipped)
    }

    /// A length in four bytes, and as many bytes (RFC 4251, 5).
    fn string(&mut self) -> Result<&'a [u8], Why> {
        let length = self.skip(4)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.skip(length)
    }

    /// A number that is not negative, without zeros before it.
    fn number(&mut self) -> Result<&'a [u8], Why> {
        let bytes = self.string()?;
        if bytes.first().is_none_or(|byte| *byte >= 0x80) {
            return Err(Why::Damaged);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(&bytes[zeros..])
    }
}

#[cfg(test)]
#[path = "ssh_key_tests.rs"]
mod tests;
