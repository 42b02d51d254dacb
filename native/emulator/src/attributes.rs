//! Whether QEMU can keep a guest's owners and modes beside the files of a shared folder.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// Whether the folder's file system has extended attributes for users, which 9p's model `mapped-xattr` needs (`hw/9pfs/9p-local.c`). FAT has
/// none, nor has tmpfs before Linux 6.6, nor NFS before 4.2.
///
/// # Errors
/// What the system said about the folder.
pub fn keeps_attributes(folder: &Path) -> io::Result<bool> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: both texts end with a NUL and live; no value is written, as there is room for none.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), c"user.virtfs.uid".as_ptr(), std::ptr::null_mut(), 0) };
    match Errno::result(length) {
        // It has been shared before, or could be.
        Ok(_) | Err(Errno::ENODATA) => Ok(true),
        Err(Errno::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_says_whether_it_has_attributes() {
        // proc has none; nobody makes a folder there.
        assert!(!keeps_attributes(Path::new("/proc")).unwrap());
        assert!(keeps_attributes(Path::new("/nonexistent")).is_err());
        // What it says of a folder is true of that folder.
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: the texts end with a NUL and live; the value has one byte.
        let set =
            unsafe { libc::setxattr(path.as_ptr(), c"user.virtfs.uid".as_ptr(), c"x".as_ptr().cast(), 1, 0) };
        assert_eq!(keeps_attributes(folder.path()).unwrap(), set == 0);
    }
}
