//! Shows the app in a browser: its pages are compiled for one, and call the real native module, which runs machines in a Node.js of this computer.

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest Node.js that the pages' tools run in.
const NODE: (u32, u32) = (20, 19);

#[derive(Args)]
pub struct Preview {
    /// The folder of the library of machines; else `sampan-preview` where programs keep their data
    #[arg(long)]
    home: Option<PathBuf>,
    /// The port on 127.0.0.1; else one that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How wide the app's window is
    #[arg(long, value_enum, default_value_t = Width::Phone)]
    width: Width,
    /// The language of the pages
    #[arg(long, value_enum, default_value_t = Language::Zh)]
    language: Language,
    /// The colours of the night
    #[arg(long)]
    dark: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Width {
    Phone,
    Tablet,
    Pc,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Zh,
    En,
}

impl Preview {
    /// Becomes the server, so that Ctrl-C is its own. Its first line on stdout is the URL.
    pub fn run(&self, root: &Path) -> Result<()> {
        node()?;
        let app = root.join("tests/app");
        // Once for each lock file.
        let mut install = Command::new(root.join("tests/e2e/install"));
        quietly(install.arg(&app), "the packages of tests/app cannot be installed")?;
        let module = module(root)?;
        let mut server = Command::new("node");
        server.arg(app.join("bridge/main.js")).args(self.arguments()?).env("SAMPAN_MODULE", module);
        Err(server.exec()).context("cannot run node")
    }

    fn arguments(&self) -> Result<Vec<OsString>> {
        let home = match &self.home {
            Some(home) => home.clone(),
            None => data_folder()?.join("sampan-preview"),
        };
        let width = name(self.width);
        let language = name(self.language);
        let mut arguments = vec!["--home".into(), home.into_os_string()];
        arguments.extend(
            ["--port", &self.port.to_string(), "--width", &width, "--language", &language]
                .map(OsString::from),
        );
        arguments.extend(self.dark.then(|| "--dark".into()));
        Ok(arguments)
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Where programs keep their data (XDG Base Directory Specification).
fn data_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set: name a folder with --home")?;
    Ok(Path::new(&home).join(".local/share"))
}

/// Refuses a Node.js that is too old, and one that is not there.
fn node() -> Result<()> {
    let wanted = format!("install Node.js {}.{} or newer with npm", NODE.0, NODE.1);
    let told = Command::new("node").arg("--version").output();
    let told = told.with_context(|| format!("node cannot be run: {wanted}"))?;
    let version = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    ensure!(is_new_enough(&version), "Node.js {version} is too old: {wanted}");
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= NODE,
        _ => false,
    }
}

/// The native module, which is built where there is none. Its build makes the stand-in for surfaces, too.
fn module(root: &Path) -> Result<PathBuf> {
    if let Some(module) = std::env::var_os("SAMPAN_MODULE") {
        return Ok(module.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let module = target.join("debug/libsampan.so");
    if !module.exists() {
        eprintln!("preview: building the native module");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // All of the workspace, so that its dependencies have the features that they are built with elsewhere.
        build.args(["build", "--locked", "--workspace", "--lib"]).current_dir(root);
        quietly(&mut build, "the native module does not compile")?;
    }
    Ok(module)
}

/// Runs a program that says nothing on our stdout.
fn quietly(command: &mut Command, failure: &'static str) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().context(failure)?;
    ensure!(status.success(), "{failure} ({status})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_node_is_refused() {
        for good in ["v20.19.0", "v20.20.2", "v22.0.0", "v100.1.2"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["v20.18.9", "v18.20.0", "v9.99.0", "", "v", "vx.y", "20"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }

    #[test]
    fn the_server_is_told_all_that_was_asked_for() {
        let preview = Preview {
            home: Some("/machines".into()),
            port: 8080,
            width: Width::Pc,
            language: Language::En,
            dark: true,
        };
        assert_eq!(
            preview.arguments().expect("a home is named").join(" ".as_ref()),
            "--home /machines --port 8080 --width pc --language en --dark"
        );
    }
}
