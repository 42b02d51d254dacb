//! What the program's exit code says.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It did what it was asked to; a machine was told to quit, or its guest powered off.
    Done,
    /// It could not start, or the command failed.
    CouldNotStart,
    /// QEMU died.
    Died,
    /// SIGTERM ended it.
    Terminated,
    /// Ctrl-C ended it.
    Interrupted,
    /// What a program in the guest ended with.
    Guest(u8),
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        // 2 is clap's, for wrong usage; 128 + signal is what shells expect.
        ExitCode::from(match code {
            Code::Done => 0,
            Code::CouldNotStart => 1,
            Code::Died => 3,
            Code::Interrupted => 130,
            Code::Terminated => 143,
            Code::Guest(code) => code,
        })
    }
}
