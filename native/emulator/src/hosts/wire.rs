//! Bytes with descriptors over a Unix socket (unix(7), `SCM_RIGHTS`), by system calls on memory of the stack: a zygote must not allocate.

use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;

/// Descriptors of one message. The kernel takes 253 (`SCM_MAX_FD`).
pub(super) const MOST: usize = 64;

/// Room for them, as the kernel wants it aligned.
const ROOM: usize = 64 + MOST * 4;

#[repr(C, align(16))]
struct Room([u8; ROOM]);

/// What arrived with a message. Each number is the receiver's to close.
pub(super) struct Passed {
    numbers: [RawFd; MOST],
    count: usize,
    next: usize,
}

impl Passed {
    /// The next one.
    pub(super) fn take(&mut self) -> Option<RawFd> {
        let number = self.numbers[..self.count].get(self.next).copied();
        self.next += usize::from(number.is_some());
        number
    }
}

/// Sends all bytes in one call, with these descriptors. A peer that is gone is an error and no signal.
pub(super) fn send(socket: RawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<usize> {
    if fds.len() > MOST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut room = Room([0; ROOM]);
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: plain numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let size = size_of_val(fds);
        // SAFETY: the room is larger than a header and that many numbers, and aligned for the header.
        unsafe {
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size as libc::c_uint) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size as libc::c_uint) as _;
            ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(header), size);
        }
    }
    loop {
        // SAFETY: everything that the message points to lives through the call.
        let sent = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EINTR) {
                    return Err(error);
                }
            }
        }
    }
}

/// Receives bytes, and at most `most` descriptors with them; those beyond are closed. 0 bytes: the peer is gone.
pub(super) fn receive(socket: RawFd, bytes: &mut [u8], most: usize) -> io::Result<(usize, Passed)> {
    let mut room = Room([0; ROOM]);
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = room.0.as_mut_ptr().cast();
    message.msg_controllen = ROOM as _;
    let got = loop {
        // SAFETY: everything that the message points to lives through the call.
        let got = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(got) {
            Ok(got) => break got,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EINTR) {
                    return Err(error);
                }
            }
        }
    };
    let mut passed = Passed { numbers: [-1; MOST], count: 0, next: 0 };
    // SAFETY: the kernel has written whole headers, and their lengths, into the room.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data = libc::CMSG_DATA(header);
                let size = ((*header).cmsg_len as usize).saturating_sub(data.addr() - header.addr());
                for at in 0..size / size_of::<RawFd>() {
                    let number = data.cast::<RawFd>().add(at).read_unaligned();
                    if passed.count < most.min(MOST) {
                        passed.numbers[passed.count] = number;
                        passed.count += 1;
                    } else {
                        libc::syscall(libc::SYS_close, number);
                    }
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok((got, passed))
}
