//! What can go wrong between us and QEMU.

/// Why something asked of the display did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// QEMU did not speak D-Bus on its end in time.
    #[error(
        "the emulator's display does not answer: is it still running, and was the socket handed over by add_client?"
    )]
    Silent,
    /// The other end is no D-Bus peer, or refuses us.
    #[error(
        "the emulator's display did not let us in ({0}): it must be a D-Bus display of the same user, started with -display dbus,p2p=on"
    )]
    NotADisplay(String),
    /// QEMU has no console to show.
    #[error("the emulator has no console: give the machine a graphics device")]
    NoConsole,
    /// The pointing device is relative now, so a position means nothing to it.
    #[error(
        "the guest's pointing device is relative: capture the pointer, or add a tablet device to the guest"
    )]
    Relative,
    /// There is no picture yet, so a position on it means nothing.
    #[error("the console shows nothing yet: wait for the guest's first picture")]
    NoPicture,
    /// More fingers than the device has.
    #[error("the guest's touch device has only {0} slots: lift another finger first")]
    TooManyFingers(u32),
    /// A coordinate that is no number.
    #[error("a touch position must be a finite number")]
    NotFinite,
    /// QEMU refused, in its own words.
    #[error("the emulator refused {call}: {reason}")]
    Refused {
        /// The interface and member that was called.
        call: &'static str,
        /// QEMU's words.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to the emulator's display is broken: the virtual machine has probably ended")]
    Bus(#[from] zbus::Error),
    /// The system refused a socket.
    #[error("no socket for the display could be made")]
    Io(#[from] std::io::Error),
}
