//! Where the guest's file systems are, and how much room they have.

use super::{Agent, AgentError, types};

/// The longest table of mounts that is read, in bytes.
const MAX_TABLE: u64 = 256 << 10;

/// A file system that is mounted in the guest (proc(5), `/proc/[pid]/mounts`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted: a device, or the tag of a folder of the host's.
    pub source: String,
    /// Where.
    pub point: String,
    /// The kind of file system, such as `ext4` or `9p`.
    pub kind: String,
}

impl Agent {
    /// What is mounted in a Linux guest, in this order. Other systems have no such table, which is an error.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn mounts(&self) -> Result<Vec<Mount>, AgentError> {
        let mut table = Vec::new();
        self.pull("/proc/self/mounts", &mut table, MAX_TABLE, |_| {}).await?;
        Ok(parse(&String::from_utf8_lossy(&table)))
    }

    /// How many bytes programs can still write to the file system in which `path` is, or would be; `None` where the guest does not
    /// tell: it tells of those on disks alone.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn free_space(&self, path: &str) -> Result<Option<u64>, AgentError> {
        let mounts = match self.mounts().await {
            Ok(mounts) => mounts,
            Err(AgentError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let systems = self.execute(types::guest_get_fsinfo {}).await?;
        Ok(free(&mounts, &systems, path))
    }
}

fn free(mounts: &[Mount], systems: &[types::GuestFilesystemInfo], path: &str) -> Option<u64> {
    let system = if mounts.is_empty() {
        // Names of Windows, which are the same in small letters.
        let path = path.to_lowercase();
        let there = systems.iter().filter(|system| path.starts_with(&system.mountpoint.to_lowercase()));
        there.max_by_key(|system| system.mountpoint.len())
    } else {
        let mount = mount_of(mounts, path)?;
        systems.iter().find(|system| system.mountpoint == mount.point)
    }?;
    system.total_bytes?.checked_sub(system.used_bytes?)
}

/// The file system in which a path is: of those that are mounted on its folders the innermost, and there the newest.
fn mount_of<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let is_in = |point: &str| {
        path.strip_prefix(point.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.iter().filter(|mount| is_in(&mount.point)).max_by_key(|mount| mount.point.len())
}

fn parse(table: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut words = line.split(' ').map(unescaped);
        Some(Mount { source: words.next()?, point: words.next()?, kind: words.next()? })
    };
    table.lines().filter_map(mount).collect()
}

/// A word of the table: what would end it is in octal digits behind a backslash.
fn unescaped(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        let octal =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(point: &str, total: Option<u64>, used: Option<u64>) -> types::GuestFilesystemInfo {
        types::GuestFilesystemInfo {
            total_bytes: total,
            total_bytes_privileged: None,
            used_bytes: used,
            disk: Vec::new(),
            mountpoint: point.into(),
            name: "sda1".into(),
            type_: "ext4".into(),
        }
    }

    #[test]
    fn a_path_is_in_the_innermost_file_system_and_its_free_space_is_told() {
        let mounts = parse(
            "/dev/vda2 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vdb /srv/my\\040files ext4 rw 0 0\nhome /mnt 9p rw 0 0\nbroken\n",
        );
        assert_eq!(mounts.len(), 4);
        let at = |path: &str| mount_of(&mounts, path).map(|mount| mount.point.as_str());
        assert_eq!(at("/var/tmp/a"), Some("/"));
        assert_eq!(at("/run/a"), Some("/run"));
        assert_eq!(at("/runner"), Some("/"));
        assert_eq!(at("/srv/my files/x"), Some("/srv/my files"));
        assert_eq!(at("relative"), None);
        let systems = [system("/", Some(10), Some(4)), system("/srv/my files", Some(5), Some(7))];
        assert_eq!(free(&mounts, &systems, "/var/tmp/a"), Some(6));
        // One in memory has its room elsewhere.
        assert_eq!(free(&mounts, &systems, "/run/a"), None);
        assert_eq!(free(&mounts, &systems, "/srv/my files/x"), None, "figures that cannot be");
        let drives = [system("C:\\", Some(9), Some(2)), system("D:\\", None, None)];
        assert_eq!(free(&[], &drives, "c:\\Users\\a.txt"), Some(7));
        assert_eq!(free(&[], &drives, "d:\\a.txt"), None);
    }

    #[test]
    fn whatever_a_table_holds_is_read() {
        for word in ["\\", "\\0", "\\04", "\\999", "a\\134b", "\\040\\", "ä\\377"] {
            assert!(!unescaped(word).is_empty(), "{word}");
        }
        assert_eq!(unescaped("a\\134b\\040c"), "a\\b c");
        assert!(parse("\n \n  \n").iter().all(|mount| mount.point.is_empty()));
    }
}
