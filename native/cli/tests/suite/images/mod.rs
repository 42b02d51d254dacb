//! Images and what is made of them, by the program itself and a server on this machine.

mod downloads;
mod full;
mod interrupt;
mod machines;
#[path = "../../../../manager/tests/suite/server.rs"]
mod server;

use crate::common::{Home, Said, noise, read, said, sha256};
