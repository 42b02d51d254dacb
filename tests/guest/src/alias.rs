//! Which kernel modules a device asks for: `modules.alias` and `modules.dep`, as far as the initramfs carries them.

/// Whether a device's modalias fits a pattern of `modules.alias` (`*`, `?` and `[a-z]` as in file names).
#[must_use]
pub fn matches(pattern: &str, modalias: &str) -> bool {
    glob(pattern.as_bytes(), modalias.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` did not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if let Some(length) = one(&pattern[p..], text[t]) {
            p += length;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            (p, t) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// How many bytes of the pattern fit this one byte of text.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|&c| c == b']')?;
            let mut set = &pattern[1..end];
            while let Some((&first, rest)) = set.split_first() {
                if let [b'-', last, rest @ ..] = rest {
                    if (first..=*last).contains(&byte) {
                        return Some(end + 1);
                    }
                    set = rest;
                } else {
                    if first == byte {
                        return Some(end + 1);
                    }
                    set = rest;
                }
            }
            None
        }
        &c => (c == byte).then_some(1),
    }
}

/// The modules of the initramfs: what each needs, and which devices want it.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Name and the files to load for it, in order, its own last.
    modules: Vec<(String, Vec<String>)>,
    /// Pattern and name.
    aliases: Vec<(String, String)>,
}

impl Catalogue {
    /// Reads lines `module NAME FILE…` (files in the order to load) and `alias PATTERN NAME`; others are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut catalogue = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            match (words.next().as_deref(), words.next()) {
                (Some("module"), Some(name)) => catalogue.modules.push((name, words.collect())),
                (Some("alias"), Some(pattern)) => {
                    catalogue.aliases.extend(words.next().map(|name| (pattern, name)));
                }
                _ => {}
            }
        }
        catalogue
    }

    /// The files to load for a module by name, in order.
    pub fn files(&self, name: &str) -> impl Iterator<Item = &str> {
        self.modules.iter().filter(move |(n, _)| n == name).flat_map(|(_, files)| files).map(String::as_str)
    }

    /// The files to load for a device, in order; a file can come more than once.
    pub fn wanted(&self, modalias: &str) -> impl Iterator<Item = &str> {
        self.aliases
            .iter()
            .filter(move |(pattern, _)| matches(pattern, modalias))
            .flat_map(|(_, name)| self.files(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_real_modules_fit_real_devices() {
        let pci = "pci:v00001AF4d00001050sv00001AF4sd00001100bc03sc80i00";
        assert!(matches("pci:v00001AF4d*sv*sd*bc*sc*i*", pci));
        assert!(!matches("pci:v00001B36d00000100sv*sd*bc03sc*i*", pci));
        assert!(matches("virtio:d00000010v*", "virtio:d00000010v00001AF4"));
        assert!(!matches("virtio:d00000010v*", "virtio:d00000012v00001AF4"));
        assert!(matches("of:N*T*Cgpio-keysC*", "of:Ngpio-keysT(null)Cgpio-keysC"));
        assert!(matches(
            "usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*",
            "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip02in00"
        ));
    }

    #[test]
    fn sets_stars_and_ends() {
        assert!(matches("a[0-3x]c", "a2c") && matches("a[0-3x]c", "axc"));
        assert!(!matches("a[0-3x]c", "a4c") && !matches("a[", "a"));
        assert!(matches("*", "") && matches("a**", "a") && matches("*b*d", "abcbd"));
        assert!(!matches("a?", "a") && !matches("", "a"));
    }

    #[test]
    fn a_device_gets_its_module_and_what_that_needs() {
        let catalogue = Catalogue::parse(
            "module virtio_gpu drm.ko virtio-gpu.ko\nalias virtio:d00000010v* virtio_gpu\n# comment\nalias only-two\n",
        );
        let files: Vec<_> = catalogue.wanted("virtio:d00000010v00001AF4").collect();
        assert_eq!(files, ["drm.ko", "virtio-gpu.ko"]);
        assert_eq!(catalogue.wanted("virtio:d00000001v00001AF4").count(), 0);
        assert_eq!(catalogue.files("virtio_gpu").count(), 2);
        assert_eq!(catalogue.files("other").count(), 0);
    }
}
