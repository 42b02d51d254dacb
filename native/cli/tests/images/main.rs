//! Images and what is made of them, by the program itself and a server on this machine.

#[path = "../common/mod.rs"]
mod common;
mod downloads;
mod full;
mod interrupt;
mod machines;
#[path = "../../../manager/tests/suite/server.rs"]
mod server;

use common::{Home, Said, noise, read, said, sha256};
