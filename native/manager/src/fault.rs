//! Why what was given does not fit: what completes the texts of [`crate::Error`].

use sampan_message::reasons;

reasons! {
    /// Why a value does not fit.
    #[non_exhaustive]
    pub enum Unfit {
        NoNetworkCard => "no_network_card", "the machine has no network card, which a forward needs";
        NoForward { forward: String = "tcp:127.0.0.1:2222:22".into() } => "no_such_forward", "the machine has no forward {forward}";
        NoMediaDrive { drive: String = "cd7".into() } => "no_media_drive", "the machine has no CD or floppy drive {drive}";
        NegativeSize => "negative_size", "a disk has no negative size";
        OneBeginning => "one_beginning", "a machine begins with one thing: an entry, a medium or a file";
        NoAddress => "no_address", "an IPv4 address is wanted, such as 127.0.0.1";
        NoDisplayNumber => "no_display_number", "displays are counted from 1";
        NoSurfaceId => "no_surface_id", "a surface's id is a decimal number";
        NoSha256 => "no_sha256", "a SHA-256 sum has 64 hexadecimal digits";
        NoPlainFile { name: String = "disk.img".into() } => "no_plain_file", "{name} is no plain file";
        NoSize { why: String = "0x0 is no size".into() } => "no_size", "{why}";
        NoSuchEvent { kind: String = "weather".into() } => "no_such_event", "there are no events of the kind {kind:?}";
        Engine { why: String = "InvalidArg".into() } => "engine", "the engine refuses: {why}";
        NameNotUnicode => "name_not_unicode", "the file's name is no Unicode text: give the medium a name";
    }
}

reasons! {
    /// Why a field cannot be changed so.
    #[non_exhaustive]
    pub enum FieldFault {
        SeedIsMadeWithMachine => "seed_is_made_with_machine", "a seed is given when a machine is made; it can be taken out alone";
        NoSection { section: String = "display".into() } => "no_section", "there is no section {section:?}";
        NoNumber { step: String = "7".into(), below: usize = 1 } => "no_item", "{step:?} is no number below {below}";
        NothingBelow { step: String = "count".into() } => "nothing_below", "there is nothing below {step:?}";
        NameAField { section: String = "cpu".into() } => "name_a_field", "name a field of {section}, as {section}.FIELD";
        ChosenOnce => "chosen_once", "it is chosen as such, not changed";
        DisksOfNew => "disks_of_new", "the disks of a new machine are chosen as such: give it more of them once it is there";
        DoesNotFit { why: String = "unknown field `devise`".into() } => "does_not_fit", "{why}";
    }
}

reasons! {
    /// Why a picture of a machine cannot be shown.
    #[non_exhaustive]
    pub enum PictureFault {
        Unreadable { why: String = "unexpected end of file".into() } => "unreadable", "{why}";
        Pixels { width: u32 = 9000, height: u32 = 9000, most: u64 = 33_554_432 } => "too_many_pixels", "it has {width}×{height} pixels, and at most {most} are shown";
        TooLarge => "too_large", "it is too large";
        NoPalette => "no_palette", "its palette is missing";
    }
}

reasons! {
    /// What the name of a medium must be.
    #[non_exhaustive]
    pub enum MediumNameRule {
        Plain => "plain", "choose one without folders that begins with a letter or a digit";
        Ending => "ending", ".part, .part.json, .new, .bad and .from at its end stand for what is not whole; choose another";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::are_distinct;

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        assert!(are_distinct::<Unfit>() && are_distinct::<FieldFault>());
        assert!(are_distinct::<PictureFault>() && are_distinct::<MediumNameRule>());
    }
}
