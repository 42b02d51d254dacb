//! The machine as viewers need it.

use crate::clipboard::Clipboard;
use crate::displays::Displays;
use crate::input::Queue;
use crate::machine_log::MachineLog;
use sampan_audio::{Input, Output};
use sampan_display::Console;
use sampan_frame::{Screen, Size};
use sampan_guest::{Guest, GuestStatus, Typed, Watched};
use sampan_input::{Event, Locks};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// A size in pixels and in millimetres, as a viewer asked for it.
pub type ResizeRequest = Option<(Size, (u16, u16))>;

/// What a session gives to viewers.
pub struct SessionGuest {
    pub name: String,
    pub displays: Displays,
    pub queue: Arc<Queue>,
    pub status: watch::Receiver<GuestStatus>,
    pub sound: Option<Arc<Output>>,
    pub microphone: Option<Arc<Input>>,
    pub locks: watch::Receiver<Option<Locks>>,
    pub touch_screen: bool,
    pub clipboard: Arc<OnceLock<Clipboard>>,
}

impl Guest for SessionGuest {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn screen(&self) -> Arc<Screen> {
        self.displays.main().screen()
    }

    fn displays(&self) -> Vec<Option<Size>> {
        self.displays.sizes()
    }

    fn watch(&self, display: usize) -> Option<Watched> {
        self.displays.watch(display)
    }

    fn input(&self, event: Event) {
        self.queue.push(0, event);
    }

    fn input_on(&self, display: usize, event: Event) {
        self.queue.push(display, event);
    }

    fn text(&self, text: String) -> Typed {
        self.queue.text(text)
    }

    fn locks(&self) -> watch::Receiver<Option<Locks>> {
        self.locks.clone()
    }

    fn touch_screen(&self) -> bool {
        self.touch_screen
    }

    fn resize(&self, size: Size, mm: (u16, u16)) {
        self.displays.resize(0, (size, mm));
    }

    fn resize_on(&self, display: usize, size: Size, mm: (u16, u16)) {
        self.displays.resize(display, (size, mm));
    }

    fn status(&self) -> watch::Receiver<GuestStatus> {
        self.status.clone()
    }

    fn clipboard(&self) -> Option<Arc<dyn sampan_guest::Clipboard>> {
        self.clipboard.get().map(Clipboard::for_viewers)
    }

    fn sound(&self) -> Option<Arc<Output>> {
        self.sound.clone()
    }

    fn microphone(&self) -> Option<Arc<Input>> {
        self.microphone.clone()
    }
}

/// Tells the guest the newest size that was asked for. While QEMU is busy, older wishes are forgotten.
pub async fn resizer(console: Console, mut wishes: watch::Receiver<ResizeRequest>, log: MachineLog) {
    let mut refused = false;
    while wishes.changed().await.is_ok() {
        let wish = *wishes.borrow_and_update();
        let Some((size, mm)) = wish else { continue };
        if let Err(e) = console.set_ui_info(size, mm).await {
            if !refused {
                log.info(format_args!("the guest's screen keeps its size: {e}"));
            }
            refused = true;
        }
    }
}
