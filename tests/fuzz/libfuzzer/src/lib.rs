//! Runs one of `sampan_fuzz`'s targets by its name.

/// Panics if the target does, or if there is none of that name.
pub fn run(name: &str, data: &[u8]) {
    let target = sampan_fuzz::TARGETS.iter().find(|(target, _)| *target == name);
    target.expect("a target of that name").1(data);
}
