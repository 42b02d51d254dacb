//! Screens and scanouts as a consumer sees them.

mod scanout;
mod screen;
