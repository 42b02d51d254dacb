//! How large a screen may be.

/// The longest side of a screen in pixels: what GPUs and video codecs take at most.
pub const MAX_SIDE: u32 = 16_384;

/// The most pixels a screen may have: a little more than 8K (7680 × 4320), 128 MiB at four bytes each.
///
/// A guest chooses its own mode, so this is what keeps one from taking all of the host's memory.
pub const MAX_AREA: u32 = 1 << 25;
