//! Gathers the licences of all crates that the program is made of, for `sampan licenses`: `$OUT_DIR/crates.txt`.
//!
//! Which they are `cargo metadata` tells; the words are in each crate's package.
#![forbid(unsafe_code)]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeSet, HashMap};
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
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    let mut metadata = MetadataCommand::new();
    metadata.manifest_path(root.join("Cargo.toml"));
    metadata.other_options(["--locked".into(), "--filter-platform".into(), env::var("TARGET")?]);
    let metadata = metadata.exec()?;
    // Many crates have the very same words.
    let mut names_of: HashMap<String, BTreeSet<String>> = HashMap::new();
    for package in linked(&metadata)? {
        let name = format!("{} {}", package.name, package.version);
        names_of.entry(words(package)?).or_default().insert(name);
    }
    let std = format!("Rust's standard library, rustc {}", rustc_version()?);
    let words = format!("Copyright (c) The Rust Project Contributors\n\n{}", MIT.trim());
    names_of.entry(words).or_default().insert(std);
    let mut parts: Vec<_> = names_of.into_iter().map(|(words, names)| (names, words)).collect();
    parts.sort();
    let mut out = String::new();
    for (names, words) in parts {
        let rule = "=".repeat(80);
        writeln!(out, "{rule}")?;
        for name in names {
            writeln!(out, "{name}")?;
        }
        writeln!(out, "{rule}\n\n{words}\n")?;
    }
    std::fs::write(Path::new(&env::var("OUT_DIR")?).join("crates.txt"), out)?;
    Ok(())
}

/// The crates of others that this program is linked of: not those that built or test it, nor what runs in the compiler
/// alone.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let resolve = metadata.resolve.as_ref().ok_or("cargo metadata tells no dependencies")?;
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let own = env::var("CARGO_PKG_NAME")?;
    let own = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == own);
    let mut todo = vec![&own.ok_or("the workspace does not hold this program")?.id];
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if metadata[id].targets.iter().any(|target| target.is_proc_macro()) || !found.insert(id) {
            continue;
        }
        let node = nodes.get(id).ok_or("cargo metadata does not tell a crate's dependencies")?;
        for dependency in &node.deps {
            if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                todo.push(&dependency.pkg);
            }
        }
    }
    Ok(found.into_iter().map(|id| &metadata[id]).filter(|package| package.source.is_some()).collect())
}

/// A crate's licence in its own words, else in those of what it declares.
fn words(package: &Package) -> Result<String> {
    let folder = package.manifest_path.parent().ok_or("a manifest without a folder")?;
    let mut files = Vec::new();
    collect(folder.as_std_path(), DEPTH, &mut files)?;
    files.sort();
    let declared = package.license.as_deref().unwrap_or("nothing");
    if declared.contains(" OR ") || declared.contains('/') {
        let others: Vec<_> = files.iter().filter(|file| !is_apache(file)).cloned().collect();
        files = if others.is_empty() { files } else { others };
    }
    let mut all = Vec::new();
    for file in files {
        all.push(String::from_utf8_lossy(&std::fs::read(file)?).replace('\r', "").trim().to_owned());
    }
    if all.is_empty() {
        let authors = package.authors.join(", ");
        all.push(format!(
            "Its package holds no file with a licence. It declares: {declared}\nAuthors: {}\nSource: {}",
            if authors.is_empty() { "those named at the source" } else { &authors },
            package.repository.as_deref().unwrap_or("crates.io"),
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
