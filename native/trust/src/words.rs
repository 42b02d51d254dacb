//! Secrets as words that can be read aloud and typed in any language: syllables in the manner of proquints
//! (arXiv:0901.4016), four letters for twelve bits.

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";

/// Words of a secret.
pub(crate) const COUNT: usize = 8;

/// Bytes that [`COUNT`] words stand for: 96 bits.
pub(crate) const BYTES: usize = COUNT * 12 / 8;

/// Twelve bits as a word.
fn word(bits: u16) -> String {
    let consonant = |at: u16| char::from(CONSONANTS[usize::from(bits >> at & 15)]);
    let vowel = |at: u16| char::from(VOWELS[usize::from(bits >> at & 3)]);
    [consonant(8), vowel(6), consonant(2), vowel(0)].iter().collect()
}

/// A secret as words with a space between them.
pub fn words(secret: &[u8; BYTES]) -> String {
    let mut all = Vec::with_capacity(COUNT);
    for three in secret.chunks_exact(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        // Twelve bits each, so they fit.
        all.push(word((bits >> 12) as u16));
        all.push(word((bits & 0xfff) as u16));
    }
    all.join(" ")
}

/// Words as a person typed them, in the one form that counts: small letters with one space between words.
pub fn normalised(typed: &str) -> String {
    let letters = |c: char| !c.is_ascii_alphabetic();
    let all: Vec<String> =
        typed.split(letters).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_twelve_bits_have_a_word_of_their_own() {
        let all: BTreeSet<String> = (0..4096).map(word).collect();
        assert_eq!(all.len(), 4096);
        assert!(all.iter().all(|word| word.len() == 4));
    }

    #[test]
    fn what_is_typed_counts_and_not_how() {
        let made = words(b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\xff");
        assert_eq!(made.split(' ').count(), 8);
        assert_eq!(normalised(&made), made);
        let typed = format!("  {}\n", made.to_uppercase().replace(' ', " - "));
        assert_eq!(normalised(&typed), made);
    }
}
