//! Tests of the cloud-init seed.

use super::*;
use proptest::prelude::*;
use yaml_rust2::{Yaml, YamlLoader};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1DcrqYqKjYm2Yb0rYpE0T2mE2sVq5w0cVQ0x7yQz0p me@here";

fn seed() -> Seed {
    Seed {
        instance: "vm-1".into(),
        hostname: "box.example".into(),
        user: Some(User {
            name: "ada".into(),
            password: Some(
                PasswordHash::from_crypt("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl").unwrap(),
            ),
            ssh_keys: vec![KEY.into()],
            sudo: true,
            shell: Some("/bin/bash".into()),
        }),
        ssh_passwords: true,
        packages: vec!["qemu-guest-agent".into(), "libc6:i386".into(), "vim=2:9.0".into()],
        locale: Some("de_DE.UTF-8".into()),
        timezone: Some("Europe/Berlin".into()),
        keyboard: Some(Keyboard { layout: "de".into(), variant: Some("nodeadkeys".into()) }),
        run: vec!["echo 'hello: world' # {}".into()],
        network: Some(StaticNetwork {
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            address: "10.0.2.20".parse().unwrap(),
            prefix: 24,
            gateway: "10.0.2.2".parse().unwrap(),
            name_servers: vec!["10.0.2.3".parse().unwrap()],
        }),
    }
}

fn read(text: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
fn every_field_is_where_cloud_init_looks_for_it() {
    let text = seed().user_data().unwrap();
    assert!(text.starts_with("#cloud-config\n{"), "{text}");
    let config = read(&text);
    let user = &config["users"][0];
    assert_eq!(user["name"].as_str(), Some("ada"));
    assert_eq!(user["lock_passwd"].as_bool(), Some(false));
    assert!(user["hashed_passwd"].as_str().unwrap().starts_with("$6$"));
    assert_eq!(user["ssh_authorized_keys"][0].as_str(), Some(KEY));
    assert_eq!(config["packages"].as_vec().unwrap().len(), 3);
    assert_eq!(config["keyboard"]["variant"].as_str(), Some("nodeadkeys"));
    assert_eq!(config["runcmd"][0].as_str(), Some("echo 'hello: world' # {}"));
    let meta = read(&seed().meta_data().unwrap());
    assert_eq!(meta["instance-id"].as_str(), Some("vm-1"));
    assert_eq!(meta["local-hostname"].as_str(), Some("box.example"));
    let network = read(&seed().network_config().unwrap().unwrap());
    assert_eq!(network["ethernets"]["first"]["addresses"][0].as_str(), Some("10.0.2.20/24"));
    assert_eq!(network["ethernets"]["first"]["match"]["macaddress"].as_str(), Some("52:54:00:12:34:56"));
    assert!(!format!("{:?}", seed()).contains("$6$"));
}

#[test]
fn what_is_not_wanted_is_not_there() {
    let least = Seed { instance: "a".into(), hostname: "a".into(), ..Seed::default() };
    let config = read(&least.user_data().unwrap());
    for name in ["users", "packages", "locale", "timezone", "keyboard", "runcmd"] {
        assert!(config[name].is_badvalue(), "{name}");
    }
    assert_eq!(config["ssh_pwauth"].as_bool(), Some(false));
    let mut keyless = seed();
    keyless.user.as_mut().unwrap().ssh_keys.clear();
    keyless.network.as_mut().unwrap().name_servers.clear();
    let user = read(&keyless.user_data().unwrap())["users"][0].clone();
    assert!(user["ssh_authorized_keys"].is_badvalue(), "cloud-init refuses an empty list");
    assert!(
        read(&keyless.network_config().unwrap().unwrap())["ethernets"]["first"]["nameservers"].is_badvalue()
    );
    assert_eq!(least.network_config().unwrap(), None);
    assert_eq!(least.image().unwrap(), least.image().unwrap());
}

#[test]
fn values_that_a_guest_would_misread_are_refused() {
    type Change = fn(&mut Seed);
    let cases: [Change; 19] = [
        |s| s.hostname = "-box".into(),
        |s| s.hostname = "a..b".into(),
        |s| s.hostname = "a\nb: c".into(),
        |s| s.hostname = String::new(),
        |s| s.instance = "a b".into(),
        |s| s.user.as_mut().unwrap().name = "root".into(),
        |s| s.user.as_mut().unwrap().name = "Ada".into(),
        |s| s.user.as_mut().unwrap().name = "a:0:0".into(),
        |s| s.user.as_mut().unwrap().shell = Some("bash".into()),
        |s| s.user.as_mut().unwrap().ssh_keys = vec!["-----BEGIN OPENSSH PRIVATE KEY-----".into()],
        |s| s.user.as_mut().unwrap().ssh_keys = vec![format!("box.example {KEY}")],
        |s| s.user.as_mut().unwrap().ssh_keys = vec![format!("{KEY}\n{KEY}")],
        |s| s.packages = vec!["--force-yes".into()],
        |s| s.packages = vec!["a".into(); 201],
        |s| s.locale = Some("de_DE; rm".into()),
        |s| s.timezone = Some("../../etc/passwd".into()),
        |s| s.run = vec!["a\0".into()],
        |s| s.network.as_mut().unwrap().prefix = 33,
        |s| s.network.as_mut().unwrap().mac = [1, 0, 0, 0, 0, 0],
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let mut seed = seed();
        change(&mut seed);
        assert!(seed.image().is_err(), "case {number}: {seed:?}");
    }
}

type Hostile = Box<dyn Fn(&mut Seed)>;

proptest! {
    #[test]
    fn hostile_values_stay_values(
        hostname: String, name: String, package in "\\PC{0,20}", locale: String, zone: String,
        command: String, layout: String, key_comment: String,
    ) {
        let mut odd = seed();
        let tries: [Hostile; 7] = [
            Box::new(move |s| s.hostname = hostname.clone()),
            Box::new(move |s| s.user.as_mut().unwrap().name = name.clone()),
            Box::new(move |s| s.packages = vec![package.clone()]),
            Box::new(move |s| s.locale = Some(locale.clone())),
            Box::new(move |s| s.timezone = Some(zone.clone())),
            Box::new(move |s| s.keyboard.as_mut().unwrap().layout = layout.clone()),
            Box::new(move |s| s.user.as_mut().unwrap().ssh_keys = vec![format!("{KEY} {key_comment}")]),
        ];
        for change in tries {
            let before = odd.clone();
            change(&mut odd);
            if odd.check().is_err() {
                odd = before;
            }
        }
        if !command.is_empty() && !command.contains('\0') {
            odd.run = vec![command];
        }
        let config = read(&odd.user_data().unwrap());
        let plain = read(&seed().user_data().unwrap());
        let keys = |yaml: &Yaml| yaml.as_hash().unwrap().keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(keys(&config), keys(&plain), "no value became a key");
        prop_assert_eq!(keys(&config["users"][0]), keys(&plain["users"][0]));
        prop_assert_eq!(config["hostname"].as_str(), Some(odd.hostname.as_str()));
        prop_assert_eq!(config["runcmd"][0].as_str(), Some(odd.run[0].as_str()));
    }
}

#[test]
fn a_copys_seed_differs_in_its_instance_alone() {
    let seed = |instance: &str| Seed { instance: instance.into(), hostname: "box".into(), ..Seed::default() };
    let image = seed("one-11").image().expect("is made");
    assert_eq!(for_copy(&image, "one-11", "two-22"), Some(seed("two-22").image().expect("is made")));
    assert_eq!(for_copy(&image, "one-11", "longer-one"), None);
    assert_eq!(for_copy(&image, "two-22", "one-11"), None);
    let quoted = [image.as_slice(), b"  \"instance-id\": \"one-11\""].concat();
    assert_eq!(for_copy(&quoted, "one-11", "two-22"), None);
}
