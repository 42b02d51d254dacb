//! Text as a person would type it: by the keys of the guest's keyboard, or pasted where it has no keys.

use crate::{Clipboard, CommandError};
use sampan_config::KeyboardLayout;
use sampan_display::Console;
use sampan_input::{Event, Key, Layout, Stroke};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Between two keys that are typed: guests poll their keyboards every 8 ms (USB) and drop what comes faster.
pub const KEY_PACE: Duration = Duration::from_millis(12);

/// Types into one console. Clones type into the same.
#[derive(Clone)]
pub struct Typist {
    console: Console,
    clipboard: Arc<OnceLock<Clipboard>>,
    layout: Arc<Mutex<KeyboardLayout>>,
}

impl Typist {
    pub fn new(console: Console, clipboard: Arc<OnceLock<Clipboard>>) -> Self {
        Self { console, clipboard, layout: Arc::default() }
    }

    /// Takes the layout that the guest's keyboard is set to. Until it is called that is a US keyboard.
    pub fn set_layout(&self, layout: KeyboardLayout) {
        // Whatever panicked, the name of a layout is whole.
        *self.layout.lock().unwrap_or_else(PoisonError::into_inner) = layout;
    }

    fn layout(&self) -> Option<&'static Layout> {
        let layout = *self.layout.lock().unwrap_or_else(PoisonError::into_inner);
        Layout::named(layout.name())
    }

    /// Types a text, or pastes it if it has characters that no key of the guest's keyboard types.
    pub async fn type_text(&self, text: &str) -> Result<(), CommandError> {
        let layout = self.layout();
        let strokes = |c| layout.and_then(|layout| layout.strokes(c));
        if let Some(character) = text.chars().find(|c| strokes(*c).is_none()) {
            let clipboard = self.clipboard.get().filter(|clipboard| clipboard.can_paste());
            let clipboard = clipboard.ok_or(CommandError::Untypable(character))?;
            let names = clipboard.paste_keys().names();
            let keys: Vec<Key> = names.iter().filter_map(|name| Key::from_name(name)).collect();
            return clipboard.paste(text, self.chord(&keys)).await;
        }
        let (shift, right_alt) = (Key::from_name("shift"), Key::from_name("alt_r"));
        let locks = self.console.locks();
        // All of it was looked at first: half a text typed is worse than none.
        for &Stroke { key, shift: with_shift, alt_gr, caps } in text.chars().filter_map(strokes).flatten() {
            // Caps Lock is the person's own; the text means what it says.
            let turned = caps && locks.borrow().is_some_and(|locks| locks.caps);
            let shift = shift.filter(|_| with_shift != turned);
            let right_alt = right_alt.filter(|_| alt_gr);
            let keys: Vec<Key> = shift.into_iter().chain(right_alt).chain([key]).collect();
            self.chord(&keys).await?;
        }
        Ok(())
    }

    /// Presses keys in order and releases them in the opposite one. What went down goes up even after an error.
    pub async fn chord(&self, keys: &[Key]) -> Result<(), CommandError> {
        let mut result = Ok(());
        let mut down = Vec::new();
        for &key in keys {
            down.push(key);
            result = self.console.send(Event::Key { key, down: true }).await;
            tokio::time::sleep(KEY_PACE).await;
            if result.is_err() {
                break;
            }
        }
        for &key in down.iter().rev() {
            let released = self.console.send(Event::Key { key, down: false }).await;
            result = result.and(released);
            tokio::time::sleep(KEY_PACE).await;
        }
        Ok(result?)
    }
}
