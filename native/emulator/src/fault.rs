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
    /// Why a VM does not run in a process of its own, besides what keeps QEMU from being loaded there.
    #[non_exhaustive]
    pub enum HostFault {
        Silent { seconds: u64 = 20 } => "host_silent", "the process said nothing for {seconds} s and was ended";
        Died { how: String = "signal: 9 (SIGKILL)".into() } => "host_died", "the process ended before QEMU was called ({how})";
        Misunderstood => "host_misunderstood", "the process and this program do not understand each other: install the whole package again";
        NotHeard { why: String = "Too many open files".into() } => "host_not_heard", "no socket for the process could be made ({why})";
        TooLong { bytes: usize = 200_000, most: usize = 153_600 } => "host_order_too_long", "QEMU's arguments have {bytes} bytes, and the system passes {most}: use fewer devices";
        TooManyFds { count: usize = 17, most: usize = 16 } => "host_too_many_fds", "it has {count} sockets, and the system passes {most}: use fewer serial ports";
        NoNativeChildren { why: String = "libchild_process.so: cannot open shared object file".into() } => "no_native_children", "this system has no native child processes ({why})";
        NotOnThisDevice => "native_children_not_here", "this kind of device lets apps have no native child processes";
        SeveralProcessesOff => "native_children_off", "this device has several processes for an app switched off";
        WithinAChild => "native_children_nested", "a child process can make none in turn";
        TooManyChildren => "native_children_all_used", "the app has as many child processes as the system allows: end another machine first";
        NoHostLibrary { library: String = "libsampanhost.so".into() } => "no_host_library", "the system could not load {library}: install the package again";
        RefusedWith { code: u32 = 16_000_050 } => "native_child_refused", "the system refused a native child process (error {code})";
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
        assert!(
            are_distinct::<BadArgument>()
                && are_distinct::<NotLoaded>()
                && are_distinct::<BadFd>()
                && are_distinct::<HostFault>()
        );
    }
}
