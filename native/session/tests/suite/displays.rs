//! A guest that uses two displays: each is seen, pointed at and resized by itself.

use crate::common::{PATIENCE, Port, in_process, of_machine, pixel, screenshot_of, tiny_machine, until};
use sampan_config::Arch;
use sampan_frame::{Screen, Size};
use sampan_input::{Button, Event};
use sampan_message::Coded;
use sampan_session::viewers::Guest;
use sampan_session::{Command, CommandError, Screenshot, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The tiny guest's paper, first and second display.
const PAPERS: [[u8; 3]; 2] = [[0x18, 0x24, 0x30], [0x30, 0x18, 0x24]];
const RED: [u8; 3] = [0xff, 0x20, 0x20];
const FIRST: Size = Size { width: 1280, height: 800 };
const SECOND: Size = Size { width: 640, height: 480 };

struct Machine {
    session: Session,
    guest: Arc<dyn Guest>,
    port: Port,
}

async fn started() -> Machine {
    let mut machine = tiny_machine(Arch::X86_64);
    machine.heads = 2;
    let (spec, mut port) = of_machine(&machine);
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    until(&session, "its tablet", |status| status.absolute).await;
    let guest = session.guest();
    // What is pointed at before the guest has opened its tablet is lost, as on a real machine.
    for x in (0..FIRST.width).cycle() {
        guest.input(Event::Move { x, y: 0, frame: (FIRST.width, FIRST.height) });
        if port.within(Duration::from_millis(500), "\"pointer\"").await.is_some() {
            break;
        }
    }
    Machine { guest, session, port }
}

/// Waits for a change of the screen after which `good` holds.
async fn changes(screen: &Arc<Screen>, what: &str, good: impl Fn() -> bool) {
    let changed = Arc::new(Notify::new());
    let wake = changed.clone();
    let _consumer = screen.attach(Box::new(move || wake.notify_one()));
    let reached = async {
        while !good() {
            changed.notified().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, reached).await.is_ok(), "never came: {what}");
}

async fn shown(machine: &Machine, display: usize) -> Screenshot {
    screenshot_of(&machine.session, display).await.expect("a picture")
}

/// Presses the left button on a pixel of a display, which draws there.
async fn draw(machine: &mut Machine, display: usize, (x, y): (u32, u32), size: Size, pointer: (u32, u32)) {
    let button = |down| Event::Button { button: Button::Left, down };
    machine.guest.input_on(display, Event::Move { x, y, frame: (size.width, size.height) });
    machine.guest.input_on(display, button(true));
    machine.port.wait_for(&format!("\"pointer\":[{},{}],\"buttons\":1", pointer.0, pointer.1)).await;
    machine.guest.input_on(display, button(false));
    machine.port.wait_for("\"buttons\":0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_display_is_on_while_it_is_watched_and_its_pointer_lands_on_it() {
    let mut machine = started().await;
    assert_eq!(machine.guest.displays(), [Some(FIRST), None]);
    for (display, code) in [(1, "no_picture"), (2, "no_display")] {
        let refused = machine.session.execute(Command::Screenshot(display)).await.expect_err("shows nothing");
        assert_eq!(refused.code(), code);
    }
    assert!(machine.guest.watch(2).is_none());

    let watched = machine.guest.watch(1).expect("a second display");
    machine.guest.resize_on(1, SECOND, (0, 0));
    machine.port.wait_for("\"displays\":[[1280,800],[640,480]]").await;
    let screen = watched.screen().clone();
    changes(&screen, "the second picture", || screen.size() == Some(SECOND)).await;
    assert_eq!(machine.guest.displays(), [Some(FIRST), Some(SECOND)]);
    for (display, paper) in PAPERS.into_iter().enumerate() {
        assert_eq!(pixel(&shown(&machine, display).await, 300, 400), paper, "display {display}");
    }

    // The same pixel of both: the desktop is as wide as both together.
    draw(&mut machine, 1, (300, 400), SECOND, (1580, 400)).await;
    changes(&screen, "the stroke", || {
        let shot =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(shown(&machine, 1)));
        pixel(&shot, 300, 400) == RED
    })
    .await;
    assert_eq!(pixel(&shown(&machine, 0).await, 300, 400), PAPERS[0], "nothing of it is on the first");
    draw(&mut machine, 0, (500, 600), FIRST, (500, 600)).await;

    machine.guest.resize_on(1, Size { width: 800, height: 600 }, (0, 0));
    machine.port.wait_for("\"displays\":[[1280,800],[800,600]]").await;
    drop(watched);
    machine.port.wait_for("\"displays\":[[1280,800]]").await;
    changes(&screen, "its end", || screen.size().is_none()).await;
    assert_eq!(machine.guest.displays(), [Some(FIRST), None]);
    // Alone again, the first display is all of the desktop.
    draw(&mut machine, 0, (1200, 700), FIRST, (1200, 700)).await;
    machine.session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_with_one_display_has_no_second() {
    let (spec, mut port) = of_machine(&tiny_machine(Arch::X86_64));
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    let refused = session.execute(Command::Screenshot(1)).await.expect_err("there is none");
    assert!(matches!(refused, CommandError::NoDisplay { display: 1, count: 1 }), "{refused}");
    assert!(session.guest().watch(1).is_none());
    assert_eq!(session.displays().len(), 1);
    session.execute(Command::Quit).await.expect("quits");
}
