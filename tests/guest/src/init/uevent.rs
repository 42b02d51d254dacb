//! What the kernel tells about devices that come, change and go.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::Failure;

/// Group of the kernel's own messages (group 2 is a device manager's).
const KERNEL_GROUP: u32 = 1;
/// The kernel builds a message in 2 KiB (`UEVENT_BUFFER_SIZE`) with its header before it.
const BUFFER: usize = 4096;

/// The socket on which the kernel tells.
pub struct Uevents(OwnedFd);

/// What happened since the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// Something changed on a display.
    pub display: bool,
    /// An input device or port came or went.
    pub devices: bool,
    /// Modaliases of devices that came.
    pub modaliases: Vec<String>,
}

impl Uevents {
    /// Starts to listen.
    pub fn listen() -> Result<Self, Failure> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::KOBJECT_UEVENT))
                .map_err(|error| format!("cannot listen to the kernel's device events: {error}"))?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))
            .map_err(|error| format!("cannot join the kernel's device events: {error}"))?;
        Ok(Self(socket))
    }

    /// Everything that happened since the last call.
    pub fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        let mut buffer = [0; BUFFER];
        loop {
            match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => changes.note(&buffer[..length.min(BUFFER)]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return changes,
                // Messages were lost: look at everything.
                Err(_) => return Changes { display: true, devices: true, ..changes },
            }
        }
    }
}

impl Changes {
    fn note(&mut self, message: &[u8]) {
        let fields = || message.split(|&byte| byte == 0);
        let field = |name: &[u8]| fields().find_map(|field| field.strip_prefix(name));
        match field(b"SUBSYSTEM=") {
            Some(b"drm" | b"graphics") => self.display = true,
            Some(b"input" | b"virtio-ports") => self.devices = true,
            _ => {}
        }
        if field(b"ACTION=") == Some(b"add")
            && let Some(Ok(alias)) = field(b"MODALIAS=").map(std::str::from_utf8)
        {
            self.modaliases.push(alias.to_owned());
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
