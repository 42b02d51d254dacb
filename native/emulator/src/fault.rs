//! What completes the texts of [`LaunchError`](crate::LaunchError): our own sentences, each with a code.

use sampan_message::reasons;

reasons! {
    /// Why QEMU is not given an argument.
    #[non_exhaustive]
    pub enum BadArgument {
        Daemonize => "daemonize", "would fork this program: leave it out";
        User => "runas", "changes the user of the whole program: leave it out";
        WholeProgram => "run_with", "changes the whole program: leave it out";
        Root => "chroot", "changes the root of the whole program: leave it out";
        Sandbox => "sandbox", "would filter the system calls of the whole program: leave it out";
        Pidfile => "pidfile", "would name this program's process: leave it out";
        Nul => "nul", "contains a NUL byte";
    }
}

reasons! {
    /// Why a library is not loaded, besides what the loader finds in it.
    #[non_exhaustive]
    pub enum NotLoaded {
        Twice => "loaded_already", "it has been loaded already, and a copy runs once";
        NoFunction { name: String = "qemu_init".into() } => "no_function", "has no {name}: build it again with this version's scripts/qemu";
        Linker { why: String = "cannot open shared object file".into() } => "linker", "{why}";
    }
}

reasons! {
    /// Why a descriptor cannot be given to QEMU.
    #[non_exhaustive]
    pub enum BadFd {
        Taken => "name_taken", "has a name that is taken: choose another";
        Name { most: usize = 20 } => "bad_name", "has a name QEMU would not take: begin with a-z, go on with a-z 0-9 - _ . to at most {most}";
        NoStream { kind: String = "Datagram".into() } => "no_stream_socket", "is a {kind} socket: give a stream socket";
        NoSocket { why: String = "ENOTSOCK".into() } => "no_socket", "is no socket ({why}): give one end of a socketpair";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::are_distinct;

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        assert!(are_distinct::<BadArgument>() && are_distinct::<NotLoaded>() && are_distinct::<BadFd>());
    }
}
