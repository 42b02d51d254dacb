//! `sampan stream …`: a machine's screen, shown to other devices.

use super::answer::{date, short, table};
use super::place::shell_word;
use super::{Answer, print};
use crate::app::App;
use crate::args::{IceAction, ShareAddress, StreamAction};
use crate::exit::Code;
use crate::text::only_line;
use crate::words::{self, is_stdout_watched, one_line, say, say_json, tell};
use anyhow::{Context, Result, bail};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sampan_control::{PublishState, Publishing, Reporter};
use sampan_library::VmId;
use sampan_manager::share::PublishTarget;
use sampan_manager::{Error, Manager};
use sampan_trust::sharing::{PairCode, PairRequest, Sharing, Viewer};
use sampan_trust::{Device, IceServer, Right, Rights};
use serde_json::json;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How often it is looked whether a device has asked.
const PACE: Duration = Duration::from_millis(300);

/// `sampan stream …`.
pub fn stream(action: &StreamAction, as_json: bool) -> Result<Code> {
    let answer = match action {
        StreamAction::On { vm, address, lasting } => on(&vm.vm, *address, *lasting),
        StreamAction::Off { vm } => off(&vm.vm),
        StreamAction::Pair { vm, watch, drive, clipboard, files, yes } => {
            let said = [*watch, *drive, *clipboard, *files];
            let rights = rights(said, *yes);
            pair(&vm.vm, rights, *yes, as_json)
        }
        StreamAction::Publish { vm, off: true, .. } => unpublish(&vm.vm),
        StreamAction::Publish { vm, url, token, token_file, plain_http, ca_file, .. } => {
            let token = match token_file {
                Some(file) => Some(only_line(file).context("the token")?),
                None => token.clone(),
            };
            let url = url.clone().unwrap_or_default();
            publish(&vm.vm, PublishTarget { url, token, plain_http: *plain_http, ca_file: ca_file.clone() })
        }
        StreamAction::Status { vm } => status(&vm.vm),
        StreamAction::Kick { vm, viewer } => kick(&vm.vm, viewer),
        StreamAction::Give { vm, viewer } => give(&vm.vm, viewer),
        StreamAction::Ice { action } => ice(action),
        StreamAction::Devices => devices(),
        StreamAction::Revoke { device } => revoke(device),
    };
    print(answer, as_json)
}

/// What the device may do, where that is said: of each of [`Right::ALL`] whether it was named.
fn rights(said: [bool; 4], yes: bool) -> Option<Rights> {
    let named = Right::ALL.into_iter().zip(said).filter(|(_, said)| *said).map(|(right, _)| right);
    let rights: Rights = named.collect();
    match rights.is_none() {
        true if yes => Some([Right::Watch].into_iter().collect()),
        true => None,
        false => Some(rights),
    }
}

fn on(vm: &str, at: Option<ShareAddress>, lasting: bool) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    let (address, port) = (at.map(|at| at.address), at.and_then(|at| at.port));
    let sharing = app.wait(app.manager.share(id, address, port, lasting))?;
    let fingerprint = app.wait(app.manager.fingerprint())?;
    let mut text = format!("stream: {}\ncertificate: SHA-256 {fingerprint}", sharing.url);
    text += match lasting {
        true => "\nit is shown again at each start",
        false => "\nit is shown until the machine ends",
    };
    text += &format!("; nobody gets in who is not paired: `sampan stream pair {}`", shell_word(vm));
    let json = json!({ "url": sharing.url, "lasting": sharing.lasting, "fingerprint": fingerprint });
    Ok(Answer::new(json, text))
}

fn off(vm: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    app.wait(app.manager.unshare(id))?;
    Ok(Answer::done())
}

fn publish(vm: &str, to: PublishTarget) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    let publishing = app.wait(app.manager.publish(id, to))?;
    Ok(Answer::new(json!(publishing), published(&publishing)))
}

fn unpublish(vm: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    app.wait(app.manager.unpublish(id))?;
    Ok(Answer::done())
}

/// How far publishing is, in words.
fn published(publishing: &Publishing) -> String {
    let codec = publishing.codec.as_deref().map(|codec| format!(", as {codec}")).unwrap_or_default();
    let state = match publishing.state {
        PublishState::Connecting => "taken; no media flows yet",
        PublishState::Live => "live",
        PublishState::Waiting => "lost; it is tried again",
        PublishState::Refused => "refused",
    };
    let mut text = format!("published at {}: {state}{codec}", one_line(&publishing.url));
    if let Some(error) = &publishing.error {
        text += &format!("\n  {}", one_line(&error.message));
    }
    text
}

fn shown(app: &App, id: VmId) -> Result<Sharing> {
    // A machine that does not run says so, and one that is not shown.
    drop(app.wait(app.manager.running(id))?);
    let sharing = app.wait(app.manager.sharing(id))?;
    let not_shared = || app.told_of::<Sharing>(Err(sampan_manager::share::not_shared()));
    sharing.map_or_else(not_shared, Ok)
}

fn status(vm: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    drop(app.wait(app.manager.running(id))?);
    let sharing = app.wait(app.manager.sharing(id))?;
    let viewers = app.wait(app.manager.viewers(id))?;
    let publishing = app.wait(app.manager.publishing(id))?;
    let mut text = match &sharing {
        Some(sharing) => format!("stream: {}", sharing.url),
        None => "not shown to other devices".to_owned(),
    };
    if let Some(request) = sharing.as_ref().and_then(|sharing| sharing.request.as_ref()) {
        text += &format!("\n{} asks to be paired", question(request));
    }
    if let Some(publishing) = &publishing {
        text += &format!("\n{}", published(publishing));
    }
    text += &match viewers.len() {
        0 => "\nnobody sees it".to_owned(),
        _ => format!("\n{}", table(&rows(&viewers))),
    };
    let mut json = sharing.as_ref().map_or_else(|| json!({}), |sharing| json!(sharing));
    json["shared"] = sharing.is_some().into();
    json["viewers"] = json!(viewers);
    json["publishing"] = json!(publishing);
    Ok(Answer::new(json, text))
}

/// Who sees it, as a table.
fn rows(viewers: &[Viewer]) -> Vec<Vec<String>> {
    let head = ["VIEWER", "DEVICE", "NAME", "ADDRESS", "MAY", "NOW", "SINCE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(viewers.iter().map(|viewer| {
        let (device, name) = match viewer.device.as_str() {
            "" => ("-".to_owned(), "this host".to_owned()),
            device => (device.to_owned(), short(&viewer.name)),
        };
        let now = match (viewer.driving, viewer.asking) {
            (true, _) => "drives",
            (_, true) => "asks for control",
            _ => "watches",
        };
        let (rights, since) = (words_of(viewer.rights), date(viewer.since / 1000));
        vec![viewer.viewer.clone(), device, name, viewer.address.clone(), rights, now.to_owned(), since]
    }));
    rows
}

fn give(vm: &str, viewer: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    app.wait(app.manager.give_control(id, viewer))?;
    Ok(Answer::done())
}

fn kick(vm: &str, viewer: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    app.wait(app.manager.kick_viewer(id, viewer))?;
    Ok(Answer::done())
}

fn words_of(rights: Rights) -> String {
    rights.iter().map(Right::name).collect::<Vec<_>>().join(", ")
}

fn json_of(device: &Device) -> serde_json::Value {
    json!({
        "device": device.id(),
        "name": device.name,
        "machine": device.machine,
        "rights": device.rights,
        "paired": device.paired,
        "last_seen": device.last_seen,
    })
}

fn devices() -> Result<Answer> {
    let app = App::open()?;
    let all = app.wait(app.manager.devices())?;
    // Machines that are gone have no name any more.
    let name = |id: &str| {
        let found = VmId::from_folder(&format!("{id}.sampan"));
        let bundle = found.and_then(|id| app.wait(app.manager.bundle(id)).ok());
        bundle.map_or_else(|| id.to_owned(), |bundle| bundle.name().to_owned())
    };
    let mut rows = vec![["DEVICE", "NAME", "MACHINE", "MAY", "LAST SEEN"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|device| {
        let (called, machine) = (short(&device.name), short(&name(&device.machine)));
        let seen = date(device.last_seen / 1000);
        vec![device.id().to_owned(), called, machine, words_of(device.rights), seen]
    }));
    let text = if all.is_empty() { "no device is paired".to_owned() } else { table(&rows) };
    Ok(Answer::new(all.iter().map(json_of).collect(), text))
}

fn ice(action: &IceAction) -> Result<Answer> {
    let app = App::open()?;
    match action {
        IceAction::Add { url, user, credential_file } => {
            let credential =
                credential_file.as_deref().map(only_line).transpose().context("the credential")?;
            let server = IceServer::new(url, user.clone(), credential);
            let server = app.told_of(server.map_err(Error::from))?;
            app.wait(app.manager.add_ice_server(server))?;
            Ok(Answer::done())
        }
        IceAction::Remove { url } => {
            app.wait(app.manager.remove_ice_server(url))?;
            Ok(Answer::done())
        }
        IceAction::List => {
            let all = app.wait(app.manager.ice_servers())?;
            let rows = all
                .iter()
                .map(|server| vec![server.url.clone(), short(server.username.as_deref().unwrap_or("-"))]);
            let head = vec![["SERVER", "USER"].map(str::to_owned).to_vec()];
            let rows: Vec<_> = head.into_iter().chain(rows).collect();
            let text = if all.is_empty() { "no server is named".to_owned() } else { table(&rows) };
            // What proves the user stays here.
            let json =
                all.iter().map(|server| json!({ "url": server.url, "username": server.username })).collect();
            Ok(Answer::new(json, text))
        }
    }
}

fn revoke(device: &str) -> Result<Answer> {
    let app = App::open()?;
    let revoked = app.wait(app.manager.revoke_device(device))?;
    Ok(Answer::new(json_of(&revoked), format!("{} is not let in any more", one_line(&revoked.name))))
}

/// A code as a person points a camera at it: light modules are drawn, since most terminals are dark.
fn picture(url: &str) -> Option<String> {
    let code = QrCode::new(url.as_bytes()).ok()?;
    let (dark, light) = (Dense1x2::Light, Dense1x2::Dark);
    Some(code.render::<Dense1x2>().dark_color(dark).light_color(light).build())
}

fn show(code: &PairCode, as_json: bool) {
    if as_json {
        return say_json(&json!(code));
    }
    say(&format!("pair: {}", code.url));
    if is_stdout_watched()
        && let Some(picture) = picture(&code.url)
    {
        say(&picture);
    }
    say(&format!("words: {}", code.words));
}

fn question(request: &PairRequest) -> String {
    format!("{:?} at {} (its screen shows {})", one_line(&request.name), request.address, request.check)
}

fn pair(vm: &str, rights: Option<Rights>, yes: bool, as_json: bool) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    shown(&app, id)?;
    let code = app.wait(app.manager.pair_code(id))?;
    show(&code, as_json);
    let manager = app.manager.clone();
    let request = app.cancellable(async |reporter| wait_for(&manager, id, &code, reporter).await)?;
    let Some(request) = request else {
        bail!("no device has used the code in time: `sampan stream pair {}` makes a new one", shell_word(vm));
    };
    let granted = match rights {
        Some(rights) if yes => rights,
        said => app.cancellable(async |reporter| ask(&request, said, reporter).await)?,
    };
    app.wait(app.manager.answer_device(id, &request.request, granted))?;
    if granted.is_none() {
        bail!("the device was refused");
    }
    let name = one_line(&request.name);
    let text = format!("{name} is paired; it may: {}", words_of(granted));
    Ok(Answer::new(json!({ "name": request.name, "address": request.address, "rights": granted }), text))
}

fn is_over(until: u64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() > u128::from(until)
}

/// The device that uses the code; `None` where none does in time.
async fn wait_for(
    manager: &Manager,
    id: VmId,
    code: &PairCode,
    reporter: &Reporter,
) -> Result<Option<PairRequest>, Error> {
    loop {
        let Some(sharing) = manager.sharing(id).await? else {
            return Err(sampan_manager::share::not_shared());
        };
        if sharing.request.is_some() {
            return Ok(sharing.request);
        }
        // It was tried too often, or another code was made, or nobody came.
        if sharing.code_until != Some(code.until) || is_over(code.until) {
            return Ok(None);
        }
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = reporter.cancelled() => return Err(Error::Cancelled),
        }
    }
}

/// What the owner says. No answer is a no.
async fn ask(request: &PairRequest, said: Option<Rights>, reporter: &Reporter) -> Result<Rights, Error> {
    let choices = match said {
        Some(rights) => format!("may it {}? [y/N] ", words_of(rights).replace(", ", " and ")),
        None => {
            "may it drive (d), drive and exchange clipboard and files (a), only watch (w), or neither (N)? "
                .to_owned()
        }
    };
    words::ask(format_args!("{} wants to be let in. Compare the digits; {choices}", question(request)));
    // A thread of its own, which a person who says nothing does not hold up.
    let (sender, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = sender.send(line);
    });
    let over = async {
        while !is_over(request.until) {
            tokio::time::sleep(PACE).await;
        }
    };
    let line = tokio::select! {
        line = answer => line.unwrap_or_default(),
        () = over => {
            tell("\nthe device waits no more");
            String::new()
        }
        () = reporter.cancelled() => return Err(Error::Cancelled),
    };
    let (watch, drive) = ([Right::Watch], [Right::Watch, Right::Drive]);
    Ok(match (line.trim().to_ascii_lowercase().as_str(), said) {
        ("y" | "yes", Some(rights)) => rights,
        ("a" | "all", None) => Rights::ALL,
        ("d" | "drive", None) => drive.into_iter().collect(),
        ("w" | "watch", None) => watch.into_iter().collect(),
        _ => Rights::NONE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_a_terminal() {
        let part = "x".repeat(43);
        let url = format!(
            "https://[2001:db8:1111:2222:3333:4444:5555:6666]:65535/#i=0123456789abcdef&s={}&f={part}",
            "y".repeat(22)
        );
        let picture = picture(&url).expect("is drawn");
        assert!(picture.lines().all(|line| line.chars().count() <= 79), "{picture}");
        assert!(words::escaped(&picture) == picture, "nothing in it is escaped");
    }

    #[test]
    fn who_sees_it_is_told_with_what_it_does() {
        let viewer = |viewer: &str, device: &str, driving, asking| Viewer {
            viewer: viewer.into(),
            device: device.into(),
            name: device.to_uppercase(),
            address: "192.0.2.9".into(),
            rights: Rights::ALL,
            since: 0,
            driving,
            asking,
        };
        let all =
            [viewer("1", "", true, false), viewer("2", "tv", false, true), viewer("3", "pc", false, false)];
        let told: Vec<_> = rows(&all)[1..].iter().map(|row| (row[2].clone(), row[5].clone())).collect();
        let wanted = [("this host", "drives"), ("TV", "asks for control"), ("PC", "watches")];
        assert_eq!(told, wanted.map(|(name, now)| (name.to_owned(), now.to_owned())));
    }

    #[test]
    fn a_script_gives_no_more_than_it_says() {
        let may = |said, yes| rights(said, yes).map(words_of);
        assert_eq!(may([false; 4], false), None);
        assert_eq!(may([false; 4], true).as_deref(), Some("watch"));
        assert_eq!(may([true, false, false, false], true).as_deref(), Some("watch"));
        assert_eq!(may([false, true, false, false], true).as_deref(), Some("watch, drive"));
        assert_eq!(may([false, true, true, false], true).as_deref(), Some("watch, drive, clipboard"));
        assert_eq!(may([false, false, false, true], false).as_deref(), Some("watch, files"));
    }
}
