//! Downloads from a server that is as slow as it is told.

use crate::common::{PATIENCE, manager, painting_disk, smallest};
use crate::server::Server;
use sampan_control::Reporter;
use sampan_download::{Digest, Hasher, Request};
use sampan_manager::create::NewDisk;
use sampan_manager::downloads::{AddressDownload, Fetched, Network};
use sampan_manager::{Confirmed, Error, Event, JobInfo, Manager};
use sampan_message::Coded;
use std::time::Duration;

fn address(server: &Server, name: &str) -> AddressDownload {
    AddressDownload { url: server.url(name), name: None, digest: None, allow_http: true }
}

async fn fetch(manager: &Manager, request: Request) -> Result<Fetched, Error> {
    let outcomes = manager.fetch(vec![request], &Reporter::new(), |_| {}).await?;
    outcomes.into_iter().next().expect("an outcome").1
}

fn image(bytes: usize) -> Vec<u8> {
    let mut disk = vec![1; bytes];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_is_kept_told_and_goes_on() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let file = image(8 << 20);
    let server = Server::start(&[("disk.img", &file), ("page.img", b"<!DOCTYPE html><html>no</html>")]);
    server.pause(50);
    let request = manager.address_download(address(&server, "disk.img")).await.expect("can be loaded");
    let reporter = Reporter::new();
    let stop = reporter.clone();
    let mut told = 0;
    let cancelled = manager
        .fetch(vec![request.clone()], &reporter, |all| {
            told += 1;
            if all[0].loaded > 1 << 20 {
                stop.cancel();
            }
        })
        .await
        .expect_err("is cancelled");
    assert!(
        cancelled.is_cancelled() && cancelled.to_string().contains("of disk.img are kept"),
        "{cancelled}"
    );
    assert!(told > 1);
    let unfinished = manager.unfinished_downloads().await.expect("is told");
    let [begun] = unfinished.as_slice() else { panic!("one: {unfinished:?}") };
    assert!(begun.name == "disk.img" && begun.loaded > 0 && begun.total == Some(8 << 20), "{begun:?}");
    assert!(manager.media().await.expect("is told").is_empty());

    // Slow enough that it is heard of before it is over.
    server.pause(400);
    server.asked();
    let before = server.sent();
    let mut events = manager.events();
    let job = manager.download_job(request);
    let progress = loop {
        let Event::Jobs(jobs) = events.next().await.expect("is told") else { continue };
        let told = jobs.iter().find(|job| job.kind == "download");
        let progress = told.and_then(|job| job.progress.clone());
        // What was loaded before counts as soon as the server has told how much there is.
        if let Some(progress) = progress.filter(|progress| progress.total > 0) {
            assert_eq!(told.and_then(|job| job.name.as_deref()), Some("disk.img"));
            break progress;
        }
    };
    assert!(progress.done > 0 && progress.total == 8 << 20, "{progress:?}");
    server.pause(0);
    let fetched = job.wait().await.expect("goes on");
    assert!(manager.job_list().is_empty());
    assert!(!fetched.was_there && !fetched.verified && fetched.medium.size == 8 << 20, "{fetched:?}");
    let again = server.sent() - before;
    assert!(!server.asked().contains(&0) && again < 8 << 20, "what was there was not loaded again: {again}");
    assert_eq!(std::fs::read(&fetched.medium.path).expect("reads"), file);
    // The same once more is done; another file of the name is refused.
    let again = manager.address_download(address(&server, "disk.img")).await.expect("is known");
    assert!(fetch(&manager, again).await.expect("is there").was_there);
    let other = AddressDownload { digest: Some(Digest::Sha256([7; 32])), ..address(&server, "disk.img") };
    assert_eq!(manager.address_download(other).await.expect_err("is another").code(), "medium_name_taken");
    // What a server says in place of an image is no medium.
    let page = manager.address_download(address(&server, "page.img")).await.expect("can be loaded");
    assert_eq!(fetch(&manager, page).await.expect_err("is a page").code(), "download_not_an_image");
    assert_eq!(manager.media().await.expect("is told").len(), 1);
    assert!(manager.unfinished_downloads().await.expect("is told").is_empty());
    assert_eq!(manager.discard_download("none.img").await.expect_err("is none").code(), "no_download");
}

/// The job, once `is` holds of it.
async fn job_where(manager: &Manager, id: u64, is: impl Fn(&JobInfo) -> bool) -> JobInfo {
    let looked = async {
        loop {
            let found = manager.job_list().into_iter().find(|job| job.id == id && is(job));
            match found {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_rests_and_one_that_costs_money_wants_a_yes() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let file = image(8 << 20);
    let server = Server::start(&[("disk.img", &file), ("other.img", &file)]);
    server.pause(50);
    let request = manager.address_download(address(&server, "disk.img")).await.expect("can be loaded");
    let begun = |job: &JobInfo| job.can_pause && job.progress.as_ref().is_some_and(|now| now.done > 0);
    let job = manager.download_job(request);
    job_where(&manager, job.id(), begun).await;
    manager.pause_job(job.id()).expect("rests");
    assert!(job_where(&manager, job.id(), |job| job.paused).await.can_pause);
    // What is on its way comes to an end, and nothing after it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sent = server.sent();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.sent(), sent, "nothing is loaded while it rests");
    manager.resume_job(job.id(), &Confirmed::Nothing).expect("goes on");
    manager.resume_job(job.id(), &Confirmed::Nothing).expect("goes on already");

    // The network begins to cost money, and ceases to.
    let metered = Network { online: true, metered: true };
    job_where(&manager, job.id(), |job| !job.paused).await;
    manager.set_network(metered);
    job_where(&manager, job.id(), |job| job.paused).await;
    manager.set_network(Network::default());
    job_where(&manager, job.id(), |job| !job.paused).await;
    manager.set_network(metered);
    job_where(&manager, job.id(), |job| job.paused).await;
    let asked = manager.resume_job(job.id(), &Confirmed::Nothing).expect_err("wants a yes");
    assert_eq!(asked.message().params.get("codes").map(ToString::to_string).as_deref(), Some("metered"));
    let other = manager.address_download(address(&server, "other.img")).await.expect("can be loaded");
    let found = manager.download_findings(&other).await.expect("is looked at");
    assert_eq!(found.iter().map(|finding| &*finding.message.code).collect::<Vec<_>>(), ["metered"]);
    manager.set_network(Network { online: false, metered: true });
    let refused = manager.resume_job(job.id(), &Confirmed::Everything).expect_err("there is none");
    assert_eq!(refused.message().code, "offline");
    manager.set_network(metered);
    server.pause(0);
    manager.resume_job(job.id(), &Confirmed::Codes(["metered".to_owned()].into())).expect("goes on");
    let id = job.id();
    let fetched = job.wait().await.expect("is loaded");
    assert_eq!(std::fs::read(&fetched.medium.path).expect("reads"), file);
    assert_eq!(manager.pause_job(id).expect_err("is over").message().code, "job_not_found");
    // What is here costs nothing.
    let again = manager.address_download(address(&server, "disk.img")).await.expect("is known");
    assert!(manager.download_findings(&again).await.expect("is looked at").is_empty());

    // One that rests can be cancelled, and other work cannot rest.
    server.pause(50);
    let job = manager.download_job(other);
    job_where(&manager, job.id(), begun).await;
    manager.pause_job(job.id()).expect("rests");
    manager.discard_job(job.id());
    assert!(job.wait().await.expect_err("is cancelled").is_cancelled());
    let work = manager.spawn_job("work", "", |_, reporter| async move {
        reporter.cancelled().await;
        Ok(())
    });
    assert_eq!(manager.pause_job(work.id()).expect_err("cannot").message().code, "cannot_pause");
    work.reporter().cancel();
    work.wait().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_holds_no_other_up_and_one_that_waits_is_forgotten() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let server = Server::start(&[("good.img", &image(1 << 20)), ("slow.img", &image(8 << 20))]);
    let mut requests = Vec::new();
    for name in ["missing.img", "good.img"] {
        requests.push(manager.address_download(address(&server, name)).await.expect("can be loaded"));
    }
    let outcomes = manager.fetch(requests, &Reporter::new(), |_| {}).await.expect("are loaded");
    let outcome =
        |name: &str| outcomes.iter().find(|(known, _)| known == name).expect("an outcome").1.as_ref();
    assert_eq!(outcome("good.img").expect("is here").medium.size, 1 << 20);
    assert_eq!(outcome("missing.img").expect_err("is not there").code(), "not_on_server");

    server.pause(50);
    let slow = manager.address_download(address(&server, "slow.img")).await.expect("can be loaded");
    let (reporter, both) = (Reporter::new(), slow.clone());
    let stop = reporter.clone();
    let _ = manager
        .fetch(vec![slow], &reporter, |all| {
            if all[0].loaded > 0 {
                stop.cancel()
            }
        })
        .await;
    assert!(
        manager
            .unfinished_download("slow.img")
            .await
            .expect("is told")
            .is_some_and(|begun| begun.to == both.to)
    );
    manager.discard_download("slow.img").await.expect("is forgotten");
    assert!(manager.unfinished_downloads().await.expect("is told").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_begins_with_an_entry_of_a_catalogue() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let disk = std::fs::read(painting_disk(home.path())).expect("reads");
    let mut hasher = Hasher::like(&Digest::Sha256([0; 32]));
    hasher.update(&disk);
    let digest = hasher.finish();
    let server = Server::start(&[("painting.img", &disk)]);
    let catalogue = home.path().join("mine.json");
    let text = format!(
        r#"{{"version":1,"date":"2026-01-01","entries":[{{"id":"painting","name":"Painting","version":"1","arch":"x86_64",
        "kind":"disk","format":"raw","source":{{"address":{{"url":"{}","digest":"{digest}"}}}},"about_mib":1,"preset":"old",
        "firmware":"bios","cloud_init":false,"login":"nobody"}}]}}"#,
        server.url("painting.img")
    );
    // As an editor of Windows saves it.
    std::fs::write(&catalogue, format!("\u{feff}{text}")).expect("writes");
    let mut new = smallest("one", NewDisk::New { size: Some(4 << 20), fixed: false });
    (new.entry, new.preset) = (Some("painting".into()), None);
    let missing = manager.plan(new.clone(), None).await.expect_err("is not in the built-in one");
    assert_eq!(missing.code(), "no_catalogue_entry");
    let fixed = sampan_manager::NewMachine { disk: NewDisk::New { size: None, fixed: true }, ..new.clone() };
    let twice = manager.plan(fixed, Some(catalogue.clone())).await.expect_err("is a disk itself");
    assert_eq!(twice.code(), "disk_twice");
    let plan = manager.plan(new, Some(catalogue)).await.expect("can be made");
    let reporter = Reporter::new();
    let arrived = manager.create(plan, &Confirmed::Nothing, &reporter).await.expect("is made");
    assert!(arrived.notes.iter().any(|note| note.code == "login"), "{:?}", arrived.notes);
    let disks = manager.disks(arrived.id).await.expect("is told");
    assert_eq!(disks.drives[0].size, Some(4 << 20), "it is grown");
    assert_eq!(manager.media().await.expect("is told")[0].medium.name, "painting-x86_64.raw");
    std::fs::write(home.path().join("catalogue.json"), "{}").expect("writes");
    let broken = manager.catalogue(None).await.expect_err("is none");
    assert!(broken.code() == "bad_catalogue" && broken.to_string().contains("catalogue.json"), "{broken}");
}
