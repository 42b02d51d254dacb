//! Images with other headers.

use sampan_library::SourceFormat;
use std::path::{Path, PathBuf};

/// A file that no import may open, and how images would name it.
pub struct Canary {
    pub path: PathBuf,
    names: Vec<String>,
}

impl Canary {
    /// An image lies in the folder `images` beside the canary's.
    pub fn new(path: &Path) -> Self {
        let whole = path.to_str().expect("text");
        let json =
            format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{whole}\"}}}}");
        let names = vec![whole.to_owned(), "../secrets/canary".into(), format!("file:{whole}"), json];
        Self { path: path.to_owned(), names }
    }

    fn name(&self, random: &mut Random) -> &str {
        &self.names[random.below(self.names.len())]
    }
}

/// An image to be changed.
pub struct Seed {
    pub format: SourceFormat,
    pub name: String,
    pub image: Vec<u8>,
}

/// Xorshift: the same everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// A number of the header: its place and its width in bytes.
type Field = (usize, usize);

/// The numbers of a format's headers.
fn fields(format: SourceFormat, length: usize) -> Vec<Field> {
    let footer = length.saturating_sub(512);
    match format {
        SourceFormat::Raw => vec![(0, 8), (64, 4), (footer, 8)],
        SourceFormat::Qcow2 => {
            let header =
                [(4, 4), (8, 8), (16, 4), (20, 4), (24, 8), (32, 4), (36, 4), (40, 8), (48, 8), (56, 4)];
            let later =
                [(60, 4), (64, 8), (72, 8), (79, 1), (80, 8), (88, 8), (95, 1), (96, 4), (100, 4), (104, 1)];
            let extensions = (104..160).step_by(4).map(|at| (at, 4));
            header.into_iter().chain(later).chain(extensions).collect()
        }
        SourceFormat::Vmdk => {
            let header = [
                (4, 4),
                (8, 4),
                (12, 8),
                (20, 8),
                (28, 8),
                (36, 8),
                (44, 4),
                (48, 8),
                (56, 8),
                (64, 8),
                (72, 1),
                (77, 2),
            ];
            // The footer, and the markers around it.
            let end = length.saturating_sub(1536);
            let footer = header.map(|(at, width)| (end + 512 + at, width));
            let markers = [0, 8, 12, 1024, 1032, 1036].map(|at| (end + at, 4));
            header.into_iter().chain(footer).chain(markers).collect()
        }
        SourceFormat::Vdi => {
            let places =
                [0x44, 0x48, 0x4c, 0x50, 0x154, 0x158, 0x168, 0x170, 0x174, 0x178, 0x17c, 0x180, 0x184];
            let parents = [0x188, 0x198, 0x1a8, 0x1b8].map(|at| (at, 8));
            places.map(|at| (at, 4)).into_iter().chain(parents).collect()
        }
        SourceFormat::Vhdx => {
            let header = [(8, 8), (48, 8), (64, 2), (66, 2), (68, 4), (72, 8)];
            let headers =
                [64 << 10, 128 << 10].into_iter().flat_map(|base| header.map(|(at, w)| (base + at, w)));
            let entry = [(0, 8), (16, 8), (24, 4), (28, 4)];
            let regions =
                [16, 48, 80].into_iter().flat_map(|base| entry.map(|(at, w)| ((192 << 10) + base + at, w)));
            // By QEMU the table of metadata lies behind the log, and what it names 64 KiB on.
            let metadata = 2 << 20;
            let items =
                (1..8).flat_map(|n| [(0, 8), (16, 4), (24, 4)].map(|(at, w)| (metadata + n * 32 + at, w)));
            let values = (0..20).map(|n| (metadata + (64 << 10) + n * 4, 4));
            let blocks = (0..4).map(|n| ((3 << 20) + n * 8, 8));
            let counts = [((192 << 10) + 8, 4), (metadata + 10, 2)];
            headers.chain(regions).chain(items).chain(values).chain(blocks).chain(counts).collect()
        }
        SourceFormat::Vpc => {
            let numbers =
                [(8, 4), (12, 4), (16, 8), (28, 4), (48, 8), (56, 2), (58, 1), (59, 1), (60, 4), (84, 1)];
            let footers = [0, footer].into_iter().flat_map(|base| numbers.map(|(at, w)| (base + at, w)));
            let sparse = [(8, 8), (16, 8), (24, 4), (28, 4), (32, 4), (40, 8)].map(|(at, w)| (512 + at, w));
            let table = (0..4).map(|n| (1536 + n * 4, 4));
            footers.chain(sparse).chain(table).collect()
        }
    }
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Another number: near the old one, at the edge of something, or any.
fn number(old: u64, length: usize, random: &mut Random) -> u64 {
    const EDGES: [u64; 30] = [
        0,
        1,
        2,
        3,
        4,
        6,
        8,
        9,
        16,
        20,
        21,
        63,
        104,
        112,
        128,
        512,
        513,
        1024,
        4096,
        65535,
        1 << 16,
        1 << 20,
        1 << 21,
        1 << 24,
        1 << 31,
        1 << 32,
        (1 << 43) + 1,
        u32::MAX as u64,
        i64::MAX as u64,
        u64::MAX,
    ];
    match random.below(10) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old.wrapping_mul(2),
        3 => old / 2,
        4 => old ^ (1 << random.below(64)),
        5 => (length as u64 / 512).wrapping_sub(random.below(4) as u64),
        6 => length as u64,
        7 => random.next(),
        _ => random.of(&EDGES),
    }
}

fn change_number(image: &mut Vec<u8>, format: SourceFormat, random: &mut Random) {
    let all = fields(format, image.len());
    let (at, width) = random.of(&all);
    let big = matches!(format, SourceFormat::Qcow2 | SourceFormat::Vpc);
    let mut bytes = [0; 8];
    let old = image.get(at..at + width).unwrap_or_default();
    if old.len() < width {
        return;
    }
    let mut value = 0;
    for (n, byte) in old.iter().enumerate() {
        let shift = 8 * if big { width - 1 - n } else { n };
        value |= u64::from(*byte) << shift;
    }
    let value = number(value, image.len(), random);
    for (n, byte) in bytes.iter_mut().take(width).enumerate() {
        let shift = 8 * if big { width - 1 - n } else { n };
        *byte = (value >> shift) as u8;
    }
    put(image, at, &bytes[..width]);
}

/// Other words in a VMDK's descriptor: extents, parents, what is left out.
fn change_words(image: &mut Vec<u8>, canary: &Canary, random: &mut Random) {
    let text = image.get(512..10752).unwrap_or_default();
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let mut text = String::from_utf8_lossy(text).into_owned();
    let length = text.len();
    let name = canary.name(random);
    let kind = random.of(&["SPARSE", "FLAT", "VMFS", "VMFSSPARSE", "SESPARSE", "ZERO", "sparse"]);
    let offset = random.of(&["", " 0", " 1"]);
    let line = format!("\nRW {} {kind} \"{name}\"{offset}\n", random.of(&[2048, 1, 0]));
    match random.below(8) {
        0 => text.push_str(&line),
        1 => text.insert_str(0, &line),
        2 => text = text.replacen("SPARSE \"", &format!("{kind} \"{name}\"{offset}\n#"), 1),
        3 => text = text.replacen("SPARSE", kind, 1),
        4 => text.push_str(&format!("\n{}parentFileNameHint=\"{name}\"\n", random.of(&["", "#", "a="]))),
        5 => {
            text = text.replacen("ID=", random.of(&["ID=", "ID= ", "ID =", "Id=", "ID=0x"]), random.below(3))
        }
        6 => {
            let types = ["monolithicFlat", "vmfs", "twoGbMaxExtentFlat", "custom"];
            text = text
                .replacen("monolithicSparse", random.of(&types), 1)
                .replace("streamOptimized", "vmfsSparse");
        }
        _ => text.truncate(random.below(length)),
    }
    let text = text.as_bytes();
    let old = vec![0; length.min(10240)];
    put(image, 512, &old);
    put(image, 512, &text[..text.len().min(10240)]);
}

/// A name and a header extension of qcow2.
fn change_names(image: &mut Vec<u8>, canary: &Canary, random: &mut Random) {
    let name = canary.name(random).as_bytes();
    let kinds = [0x4441_5441u32, 0xe279_2aca, 0x2385_2875, 0x0537_be77, 0x6803_f857, 1, 0];
    let version = image.get(7).copied();
    let at = if version == Some(2) { 72 } else { random.of(&[104, 112, 112]) };
    let value = if random.below(2) == 0 { name } else { &b"raw"[..] };
    let length = random.of(&[value.len() as u32, value.len() as u32, 24, 0, 5000]);
    let extension = [&random.of(&kinds).to_be_bytes()[..], &length.to_be_bytes(), value, &[0; 16]].concat();
    put(image, at, &extension);
    if random.below(2) == 0 {
        put(image, 79, &[random.of(&[4, 4, 0, 8, 16])]);
    }
    if random.below(3) == 0 {
        put(image, 8, &random.of(&[400u64, 300, 0, 512, 65536]).to_be_bytes());
        put(image, 16, &(name.len() as u32).to_be_bytes());
        put(image, 400, name);
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}

/// Makes the checksums fit, so that what they protect is reached.
fn seal(image: &mut [u8], format: SourceFormat) {
    let sum = |block: &mut [u8], at: usize| {
        block[at..at + 4].fill(0);
        let sum = block.iter().fold(0u32, |sum, b| sum.wrapping_add(u32::from(*b)));
        block[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
    };
    match format {
        SourceFormat::Vhdx => {
            for (at, length) in [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 64 << 10)] {
                let Some(block) = image.get_mut(at..at + length) else { continue };
                block[4..8].fill(0);
                let crc = crc32c(block).to_le_bytes();
                block[4..8].copy_from_slice(&crc);
            }
        }
        SourceFormat::Vpc if image.len() >= 1536 => {
            let last = image.len() - 512;
            for at in [0, last] {
                if image[at..].starts_with(b"conectix") {
                    sum(&mut image[at..at + 512], 64);
                }
            }
            if image[512..].starts_with(b"cxsparse") {
                sum(&mut image[512..1536], 36);
            }
        }
        _ => {}
    }
}

/// The seed with one to three changes.
pub fn change(seed: &Seed, canary: &Canary, random: &mut Random) -> Vec<u8> {
    let mut image = seed.image.clone();
    for _ in 0..=random.below(3) {
        match (random.below(16), seed.format) {
            (0, _) => {
                let most = if random.below(2) == 0 { image.len() } else { image.len().min(4096) };
                image.truncate(random.below(most));
            }
            (1, _) => image.truncate(image.len().saturating_sub(random.of(&[1, 4, 511, 512, 1536, 65536]))),
            (2, _) => image.resize(image.len() + random.of(&[1, 511, 512, 4096]), 0),
            (3, _) if !image.is_empty() => {
                let most = image.len().min(2048);
                let at = random.below(most);
                image[at] ^= 1 << random.below(8);
            }
            (4..=8, SourceFormat::Vmdk) => change_words(&mut image, canary, random),
            (4..=6, SourceFormat::Qcow2) => change_names(&mut image, canary, random),
            // The second header and region table of VHDX, the copy of a VHD's footer.
            (4, SourceFormat::Vhdx) if image.len() > 1 << 20 => {
                image.copy_within((64 << 10)..(68 << 10), 128 << 10)
            }
            (4, SourceFormat::Vpc) if image.len() >= 1024 => {
                let last = image.len() - 512;
                image.copy_within(last.., 0);
            }
            _ => change_number(&mut image, seed.format, random),
        }
    }
    if random.below(8) > 0 {
        seal(&mut image, seed.format);
    }
    image
}

/// Images that name the canary in all ways that QEMU follows.
pub fn hostile(made: &[Seed], canary: &Canary) -> Vec<Seed> {
    let of =
        |format: SourceFormat| made.iter().find(|seed| seed.format == format).expect("made").image.clone();
    let mut seeds = Vec::new();
    let mut add =
        |format, name: &str, image| seeds.push(Seed { format, name: format!("hostile: {name}"), image });
    let flat = |name: &str| {
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\
             RW 2048 FLAT \"{name}\" 0\n"
        )
    };
    let whole = canary.names[0].as_str();
    add(SourceFormat::Vmdk, "a descriptor", flat(whole).into_bytes());
    let mut zero = of(SourceFormat::Vmdk);
    zero[512..10752].fill(0);
    put(&mut zero, 512, flat(whole).as_bytes());
    add(SourceFormat::Vmdk, "a flat extent in a sparse one", zero.clone());
    put(&mut zero, 12, &[0; 8]);
    add(SourceFormat::Vmdk, "no capacity", zero.clone());
    // A harmless descriptor where it is expected, and the other one where the header points.
    let mut two = of(SourceFormat::Vmdk);
    put(&mut two, 12, &[0; 8]);
    put(&mut two, 28, &100u64.to_le_bytes());
    put(&mut two, 100 * 512, flat(whole).as_bytes());
    add(SourceFormat::Vmdk, "no capacity and two descriptors", two);
    let mut parent = of(SourceFormat::Vmdk);
    let end = 512 + parent[512..].iter().position(|b| *b == 0).expect("an end");
    put(&mut parent, end, format!("# parentFileNameHint=\"{whole}\"\n").as_bytes());
    add(SourceFormat::Vmdk, "a parent in a comment", parent);
    let qcow2 = made.iter().rfind(|seed| seed.format == SourceFormat::Qcow2).expect("made").image.clone();
    let mut data = qcow2.clone();
    let mut extension =
        [&0x4441_5441u32.to_be_bytes()[..], &(whole.len() as u32).to_be_bytes(), whole.as_bytes()].concat();
    extension.resize(extension.len().next_multiple_of(8) + 8, 0);
    put(&mut data, 112, &extension);
    data[79] |= 4;
    add(SourceFormat::Qcow2, "a data file", data.clone());
    data[79] &= !4;
    add(SourceFormat::Qcow2, "a data file without its bit", data);
    let mut backing = qcow2;
    put(&mut backing, 8, &400u64.to_be_bytes());
    put(&mut backing, 16, &(whole.len() as u32).to_be_bytes());
    put(&mut backing, 112, &[0; 8]);
    put(&mut backing, 400, whole.as_bytes());
    add(SourceFormat::Qcow2, "a base", backing);
    seeds
}
