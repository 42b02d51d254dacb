//! What is told by a sentence of its own, and is no error of a crate: notes of a start, refusals of what is asked of a machine. The
//! native module's own are among them, since it has no list of codes.

use sampan_config::Finding;
use sampan_message::{Message, reasons};

reasons! {
    /// A sentence of its own; its code is the message's.
    #[non_exhaustive]
    pub enum Sentence {
        Ended => "ended", "the machine has ended: start it again";
        NotInLibrary => "not_in_library", "this machine is not in the library: only machines of the library can";
        UnknownKey { key: String = "hyper".into() } => "unknown_key", "{key:?} is not a key: use names such as ctrl, a or f1";
        UnknownButton { button: String = "top".into() } => "unknown_button", "{button:?} is not a button: use left, middle, right, side or extra";
        NoResolution { width: u32 = 0, height: u32 = 480 } => "bad_resolution", "{width}x{height} is no resolution: each side has 1 to 16384 pixels, and both together 33554432 at most";
        FileExists { path: String = "/tmp/a.txt".into() } => "file_exists", "{path}: there is a file of that name";
        RunsApart { by: String = "with TCG's translator".into() } => "host_runs_apart", "machines run {by}, each in a process of its own, whose accidents are its own";
        RunsWithin { by: String = "with TCG's translator".into() } => "host_runs_within", "machines run {by}, all in the app's own process: an accident of one ends all, and the app";
        Probing => "probing", "looking for the fastest way to run the guest";
        NoTime { seconds: u64 = 5 } => "no_time", "its memory cannot be saved within the {seconds} s that the system leaves";
        NoJob { job: String = "7".into() } => "job_not_found", "there is no job {job}: it is done";
        CannotPause { kind: String = "create".into() } => "cannot_pause", "this cannot be paused now ({kind}): only a download can; cancel it, or wait until it is done";
        Offline { name: String = "debian.iso".into() } => "offline", "{name} has to be downloaded, and there is no network: connect first";
        Metered { name: String = "debian.iso".into() } => "metered", "{name} would be downloaded over a network that may cost money for what is loaded";
        NoThreads { why: String = "Resource temporarily unavailable".into() } => "no_threads", "no threads can be made: {why}";
        NotInitialised => "not_initialised", "the module is not initialised: call host.init first";
        AlreadyInitialised { home: String = "/data/library".into() } => "already_initialised", "the module has another library open already, {home}: end the app and open it again";
        NoMachineId { name: String = "../etc".into() } => "not_found", "{name:?} is no machine's id";
        NoApp { app: String = "gimp".into() } => "no_such_app", "the guest has no program {app:?}";
        NoDesktop => "no_desktop_session", "nobody is logged in to a desktop in the guest: log in on its screen first";
        NoStarter => "no_app_starter", "the guest has nothing that starts programs in a desktop session: systemd, and gtk-launch, gio or dex";
        AppFails { app: String = "gimp".into(), words: String = "Failed to start transient service unit".into() } => "app_not_started", "{app} was not started: {words}";
        ScreenGone => "screen_gone", "the screen is shown no more";
        NoAddress => "no_address", "this host has no address by which another device could reach it: connect it to a network";
        NotShared => "not_shared", "the machine is not shown to other devices: turn that on first";
        NotPublished => "not_published", "the machine's stream is not published";
        PublishAddress { url: String = "rtmp://example.org".into(), why: String = "only http and https addresses can be used".into() } => "publish_bad_address", "{url:?} is no address of a media server: {why}";
        PublishUnprotected { host: String = "example.org".into() } => "publish_unprotected", "the way to {host} would not be protected: use an https address, or allow plain http";
        PublishSetup { why: String = "the token has characters that HTTP does not carry".into() } => "publish_not_set_up", "the stream cannot be published: {why}";
        PublishUnreachable { host: String = "example.org".into(), why: String = "Connection refused (os error 111)".into() } => "publish_unreachable", "the media server {host} is not reached: {why}";
        PublishRefused { host: String = "example.org".into(), status: u64 = 401 } => "publish_refused", "the media server {host} does not let the stream in (HTTP {status}): give the token that belongs to this address";
        PublishNotFound { host: String = "example.org".into(), status: u64 = 404 } => "publish_not_found", "the media server {host} has nothing at this address (HTTP {status}): check it, and whether its room is there";
        PublishStatus { host: String = "example.org".into(), status: u64 = 503 } => "publish_failed", "the media server {host} does not take the stream (HTTP {status})";
        PublishAnswer { host: String = "example.org".into(), why: String = "it does not say where".into() } => "publish_bad_answer", "the media server {host} does not answer as WHIP demands: {why}";
        PublishBlocked { host: String = "example.org".into(), seconds: u64 = 15 } => "publish_blocked", "the media server {host} has taken the stream, and no media has reached it within {seconds} s: let UDP through to it";
        PublishLost { host: String = "example.org".into(), why: String = "the network path failed".into() } => "publish_lost", "the connection to the media server {host} was lost: {why}";
        ClipboardNotText => "clipboard_not_text", "the guest calls it text, and it is not UTF-8";
    }
}

reasons! {
    /// Why a request to a machine is none: `invalid_request`.
    #[non_exhaustive]
    pub enum BadRequest {
        NotAboutLibrary => "not_about_library", "this request is not about the library";
        OwnConnection => "own_connection", "this request takes a connection of its own";
        NoProgram => "no_program", "name a program";
        NotBase64 { why: String = "invalid padding".into() } => "not_base64", "what was sent is not base64: {why}";
    }
}

/// A request that cannot be answered, as a message.
pub(crate) fn bad_request(why: &BadRequest) -> Message {
    Message::because("invalid_request", why)
}

/// All that is found in one text.
pub(crate) fn all_of(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.message.to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::are_distinct;

    #[test]
    fn every_sentence_has_a_code_of_its_own() {
        assert!(are_distinct::<Sentence>() && are_distinct::<BadRequest>());
    }
}
