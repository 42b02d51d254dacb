//! The program as people call it.

mod common;
mod images;
mod manners;
mod printing;
mod running;
