//! Tests that pass without testing: they return early when an environment variable is missing. What another test starts is a
//! program of `examples/`.

use crate::unsafe_places::{SOURCES, collect};
use anyhow::{Context, Result};
use std::path::Path;
use syn::visit::Visit;

pub fn faults(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for dir in SOURCES {
        collect(&root.join(dir), &mut files)?;
    }
    let mut faults = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = lines(&text).with_context(|| format!("cannot parse {name}"))?;
        faults.extend(found.into_iter().map(|line| {
            format!("{name}:{line}: this test passes without its variable: make it a program of `examples/`")
        }));
    }
    Ok(faults)
}

/// Lines in tests where the environment decides on a `return`, or on whether the rest of the test is done at all.
fn lines(text: &str) -> syn::Result<Vec<usize>> {
    struct Tests(Vec<usize>);
    impl<'a> Visit<'a> for Tests {
        fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
            // `#[test]` and `#[tokio::test]`.
            let is_test = |attribute: &syn::Attribute| {
                attribute.path().segments.last().is_some_and(|last| last.ident == "test")
            };
            if node.attrs.iter().any(is_test) {
                let mut body = Body(&mut self.0);
                body.visit_block(&node.block);
                body.last(&node.block);
            }
            syn::visit::visit_item_fn(self, node);
        }
    }
    let mut tests = Tests(Vec::new());
    tests.visit_file(&syn::parse_file(text)?);
    tests.0.sort_unstable();
    tests.0.dedup();
    Ok(tests.0)
}

/// The body of a test.
struct Body<'f>(&'f mut Vec<usize>);

impl Body<'_> {
    /// An `if` without an `else` at the end does nothing when its condition does not hold.
    fn last(&mut self, block: &syn::Block) {
        if let Some(syn::Stmt::Expr(syn::Expr::If(last), _)) = block.stmts.last()
            && last.else_branch.is_none()
            && asks_environment(&last.cond)
        {
            self.0.push(last.if_token.span.start().line);
        }
    }
}

impl<'a> Visit<'a> for Body<'_> {
    fn visit_local(&mut self, node: &'a syn::Local) {
        if let Some(init) = &node.init
            && let Some((_, otherwise)) = &init.diverge
            && asks_environment(&init.expr)
            && returns(otherwise)
        {
            self.0.push(node.let_token.span.start().line);
        }
        syn::visit::visit_local(self, node);
    }

    fn visit_expr_if(&mut self, node: &'a syn::ExprIf) {
        let otherwise = node.else_branch.as_ref().is_some_and(|(_, otherwise)| returns(otherwise));
        if asks_environment(&node.cond) && (otherwise || node.then_branch.stmts.iter().any(statement_returns))
        {
            self.0.push(node.if_token.span.start().line);
        }
        syn::visit::visit_expr_if(self, node);
    }

    fn visit_expr_match(&mut self, node: &'a syn::ExprMatch) {
        if asks_environment(&node.expr) && node.arms.iter().any(|arm| returns(&arm.body)) {
            self.0.push(node.match_token.span.start().line);
        }
        syn::visit::visit_expr_match(self, node);
    }
}

/// Whether `env::var` or `env::var_os` is called in it.
fn asks_environment(expr: &syn::Expr) -> bool {
    struct Finder(bool);
    impl<'a> Visit<'a> for Finder {
        fn visit_path(&mut self, node: &'a syn::Path) {
            let last = |n: usize| node.segments.iter().rev().nth(n).map(|segment| segment.ident.to_string());
            let call = last(0).is_some_and(|name| name == "var" || name == "var_os");
            self.0 |= call && last(1).is_some_and(|name| name == "env");
            syn::visit::visit_path(self, node);
        }
    }
    let mut finder = Finder(false);
    finder.visit_expr(expr);
    finder.0
}

/// Whether it leaves the function; what a closure in it does is another matter.
struct Returns(bool);

impl<'a> Visit<'a> for Returns {
    fn visit_expr_return(&mut self, _: &'a syn::ExprReturn) {
        self.0 = true;
    }
    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
}

fn returns(expr: &syn::Expr) -> bool {
    let mut finder = Returns(false);
    finder.visit_expr(expr);
    finder.0
}

fn statement_returns(statement: &syn::Stmt) -> bool {
    let mut finder = Returns(false);
    finder.visit_stmt(statement);
    finder.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_returns_without_its_variable_is_found_and_one_that_has_a_default_is_not() {
        let text = r#"
            #[test] fn a() { let Ok(home) = std::env::var("A") else { return }; }
            #[test] fn b() { if env::var_os("A").is_none() { return; } b() }
            #[tokio::test] async fn c() { let a = match env::var("A") { Ok(a) => a, Err(_) => return }; }
            #[test] fn d() { if env::var_os("A").is_some() { d() } }
            #[test] fn e() { let n = env::var("A").map_or(1, |n| { return n.len() }); assert!(n > 0); }
            #[test] fn f() { if env::var_os("A").is_some() { write(); } assert!(true); }
            #[test] fn g() { let Some(a) = other::var("A") else { return }; }
            fn h() { let Ok(home) = std::env::var("A") else { return }; }
        "#;
        assert_eq!(lines(text).expect("parses"), [2, 3, 4, 5]);
    }
}
