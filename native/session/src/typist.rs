//! Text as a person would type it: by the keys of a US keyboard, or pasted where it has no keys.

use crate::{Clipboard, CommandError};
use sampan_display::Console;
use sampan_input::{Event, Key, Stroke, stroke};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between two keys that are typed: guests poll their keyboards every 8 ms (USB) and drop what comes faster.
pub const KEY_PACE: Duration = Duration::from_millis(12);

/// Types into one console. Clones type into the same.
#[derive(Clone)]
pub struct Typist {
    console: Console,
    clipboard: Arc<OnceLock<Clipboard>>,
}

impl Typist {
    pub fn new(console: Console, clipboard: Arc<OnceLock<Clipboard>>) -> Self {
        Self { console, clipboard }
    }

    /// Types a text, or pastes it if it has characters that no key of a US keyboard types.
    pub async fn type_text(&self, text: &str) -> Result<(), CommandError> {
        if let Some(character) = text.chars().find(|c| stroke(*c).is_none()) {
            let clipboard = self.clipboard.get().filter(|clipboard| clipboard.can_paste());
            let clipboard = clipboard.ok_or(CommandError::Untypable(character))?;
            let names = clipboard.paste_keys().names();
            let keys: Vec<Key> = names.iter().filter_map(|name| Key::from_name(name)).collect();
            return clipboard.paste(text, self.chord(&keys)).await;
        }
        let shift = Key::from_name("shift");
        // All of it is looked at first: half a text typed is worse than none.
        let strokes = text
            .chars()
            .map(|c| stroke(c).map(|stroke| (c, stroke)).ok_or(CommandError::Untypable(c)))
            .collect::<Result<Vec<_>, _>>()?;
        let locks = self.console.locks();
        for (character, Stroke { key, shift: wants_shift }) in strokes {
            // Caps Lock is the person's own; the text means what it says.
            let caps = locks.borrow().is_some_and(|locks| locks.caps);
            let with_shift = wants_shift != (caps && character.is_ascii_alphabetic());
            let mut keys: Vec<Key> = shift.filter(|_| with_shift).into_iter().collect();
            keys.push(key);
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
