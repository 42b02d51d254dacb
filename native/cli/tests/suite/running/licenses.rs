use super::Home;

#[test]
fn the_licences_of_all_that_is_inside_are_shown() {
    let said = Home::new().run(&["licenses"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let ours = said.out.find("GNU GENERAL PUBLIC LICENSE").expect("its own");
    let crates = said.out.find("made of these crates").expect("the crates'");
    let encoder = said.out.find("\nx264 2:0.").expect("the encoder's");
    let libqemu = said.out.rfind("In this folder are").expect("libqemu's");
    assert!(ours < crates && crates < encoder && encoder < libqemu);
    let (crates, libqemu) = said.out[crates..].split_at(libqemu - crates);
    // Rust alone, C within a package, words that many share, and a package without any.
    for name in ["\nzbus ", "\nring ", "\nlibc ", "Rust's standard library", "Copyright", "MIT"] {
        assert!(crates.contains(name), "{name:?} in {} bytes", crates.len());
    }
    // Neither what tests use, nor what runs in the compiler alone, is in the program.
    for name in ["\nproptest ", "\nopenh264", "\nserde_derive ", "\nsampan"] {
        assert!(!crates.contains(name), "{name:?}");
    }
    for name in ["QEMU 1:", "libglib2.0", "firmware of seabios"] {
        assert!(libqemu.contains(name), "{name:?} in {} bytes", libqemu.len());
    }
}
