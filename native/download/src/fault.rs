//! What completes the texts of this crate's errors: our own sentences, each with a code, and one for what others have said.

use sampan_message::reasons;

reasons! {
    /// Why nothing can be downloaded from an address.
    #[non_exhaustive]
    pub enum BadAddress {
        TooLong { most: usize = 8192 } => "too_long", "it is longer than {most} bytes";
        Scheme => "scheme", "only https and http are supported";
        NoHost => "no_host", "it names no host";
        Login => "login_in_address", "a user name or a password in an address is not supported";
        NoSums => "no_sums_address", "the checksum file of a file whose version is not known has no address";
        Brought { words: String = "download the ISO from Microsoft".into() } => "to_be_brought", "{words}";
        Parser { why: String = "relative URL without a base".into() } => "no_url", "{why}";
    }
}

reasons! {
    /// Why a connection ended before all of a file was here.
    #[non_exhaustive]
    pub enum NoConnection {
        Ended { loaded: u64 = 4096 } => "ended_early", "it ended after {loaded} bytes";
        EndedOf { loaded: u64 = 4096, total: u64 = 1_048_576 } => "ended_within_part", "it ended after {loaded} of {total} bytes";
        PieceMissing => "piece_missing", "a piece is still missing";
        System { why: String = "connection refused".into() } => "system", "{why}";
    }
}

reasons! {
    /// How an answer breaks the rules of HTTP, or is of no use although it keeps them.
    #[non_exhaustive]
    pub enum BadAnswer {
        MoreThanSaid => "more_than_said", "it sends more than it said";
        MoreThanAsked => "more_than_asked", "it sends more than it was asked for";
        NoMoreParts => "no_more_parts", "it sends no more parts, so the file is loaded from its beginning";
        Parser { why: String = "invalid HTTP header parsed".into() } => "not_http", "{why}";
    }
}

reasons! {
    /// Why a catalogue cannot be read.
    #[non_exhaustive]
    pub enum CatalogueFault {
        TooMany { entries: usize = 2000, most: usize = 1000 } => "too_many_entries", "it has {entries} entries, and at most {most} are read";
        Parser { why: String = "EOF while parsing a value".into() } => "unreadable", "{why}";
    }
}

reasons! {
    /// Why an entry of a catalogue cannot be used.
    #[non_exhaustive]
    pub enum EntryFault {
        Id => "id", "an id is 1 to 64 lower-case letters, digits, dots and hyphens, and begins with a letter or a digit";
        Text { most: usize = 2000 } => "text", "a text is empty, longer than {most} bytes, or of several lines";
        Page => "page", "a page's address begins with https://";
        FeaturedToBring => "featured_to_bring", "what the user brings is not featured: there is nothing to begin with";
        Bring => "bring", "what the user brings has a page and words, and no source";
        NoSource => "no_source", "it has no source";
        Twice => "twice", "it is there twice";
        TooManyFeatured { featured: usize = 9, most: usize = 6 } => "too_many_featured", "{featured} entries of its processor are featured, and at most {most} can be";
        NoDigest => "no_digest", "an address needs a digest; without one nothing proves the content";
        Folder => "folder", "a folder's address ends with /";
        FileName => "file_name", "a file's name is of letters, digits and ._+- and has {{version}} once at most";
        Address { why: String = "it names no host".into() } => "address", "{why}";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::are_distinct;

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        assert!(
            are_distinct::<BadAddress>() && are_distinct::<NoConnection>() && are_distinct::<BadAnswer>()
        );
        assert!(are_distinct::<CatalogueFault>() && are_distinct::<EntryFault>());
    }
}
