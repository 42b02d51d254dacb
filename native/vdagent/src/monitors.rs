//! The guest's screens, as their viewers want them (`vd_agent.h`, `VDAgentMonitorsConfig`).

/// The most screens that an agent is told of: those of a virtio-gpu (`VIRTIO_GPU_MAX_SCANOUTS`).
pub const MAX_MONITORS: usize = 16;

/// That the places of several screens count (`VD_AGENT_CONFIG_MONITORS_FLAG_USE_POS`).
const USE_PLACES: u32 = 1;

/// Bits of a pixel. Agents of today take no other.
const DEPTH: u32 = 32;

/// One of the guest's screens, as it should be: its size and its place beside the others, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
    /// From the left edge of all screens.
    pub x: u32,
    /// From their top edge.
    pub y: u32,
}

impl Monitor {
    /// Screens of these sizes side by side, from left to right.
    pub fn row(sizes: impl IntoIterator<Item = (u32, u32)>) -> Vec<Self> {
        let place = |x: &mut u32, (width, height)| {
            let monitor = Self { width, height, x: *x, y: 0 };
            *x = x.saturating_add(width);
            Some(monitor)
        };
        sizes.into_iter().take(MAX_MONITORS).scan(0, place).collect()
    }
}

/// The message's body: how many, flags, and of each its height, width, depth and place (`VDAgentMonConfig`).
pub(crate) fn config(monitors: &[Monitor]) -> Vec<u8> {
    let flags = if monitors.len() > 1 { USE_PLACES } else { 0 };
    let each = monitors.iter().flat_map(|&Monitor { width, height, x, y }| [height, width, DEPTH, x, y]);
    // The caller keeps to MAX_MONITORS.
    let count = u32::try_from(monitors.len()).unwrap_or(u32::MAX);
    [count, flags].into_iter().chain(each).flat_map(u32::to_le_bytes).collect()
}
