//! What the flags of `sampan new` say of the machine.

use super::disk::source_format;
use super::seed;
use crate::app::App;
use crate::args::NewArgs;
use anyhow::{Result, bail};
use sampan_manager::NewMachine;
use sampan_manager::create::{NewDisk, Source, source_of};

/// What the flags say, without a name.
pub fn chosen(app: &App, args: &NewArgs) -> Result<NewMachine> {
    let library = app.manager.library();
    let disk = match (&args.image, args.disk) {
        (Some(file), size) => NewDisk::Image {
            image: app.told_of(source_of(library, file))?,
            format: args.format.as_deref().map(source_format).transpose()?,
            size,
        },
        (None, _) if args.no_disk => NewDisk::None,
        (None, size) => NewDisk::New { size, fixed: args.fixed },
    };
    let cd = match &args.cdrom {
        None => None,
        Some(file) if file.is_file() => Some(Source::File(file.clone())),
        // A name of the library's.
        Some(name) if name.components().count() == 1 => {
            Some(Source::Medium(name.to_string_lossy().into_owned()))
        }
        Some(file) => bail!("{}: there is no such file", file.display()),
    };
    Ok(NewMachine {
        name: String::new(),
        preset: args.preset.map(|preset| preset.0),
        arch: args.arch,
        memory_mib: args.memory,
        cpus: args.cpus,
        firmware: args.firmware.map(Into::into),
        disk,
        cd,
        entry: args.from.clone(),
        first_start: seed::first_start(&args.seed)?,
        changes: Vec::new(),
    })
}
