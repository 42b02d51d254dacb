//! Faults of the peer: each kind is logged once and counted ever after.

use parking_lot::Mutex;
use sampan_frame::ScanoutError;

/// One thing that a correct QEMU would not have sent.
#[derive(Debug, thiserror::Error)]
pub enum DisplayFault {
    /// The arguments are not those of the member.
    #[error("{member} came with arguments that do not decode: {reason}")]
    Arguments {
        /// The member that was called.
        member: String,
        /// What the decoder says.
        reason: String,
    },
    /// A member that does not exist.
    #[error("an unknown call {0} came, and was refused")]
    UnknownMember(String),
    /// A picture whose geometry, format or memory is broken.
    #[error(transparent)]
    Scanout(#[from] ScanoutError),
    /// An update that covers nothing of the screen.
    #[error("an update of {width}x{height} at {x},{y} covers nothing of the screen, and was ignored")]
    Rectangle {
        /// The column as sent.
        x: i32,
        /// The row as sent.
        y: i32,
        /// Columns as sent.
        width: i32,
        /// Rows as sent.
        height: i32,
    },
    /// A tiled or compressed dmabuf.
    #[error(
        "a dmabuf with modifier {0:#x} was refused: only linear buffers (modifier 0) can be read, so run the guest's graphics without gl or with a driver that shares linear buffers"
    )]
    Modifier(u64),
    /// An update of shared memory that was never shared.
    #[error("an update of shared memory came before the memory itself, and was ignored")]
    NotMapped,
    /// A cursor that is no cursor.
    #[error("a cursor of {width}x{height} with {bytes} bytes was refused")]
    Cursor {
        /// Columns as sent.
        width: i32,
        /// Rows as sent.
        height: i32,
        /// Bytes that came.
        bytes: usize,
    },
    /// Pictures that together are larger than the limit.
    #[error(
        "a picture of {0} bytes was refused: all consoles together would hold more than the limit; lower the guest's resolution"
    )]
    Memory(u64),
    /// A console number beyond what is shown.
    #[error("console {0} is beyond the limit or could not be watched, and is not shown")]
    Console(u32),
    /// A listener's connection ended though QEMU is still there.
    #[error(
        "the emulator closed the connection of a console's picture: the picture stands still until the display is connected again"
    )]
    ListenerClosed,
    /// A sound stream that cannot be.
    #[error(transparent)]
    SoundStream(sampan_audio::StreamError),
    /// Sound that cannot be.
    #[error(transparent)]
    SoundData(sampan_audio::StreamError),
    /// The machine has sound, and it could not be connected.
    #[error(
        "the machine's sound could not be connected ({0}): it is silent until the display is connected again"
    )]
    SoundClosed(String),
}

/// The kinds of [`DisplayFault`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// See [`DisplayFault::Arguments`].
    Arguments,
    /// See [`DisplayFault::UnknownMember`].
    UnknownMember,
    /// A size out of range.
    Size,
    /// A stride shorter than a row.
    Stride,
    /// Memory or payload shorter than the picture.
    TooShort,
    /// A pixel format that is not known.
    Format,
    /// A file that is no memory.
    NotMemory,
    /// See [`DisplayFault::Rectangle`].
    Rectangle,
    /// See [`DisplayFault::Modifier`].
    Modifier,
    /// See [`DisplayFault::NotMapped`].
    NotMapped,
    /// See [`DisplayFault::Cursor`].
    Cursor,
    /// See [`DisplayFault::Memory`].
    Memory,
    /// See [`DisplayFault::Console`].
    Console,
    /// See [`DisplayFault::ListenerClosed`].
    ListenerClosed,
    /// See [`DisplayFault::SoundStream`].
    SoundStream,
    /// See [`DisplayFault::SoundData`].
    SoundData,
    /// See [`DisplayFault::SoundClosed`].
    SoundClosed,
}

impl FaultKind {
    /// Every kind there is.
    pub const ALL: [Self; 17] = [
        Self::Arguments,
        Self::UnknownMember,
        Self::Size,
        Self::Stride,
        Self::TooShort,
        Self::Format,
        Self::NotMemory,
        Self::Rectangle,
        Self::Modifier,
        Self::NotMapped,
        Self::Cursor,
        Self::Memory,
        Self::Console,
        Self::ListenerClosed,
        Self::SoundStream,
        Self::SoundData,
        Self::SoundClosed,
    ];
}

impl DisplayFault {
    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Arguments { .. } => FaultKind::Arguments,
            Self::UnknownMember(_) => FaultKind::UnknownMember,
            Self::Scanout(e) => match e {
                ScanoutError::Size { .. } => FaultKind::Size,
                ScanoutError::Stride { .. } => FaultKind::Stride,
                ScanoutError::TooShort { .. } => FaultKind::TooShort,
                ScanoutError::PixmanFormat(_) | ScanoutError::DrmFormat { .. } => FaultKind::Format,
                ScanoutError::NotMemory | ScanoutError::Io(_) => FaultKind::NotMemory,
                ScanoutError::NoPicture => FaultKind::NotMapped,
            },
            Self::Rectangle { .. } => FaultKind::Rectangle,
            Self::Modifier(_) => FaultKind::Modifier,
            Self::NotMapped => FaultKind::NotMapped,
            Self::Cursor { .. } => FaultKind::Cursor,
            Self::Memory(_) => FaultKind::Memory,
            Self::Console(_) => FaultKind::Console,
            Self::ListenerClosed => FaultKind::ListenerClosed,
            Self::SoundStream(_) => FaultKind::SoundStream,
            Self::SoundData(_) => FaultKind::SoundData,
            Self::SoundClosed(_) => FaultKind::SoundClosed,
        }
    }
}

/// How often each kind of fault came.
#[derive(Debug, Default)]
pub struct Faults {
    counts: Mutex<[u64; FaultKind::ALL.len()]>,
}

impl Faults {
    /// Counts a fault, and logs it if it is the first of its kind. Returns whether it was.
    pub fn note(&self, fault: &DisplayFault) -> bool {
        let first = {
            let mut counts = self.counts.lock();
            let count = &mut counts[fault.kind() as usize];
            *count += 1;
            *count == 1
        };
        if first {
            log::warn!("display: {fault} (more of this kind are only counted)");
        }
        first
    }

    /// The kinds that occurred, with their counts.
    pub fn counts(&self) -> Vec<(FaultKind, u64)> {
        let counts = *self.counts.lock();
        FaultKind::ALL.into_iter().zip(counts).filter(|&(_, n)| n > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_first_only_once() {
        let faults = Faults::default();
        assert!(faults.note(&DisplayFault::Modifier(1)));
        assert!(!faults.note(&DisplayFault::Modifier(2)));
        assert!(faults.note(&DisplayFault::NotMapped));
        assert_eq!(faults.counts(), [(FaultKind::Modifier, 2), (FaultKind::NotMapped, 1)]);
    }

    #[test]
    fn the_list_of_kinds_is_in_the_order_of_their_numbers() {
        for (i, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
        }
    }
}
