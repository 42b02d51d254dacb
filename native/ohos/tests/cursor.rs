//! The mouse pointer held in a window, against the stand-in. One test: the pointer is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use sampan_message::Coded;
use sampan_ohos::CursorLock;
use sampan_ohos_stand_in as stand_in;
use std::path::Path;

#[test]
fn the_pointer_is_held_let_go_and_refused_in_words() {
    let cursor = CursorLock::load_from(Path::new(stand_in::LIBRARY)).expect("the stand-in has it");
    cursor.set(7, true).expect("is held");
    assert_eq!(stand_in::cursor_holder(), 7);
    // Another window's is its own.
    cursor.set(8, false).expect("nothing to let go");
    assert_eq!(stand_in::cursor_holder(), 7);
    cursor.set(7, false).expect("is let go");
    assert_eq!(stand_in::cursor_holder(), 0);
    let refused = cursor.set(0, true).expect_err("is no window");
    assert!(refused.code() == "pointer_not_locked" && refused.to_string().contains("401"), "{refused}");
    let missing = CursorLock::load_from(Path::new("libnone.so")).expect_err("there is no such library");
    assert_eq!(missing.code(), "no_pointer_lock");
}
