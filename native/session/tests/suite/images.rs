//! Work on disk images, by a real libqemu, looked at afterwards by `qemu-img`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use crate::common::{child, in_process, libqemu};
use sampan_emulator::Arch;
use sampan_library::{
    Backing, BlockError, CheckedChain, ImageFormat, Layer, NewImage, Preallocation, SourceFormat,
};
use sampan_session::images::ImageService;
use std::fs::{self, File};
use std::ops::ControlFlow::{Break, Continue};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: u64 = 1 << 20;

fn service() -> ImageService {
    ImageService::new(child(), "images", Arch::X86_64)
}

fn qemu_img(args: &[&str]) -> String {
    let output = Command::new(libqemu().qemu_img().unwrap()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn same(a: (&Path, &str), b: (&Path, &str)) {
    qemu_img(&["compare", "-f", a.1, "-F", b.1, a.0.to_str().unwrap(), b.0.to_str().unwrap()]);
}

fn info(file: &Path) -> serde_json::Value {
    serde_json::from_str(&qemu_img(&["info", "--output=json", file.to_str().unwrap()])).unwrap()
}

fn new(path: PathBuf, format: ImageFormat, size: u64) -> NewImage {
    NewImage { path, format, size, preallocation: Preallocation::Dynamic, backing: None }
}

fn layer(path: &Path, format: SourceFormat) -> Layer {
    Layer { path: path.to_owned(), format }
}

fn image(path: &Path, format: SourceFormat) -> CheckedChain {
    CheckedChain::open(vec![layer(path, format)]).unwrap()
}

/// Overwrites an image's whole content, its base untouched.
fn write(file: &Path, with: &Path) {
    qemu_img(&["convert", "-n", "-f", "raw", "-O", "qcow2", with.to_str().unwrap(), file.to_str().unwrap()]);
}

/// A disk with bytes that differ from place to place, and holes.
fn raw(file: &Path, mib: u64, seed: usize) {
    let mut bytes = vec![0; (mib * MIB) as usize];
    for (i, chunk) in bytes.chunks_mut(256 << 10).enumerate().filter(|(i, _)| !(i + seed).is_multiple_of(3)) {
        chunk.iter_mut().enumerate().for_each(|(j, byte)| *byte = ((i + seed) * 31 + j / 7) as u8);
    }
    fs::write(file, bytes).unwrap();
}

/// Whatever a user may call a file.
const AWKWARD: &str = "a,b=c\"'{}: json:{} nbd:x 云.img";

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_made_grown_and_made_once_only() {
    let tmp = tempfile::tempdir().unwrap();
    let images = service();
    for format in [ImageFormat::Qcow2, ImageFormat::Raw] {
        let name = format.driver();
        let file = tmp.path().join(format!("{name} {AWKWARD}"));
        let image = new(file.clone(), format, 10 * MIB);
        images.create(std::slice::from_ref(&image)).await.unwrap();
        let chain = self::image(&file, format.into());
        assert_eq!(images.size(&chain).await.unwrap(), 10 * MIB);
        assert!(fs::metadata(&file).unwrap().blocks() * 512 < MIB, "space is taken for nothing");

        let again = images.create(std::slice::from_ref(&image)).await.unwrap_err();
        assert!(again.to_string().contains("exists"), "{again}");
        images.grow(&chain, 25 * MIB).await.unwrap();
        assert_eq!(images.size(&chain).await.unwrap(), 25 * MIB);
        let shrink = images.grow(&chain, MIB).await.unwrap_err().to_string();
        assert!(shrink.contains("can only grow"), "{shrink}");
        assert_eq!(images.size(&chain).await.unwrap(), 25 * MIB);

        let path = tmp.path().join(format!("full {name}"));
        let fixed =
            NewImage { preallocation: Preallocation::Fixed, path: path.clone(), size: 8 * MIB, ..image };
        images.create(&[fixed]).await.unwrap();
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 8 * MIB);
    }
    images.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_formats_become_qcow2_with_every_byte_and_no_more_space() {
    let tmp = tempfile::tempdir().unwrap();
    let images = service();
    let source = tmp.path().join("source.raw");
    raw(&source, 12, 0);
    for format in [
        SourceFormat::Raw,
        SourceFormat::Qcow2,
        SourceFormat::Vmdk,
        SourceFormat::Vdi,
        SourceFormat::Vhdx,
        SourceFormat::Vpc,
    ] {
        let foreign = tmp.path().join(format!("{AWKWARD} {}", format.driver()));
        let mut args = vec!["convert", "-f", "raw", "-O", format.driver()];
        if format == SourceFormat::Vpc {
            // Else it rounds the size to its geometry.
            args.extend(["-o", "force_size=on"]);
        }
        args.extend([source.to_str().unwrap(), foreign.to_str().unwrap()]);
        qemu_img(&args);
        for compress in [false, true] {
            let file = tmp.path().join(format!("{}-{compress}.qcow2", format.driver()));
            let target = new(file.clone(), ImageFormat::Qcow2, 12 * MIB);
            let mut seen = Vec::new();
            let mut progress = |progress| {
                seen.push(progress);
                Continue(())
            };
            images.convert(&image(&foreign, format), &target, compress, &mut progress).await.unwrap();
            same((&source, "raw"), (&file, "qcow2"));
            qemu_img(&["check", "-f", "qcow2", file.to_str().unwrap()]);
            let last = seen.last().unwrap();
            assert_eq!(last.done, last.total);
            assert!(fs::metadata(&file).unwrap().blocks() * 512 < 9 * MIB, "holes take space");
        }
    }
    images.stop().await;
}

/// A base, an overlay and one on that, each with other bytes.
async fn chain(images: &ImageService, folder: &Path) -> (CheckedChain, PathBuf) {
    let mut layers = Vec::new();
    for (n, name) in ["base", "middle", "top"].into_iter().enumerate() {
        let path = folder.join(format!("{name}.qcow2"));
        let backing = n.checked_sub(1).map(|below| Backing {
            file: format!("{}.qcow2", ["base", "middle"][below]),
            format: ImageFormat::Qcow2,
        });
        let image = NewImage { backing, ..new(path.clone(), ImageFormat::Qcow2, 4 * MIB) };
        images.create(&[image]).await.unwrap();
        layers.insert(0, layer(&path, SourceFormat::Qcow2));
    }
    for (n, layer) in layers.iter().enumerate() {
        let bytes = folder.join("bytes.raw");
        raw(&bytes, 4, 7 + n);
        // The bottom first: what lies above reads through.
        if n != 1 {
            write(&layer.path, &bytes);
        }
    }
    let seen = folder.join("seen.raw");
    let top = folder.join("top.qcow2");
    qemu_img(&["convert", "-O", "raw", top.to_str().unwrap(), seen.to_str().unwrap()]);
    (CheckedChain::open(layers).unwrap(), seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_are_copied_merged_and_flattened() {
    // In this process: the same contract.
    let images = ImageService::new(in_process(), "images", Arch::Aarch64);
    let tmp = tempfile::tempdir().unwrap();
    let (layers, seen) = chain(&images, tmp.path()).await;
    let flat = tmp.path().join("flat.qcow2");
    let target = new(flat.clone(), ImageFormat::Qcow2, 4 * MIB);
    images.convert(&layers, &target, false, &mut |_| Continue(())).await.unwrap();
    assert_eq!(info(&flat).get("backing-filename"), None);
    same((&seen, "raw"), (&flat, "qcow2"));

    // The topmost alone, on the same base.
    let copy = tmp.path().join("copy.qcow2");
    let backing = Some(Backing { file: "middle.qcow2".into(), format: ImageFormat::Qcow2 });
    let target = NewImage { backing, size: 6 * MIB, ..new(copy.clone(), ImageFormat::Qcow2, 0) };
    images.convert(&layers, &target, false, &mut |_| Continue(())).await.unwrap();
    assert_eq!(info(&copy)["backing-filename"], "middle.qcow2");
    assert_eq!(info(&copy)["virtual-size"], 6 * MIB);
    same((&seen, "raw"), (&copy, "qcow2"));

    images.commit(&layers, &mut |_| Continue(())).await.unwrap();
    same((&seen, "raw"), (&layers[1].path, "qcow2"));
    same((&seen, "raw"), (&layers[0].path, "qcow2"));

    for (keep, backing) in [(2, Some("base.qcow2")), (3, None)] {
        let folder = tempfile::tempdir().unwrap();
        let (layers, seen) = chain(&images, folder.path()).await;
        let named = backing.map(|file| Backing { file: file.into(), format: ImageFormat::Qcow2 });
        images.flatten(&layers, keep, named.as_ref(), &mut |_| Continue(())).await.unwrap();
        let told = info(&layers[0].path);
        assert_eq!(told.get("backing-filename").and_then(|name| name.as_str()), backing);
        fs::remove_file(&layers[1].path).unwrap();
        same((&seen, "raw"), (&layers[0].path, "qcow2"));
        qemu_img(&["check", "-f", "qcow2", layers[0].path.to_str().unwrap()]);
    }
    images.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_or_failed_work_leaves_no_target_and_the_service_goes_on() {
    let tmp = tempfile::tempdir().unwrap();
    let images = service();
    let source = tmp.path().join("source.raw");
    raw(&source, 256, 0);
    let file = tmp.path().join("new.qcow2");
    let target = new(file.clone(), ImageFormat::Qcow2, 256 * MIB);
    let from = image(&source, SourceFormat::Raw);
    let error = images.convert(&from, &target, true, &mut |_| Break(())).await.unwrap_err();
    assert_eq!(error, BlockError::Cancelled);
    assert!(!file.exists());

    // Sound when it was looked at, and not any more.
    let broken = tmp.path().join("broken.qcow2");
    qemu_img(&["create", "-q", "-f", "qcow2", broken.to_str().unwrap(), "4M"]);
    let chain = image(&broken, SourceFormat::Qcow2);
    // The offset of its first table is no multiple of a cluster.
    File::options().write(true).open(&broken).unwrap().write_all_at(&0x3_0001u64.to_be_bytes(), 40).unwrap();
    let error = images.convert(&chain, &target, false, &mut |_| Continue(())).await.unwrap_err();
    assert!(error.to_string().contains("broken.qcow2"), "{error}");
    assert!(!file.exists());
    let gone = image(&source, SourceFormat::Raw);
    let aside = tmp.path().join("aside");
    fs::rename(&source, &aside).unwrap();
    let error = images.convert(&gone, &target, false, &mut |_| Continue(())).await.unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    fs::rename(&aside, &source).unwrap();

    images.convert(&from, &target, false, &mut |_| Continue(())).await.unwrap();
    assert!(file.exists());
    images.stop().await;
}

/// A header can name any file of the host as its base.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreign_header_names_is_not_read() {
    let tmp = tempfile::tempdir().unwrap();
    let secret = tmp.path().join("secret");
    raw(&secret, 2, 0);
    let trap = tmp.path().join("trap.qcow2");
    let (text, name) = (trap.to_str().unwrap(), secret.to_str().unwrap());
    qemu_img(&["create", "-f", "qcow2", "-b", name, "-F", "raw", text]);
    let error = CheckedChain::open(vec![layer(&trap, SourceFormat::Qcow2)]).unwrap_err();
    assert!(error.to_string().contains("secret"), "{error}");
    let error = CheckedChain::foreign(&trap, None).map(drop).unwrap_err();
    assert!(error.to_string().contains("secret"), "{error}");
}

/// Between the look at an image and QEMU's opening it, somebody puts something else in its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_place_of_an_image_is_neither_read_nor_written() {
    if sampan_emulator::sandbox::report().landlock == 0 {
        return eprintln!("this kernel has no Landlock: nothing keeps QEMU from other files here");
    }
    let tmp = tempfile::tempdir().unwrap();
    let at = |name: &str| tmp.path().join(name);
    raw(&at("secret"), 2, 0);
    let images = service();
    for replacement in ["link", "file"] {
        raw(&at("image"), 1, 1);
        let chain = image(&at("image"), SourceFormat::Raw);
        fs::remove_file(at("image")).unwrap();
        match replacement {
            "link" => std::os::unix::fs::symlink(at("secret"), at("image")).unwrap(),
            _ => drop(fs::copy(at("secret"), at("image")).unwrap()),
        }
        let target = new(at("copy"), ImageFormat::Raw, 2 * MIB);
        let read = images.convert(&chain, &target, false, &mut |_| Continue(())).await.unwrap_err();
        assert!(read.to_string().contains("Permission denied"), "{replacement}: {read}");
        assert!(!at("copy").exists(), "{replacement}");
        let written = images.grow(&chain, 4 * MIB).await.unwrap_err();
        assert!(written.to_string().contains("Permission denied"), "{replacement}: {written}");
        assert_eq!(fs::metadata(at("secret")).unwrap().len(), 2 * MIB);
        fs::remove_file(at("image")).unwrap();
    }
}

/// A QEMU that works on images has a filter of its system calls, and no way to a network.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_reads_an_image_is_locked_in() {
    let tmp = tempfile::tempdir().unwrap();
    let source = tmp.path().join("source.raw");
    raw(&source, 64, 0);
    let chain = image(&source, SourceFormat::Raw);
    let target = new(tmp.path().join("copy.qcow2"), ImageFormat::Qcow2, 64 * MIB);
    let mut seen = Vec::new();
    let mut look = |_| {
        // Once it has the source open.
        seen.extend(workers(&source));
        Continue(())
    };
    service().convert(&chain, &target, false, &mut look).await.unwrap();
    assert!(!seen.is_empty(), "no process was seen that has the image open");
    for status in seen {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!(line("Seccomp:"), Some("2"), "{status}");
        assert_eq!(line("NoNewPrivs:"), Some("1"), "{status}");
    }
}

/// What the kernel says of other processes that have a file open.
fn workers(file: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let others = processes.filter(|path| {
        let number =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        number.is_some_and(|number| number != std::process::id())
    });
    let has = |process: &PathBuf| {
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.flat_map(|fd| fs::read_link(fd.path())).any(|target| target == file)
    };
    others.filter(has).flat_map(|process| fs::read_to_string(process.join("status"))).collect()
}
