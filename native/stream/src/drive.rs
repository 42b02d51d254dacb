//! Who drives the guest: of those who may, one at a time. The others watch, and may ask.
//!
//! The first who may drive does. Whoever drives hands over to somebody who may, or refuses somebody who asks; the owner does
//! either at any time, and takes over by asking. When the driver leaves, whoever has asked for longest follows, then whoever
//! has been here for longest. What the driver held down is released before anybody else's input is taken.
//!
//! A person may see several displays at a time, each in a window of its own: windows of one person (the owner, or a paired
//! device) drive together where each sees another display than the one that control was given to. They have one hand: what any
//! of them releases is released.

use crate::viewers::Client;
use parking_lot::{Mutex, MutexGuard};
use sampan_frame::Size;
use sampan_guest::{Guest, Typed};
use sampan_input::{Event, Pressed};
use sampan_trust::Right;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After a refusal whoever was refused is not heard for so long.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// Between two questions of one viewer: each is told to all others.
const ASK_PACE: Duration = Duration::from_secs(1);

/// Somebody who sees the guest, as the others are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The viewer's number.
    pub id: String,
    /// What its device calls itself; empty for the owner's own page.
    pub name: String,
    /// Whether it is the owner's own page.
    pub own: bool,
    /// Whether it may drive.
    pub may: bool,
    /// Whether it asks for control.
    pub asks: bool,
    /// Whether its last question was refused.
    pub refused: bool,
    /// Whether it drives: it is the driver, or another window of the driver's, on another display.
    pub drives: bool,
    /// The display it sees, from 1.
    pub display: usize,
}

/// Who is there, and who drives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// The number of the viewer that drives; of several windows of one person, that of the one which control was given to.
    pub driver: Option<String>,
    /// All of them, the longest-standing first.
    pub all: Vec<Person>,
}

impl People {
    /// Whether this viewer drives.
    pub fn is_driver(&self, id: &str) -> bool {
        self.all.iter().any(|person| person.drives && person.id == id)
    }
}

/// Why control is not given to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// It is not there.
    Gone,
    /// It may only watch.
    MayNot,
}

struct Member {
    person: Person,
    device: Option<String>,
    /// The place of its question among all.
    asked: u64,
    /// Until when it is not heard.
    quiet: Option<Instant>,
    /// Nothing has come from it for a while.
    away: bool,
}

impl Member {
    /// Whether this is another window of the same person, who sees another display in it.
    fn accompanies(&self, other: &Member) -> bool {
        let same = self.device == other.device && self.person.own == other.person.own;
        same && self.person.may && self.person.display != other.person.display
    }
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    driver: Option<String>,
    /// What the driver holds down.
    pressed: Pressed,
    questions: u64,
}

impl State {
    fn member(&mut self, id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.person.id == id)
    }

    fn is_driver(&self, id: &str) -> bool {
        self.driver.as_deref() == Some(id)
    }

    /// The other windows of the driver's, the longest-standing first.
    fn companions(&self) -> impl Iterator<Item = &Member> {
        let driver = self.members.iter().find(|member| self.is_driver(&member.person.id));
        self.members.iter().filter(move |member| driver.is_some_and(|driver| member.accompanies(driver)))
    }

    /// Whether a viewer drives.
    fn drives(&self, id: &str) -> bool {
        self.is_driver(id) || self.companions().any(|member| member.person.id == id)
    }

    /// The window that goes on where the driver's is closed or away.
    fn heir(&self) -> Option<String> {
        self.companions().find(|member| !member.away).map(|member| member.person.id.clone())
    }

    /// Whether a viewer decides about control.
    fn decides(&self, id: &str) -> bool {
        self.drives(id) || self.members.iter().any(|member| member.person.id == id && member.person.own)
    }

    /// Who follows where nobody drives, or the driver is away.
    fn next(&self) -> Option<String> {
        let able = || self.members.iter().filter(|member| member.person.may && !member.away);
        let asks = able().filter(|member| member.person.asks).min_by_key(|member| member.asked);
        asks.or_else(|| able().next()).map(|member| member.person.id.clone())
    }

    fn people(&self) -> People {
        let person =
            |member: &Member| Person { drives: self.drives(&member.person.id), ..member.person.clone() };
        People { driver: self.driver.clone(), all: self.members.iter().map(person).collect() }
    }
}

/// One guest's viewers, of whom one drives.
pub struct Drive {
    guest: Arc<dyn Guest>,
    state: Mutex<State>,
    people: watch::Sender<People>,
    /// Counts what the owner is told of.
    changes: watch::Sender<u64>,
}

impl Drive {
    /// Nobody is there yet. `changes` counts on with each change.
    pub fn new(guest: Arc<dyn Guest>, changes: watch::Sender<u64>) -> Arc<Self> {
        Arc::new(Self { guest, state: Mutex::default(), people: watch::Sender::default(), changes })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Who is there, and every change of it.
    pub fn people(&self) -> watch::Receiver<People> {
        self.people.subscribe()
    }

    /// A viewer is connected, and sees a display. It leaves when what this gives is dropped.
    pub fn enter(self: &Arc<Self>, id: &str, client: &Client, display: usize) -> Participant {
        let person = Person {
            id: id.to_owned(),
            name: client.device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
            own: client.device.is_none(),
            may: client.rights.has(Right::Drive),
            asks: false,
            refused: false,
            drives: false,
            display: display + 1,
        };
        let device = client.device.as_ref().map(|device| device.id.clone());
        let mut state = self.state();
        state.members.push(Member { person, device, asked: 0, quiet: None, away: false });
        self.settle(&mut state);
        drop(state);
        Participant { drive: self.clone(), id: id.to_owned() }
    }

    /// Hands control to a viewer, as the owner.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn give(&self, to: &str) -> Result<(), NotGiven> {
        let mut state = self.state();
        let able = state.member(to).map(|member| member.person.may);
        if !able.ok_or(NotGiven::Gone)? {
            return Err(NotGiven::MayNot);
        }
        self.hand(&mut state, Some(to.to_owned()));
        self.tell(&state);
        Ok(())
    }

    /// Hands control over, or frees it.
    fn hand(&self, state: &mut State, to: Option<String>) {
        if state.driver == to {
            return;
        }
        for event in state.pressed.release() {
            self.guest.input(event);
        }
        match &to {
            Some(to) => log::info!("viewer {to} drives"),
            None => log::info!("nobody drives"),
        }
        if let Some(member) = to.as_deref().and_then(|to| state.member(to)) {
            (member.person.asks, member.person.refused) = (false, false);
        }
        state.driver = to;
    }

    /// Finds a driver where there is none, or none that is heard; tells of what has changed.
    fn settle(&self, state: &mut State) {
        let driver = state.driver.as_deref();
        let driver = driver.and_then(|id| state.members.iter().find(|member| member.person.id == id));
        if driver.is_none_or(|member| member.away) {
            // One that is away stays where there is nobody else.
            match (state.heir().or_else(|| state.next()), driver.is_none()) {
                (Some(next), _) => self.hand(state, Some(next)),
                (None, true) => self.hand(state, None),
                (None, false) => {}
            }
        }
        self.tell(state);
    }

    fn tell(&self, state: &State) {
        let now = state.people();
        let news = self.people.send_if_modified(|people| {
            let news = *people != now;
            *people = now;
            news
        });
        if news {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// One viewer's part in it.
pub struct Participant {
    drive: Arc<Drive>,
    id: String,
}

impl Participant {
    /// Passes on what it does, if it drives.
    pub fn input(&self, event: Event) {
        let mut state = self.drive.state();
        if !state.drives(&self.id) {
            return;
        }
        if event == Event::ReleaseAll {
            // Only what viewers hold: others may be typing.
            self.release_all(&mut state);
        } else {
            state.pressed.note(&event);
            self.drive.guest.input_on(self.display(&mut state), event);
        }
    }

    /// Passes a text on, if it drives.
    pub fn text(&self, text: String) -> Option<Typed> {
        let state = self.drive.state();
        state.drives(&self.id).then(|| self.drive.guest.text(text))
    }

    /// Asks the guest for another size of the display it sees, if it drives.
    pub fn resize(&self, size: Size, mm: (u16, u16)) {
        let mut state = self.drive.state();
        if state.drives(&self.id) {
            self.drive.guest.resize_on(self.display(&mut state), size, mm);
        }
    }

    /// It sees another display from now on. What it holds down there is released.
    pub fn see(&self, display: usize) {
        let mut state = self.drive.state();
        if state.drives(&self.id) {
            self.release_all(&mut state);
        }
        if let Some(member) = state.member(&self.id) {
            member.person.display = display + 1;
        }
        self.drive.settle(&mut state);
    }

    /// The display it sees, from 0.
    fn display(&self, state: &mut State) -> usize {
        state.member(&self.id).map_or(0, |member| member.person.display - 1)
    }

    /// Whether anything is heard of it. Nobody else lets go of what it holds, and another one drives meanwhile.
    pub fn present(&self, present: bool) {
        let mut state = self.drive.state();
        if !present && state.drives(&self.id) {
            self.release_all(&mut state);
        }
        if let Some(member) = state.member(&self.id) {
            member.away = !present;
        }
        self.drive.settle(&mut state);
    }

    /// It asks for control. The owner has it at once, and so has a device that drives already by another of its pages.
    pub fn ask(&self, now: Instant) {
        let mut state = self.drive.state();
        let driving = state.driver.clone();
        let driving = driving.and_then(|driver| state.member(&driver)?.device.clone());
        let questions = state.questions + 1;
        let Some(member) = state.member(&self.id) else { return };
        if !member.person.may || member.quiet.is_some_and(|until| now < until) {
            return;
        }
        let is_its_own = member.person.own || (member.device.is_some() && member.device == driving);
        if is_its_own {
            self.drive.hand(&mut state, Some(self.id.clone()));
        } else if !member.person.asks {
            (member.person.asks, member.person.refused) = (true, false);
            (member.asked, member.quiet) = (questions, Some(now + ASK_PACE));
            state.questions = questions;
        }
        if state.is_driver(&self.id)
            && let Some(member) = state.member(&self.id)
        {
            member.person.asks = false;
        }
        self.drive.settle(&mut state);
    }

    /// It does not want control any more.
    pub fn withdraw(&self) {
        let mut state = self.drive.state();
        if let Some(member) = state.member(&self.id) {
            member.person.asks = false;
        }
        self.drive.tell(&state);
    }

    /// It hands control to another viewer, if that is its to give.
    pub fn give(&self, to: &str) {
        let may = self.drive.state().decides(&self.id);
        if may {
            // Who has left meanwhile gets nothing, and all are told that.
            let _ = self.drive.give(to);
        }
    }

    /// It refuses another viewer's question.
    pub fn refuse(&self, whom: &str, now: Instant) {
        let mut state = self.drive.state();
        if !state.decides(&self.id) {
            return;
        }
        if let Some(member) = state.member(whom).filter(|member| member.person.asks) {
            (member.person.asks, member.person.refused) = (false, true);
            member.quiet = Some(now + AFTER_REFUSAL);
        }
        self.drive.tell(&state);
    }

    fn release_all(&self, state: &mut State) {
        for event in state.pressed.release() {
            self.drive.guest.input(event);
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        let mut state = self.drive.state();
        if state.drives(&self.id) {
            self.release_all(&mut state);
        }
        if state.is_driver(&self.id) {
            // Another window of the same person drove already.
            state.driver = state.heir();
        }
        state.members.retain(|member| member.person.id != self.id);
        self.drive.settle(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewers::DeviceTag;
    use sampan_frame::Screen;
    use sampan_guest::{GuestState, GuestStatus};
    use sampan_input::Key;
    use sampan_trust::Rights;
    use std::net::Ipv4Addr;

    struct Blank(Mutex<Vec<Event>>);

    impl Guest for Blank {
        fn name(&self) -> String {
            "blank".into()
        }

        fn screen(&self) -> Arc<Screen> {
            Screen::new()
        }

        fn input(&self, event: Event) {
            self.0.lock().push(event);
        }

        fn resize(&self, _: Size, _: (u16, u16)) {}

        fn status(&self) -> watch::Receiver<GuestStatus> {
            let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
            watch::Sender::new(running).subscribe()
        }
    }

    struct Table {
        guest: Arc<Blank>,
        drive: Arc<Drive>,
        changes: watch::Receiver<u64>,
    }

    impl Table {
        fn new() -> Self {
            let guest = Arc::new(Blank(Mutex::default()));
            let changes = watch::Sender::new(0);
            let receiver = changes.subscribe();
            Self { drive: Drive::new(guest.clone(), changes), guest, changes: receiver }
        }

        fn device(&self, id: &str, device: &str, rights: &[Right]) -> Participant {
            let tag = DeviceTag { id: device.into(), name: device.to_uppercase() };
            let rights: Rights = rights.iter().copied().collect();
            let client =
                Client { from: Ipv4Addr::LOCALHOST.into(), rights, device: Some(tag), is_server: false };
            self.drive.enter(id, &client, 0)
        }

        fn owner(&self, id: &str) -> Participant {
            let client = Client {
                from: Ipv4Addr::LOCALHOST.into(),
                rights: Rights::ALL,
                device: None,
                is_server: false,
            };
            self.drive.enter(id, &client, 0)
        }

        fn driver(&self) -> Option<String> {
            self.drive.people().borrow().driver.clone()
        }

        fn asking(&self) -> Vec<String> {
            let people = self.drive.people();
            let people = people.borrow();
            people.all.iter().filter(|person| person.asks).map(|person| person.id.clone()).collect()
        }

        fn events(&self) -> Vec<Event> {
            std::mem::take(&mut self.guest.0.lock())
        }
    }

    const DRIVE: &[Right] = &[Right::Drive];
    const WATCH: &[Right] = &[Right::Watch];

    fn key(name: &str, down: bool) -> Event {
        Event::Key { key: Key::from_dom(name).expect("a key"), down }
    }

    #[test]
    fn the_first_who_may_drive_does_and_nobody_else_is_heard() {
        let table = Table::new();
        let tv = table.device("1", "tv", WATCH);
        assert_eq!(table.driver(), None);
        let phone = table.device("2", "phone", DRIVE);
        let tablet = table.device("3", "tablet", DRIVE);
        assert_eq!(table.driver().as_deref(), Some("2"));
        for one in [&tv, &tablet] {
            one.input(key("KeyA", true));
            assert!(one.text("a".into()).is_none());
        }
        assert_eq!(table.events(), []);
        phone.input(key("KeyA", true));
        assert_eq!(table.events(), [key("KeyA", true)]);
    }

    #[test]
    fn what_the_driver_holds_is_released_before_the_next_one_is_heard() {
        let table = Table::new();
        let (phone, tablet) = (table.device("1", "phone", DRIVE), table.device("2", "tablet", DRIVE));
        phone.input(key("ShiftLeft", true));
        tablet.ask(Instant::now());
        assert_eq!((table.driver().as_deref(), table.asking()), (Some("1"), vec!["2".to_owned()]));
        phone.give("2");
        assert_eq!((table.driver().as_deref(), table.asking()), (Some("2"), vec![]));
        phone.input(key("ShiftLeft", false));
        tablet.input(key("ShiftLeft", true));
        assert_eq!(table.events(), [key("ShiftLeft", true), key("ShiftLeft", false), key("ShiftLeft", true)]);
        drop(phone);
        assert_eq!(table.events(), [], "what the new driver holds stays");
        drop(tablet);
        assert_eq!(table.events(), [key("ShiftLeft", false)]);
        assert_eq!(table.driver(), None);
    }

    #[test]
    fn who_is_refused_is_not_heard_for_a_while() {
        let (table, now) = (Table::new(), Instant::now());
        let (phone, tablet) = (table.device("1", "phone", DRIVE), table.device("2", "tablet", DRIVE));
        tablet.ask(now);
        tablet.refuse("2", now);
        assert_eq!(table.asking(), ["2"], "nobody answers for the driver");
        phone.refuse("2", now);
        assert!(table.drive.people().borrow().all[1].refused);
        let before = *table.changes.borrow();
        for ms in 0..1000 {
            tablet.ask(now + Duration::from_millis(ms));
        }
        assert_eq!((table.asking(), *table.changes.borrow()), (vec![], before));
        tablet.ask(now + AFTER_REFUSAL);
        assert_eq!(table.asking(), ["2"]);
    }

    #[test]
    fn a_flood_of_questions_is_told_once_a_second() {
        let (table, now) = (Table::new(), Instant::now());
        let (_phone, tablet) = (table.device("1", "phone", DRIVE), table.device("2", "tablet", DRIVE));
        let before = *table.changes.borrow();
        for ms in 0..1000 {
            tablet.ask(now + Duration::from_millis(ms));
            tablet.withdraw();
        }
        assert!(*table.changes.borrow() - before <= 4, "{}", *table.changes.borrow() - before);
    }

    #[test]
    fn watchers_never_drive_and_control_goes_to_who_asked_first() {
        let table = Table::new();
        let (tv, phone) = (table.device("1", "tv", WATCH), table.device("2", "phone", DRIVE));
        let (_third, fourth) = (table.device("3", "pc", DRIVE), table.device("4", "tablet", DRIVE));
        tv.ask(Instant::now());
        assert_eq!(table.asking(), [""; 0]);
        assert_eq!(table.drive.give("1"), Err(NotGiven::MayNot));
        assert_eq!(table.drive.give("9"), Err(NotGiven::Gone));
        fourth.give("3");
        assert_eq!(table.driver().as_deref(), Some("2"), "it is not its to give");
        fourth.ask(Instant::now());
        drop(phone);
        assert_eq!((table.driver().as_deref(), table.asking()), (Some("4"), vec![]));
        drop(fourth);
        assert_eq!(table.driver().as_deref(), Some("3"));
        table.drive.give("3").expect("drives already");
    }

    #[test]
    fn the_owner_takes_gives_and_refuses_at_any_time() {
        let table = Table::new();
        let (phone, owner) = (table.device("1", "phone", DRIVE), table.owner("2"));
        assert_eq!(table.driver().as_deref(), Some("1"));
        owner.ask(Instant::now());
        assert_eq!(table.driver().as_deref(), Some("2"));
        phone.ask(Instant::now());
        assert_eq!(table.driver().as_deref(), Some("2"));
        table.drive.give("1").expect("is there");
        assert_eq!(table.driver().as_deref(), Some("1"));
        let pc = table.device("3", "pc", DRIVE);
        pc.ask(Instant::now());
        owner.refuse("3", Instant::now());
        assert_eq!(table.asking(), [""; 0]);
        owner.give("3");
        assert_eq!(table.driver().as_deref(), Some("3"));
        let again = table.device("4", "pc", DRIVE);
        again.ask(Instant::now());
        assert_eq!(table.driver().as_deref(), Some("4"), "another page of the same device");
    }

    #[test]
    fn who_is_not_heard_any_more_frees_control_unless_alone() {
        let table = Table::new();
        let phone = table.device("1", "phone", DRIVE);
        phone.input(key("KeyA", true));
        phone.present(false);
        assert_eq!(table.driver().as_deref(), Some("1"));
        assert_eq!(table.events(), [key("KeyA", true), key("KeyA", false)]);
        let again = table.device("2", "phone", DRIVE);
        assert_eq!(table.driver().as_deref(), Some("2"));
        phone.present(true);
        assert_eq!(table.driver().as_deref(), Some("2"));
        again.present(false);
        assert_eq!(table.driver().as_deref(), Some("1"));
    }
    #[test]
    fn windows_of_one_person_on_several_displays_drive_together() {
        let table = Table::new();
        let drives = |id: &str| table.drive.people().borrow().is_driver(id);
        let (left, right) = (table.device("1", "pc", DRIVE), table.device("2", "pc", DRIVE));
        let phone = table.device("3", "phone", DRIVE);
        assert!(drives("1") && !drives("2"), "two windows on one display");
        phone.see(1);
        assert!(!drives("3"), "somebody else's");
        right.see(1);
        assert!(drives("1") && drives("2"));
        left.input(key("ShiftLeft", true));
        right.input(key("KeyA", true));
        right.input(Event::ReleaseAll);
        let [shift, a] = ["ShiftLeft", "KeyA"];
        assert_eq!(table.events()[..2], [key(shift, true), key(a, true)]);
        // Its other window goes on, however long somebody else has waited.
        phone.ask(Instant::now());
        drop(left);
        assert_eq!((table.driver().as_deref(), drives("2")), (Some("2"), true));
        right.give("3");
        assert!(drives("3") && !drives("2"));
        right.input(key("KeyA", true));
        assert!(table.events().iter().all(|event| *event != key("KeyA", true)));
    }

    #[test]
    fn who_turns_to_another_display_lets_go_of_what_was_held() {
        let table = Table::new();
        let phone = table.device("1", "phone", DRIVE);
        phone.input(key("KeyA", true));
        phone.see(1);
        assert_eq!(table.events(), [key("KeyA", true), key("KeyA", false)]);
        assert_eq!(table.drive.people().borrow().all[0].display, 2);
    }
}
