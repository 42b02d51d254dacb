//! The kinds of files that are no image, no CD and no machine, and what to do with each.

/// The kinds of files that people take for an image, a CD or a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// LUKS: what is in it cannot be known without its key.
    Luks,
    /// QEMU's enhanced disk.
    Qed,
    /// VMware ESX's sparse extent.
    Cowd,
    /// Parallels' image.
    Parallels,
    /// Bochs' image.
    Bochs,
    /// Apple's sparse image.
    AppleSparse,
    /// A CD image, compressed (CSO).
    Cso,
    /// Apple's disk image (DMG).
    Dmg,
    /// A tar archive; appliances (OVA) are.
    Tar,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by xz.
    Xz,
    /// Compressed by bzip2.
    Bzip2,
    /// Compressed by zstd.
    Zstd,
    /// Compressed by lz4.
    Lz4,
    /// Compressed by lzip.
    Lzip,
    /// A zip archive.
    Zip,
    /// A zip archive with nothing in it.
    EmptyZip,
    /// A 7z archive.
    SevenZip,
    /// A RAR archive.
    Rar,
    /// A cabinet archive.
    Cabinet,
    /// A Windows image (WIM).
    Wim,
    /// A Linux kernel.
    LinuxKernel,
    /// A program or a kernel in the form ELF.
    Elf,
    /// A program of Windows or UEFI.
    WindowsProgram,
    /// A PDF document.
    Pdf,
    /// A property list of Apple's.
    PropertyList,
    /// A torrent file.
    Torrent,
    /// A web page.
    WebPage,
    /// An XML file.
    Xml,
    /// A pointer of Git LFS.
    LfsPointer,
    /// Any other text.
    Text,
    /// Not one byte.
    Empty,
}

impl FileKind {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// What it is in English, with its article.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.parts().1
    }

    /// What to do with it in English.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.parts().2
    }

    fn parts(self) -> (&'static str, &'static str, &'static str) {
        const CONVERT: &str = "convert it with the program that made it, to qcow2 or raw";
        const UNPACK: &str = "unpack it first, and name what is in it";
        const GET_ANEW: &str = "get the image itself: what was saved is a page or a message of its server";
        match self {
            Self::Luks => ("luks", "an encrypted disk (LUKS)", "decrypt it where its key is known"),
            Self::Qed => ("qed", "a QED image", CONVERT),
            Self::Cowd => ("cowd", "a VMware ESX sparse extent (COWD)", CONVERT),
            Self::Parallels => ("parallels", "a Parallels image", CONVERT),
            Self::Bochs => ("bochs", "a Bochs image", CONVERT),
            Self::AppleSparse => ("apple_sparse", "an Apple sparse image", CONVERT),
            Self::Cso => ("cso", "a compressed CD image (CSO)", CONVERT),
            Self::Dmg => ("dmg", "an Apple disk image (DMG)", CONVERT),
            Self::Tar => ("tar", "a tar archive", "import it if it is an appliance, or unpack it"),
            Self::Gzip => ("gzip", "a file compressed with gzip", "unpack it first (gunzip)"),
            Self::Xz => ("xz", "a file compressed with xz", "unpack it first (unxz)"),
            Self::Bzip2 => ("bzip2", "a file compressed with bzip2", "unpack it first (bunzip2)"),
            Self::Zstd => ("zstd", "a file compressed with zstd", "unpack it first (unzstd)"),
            Self::Lz4 => ("lz4", "a file compressed with lz4", "unpack it first (unlz4)"),
            Self::Lzip => ("lzip", "a file compressed with lzip", "unpack it first (lzip -d)"),
            Self::Zip => ("zip", "a zip archive", UNPACK),
            Self::EmptyZip => ("empty_zip", "an empty zip archive", "get it anew"),
            Self::SevenZip => ("seven_zip", "a 7z archive", UNPACK),
            Self::Rar => ("rar", "a RAR archive", UNPACK),
            Self::Cabinet => ("cabinet", "a cabinet archive", UNPACK),
            Self::Wim => ("wim", "a Windows image (WIM)", "use the ISO file that it comes in"),
            Self::LinuxKernel => {
                ("linux_kernel", "a Linux kernel", "it starts a machine in place of a boot loader")
            }
            Self::Elf => {
                ("elf", "a program or a kernel", "a kernel starts a machine in place of a boot loader")
            }
            Self::WindowsProgram => {
                ("windows_program", "a Windows or UEFI program", "use the disk or CD that it comes in")
            }
            Self::Pdf => ("pdf", "a PDF document", GET_ANEW),
            Self::PropertyList => ("property_list", "a property list", "name the folder that it lies in"),
            Self::Torrent => ("torrent", "a torrent file", "download what it describes, and use that"),
            Self::WebPage => ("web_page", "a web page (HTML)", GET_ANEW),
            Self::Xml => {
                ("xml", "an XML file", "import it if it describes a machine (OVF); an image is not text")
            }
            Self::LfsPointer => {
                ("lfs_pointer", "a pointer of Git LFS", "get the file it stands for (git lfs pull)")
            }
            Self::Text => ("text", "a text file", "get the image itself"),
            Self::Empty => {
                ("empty", "an empty file", "get it anew: nothing of it came, or it was never written")
            }
        }
    }
}
