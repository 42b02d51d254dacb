//! Names of files as people paste them into an answer: as a shell takes them, since they come from terminals and file managers.

use std::path::{Path, PathBuf};

/// The file that is meant. What is called just so is meant before anything else.
pub fn pasted(text: &str) -> PathBuf {
    from(text, std::env::var_os("HOME").map(PathBuf::from).as_deref())
}

fn from(text: &str, home: Option<&Path>) -> PathBuf {
    if Path::new(text).exists() {
        return text.into();
    }
    // `file.iso`, 'my file.iso', "my file.iso", my\ file.iso; of several words none is told from a name with spaces.
    let word = match shlex::split(text).as_deref() {
        Some([word]) => word.clone(),
        _ => text.to_owned(),
    };
    // Within quotes a shell leaves `~` as it is.
    match (text.strip_prefix('~'), word.strip_prefix('~'), home) {
        (Some(_), Some(""), Some(home)) => home.to_owned(),
        (Some(_), Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_name_is_what_a_shell_would_make_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let odd = folder.path().join("'odd'\\ name");
        std::fs::write(&odd, "").expect("writes");
        let odd = odd.display().to_string();
        for (text, name) in [
            ("/a/b.iso", "/a/b.iso"),
            ("~/b.iso", "/home/ada/b.iso"),
            ("~", "/home/ada"),
            ("~ada/b.iso", "~ada/b.iso"),
            ("'/a/my file.iso'", "/a/my file.iso"),
            ("\"/a/my file.iso\"", "/a/my file.iso"),
            (r"/a/my\ file\(1\).iso", "/a/my file(1).iso"),
            (r"~/my\ file.iso", "/home/ada/my file.iso"),
            ("'~/b.iso'", "~/b.iso"),
            ("/a/my file.iso", "/a/my file.iso"),
            ("~/my file.iso", "/home/ada/my file.iso"),
            ("it's", "it's"),
            (&odd, &odd),
        ] {
            assert_eq!(from(text, Some(Path::new("/home/ada"))), Path::new(name), "{text}");
        }
        assert_eq!(from("~/b.iso", None), Path::new("~/b.iso"));
    }
}
