//! Programs of a running Linux guest, which its agent lists and starts. What the guest says is bounded and taken for text.

use crate::error::{Error, Result};
use crate::machine::unexpected;
use crate::sentences::Sentence;
use crate::{Manager, blocking};
use sampan_control::{Execution, Reply, Reporter, Request};
use sampan_library::{HostSettings, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists `.desktop` files, the user's before the system's. Its arguments are the names of the wanted language.
const LIST: &str = include_str!("apps/list.sh");

/// Starts one in the desktop session that is on the screen. Its argument is the file's name.
const LAUNCH: &str = include_str!("apps/launch.sh");

/// Seconds that the guest may take to list them, and to start one.
const PATIENCE: u64 = 20;

/// Programs that are told, and characters of a name.
const MAX_APPS: usize = 500;
const MAX_NAME: usize = 100;

/// What the script says with its exit code where it could not start a program.
const NO_APP: i64 = 3;
const NO_DESKTOP: i64 = 4;
const NO_STARTER: i64 = 5;

/// A program of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestApp {
    /// The name of its `.desktop` file, without the ending.
    pub id: String,
    /// Its name in the wanted language, if it has one in that.
    pub name: String,
    /// Whether a person has pinned it.
    pub pinned: bool,
}

/// The names that a language has in `.desktop` files, the best first (Desktop Entry Specification 1.5, "Localized values for keys"):
/// `zh-CN` is `zh_CN` and `zh`.
fn locales(language: &str) -> Vec<String> {
    let plain: String = language
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c == '-' { '_' } else { c })
        .collect();
    let sound = |text: &str| {
        (2..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    // A script stands between language and country: `zh-Hans-CN`.
    let parts: Vec<&str> = plain.split('_').collect();
    let country = match parts.as_slice() {
        [language, .., country] if country.len() == 2 => {
            Some(format!("{language}_{}", country.to_uppercase()))
        }
        _ => None,
    };
    let alone = parts.first().map(|language| (*language).to_owned());
    country.into_iter().chain(alone).filter(|text| sound(text)).collect()
}

/// Whether a name can be that of a `.desktop` file of ours: no path, no option.
fn is_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
    (1..=200).contains(&id.len()) && !id.starts_with(['-', '.']) && id.bytes().all(plain)
}

/// What the script has listed: files behind lines of `==== PATH`, of each the first group's keys.
fn parse(listed: &str, locales: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in listed.split("\n==== ").skip(1) {
        let mut lines = file.lines();
        let path = lines.next().unwrap_or_default();
        let Some(id) = path.rsplit('/').next().and_then(|name| name.strip_suffix(".desktop")) else {
            continue;
        };
        if !is_id(id) || found.contains_key(id) || found.len() >= MAX_APPS {
            continue;
        }
        let keys = keys_of(lines);
        let is = |key: &str| keys.get(key) == Some(&"true");
        let name = locales.iter().find_map(|locale| keys.get(format!("Name[{locale}]").as_str()));
        let Some(name) = name.or_else(|| keys.get("Name")) else { continue };
        // One that is hidden by the user hides the system's, too.
        let is_shown = keys.get("Type") == Some(&"Application") && !is("NoDisplay") && !is("Hidden");
        let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        found.insert(id.to_owned(), if is_shown { name } else { String::new() });
    }
    found.retain(|_, name| !name.is_empty());
    found
}

/// The keys of the group `Desktop Entry`.
fn keys_of<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, &'a str> {
    let mut keys = BTreeMap::new();
    let mut inside = false;
    for line in lines {
        match line.trim_end().split_once('=') {
            _ if line.starts_with('[') => inside = line.trim_end() == "[Desktop Entry]",
            Some((key, value)) if inside => {
                keys.entry(key.trim_end()).or_insert(value.trim());
            }
            _ => {}
        }
    }
    keys
}

impl Manager {
    /// The programs of a running Linux guest by its agent, sorted by id, with names in `language`, such as `zh-CN`. Without a guest that
    /// answers, see [`Manager::pinned_apps`].
    ///
    /// # Errors
    /// [`Error::NotRunning`]; nobody answers in the guest, or it is no Linux.
    pub async fn guest_apps(&self, id: VmId, language: &str) -> Result<Vec<GuestApp>> {
        let locales = locales(language);
        let done = self.guest_script(id, LIST, &locales).await?;
        let pinned = self.bundle(id).await?.host()?.pinned;
        let found = parse(&String::from_utf8_lossy(&done.stdout), &locales).into_iter();
        Ok(found.map(|(id, name)| GuestApp { pinned: pinned.contains_key(&id), id, name }).collect())
    }

    /// The programs that are pinned, whether the guest runs or not, by the names that they had then.
    ///
    /// # Errors
    /// The bundle cannot be read.
    pub async fn pinned_apps(&self, id: VmId) -> Result<Vec<GuestApp>> {
        let pinned = self.bundle(id).await?.host()?.pinned.into_iter();
        Ok(pinned.map(|(id, name)| GuestApp { id, name, pinned: true }).collect())
    }

    /// Pins a program under a name, or pins it no more. It is this host's matter and goes with no copy of the machine.
    ///
    /// # Errors
    /// `no_such_app`: it cannot be one; the machine runs in another process.
    pub async fn pin_app(&self, id: VmId, app: &str, name: Option<&str>) -> Result<()> {
        if !is_id(app) {
            return Err(no_app(app));
        }
        let name =
            name.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect::<String>());
        let app = app.to_owned();
        let change = move |host: &mut HostSettings| match name {
            Some(name) if host.pinned.len() < MAX_APPS => drop(host.pinned.insert(app, name)),
            Some(_) => {}
            None => drop(host.pinned.remove(&app)),
        };
        self.change_host(id, change).await
    }

    /// Changes what belongs to a machine on this host, whether it runs or not.
    pub(crate) async fn change_host(
        &self,
        id: VmId,
        change: impl FnOnce(&mut HostSettings) + Send + 'static,
    ) -> Result<()> {
        if let Some(local) = self.runs().local(id) {
            let vm = local.vm().map_err(Error::Told)?;
            return Ok(vm.change_host(change).await?);
        }
        let locked = self.lock(id).await?;
        blocking(move || {
            let mut host = locked.host()?;
            change(&mut host);
            Ok(locked.set_host(&host)?)
        })
        .await
    }

    /// Starts a program in the desktop session that is on the guest's screen, as the user who is logged in there.
    ///
    /// # Errors
    /// `no_such_app`, `no_desktop_session`: nobody is logged in; `no_app_starter`: the guest has nothing that starts programs so.
    pub async fn launch_app(&self, id: VmId, app: &str) -> Result<()> {
        if !is_id(app) {
            return Err(no_app(app));
        }
        let done = self.guest_script(id, LAUNCH, &[app.to_owned()]).await?;
        match done.code {
            Some(0) => Ok(()),
            Some(NO_APP) => Err(no_app(app)),
            Some(NO_DESKTOP) => Err(Error::saying(&Sentence::NoDesktop)),
            Some(NO_STARTER) => Err(Error::saying(&Sentence::NoStarter)),
            _ => {
                let words = String::from_utf8_lossy(&done.stderr);
                let words = words.chars().filter(|c| !c.is_control()).take(2 * MAX_NAME).collect();
                Err(Error::saying(&Sentence::AppFails { app: app.to_owned(), words }))
            }
        }
    }

    /// Runs one of our scripts in the guest.
    async fn guest_script(&self, id: VmId, script: &str, arguments: &[String]) -> Result<Execution> {
        use base64::Engine as _;
        let machine = self.running(id).await?;
        let argv = ["/bin/sh", "-s", "--"].map(str::to_owned).into_iter().chain(arguments.iter().cloned());
        let stdin = base64::engine::general_purpose::STANDARD.encode(script);
        let request = Request::Exec { argv: argv.collect(), stdin, timeout: PATIENCE };
        match machine.call(request, &Reporter::new()).await? {
            Reply::Execution(done) => Ok(done),
            _ => Err(Error::Client(unexpected())),
        }
    }
}

fn no_app(app: &str) -> Error {
    Error::saying(&Sentence::NoApp { app: app.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn a_language_has_the_names_of_the_specification() {
        for (language, names) in [
            ("zh-CN", &["zh_CN", "zh"][..]),
            ("zh-Hans-CN", &["zh_CN", "zh"]),
            ("de_DE.UTF-8", &["de_DE", "de"]),
            ("en", &["en"]),
            ("", &[]),
            ("x; rm -rf /", &[]),
            ("$(reboot)-CN", &[]),
        ] {
            assert_eq!(locales(language), names, "{language}");
        }
    }

    /// Runs the script in this host's shell, with its folders below another root.
    fn listed(root: &std::path::Path, locales: &[String]) -> String {
        let script = LIST.replace("ROOT=", &format!("ROOT='{}'", root.display()));
        let mut shell = Command::new("/bin/sh")
            .args(["-s", "--"])
            .args(locales)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        shell.stdin.take().expect("piped").write_all(script.as_bytes()).expect("reads it");
        String::from_utf8(shell.wait_with_output().expect("ends").stdout).expect("is text")
    }

    #[test]
    fn programs_are_found_by_the_script_and_what_is_hidden_is_left_out() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("is made");
            std::fs::write(path, text).expect("is written");
        };
        let system = "usr/share/applications";
        write(
            &format!("{system}/editor.desktop"),
            "# a comment\n[Desktop Entry]\nType=Application\nName=Editor\nName[zh_CN]=编辑器\nName[de]=Schreiber\nExec=edit %U\n\n[Desktop Action new]\nName=New\n",
        );
        write(
            &format!("{system}/player.desktop"),
            "[Desktop Entry]\nType=Application\nName = Player\nExec=play\n",
        );
        write(
            &format!("{system}/daemon.desktop"),
            "[Desktop Entry]\nType=Application\nName=D\nNoDisplay=true\n",
        );
        write(
            &format!("{system}/link.desktop"),
            "[Desktop Entry]\nType=Link\nName=L\nURL=https://example.org\n",
        );
        write(&format!("{system}/bad name.desktop"), "[Desktop Entry]\nType=Application\nName=B\n");
        write(&format!("{system}/gone.desktop"), "[Desktop Entry]\nType=Application\nName=Gone\n");
        // The user's counts more.
        write(
            "home/ada/.local/share/applications/gone.desktop",
            "[Desktop Entry]\nType=Application\nName=Gone\nHidden=true\n",
        );
        let locales = locales("zh-CN");
        let text = listed(root.path(), &locales);
        assert!(!text.contains("Schreiber"), "one language is asked for: {text}");
        let found = parse(&text, &locales);
        let expected = [("editor", "编辑器"), ("player", "Player")];
        assert_eq!(found, expected.map(|(id, name)| (id.to_owned(), name.to_owned())).into());
        assert_eq!(parse(&listed(root.path(), &[]), &[]).get("editor").map(String::as_str), Some("Editor"));
    }

    #[test]
    fn what_a_guest_lists_is_bounded_and_no_id_is_a_path_or_an_option() {
        let entry = |id: &str, name: &str| {
            format!(
                "\n==== /usr/share/applications/{id}.desktop\n[Desktop Entry]\nType=Application\nName={name}\n"
            )
        };
        let many: String =
            (0..2 * MAX_APPS).map(|n| entry(&format!("app{n}"), &"x".repeat(10_000))).collect();
        let found = parse(&many, &[]);
        assert_eq!(found.len(), MAX_APPS);
        assert!(found.values().all(|name| name.len() == MAX_NAME));
        for bad in ["", "-rf", ".hidden", "a/b", "a b", "a;b", "a\nb", "$(x)", &"a".repeat(201)] {
            assert!(!is_id(bad), "{bad}");
            assert!(parse(&entry(bad, "x"), &[]).keys().all(|id| is_id(id)), "{bad}");
        }
        assert!(is_id("org.gnome.TextEditor") && is_id("gcc-14+extra_1"));
        assert!(parse("nothing of the kind", &[]).is_empty());
    }

    #[test]
    fn the_shell_takes_the_script_that_starts_one() {
        let mut shell = Command::new("/bin/sh").arg("-n").stdin(Stdio::piped()).spawn().expect("a shell");
        shell.stdin.take().expect("piped").write_all(LAUNCH.as_bytes()).expect("reads it");
        assert!(shell.wait().expect("ends").success());
    }
}
