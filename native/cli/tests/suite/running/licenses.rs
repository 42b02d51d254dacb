use super::Home;

#[test]
fn the_licences_of_all_that_is_inside_are_shown() {
    let said = Home::new().run(&["licenses"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let ours = said.out.find("GNU GENERAL PUBLIC LICENSE").expect("its own");
    let crates = said.out.find("made of these crates").expect("the crates'");
    let libqemu = said.out.find("In this folder are").expect("libqemu's");
    assert!(ours < crates && crates < libqemu);
    let (crates, libqemu) = said.out[crates..].split_at(libqemu - crates);
    // Rust alone, C within a package, words that many share, and a package without any.
    for name in
        ["\nzbus ", "\nopenh264-sys2 ", "Cisco Systems", "\nring ", "\nlibc ", "Rust's standard library"]
    {
        assert!(crates.contains(name), "{name:?} in {} bytes", crates.len());
    }
    // Neither what tests use, nor what runs in the compiler alone, is in the program.
    for name in ["\nproptest ", "\nserde_derive ", "\nsampan"] {
        assert!(!crates.contains(name), "{name:?}");
    }
    for name in ["QEMU 1:", "libglib2.0", "firmware of seabios"] {
        assert!(libqemu.contains(name), "{name:?} in {} bytes", libqemu.len());
    }
}
