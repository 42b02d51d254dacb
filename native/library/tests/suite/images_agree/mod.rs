//! Our parsers of images against QEMU's block drivers: what is accepted here QEMU opens, with the same size, and it opens
//! no other file for it.
//!
//! Images that `qemu-img` makes, and such that name other files, are changed in the numbers and words of their headers,
//! the same way on every run. Each that [`probe_import`] takes is opened by `qemu-img`, for its data and for what it
//! tells. A watch on the folders shows which files are opened, so that a file that an image names is seen even where QEMU
//! makes no error of it.

mod mutate;

use crate::common::QemuImg;
use mutate::{Canary, Random, Seed};
use rustix::fs::inotify;
use sampan_library::SourceFormat;
use sampan_library::image::{Bytes, probe_import};
use serde_json::Value;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Changed images of each seed.
const CASES: u32 = 160;

/// Which files of two folders were opened since it was last asked.
struct Watch(OwnedFd);

impl Watch {
    fn on(folders: [&Path; 2]) -> Self {
        let watch =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).expect("a watch");
        for folder in folders {
            inotify::add_watch(&watch, folder, inotify::WatchFlags::OPEN).expect("watched");
        }
        Self(watch)
    }

    fn opened(&self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = BTreeSet::new();
        while let Ok(event) = reader.next() {
            assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW), "events were lost");
            // Without a name it is the folder itself.
            names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        names
    }
}

/// Two folders, one with the image and one with files that it may name.
struct Place {
    home: tempfile::TempDir,
    qemu: QemuImg,
    watch: Watch,
    canary: Canary,
    image: PathBuf,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let (images, secrets) = (home.path().join("images"), home.path().join("secrets"));
        for folder in [&images, &secrets] {
            std::fs::create_dir(folder).expect("made");
        }
        let canary = Canary::new(&secrets.join("canary"));
        std::fs::write(secrets.join("canary"), vec![0x5e; 1 << 20]).expect("written");
        let watch = Watch::on([&images, &secrets]);
        Self { qemu: QemuImg::find(), watch, canary, image: images.join("image"), home }
    }

    /// Why QEMU and this parser do not agree on an image that was accepted with `size`.
    fn compare(&self, format: SourceFormat, size: u64) -> Result<(), String> {
        let node =
            format!("driver={},file.driver=file,file.filename={}", format.driver(), self.image.display());
        let ask = |args: &[&str]| -> Result<Value, String> {
            let out = self.qemu.run(&self.image, &[args, &["--output=json", "--image-opts", &node]].concat());
            let out = out.map_err(|e| format!("QEMU refuses it: {e}"))?;
            serde_json::from_str(&out).map_err(|e| format!("{e}: {out}"))
        };
        self.watch.opened();
        // Opens it as a guest's disk is opened, its data too, and tells the size of all that can be read.
        let measured = ask(&["measure", "-O", "raw"]);
        // Tells what belongs to it; QEMU leaves some of it closed for that.
        let info = ask(&["info"]);
        let opened = self.watch.opened();
        if opened != BTreeSet::from(["image".to_owned()]) {
            return Err(format!("QEMU opens {opened:?}"));
        }
        let (measured, info) = (measured?, info?);
        let sizes = [&measured["fully-allocated"], &info["virtual-size"]].map(Value::as_u64);
        if sizes != [Some(size); 2] {
            return Err(format!("{size} bytes here, {sizes:?} in QEMU"));
        }
        for other in ["backing-filename", "full-backing-filename", "backing-image"] {
            if info.get(other).is_some() {
                return Err(format!("{other}: {}", info[other]));
            }
        }
        let file = self.image.to_str().expect("text");
        let child = |child: &Value| child["name"] == "file" && child["info"]["filename"] == file;
        if !info["children"].as_array().is_some_and(|children| matches!(children.as_slice(), [c] if child(c)))
        {
            return Err(format!("children: {}", info["children"]));
        }
        let specific = &info["format-specific"]["data"];
        let extents = specific["extents"].as_array().into_iter().flatten();
        if specific.get("data-file").is_some() || extents.into_iter().any(|e| e["filename"] != file) {
            return Err(format!("data elsewhere: {specific}"));
        }
        Ok(())
    }

    /// The images that the changes start from.
    fn seeds(&self) -> Vec<Seed> {
        use SourceFormat::{Qcow2, Raw, Vdi, Vhdx, Vmdk, Vpc};
        let made = [
            (Raw, ""),
            (Qcow2, "compat=0.10"),
            (Qcow2, "compat=1.1,cluster_size=512"),
            (Qcow2, "compression_type=zstd,extended_l2=on"),
            (Vmdk, "subformat=monolithicSparse"),
            (Vmdk, "subformat=streamOptimized"),
            (Vdi, "static=off"),
            (Vhdx, "subformat=dynamic,log_size=1M,block_size=1M"),
            (Vpc, "subformat=dynamic"),
            (Vpc, "subformat=dynamic,force_size=on"),
            (Vpc, "subformat=fixed,force_size=on"),
        ];
        let raw = self.home.path().join("raw");
        // Some of it is there and some is not.
        let content = [vec![0x42; 65536], vec![0; (1 << 20) - 65536]].concat();
        std::fs::write(&raw, content).expect("written");
        let (from, to) = (raw.to_str().expect("text"), self.image.to_str().expect("text"));
        let mut seeds = Vec::new();
        for (format, options) in made {
            let driver = format.driver();
            let mut args = vec!["convert", "-f", "raw", "-O", driver];
            if !options.is_empty() {
                args.extend(["-o", options]);
            }
            args.extend([from, to]);
            self.qemu.run(&self.image, &args).expect(options);
            if options.contains("cluster_size") {
                self.qemu.run(&self.image, &["snapshot", "-c", "a name", to]).expect("made");
            }
            let image = std::fs::read(&self.image).expect("read");
            let size = probe_import(&Bytes(&image), Some(format)).expect(options).virtual_size;
            assert_eq!(self.compare(format, size), Ok(()), "{driver} {options}");
            seeds.push(Seed { format, name: format!("{driver} {options}"), image });
        }
        seeds.extend(mutate::hostile(&seeds, &self.canary));
        seeds
    }
}

/// Whether the image was accepted, and then QEMU agrees.
fn check(place: &Place, seed: &Seed, image: &[u8], what: &str) -> bool {
    let Ok(said) = probe_import(&Bytes(image), Some(seed.format)) else { return false };
    match probe_import(&Bytes(image), None) {
        Ok(found) if seed.format != SourceFormat::Raw => assert_eq!(said, found, "{what}"),
        // Bytes may have become a header, or a boot sector.
        Ok(found) => assert!(found.format != SourceFormat::Raw || found == said, "{what}"),
        Err(e) => assert_eq!(seed.format, SourceFormat::Raw, "{what}: {e}"),
    }
    std::fs::write(&place.image, image).expect("written");
    if let Err(why) = place.compare(seed.format, said.virtual_size) {
        let kept = std::env::temp_dir().join("images_agree-failed");
        std::fs::write(&kept, image).expect("written");
        panic!("{what} is accepted, but {why}; it is kept in {}", kept.display());
    }
    true
}

#[test]
fn what_is_accepted_qemu_reads_the_same_and_alone() {
    let place = Place::new();
    // The watch does see an opened file.
    place.watch.opened();
    std::fs::File::open(&place.canary.path).expect("opened");
    assert_eq!(place.watch.opened(), BTreeSet::from(["canary".to_owned()]));
    let seeds = place.seeds();
    let mut random = Random(0x5eed_0001);
    let mut accepted_by_seed = Vec::new();
    for seed in &seeds {
        let mut accepted = 0;
        for case in 0..CASES {
            let image = mutate::change(seed, &place.canary, &mut random);
            accepted += u32::from(check(&place, seed, &image, &format!("{} {case}", seed.name)));
        }
        accepted_by_seed.push((seed.name.as_str(), accepted));
    }
    println!("accepted of {CASES} each: {accepted_by_seed:?}");
    // Changes that nothing survives would compare nothing.
    let made = accepted_by_seed.iter().filter(|(name, _)| !name.starts_with("hostile"));
    assert!(made.clone().all(|(_, accepted)| *accepted >= CASES / 20), "{accepted_by_seed:?}");
}

#[test]
fn an_image_that_names_another_file_is_refused_as_it_is() {
    let place = Place::new();
    for seed in place.seeds().iter().filter(|seed| seed.name.starts_with("hostile")) {
        probe_import(&Bytes(&seed.image), Some(seed.format)).expect_err(&seed.name);
    }
}
