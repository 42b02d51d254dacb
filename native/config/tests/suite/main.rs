//! Descriptions of machines, and the arguments that QEMU gets for them.

mod argv;
mod corpus;
mod document;
mod foreign;
mod metacharacters;
mod presets;
