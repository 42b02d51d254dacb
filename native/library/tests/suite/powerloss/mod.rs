//! A model of a disk that forgets what was not made durable.
//!
//! A file keeps the bytes of its last `fsync`; a folder the names of its last `fsync`, or, on a file system that writes names
//! early, all of them. A rename between two folders happens in both or in none.

use sampan_library::fs::Step;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A step, with paths below the library's folder.
#[derive(Clone, Debug)]
pub enum Owned {
    CreateDir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    SyncFile(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// All steps that were made.
pub struct Recording {
    home: PathBuf,
    steps: Vec<Owned>,
}

impl Recording {
    pub fn new(home: &Path) -> Self {
        Self { home: home.into(), steps: Vec::new() }
    }

    pub fn note(&mut self, step: Step<'_>) {
        let at = |path: &Path| path.strip_prefix(&self.home).expect("below the library").to_path_buf();
        self.steps.push(match step {
            Step::CreateDir(p) => Owned::CreateDir(at(p)),
            Step::Create(p) => Owned::Create(at(p)),
            Step::Write(p, bytes) => Owned::Write(at(p), bytes.to_vec()),
            Step::SyncFile(p) => Owned::SyncFile(at(p)),
            Step::SyncDir(p) => Owned::SyncDir(at(p)),
            Step::Rename(from, to) => Owned::Rename(at(from), at(to)),
            Step::Unlink(p) | Step::RemoveDir(p) => Owned::Remove(at(p)),
        });
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn get(&self, n: usize) -> Option<&Owned> {
        self.steps.get(n)
    }
}

type Names = BTreeMap<String, usize>;

enum Node {
    File { now: Vec<u8>, durable: Vec<u8> },
    Folder { now: Names, durable: Names },
}

/// A move between folders that is not durable yet.
struct Moved {
    from: (usize, String),
    to: (usize, String),
    node: usize,
}

/// The disk. Node 0 is the library's folder.
pub struct Disk {
    nodes: Vec<Node>,
    moved: Vec<Moved>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { nodes: vec![Node::Folder { now: Names::new(), durable: Names::new() }], moved: Vec::new() }
    }
}

impl Disk {
    fn find(&self, path: &Path) -> usize {
        path.components().fold(0, |at, part| {
            let Component::Normal(name) = part else { panic!("{path:?}") };
            self.names(at)[name.to_str().expect("text")]
        })
    }

    fn names(&self, folder: usize) -> &Names {
        match &self.nodes[folder] {
            Node::Folder { now, .. } => now,
            Node::File { .. } => panic!("no folder"),
        }
    }

    fn names_mut(&mut self, folder: usize) -> (&mut Names, &mut Names) {
        match &mut self.nodes[folder] {
            Node::Folder { now, durable } => (now, durable),
            Node::File { .. } => panic!("no folder"),
        }
    }

    fn split(&self, path: &Path) -> (usize, String) {
        let folder = self.find(path.parent().expect("a folder"));
        (folder, path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned())
    }

    fn add(&mut self, path: &Path, node: Node) {
        let (folder, name) = self.split(path);
        self.nodes.push(node);
        let id = self.nodes.len() - 1;
        self.names_mut(folder).0.insert(name, id);
    }

    pub fn apply(&mut self, step: &Owned) {
        match step {
            Owned::CreateDir(p) => self.add(p, Node::Folder { now: Names::new(), durable: Names::new() }),
            Owned::Create(p) => {
                let (folder, name) = self.split(p);
                match self.names(folder).get(&name).copied() {
                    Some(id) => match &mut self.nodes[id] {
                        Node::File { now, .. } => now.clear(),
                        Node::Folder { .. } => panic!("no file"),
                    },
                    None => self.add(p, Node::File { now: Vec::new(), durable: Vec::new() }),
                }
            }
            Owned::Write(p, bytes) => {
                let id = self.find(p);
                if let Node::File { now, .. } = &mut self.nodes[id] {
                    now.extend(bytes);
                }
            }
            Owned::SyncFile(p) => {
                let id = self.find(p);
                if let Node::File { now, durable } = &mut self.nodes[id] {
                    durable.clone_from(now);
                }
            }
            Owned::SyncDir(p) => {
                let id = self.find(p);
                let (moved, rest) = std::mem::take(&mut self.moved)
                    .into_iter()
                    .partition(|m: &Moved| m.from.0 == id || m.to.0 == id);
                self.moved = rest;
                for Moved { from, to, node } in moved {
                    self.names_mut(from.0).1.remove(&from.1);
                    self.names_mut(to.0).1.insert(to.1, node);
                }
                let (now, durable) = self.names_mut(id);
                durable.clone_from(now);
            }
            Owned::Rename(a, b) => {
                let (from, to) = (self.split(a), self.split(b));
                let node = self.names_mut(from.0).0.remove(&from.1).expect("it was there");
                self.names_mut(to.0).0.insert(to.1.clone(), node);
                if from.0 != to.0 {
                    self.moved.push(Moved { from, to, node });
                }
            }
            Owned::Remove(p) => {
                let (folder, name) = self.split(p);
                self.names_mut(folder).0.remove(&name);
            }
        }
    }

    /// Writes what is left after a power loss.
    pub fn after_power_loss(&self, place: &Path, names_kept: bool) {
        self.write(0, place, names_kept);
    }

    fn write(&self, id: usize, at: &Path, names_kept: bool) {
        match &self.nodes[id] {
            Node::File { durable, .. } => std::fs::write(at, durable).expect("written"),
            Node::Folder { now, durable } => {
                if !at.is_dir() {
                    std::fs::create_dir(at).expect("made");
                }
                for (name, node) in if names_kept { now } else { durable } {
                    self.write(*node, &at.join(name), names_kept);
                }
            }
        }
    }
}
