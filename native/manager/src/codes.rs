//! A message of every kind that this crate makes, for `docs/errors.md`.

use crate::create::NewMachineError;
use crate::downloads::MediaError;
use crate::edit::EditError;
use crate::error::Error;
use crate::fault::{FieldFault, MediumNameRule, PictureFault, Unfit};
use crate::sentences::{BadRequest, Sentence};
use crate::text::TextError;
use sampan_config::{Finding, Severity};
use sampan_message::{Coded, Message, Reason, samples as samples_of};

/// A variant of this crate's own that follows; those of other crates are in their own lists.
fn after(error: &Error) -> Option<Error> {
    let name = || "debian".to_owned();
    let finding = |code: &'static str, words: &str| {
        vec![Finding::new(Severity::Confirm, "shares", Message::new(code, words).with("path", "/"))]
    };
    Some(match error {
        Error::NotRunning { .. } => Error::Runs { name: name() },
        Error::Runs { .. } => Error::RunsAlready { name: name(), viewer: None },
        Error::RunsAlready { .. } => Error::BeingStarted { name: name() },
        Error::BeingStarted { .. } => Error::Suspended { name: name() },
        Error::Suspended { .. } => Error::Paused { name: name() },
        Error::Paused { .. } => Error::NotShutDown { name: name(), seconds: 90 },
        Error::NotShutDown { .. } => Error::StillRuns { name: name(), seconds: 60 },
        Error::StillRuns { .. } => Error::ProcessUnknown { name: name() },
        Error::ProcessUnknown { .. } => Error::ProcessStays { name: name(), pid: 4242 },
        Error::ProcessStays { .. } => {
            use sampan_emulator::AcceleratorName::{Kvm, Tcg, Tci};
            let why = |name| (name, Message::new("no_libqemu", "libqemu is missing"));
            Error::NoAccelerator { reasons: vec![why(Kvm), why(Tcg), why(Tci)] }
        }
        Error::NoAccelerator { .. } => {
            let why = Message::new(
                "native_children_not_here",
                "this kind of device lets apps have no native child processes",
            );
            Error::NoHost { kind: sampan_config::HostKind::NativeChild, why }
        }
        Error::NoHost { .. } => {
            Error::SupervisorEnded { name: name(), status: "exit status: 1".into(), log: None }
        }
        Error::SupervisorEnded { .. } => Error::NoDrive { name: name(), drive: "disk7".parse().ok()? },
        Error::NoDrive { .. } => Error::unfit("network.cards", &Unfit::NoNetworkCard),
        Error::Unfit { .. } => Error::NoPicture,
        Error::NoPicture => Error::BadPicture(PictureFault::NoPalette),
        Error::BadPicture(_) => {
            let source = std::io::ErrorKind::PermissionDenied.into();
            Error::Io { what: "the folder of downloads".into(), source }
        }
        Error::Io { .. } => Error::Cancelled,
        Error::Cancelled => Error::Thread,
        Error::Thread => Error::NeedsConfirm(finding("share_gives_all", "/ is the whole of this host")),
        Error::NeedsConfirm(_) => Error::Refused(finding("share_gives_all", "/ is the whole of this host")),
        // They have the code of what they carry.
        Error::Refused(_)
        | Error::Library(_)
        | Error::Vm(_)
        | Error::VmConfig { .. }
        | Error::Launch(_)
        | Error::Client(_)
        | Error::Bind(_)
        | Error::New(_)
        | Error::Seed(_)
        | Error::Download(_)
        | Error::Catalogue(_)
        | Error::Media(_)
        | Error::Edit(_)
        | Error::Text(_)
        | Error::Trust(_)
        | Error::InFile { .. }
        | Error::Told(_)
        | Error::NotStarted { .. } => return None,
    })
}

/// A message of every kind that this crate makes.
pub fn samples() -> Vec<Message> {
    let mut all = samples_of(Error::NotRunning { name: "debian".into() }, after);
    all.extend(NewMachineError::samples());
    all.extend(MediaError::samples());
    all.extend(EditError::samples());
    all.extend(TextError::samples());
    all.extend(Unfit::all().iter().map(|why| Error::unfit("network.cards", why).message()));
    let bad_field = |why| EditError::BadField { field: "displays.devise".into(), why: Message::of(why) };
    all.extend(FieldFault::all().iter().map(|why| bad_field(why).message()));
    all.extend(PictureFault::all().into_iter().map(|why| Error::BadPicture(why).message()));
    let bad_name = |rule| MediaError::BadName { name: "../a".into(), rule }.message();
    all.extend(MediumNameRule::all().into_iter().map(bad_name));
    all.extend([
        Message::new("not_a_medium", "notes.txt: this looks like neither a CD nor a disk image")
            .with("path", "notes.txt"),
        Message::new("not_a_cd", "disk.qcow2: this is a disk image (qcow2): make a disk of it")
            .with("path", "disk.qcow2"),
        Message::new("changes_lost", "what has changed since then would be lost: keep it as a snapshot of its own")
            .with("name", "debian"),
        Message::new("login", "login: as root, without a password").with("login", "as root, without a password"),
        Message::new("login_chosen", "login: The user and password that you choose while installing"),
        Message::new("login_root", "login: root without a password, on the console alone"),
        Message::new("login_live", "login: root without a password; setup-alpine installs to the disk"),
        Message::new("login_user", "login: The user debian without a password: give a seed with a password or an SSH key")
            .with("user", "debian"),
        Message::new(
            "password_in_seed",
            "the password stands as it is in the library's seed: once Windows is installed, take the seed out of the machine",
        )
        .with("name", "win"),
        crate::Action::Start.busy(),
        crate::run::EndRecord::new(crate::run::How::Died, "the process that ran it (42) ended without a word: it crashed or was killed", None)
            .cut_off_message(),
        crate::lent::no_space(20 << 30, 5 << 30).message(),
    ]);
    all.extend(crate::run::samples());
    all.extend(Sentence::all().iter().map(Message::saying));
    all.extend(BadRequest::all().iter().map(|why| Message::because("invalid_request", why)));
    all
}
