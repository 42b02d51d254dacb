//! What is wrong with a manifest, an image, an archive or a description: what completes the texts of [`crate::Error`].

use crate::name_rule::NameRule;
use sampan_message::reasons;

reasons! {
    /// What is wrong with a manifest, or would be after a change.
    #[non_exhaustive]
    pub enum ManifestFault {
        NotUtf8 => "not_utf8", "it is no UTF-8 text";
        Unreadable { why: String = "EOF while parsing a value".into() } => "unreadable", "{why}";
        VersionZero => "version_zero", "version 0 never was";
        OtherMachine { id: String = "1a2b".into() } => "other_machine", "it is the manifest of {id}: a bundle is copied by `clone`, not by hand";
        BadName { name: String = "..".into(), rule: NameRule = NameRule::NoFolder } => "bad_name", "“{name}” cannot be a name: {rule}";
        Images { count: usize = 5000, most: usize = 4096 } => "too_many_images", "{count} images, at most {most} are possible";
        Drives { count: usize = 70, most: usize = 64 } => "too_many_drives", "{count} drives, at most {most} are possible";
        Snapshots { count: usize = 2000, most: usize = 1000 } => "too_many_snapshots", "{count} snapshots, at most {most} are possible";
        Removed { count: usize = 70, most: usize = 64 } => "too_many_removed_drives", "{count} removed drives, at most {most} are possible";
        RemovedLength { count: usize = 9000, most: usize = 4096 } => "removed_drive_too_long", "{count} bytes of what a removed drive was, at most {most} are possible";
        NoteLength { count: usize = 9000, most: usize = 4096 } => "note_too_long", "{count} characters of a note, at most {most} are possible";
        ImageNotListed { image: String = "disk0.qcow2".into() } => "image_not_listed", "the image {image} is named but not listed";
        RawWithBase { image: String = "disk0.raw".into() } => "raw_with_base", "the raw image {image} cannot have a base";
        OwnMachine { image: String = "disk0.qcow2".into() } => "names_own_machine", "{image} names its own machine as another";
        SnapshotParent { snapshot: String = "s2".into(), parent: String = "s1".into() } => "snapshot_without_parent", "the snapshot {snapshot} has a parent {parent} that is not there";
        StateParent { parent: String = "s1".into() } => "state_without_parent", "the current state has a parent {parent} that is not there";
        OwnBase { image: String = "disk0.qcow2".into() } => "own_base", "{image} is its own base";
        OwnAncestor { snapshot: String = "s1".into() } => "own_ancestor", "the snapshot {snapshot} is its own ancestor";
    }
}

reasons! {
    /// How an image differs from what the manifest says of it.
    #[non_exhaustive]
    pub enum ImageChange {
        Forgotten => "forgotten", "is no longer known to its machine";
        Unknown => "unknown_to_machine", "is not known to its machine";
        Replaced => "replaced", "was replaced by another file while it was opened";
        OtherBase { base: String = "/base.qcow2".into() } => "other_base", "names “{base}” as its base";
        LostBase => "lost_base", "has lost its base";
        ExternalData => "external_data", "names another file for its data";
        Encrypted { how: String = "luks".into() } => "encrypted", "is encrypted ({how})";
        Shorter => "shorter", "became shorter while it was read";
    }
}

reasons! {
    /// What is wrong with a file that holds a machine.
    #[non_exhaustive]
    pub enum ArchiveFault {
        EndsInHeader => "ends_in_header", "the archive is damaged: it ends within a header";
        EndsInMember => "ends_in_member", "the archive is damaged: it ends within a member";
        EndsInExtension => "ends_in_extended_header", "the archive is damaged: it ends within an extended header";
        SparseMap => "bad_sparse_map", "the archive is damaged: the map of a sparse member is wrong";
        SparsePieces => "too_many_pieces", "the archive is damaged: a sparse member of more than a million pieces";
        SparseVersion => "later_sparse_member", "the archive is damaged: a sparse member of a later version";
        Headers => "too_many_headers", "the archive is damaged: a member with too many headers";
        HeaderChecksum => "bad_header_checksum", "the archive is damaged: the checksum of a header is wrong";
        HeaderNumber => "bad_header_number", "the archive is damaged: a number in a header is wrong";
        NameNotUtf8 => "name_not_utf8", "the archive is damaged: a name is no UTF-8 text";
        ExtensionLength => "extended_header_too_long", "the archive is damaged: an extended header of more than 64 KiB";
        Extension => "bad_extended_header", "the archive is damaged: an extended header is wrong";
        ExtensionNumber => "bad_extended_number", "the archive is damaged: a number in an extended header is wrong";
        MemberLength => "member_too_long", "the archive is damaged: a member is longer than its kind may be";
        NotAFile { name: String = "disk0".into() } => "not_a_file", "the archive holds “{name}”, which is a link or a device: only files belong into it";
        LeadsOut { name: String = "../disk0".into() } => "leads_out", "the archive holds “{name}”, a name that may lead out of its folder";
        ApplianceMembers => "too_many_appliance_members", "it has more members than an appliance can have";
        MachineMembers => "too_many_members", "it has more members than a machine can have";
        Twice { name: String = "disk.vmdk".into() } => "member_twice", "it holds “{name}” twice";
        DiskMissing { name: String = "disk.vmdk".into() } => "disk_missing", "it does not hold “{name}”, a disk that it describes";
        Checksum { name: String = "disk.vmdk".into() } => "bad_checksum", "the checksum of “{name}” is wrong: it was damaged on its way, get it anew";
        PlistNotUtf8 => "plist_not_utf8", "its config.plist is no UTF-8 text";
        Gzip { name: String = "disk.vmdk.gz".into() } => "bad_gzip", "“{name}” is no sound file of gzip, as which it is described: export it anew, not compressed";
        UnpacksToMore => "unpacks_to_more", "one of its disks unpacks to more than its description says";
        Header { why: String = "EOF while parsing a value".into() } => "bad_header", "its header is wrong: {why}";
        Version { found: u32 = 9, known: u32 = 1 } => "unknown_version", "its version {found} is not known (up to {known}): update the program";
        BadName { name: String = "..".into(), rule: NameRule = NameRule::NoFolder } => "bad_name", "“{name}” cannot be a name: {rule}";
        Declares => "declares_too_much", "it declares more sections or drives than a machine can have";
        SectionLength { section: String = "extra.json".into(), bytes: u64 = 300_000, most: u64 = 262_144 } => "section_too_long", "the section {section} has {bytes} bytes, at most {most} are possible";
        DriveSize { drive: String = "disk0".into(), bytes: u64 = 7 } => "bad_size", "the drive {drive}: {bytes} bytes is no usable size: use a multiple of 512 from 1 MiB to 64 TiB";
        DriveFormat { drive: String = "disk0".into() } => "not_qcow2", "the drive {drive} is not qcow2";
        DriveBytes { drive: String = "disk0".into() } => "more_than_its_size", "the drive {drive} has more bytes than its size explains";
        Undeclared { name: String = "disks/disk1.qcow2".into() } => "undeclared", "“{name}” is not declared";
        Stray { name: String = "readme.txt".into() } => "stray_member", "“{name}” does not belong into it";
        Incomplete => "incomplete", "it is not complete: get it anew";
        Missing => "declared_missing", "something that it declares is missing";
        NoMachineFile { name: String = "sampanvm.json".into() } => "no_machine_file", "it does not begin with {name}: it is no .sampanvm file";
        Folder { name: String = "disks".into() } => "holds_folder", "it holds the folder “{name}”";
        SectionLengthDiffers { name: String = "document/cpu.json".into() } => "section_differs", "“{name}” is not as long as declared, or not declared";
        NoText { name: String = "document/cpu.json".into() } => "section_not_utf8", "“{name}” is no text";
        DiskLength { name: String = "disks/disk0.qcow2".into() } => "disk_length_differs", "“{name}” is not as long as declared";
        DiskSize { name: String = "disks/disk0.qcow2".into(), bytes: u64 = 1 << 30 } => "disk_size_differs", "“{name}” has {bytes} bytes, not as declared";
        SumsNotUtf8 => "checksums_not_utf8", "its checksums are no text";
        StraySums => "stray_checksums", "it names checksums of what it does not hold";
    }
}

reasons! {
    /// Why a description of a machine by another program cannot become one.
    #[non_exhaustive]
    pub enum DescriptionFault {
        NotUtf8 => "description_not_utf8", "its description is no UTF-8 text";
        Wrong { why: String = "unknown namespace prefix 'rasd' at 3:5".into() } => "bad_description", "its description is wrong: {why}";
        NoEnvelope => "no_envelope", "its description is no OVF envelope";
        NoMachine => "no_machine", "it describes no machine";
        Several => "several_machines", "it describes several machines: export them one by one";
        InPieces { name: String = "disk.vmdk".into() } => "file_in_pieces", "its file “{name}” is in pieces: export it in one";
        OnServer { name: String = "https://example.org/disk.vmdk".into() } => "file_on_server", "its file “{name}” is on a server: download it, put it beside the description, and name it there";
        Compressed { name: String = "disk.vmdk".into(), by: String = "bzip2".into() } => "file_compressed", "its file “{name}” is compressed by “{by}”: export it without";
        NoDisk { name: String = "vmdisk1".into() } => "disk_not_described", "its disk “{name}” is not described";
        Overlay => "disk_is_overlay", "one of its disks is an overlay of another: export it without snapshots";
        NoFile { name: String = "file1".into() } => "file_not_described", "its file “{name}” is not described";
        BinaryPlist => "binary_plist", "its config.plist is binary: convert it by `plutil -convert xml1 config.plist`";
        BadPlist { why: String = "unexpected end of stream".into() } => "bad_plist", "it is no property list: {why}";
        NoPlist => "no_plist", "it is no property list";
        Apple => "apple_virtualization", "it is a machine of Apple's virtualization, not of QEMU: only its disks can be imported, one by one";
        TooOld { version: u64 = 1 } => "too_old", "its version {version} is too old: open it once with a newer UTM";
        TooNew { version: u64 = 9 } => "too_new", "its version {version} is newer than what is known (2 to 4): import its disks one by one";
        NoVersion => "no_version", "its config.plist has no version: it is no UTM machine";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::are_distinct;

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        assert!(are_distinct::<ManifestFault>() && are_distinct::<ImageChange>());
        assert!(are_distinct::<ArchiveFault>() && are_distinct::<DescriptionFault>());
    }
}
