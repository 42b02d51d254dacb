//! What only a face may do: print, end the process, parse a command line. Below `cli` a program has no terminal.

use crate::unsafe_places::collect;
use anyhow::{Context, Result};
use std::path::Path;
use syn::visit::Visit;

/// Where a face, a program of its own or a test may do it, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("native/cli", "the program"),
    ("native/xtask", "the project's own chores"),
    (
        "native/emulator/src/vmhost.rs",
        "the program that hosts a child's QEMU, whose stderr is the machine's log",
    ),
    ("native/emulator/src/bin", "the same"),
];

/// Packages that no library of ours may use.
pub const NOT_BELOW_CLI: &[&str] = &["clap", "indicatif", "rpassword", "env_logger"];

pub fn faults(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(&root.join("native"), &mut files)?;
    let mut faults = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let is_code = name.contains("/src/") && !name.ends_with("_tests.rs") && !name.ends_with("/tests.rs");
        if !is_code
            || ALLOWED.iter().any(|(place, _)| name == *place || name.starts_with(&format!("{place}/")))
        {
            continue;
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = lines(&text).with_context(|| format!("cannot parse {name}"))?;
        faults.extend(found.into_iter().map(|(line, what)| {
            format!("{name}:{line}: {what} is a face's matter: give back a value (see ARCHITECTURE.md)")
        }));
    }
    Ok(faults)
}

/// Lines that print or end the process, outside of tests.
fn lines(text: &str) -> syn::Result<Vec<(usize, String)>> {
    struct Finder(Vec<(usize, String)>);
    impl<'a> Visit<'a> for Finder {
        fn visit_item_mod(&mut self, node: &'a syn::ItemMod) {
            let is_test = |attribute: &syn::Attribute| {
                attribute.path().is_ident("cfg")
                    && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
            };
            if !node.attrs.iter().any(is_test) {
                syn::visit::visit_item_mod(self, node);
            }
        }
        fn visit_macro(&mut self, node: &'a syn::Macro) {
            if let Some(last) = node.path.segments.last()
                && ["println", "print", "eprintln", "eprint"].contains(&last.ident.to_string().as_str())
            {
                self.0.push((last.ident.span().start().line, format!("`{}!`", last.ident)));
            }
            syn::visit::visit_macro(self, node);
        }
        fn visit_path(&mut self, node: &'a syn::Path) {
            let words: Vec<String> = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if let [.., module, call] = words.as_slice()
                && module == "process"
                && ["exit", "abort"].contains(&call.as_str())
                && let Some(last) = node.segments.last()
            {
                self.0.push((last.ident.span().start().line, format!("`process::{call}`")));
            }
            syn::visit::visit_path(self, node);
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
    fn printing_and_ending_are_found_and_tests_may_do_both() {
        let text = "fn a() { println!(\"a\"); }\nfn b() {\n    std::process::exit(1)\n}\n\
                    #[cfg(test)]\nmod tests { fn c() { println!(\"c\"); std::process::exit(2) } }\n\
                    fn d() -> u32 { std::process::id() }\n";
        let found = lines(text).expect("parses");
        assert_eq!(found, [(1, "`println!`".to_owned()), (3, "`process::exit`".to_owned())]);
    }
}
