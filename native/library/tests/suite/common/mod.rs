//! What the tests share: QEMU's block layer by its own program, `qemu-img`.
#![allow(dead_code, reason = "every program uses a part")]

use sampan_library::{
    Backing, BlockError, BlockLayer, CheckedChain, Layer, NewImage, OnProgress, Preallocation, Progress,
    Sections, blockdev,
};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `qemu-img` beside libqemu, found as libqemu is.
pub struct QemuImg(PathBuf);

impl QemuImg {
    pub fn find() -> Self {
        let dir = std::env::var_os("SAMPAN_QEMU_DIR").map(PathBuf::from).unwrap_or_else(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").filter(|d| !d.is_empty()).map(PathBuf::from);
            let home = || PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache");
            cache.unwrap_or_else(home).join("sampan/qemu/current")
        });
        let program = dir.join("qemu-img");
        assert!(program.exists(), "{} is missing: run scripts/bootstrap", program.display());
        Self(program)
    }

    pub fn run(&self, path: &Path, args: &[&str]) -> Result<String, BlockError> {
        let output =
            Command::new(&self.0).args(args).output().map_err(|e| BlockError::Unavailable(e.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(match message.contains("No space left") {
            true => BlockError::NoSpace(path.into()),
            false => BlockError::Refused { path: path.into(), message },
        })
    }

    /// The bytes of a chain as its guest sees them.
    pub fn content(&self, chain: &[Layer]) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let target = file.path().to_str().expect("text");
        self.run(file.path(), &["convert", "-O", "raw", &json(chain, true), target]).expect("readable");
        std::fs::read(target).expect("a file")
    }

    /// What a guest does: writes `pattern` to a place of the top image.
    pub fn write(&self, chain: &[Layer], offset: u64, pattern: u8, length: usize) {
        let mut content = self.content(chain);
        content[offset as usize..offset as usize + length].fill(pattern);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &content).expect("written");
        let source = file.path().to_str().expect("text");
        self.run(
            &chain[0].path,
            &["convert", "-n", "-S", "0", "-f", "raw", "--target-image-opts", source, &opts(chain)],
        )
        .expect("written");
    }

    fn make(&self, image: &NewImage) -> Result<(), BlockError> {
        let (path, size) = (image.path.to_str().expect("text"), image.size.to_string());
        let mut args = vec!["create", "-q", "-f", image.format.driver()];
        let fixed = format!("preallocation={}", "falloc");
        if image.preallocation == Preallocation::Fixed {
            args.extend(["-o", &fixed]);
        }
        if let Some(Backing { file, format }) = &image.backing {
            args.extend(["-u", "-b", file, "-F", format.driver()]);
        }
        args.extend([path, &size]);
        self.run(&image.path, &args).map(drop)
    }

    pub fn check(&self, layer: &Layer) {
        let path = layer.path.to_str().expect("text");
        if layer.format.driver() == "qcow2" {
            self.run(&layer.path, &["check", "-f", "qcow2", path]).expect("a sound image");
        }
    }
}

fn json(chain: &[Layer], read_only: bool) -> String {
    let mut node = blockdev(chain, read_only).expect("a chain");
    unlocked(&mut node);
    format!("json:{node}")
}

/// `qemu-img` decides on its own what it opens for writing.
fn unlocked(node: &mut serde_json::Value) {
    if let Some(map) = node.as_object_mut() {
        map.remove("read-only");
        map.values_mut().for_each(unlocked);
    }
}

fn opts(chain: &[Layer]) -> String {
    fn flat(prefix: &str, chain: &[Layer], out: &mut Vec<String>) {
        let Some((top, below)) = chain.split_first() else { return };
        out.push(format!("{prefix}driver={}", top.format.driver()));
        out.push(format!("{prefix}file.driver=file"));
        out.push(format!("{prefix}file.filename={}", top.path.display()));
        flat(&format!("{prefix}backing."), below, out);
    }
    let mut out = Vec::new();
    flat("", chain, &mut out);
    out.join(",")
}

impl BlockLayer for QemuImg {
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        images.iter().try_for_each(|image| self.make(image))
    }

    fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let (path, total) = (target.path.to_str().expect("text"), target.size);
        if progress(Progress { done: 0, total }).is_break() {
            return Err(BlockError::Cancelled);
        }
        let source = json(source, true);
        let mut args = vec!["convert", "-O", target.format.driver()];
        if target.preallocation == Preallocation::Fixed {
            args.extend(["-o", "preallocation=falloc"]);
        }
        if let Some(Backing { file, format }) = &target.backing {
            args.extend(["-B", file, "-F", format.driver()]);
        }
        args.extend([source.as_str(), path]);
        self.run(&target.path, &args)?;
        match progress(Progress { done: total, total }).is_break() {
            true => Err(BlockError::Cancelled),
            false => Ok(()),
        }
    }

    fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError> {
        let size = size.to_string();
        self.run(&chain[0].path, &["resize", "-q", "--image-opts", &opts(chain), &size]).map(drop)
    }

    fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError> {
        if progress(Progress { done: 0, total: 1 }).is_break() {
            return Err(BlockError::Cancelled);
        }
        self.run(&chain[0].path, &["commit", "-q", "-d", "--image-opts", &opts(chain)]).map(drop)
    }

    fn flatten(
        &self,
        chain: &CheckedChain,
        _keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        if progress(Progress { done: 0, total: 1 }).is_break() {
            return Err(BlockError::Cancelled);
        }
        let path = chain[0].path.to_str().expect("text");
        let mut args = vec!["rebase", "-q", "-f", "qcow2", "-t", "writethrough", "-b"];
        match backing {
            Some(Backing { file, format }) => args.extend([file.as_str(), "-F", format.driver()]),
            None => args.push(""),
        }
        args.push(path);
        self.run(&chain[0].path, &args).map(drop)
    }
}

/// A document with one recognisable word in it.
pub fn document(word: &str) -> Sections {
    Sections::from([
        ("system.toml".into(), format!("word = \"{word}\"\n")),
        ("drives.toml".into(), format!("# {word}\n")),
    ])
}
