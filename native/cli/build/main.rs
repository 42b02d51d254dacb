//! Gathers the licences of all crates that the program is made of, for `sampan licenses`: `$OUT_DIR/crates.txt`.
//!
//! Which they are `cargo metadata` tells; the words are in each crate's package.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MIT: &str = include_str!("mit.txt");
/// How a file with a licence begins, in small letters.
const NAMES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
/// C sources that a package carries have theirs below.
const DEPTH: usize = 2;
/// No part of a program; and what a package's tests use.
const ELSEWHERE: [&str; 6] = ["tests", "test", "benches", "examples", "docs", "fuzz"];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    let metadata = metadata(&root)?;
    let ids = linked(&metadata).ok_or("cargo metadata has another form than this was written for")?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let foreign = packages.iter().filter(|p| !p["source"].is_null() && ids.contains(text(&p["id"])));
    // Many crates have the very same words.
    let mut by_words: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in foreign {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        by_words.entry(words(package)?).or_default().push(name);
    }
    let std = format!("Rust's standard library, rustc {}", rustc_version()?);
    let words = format!("Copyright (c) The Rust Project Contributors\n\n{MIT}");
    by_words.entry(words.trim().to_owned()).or_default().push(std);
    let mut out = String::new();
    for (words, mut names) in by_words {
        names.sort();
        let rule = "=".repeat(80);
        write!(out, "{rule}\n{}\n{rule}\n\n{words}\n\n", names.join("\n"))?;
    }
    std::fs::write(PathBuf::from(env::var("OUT_DIR")?).join("crates.txt"), out)?;
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env::var("CARGO")?)
        .args([
            "metadata",
            "--format-version=1",
            "--filter-platform",
            &env::var("TARGET")?,
            "--manifest-path",
        ])
        .arg(root.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The crates that this program is linked of: not those that built or test it, nor what runs in the compiler alone.
fn linked(metadata: &Value) -> Option<BTreeSet<&str>> {
    let packages: BTreeMap<_, _> =
        metadata["packages"].as_array()?.iter().map(|package| (text(&package["id"]), package)).collect();
    let is_macro = |id: &str| {
        let targets = packages.get(id).and_then(|package| package["targets"].as_array());
        targets.is_some_and(|all| {
            all.iter().any(|t| t["kind"].as_array().is_some_and(|k| k.contains(&"proc-macro".into())))
        })
    };
    let nodes: BTreeMap<_, _> =
        metadata["resolve"]["nodes"].as_array()?.iter().map(|node| (text(&node["id"]), node)).collect();
    let own = env::var("CARGO_PKG_NAME").ok()?;
    let mut todo = vec![
        *packages.iter().find(|(_, package)| package["source"].is_null() && text(&package["name"]) == own)?.0,
    ];
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if is_macro(id) || !found.insert(id) {
            continue;
        }
        for dependency in nodes.get(id)?["deps"].as_array()? {
            // Normal dependencies have no kind.
            if dependency["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null()) {
                todo.push(text(&dependency["pkg"]));
            }
        }
    }
    Some(found)
}

/// A crate's licence in its own words, else in those of what it declares.
fn words(package: &Value) -> Result<String> {
    let folder = Path::new(text(&package["manifest_path"])).parent().ok_or("a manifest without a folder")?;
    let mut files = Vec::new();
    collect(folder, DEPTH, &mut files)?;
    files.sort();
    let declared = text(&package["license"]);
    if declared.contains(" OR ") || declared.contains('/') {
        let others: Vec<_> = files.iter().filter(|file| !is_apache(file)).cloned().collect();
        files = if others.is_empty() { files } else { others };
    }
    let mut all = Vec::new();
    for file in files {
        all.push(String::from_utf8_lossy(&std::fs::read(file)?).replace('\r', "").trim().to_owned());
    }
    if all.is_empty() {
        let authors: Vec<_> = package["authors"].as_array().into_iter().flatten().map(text).collect();
        all.push(format!(
            "Its package holds no file with a licence. It declares: {declared}\nAuthors: {}\nSource: {}",
            if authors.is_empty() { "those named at the source".into() } else { authors.join(", ") },
            text(&package["repository"]),
        ));
        if declared.contains("MIT") {
            all.push(MIT.trim().to_owned());
        }
    }
    Ok(all.join("\n\n"))
}

/// Where there is a choice it is not this one: docs/licensing.md tells why.
fn is_apache(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains("apache"))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        if entry.file_type()?.is_dir() {
            // Some keep the texts in a folder of their own.
            if depth > 0 && !name.starts_with('.') && !ELSEWHERE.contains(&name.as_str()) && name != "src" {
                collect(&entry.path(), depth - 1, files)?;
            }
        } else if NAMES.iter().any(|start| name.starts_with(start)) && !name.ends_with(".rs") {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn rustc_version() -> Result<String> {
    let output = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).unwrap_or("unknown").to_owned())
}
