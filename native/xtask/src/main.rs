//! Project chores, run as `cargo xtask …`.
//!
//! `gen` writes generated sources from their one source, `check` verifies that they are up to date and that the
//! architecture holds: the dependency edges of `ARCHITECTURE.md`, where `unsafe` may stand, what only a face does, and that
//! no test passes without testing.
#![forbid(unsafe_code)]

mod edges;
mod faces;
mod idle_tests;
mod keys;
mod ohos;
mod preview;
mod typings;
mod unsafe_places;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Parser)]
#[command(name = "xtask", about = "Project chores", arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the generated sources (key tables, the types of the native module)
    Gen,
    /// Put the HarmonyOS app together
    Ohos {
        #[command(subcommand)]
        chore: ohos::Chore,
    },
    /// Show the app in a browser, with the real native module; the URL is the first line printed
    Preview(preview::Preview),
    /// Verify generated sources, dependency edges, the places of `unsafe` and that no test is idle
    Check,
}

fn main() -> Result<()> {
    let root = workspace_root()?;
    match Args::parse().chore {
        Chore::Gen => {
            for (path, text) in [keys::generate(&root)?, typings::generate(&root)?] {
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                println!("wrote {}", path.display());
            }
        }
        Chore::Ohos { chore } => ohos::run(&root, chore)?,
        Chore::Preview(preview) => preview.run(&root)?,
        Chore::Check => check(&root)?,
    }
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for (path, text) in [keys::generate(root)?, typings::generate(root)?] {
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            faults.push(format!("{}: out of date, run `cargo xtask gen`", path.display()));
        }
    }
    faults.extend(edges::faults(root)?);
    faults.extend(unsafe_places::faults(root)?);
    faults.extend(faces::faults(root)?);
    faults.extend(idle_tests::faults(root)?);
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    if !faults.is_empty() {
        bail!("{} fault(s) in the architecture", faults.len());
    }
    println!(
        "architecture: key tables, the native module's types, dependency edges, unsafe places and what only faces do are as ARCHITECTURE.md says; no test is idle"
    );
    Ok(())
}

fn workspace_root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
    Path::new(&manifest).ancestors().nth(2).map(Path::to_path_buf).context("xtask is not in native/xtask")
}
