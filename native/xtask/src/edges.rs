//! Which crate may depend on which: dependencies point one way, from the pure crates to the programs.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// Every crate of the product with the product's crates that it may use in its code. A crate that is not
/// listed fails the check, so that a new one gets its place on purpose.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sampan-message", &[]),
    ("sampan-audio", &["sampan-message"]),
    ("sampan-frame", &[]),
    ("sampan-input", &[]),
    ("sampan-config", &["sampan-input", "sampan-message"]),
    ("sampan-trust", &["sampan-message"]),
    ("sampan-control", &["sampan-config", "sampan-message", "sampan-trust"]),
    ("sampan-guest", &["sampan-audio", "sampan-frame", "sampan-input"]),
    ("sampan-library", &["sampan-config", "sampan-message"]),
    ("sampan-download", &["sampan-message"]),
    ("sampan-seed", &["sampan-message"]),
    ("sampan-qmp", &["sampan-message"]),
    ("sampan-vdagent", &["sampan-message"]),
    ("sampan-loader", &["sampan-message"]),
    ("sampan-emulator", &["sampan-config", "sampan-loader", "sampan-message"]),
    ("sampan-childhost", &["sampan-emulator"]),
    ("sampan-display", &["sampan-audio", "sampan-frame", "sampan-input", "sampan-message"]),
    ("sampan-ohos", &["sampan-audio", "sampan-frame", "sampan-message"]),
    ("sampan-ohos-stand-in", &[]),
    (
        "sampan-stream",
        &["sampan-audio", "sampan-frame", "sampan-guest", "sampan-input", "sampan-message", "sampan-trust"],
    ),
    (
        "sampan-session",
        &[
            "sampan-audio",
            "sampan-config",
            "sampan-display",
            "sampan-emulator",
            "sampan-frame",
            "sampan-guest",
            "sampan-input",
            "sampan-library",
            "sampan-message",
            "sampan-qmp",
            "sampan-seed",
            "sampan-vdagent",
        ],
    ),
    (
        "sampan-manager",
        &[
            "sampan-config",
            "sampan-control",
            "sampan-download",
            "sampan-emulator",
            "sampan-frame",
            "sampan-input",
            "sampan-library",
            "sampan-message",
            "sampan-seed",
            "sampan-session",
            "sampan-stream",
            "sampan-trust",
        ],
    ),
    (
        "sampan-napi",
        &[
            "sampan-config",
            "sampan-control",
            "sampan-download",
            "sampan-emulator",
            "sampan-frame",
            "sampan-guest",
            "sampan-input",
            "sampan-library",
            "sampan-manager",
            "sampan-message",
            "sampan-ohos",
            "sampan-session",
            "sampan-trust",
        ],
    ),
    (
        "sampan",
        &[
            "sampan-control",
            "sampan-manager",
            "sampan-config",
            "sampan-download",
            "sampan-emulator",
            "sampan-library",
            "sampan-message",
            "sampan-seed",
            "sampan-session",
            "sampan-stream",
            "sampan-trust",
        ],
    ),
    (
        "sampan-fuzz",
        &[
            "sampan-audio",
            "sampan-config",
            "sampan-control",
            "sampan-display",
            "sampan-download",
            "sampan-frame",
            "sampan-input",
            "sampan-library",
            "sampan-seed",
            "sampan-stream",
            "sampan-trust",
            "sampan-vdagent",
        ],
    ),
    ("xtask", &[]),
];

/// Crates whose invariant is "no async, no clock, no I/O of their own": they must not even link these.
const PURE: &[&str] =
    &["sampan-message", "sampan-audio", "sampan-frame", "sampan-input", "sampan-config", "sampan-seed"];
const NOT_PURE: &[&str] = &["tokio", "zbus", "webrtc", "axum", "async-io", "smol"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
}

pub fn faults(root: &Path) -> Result<Vec<String>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cannot run `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(check(&metadata))
}

fn check(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            faults.push(format!("{}: has no place in xtask's table of dependency edges", package.name));
            continue;
        };
        // Tests may look up at what uses a crate; its code may not.
        for dep in package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
            let ours = ALLOWED.iter().any(|(name, _)| *name == dep.name);
            if ours && !allowed.contains(&dep.name.as_str()) {
                faults.push(format!("{}: must not depend on {}", package.name, dep.name));
            }
            let is_face = ["sampan", "xtask", "sampan-fuzz"].contains(&package.name.as_str());
            if !is_face && crate::faces::NOT_BELOW_CLI.contains(&dep.name.as_str()) {
                faults.push(format!("{}: is no face and must not depend on {}", package.name, dep.name));
            }
            if PURE.contains(&package.name.as_str()) && NOT_PURE.contains(&dep.name.as_str()) {
                faults.push(format!("{}: is pure and must not depend on {}", package.name, dep.name));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, deps: &[(&str, Option<&str>)]) -> Package {
        let dependencies = deps
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).into(), kind: kind.map(str::to_owned) })
            .collect();
        Package { name: name.into(), dependencies }
    }

    #[test]
    fn an_edge_the_wrong_way_is_found_and_a_test_edge_is_not() {
        let found = check(&Metadata {
            packages: vec![
                package("sampan-frame", &[("sampan-display", None), ("tokio", None)]),
                package("sampan-display", &[("sampan-frame", None), ("sampan-emulator", Some("dev"))]),
                package("sampan-new", &[]),
                package("sampan-manager", &[("clap", None)]),
            ],
        });
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
