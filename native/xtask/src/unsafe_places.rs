//! Where hand-written `unsafe` may stand, and that it stands nowhere else.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use syn::visit::Visit;

/// Paths (files or folders) in which `unsafe` may be written, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("native/loader", "maps a library, runs its code and gives back what it used"),
    ("native/emulator", "loads libqemu and probes executable memory"),
    ("native/frame/src", "maps dmabufs that the guest writes"),
    ("native/ohos/src/ndk.rs", "the NDK's C interface to windows"),
    ("native/childhost/src/lib.rs", "what HarmonyOS calls in a native child process"),
    ("native/ohos/src/child_process.rs", "the NDK's C interface to native child processes"),
    ("native/ohos/src/cursor.rs", "the NDK's C interface to the mouse pointer"),
    ("native/ohos/src/hilog.rs", "the NDK's C interface to the log"),
    ("native/ohos/src/ohaudio.rs", "the NDK's C interface to sound"),
    ("native/ohos/src/library.rs", "loads the system's libraries and gives their functions"),
    ("native/ohos/src/mapping.rs", "maps the buffers that are drawn on"),
    ("native/ohos/stand-in", "calls the stand-in for the NDK, which is C"),
    ("native/stream/src/codec/x264.rs", "x264's C interface"),
    ("native/stream/src/codec/vpx.rs", "libvpx's C interface"),
    ("native/stream/src/pipeline/allocator.rs", "asks libc's allocator to give back what is free"),
    ("native/stream/tests/suite/memory.rs", "asks libc's allocator how much is in use"),
    ("tests/guest", "the guest's init: DRM and evdev ioctls"),
];

/// Folders with Rust sources of the product.
pub const SOURCES: &[&str] = &["native", "tests"];

pub fn faults(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for dir in SOURCES {
        collect(&root.join(dir), &mut files)?;
    }
    let mut faults = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        if ALLOWED.iter().any(|(place, _)| name == *place || name.starts_with(&format!("{place}/"))) {
            continue;
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        faults.extend(
            lines_with_unsafe(&text)
                .with_context(|| format!("cannot parse {name}"))?
                .into_iter()
                .map(|line| format!("{name}:{line}: `unsafe` may not stand here (see ARCHITECTURE.md)")),
        );
    }
    Ok(faults)
}

pub fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if name != "target" && name != "node_modules" {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Lines of unsafe blocks, functions, impls and traits. The parser, not a text search, decides: comments and
/// strings may speak of unsafe code.
fn lines_with_unsafe(text: &str) -> syn::Result<Vec<usize>> {
    struct Finder(Vec<usize>);
    impl Finder {
        fn at(&mut self, token: Option<&syn::token::Unsafe>) {
            self.0.extend(token.map(|t| t.span.start().line));
        }
    }
    impl<'a> Visit<'a> for Finder {
        fn visit_expr_unsafe(&mut self, node: &'a syn::ExprUnsafe) {
            self.at(Some(&node.unsafe_token));
            syn::visit::visit_expr_unsafe(self, node);
        }
        fn visit_signature(&mut self, node: &'a syn::Signature) {
            self.at(node.unsafety.as_ref());
            syn::visit::visit_signature(self, node);
        }
        fn visit_item_impl(&mut self, node: &'a syn::ItemImpl) {
            self.at(node.unsafety.as_ref());
            syn::visit::visit_item_impl(self, node);
        }
        fn visit_item_foreign_mod(&mut self, node: &'a syn::ItemForeignMod) {
            self.at(node.unsafety.as_ref());
            syn::visit::visit_item_foreign_mod(self, node);
        }
    }
    let mut finder = Finder(Vec::new());
    finder.visit_file(&syn::parse_file(text)?);
    Ok(finder.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_and_talk_of_it_is_not() {
        let text = "// unsafe {}\nfn a() { let _ = \"unsafe {}\"; }\nfn b() {\n    unsafe { c() }\n}\nunsafe fn c() {}\n";
        assert_eq!(lines_with_unsafe(text).expect("parses"), vec![4, 6]);
    }
}
