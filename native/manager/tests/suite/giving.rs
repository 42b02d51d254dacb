//! Files for guests in which nobody answers.

use crate::common::{made, manager, painting_disk, smallest};
use sampan_control::{GivenTo, Reply, Reporter, Request};
use sampan_library::SourceFormat;
use sampan_manager::create::{NewDisk, Source};
use sampan_manager::edit::NewShare;
use sampan_manager::run::StartOptions;
use sampan_manager::{Confirmed, Error};
use sampan_message::Coded;

const HERE: StartOptions = StartOptions { throw_away: false, discard_state: false, in_process: true };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_to_the_shared_folder_that_the_guest_may_write_and_else_nowhere() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(&home.path().join("library"));
    let image = Source::File(painting_disk(home.path()));
    let disk = NewDisk::Image { image, format: Some(SourceFormat::Raw), size: None };
    let id = made(&manager, smallest("one", disk)).await;
    let file = home.path().join("a.txt");
    std::fs::write(&file, "for you").expect("is written");
    let give = async || {
        let machine = manager.machine(id).await.expect("a handle");
        let request = Request::Push { from: file.clone(), to: None, name: None };
        machine.call(request, &Reporter::new()).await
    };
    let share = async |name: &str, writable| {
        let folder = home.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let new = NewShare { folder: folder.clone(), tag: Some(name.into()), writable, security: None };
        manager.add_share(id, new, &Confirmed::Everything).await.expect("is shared");
        folder
    };
    // What the guest may only read is not ours to fill.
    let read = share("books", false).await;
    manager.start(id, HERE, None, &|_| {}).await.expect("starts");
    assert_eq!(give().await.expect_err("nobody takes it").message().code, "no_file_agent");
    assert_eq!(std::fs::read_dir(read).expect("is read").count(), 0);
    manager.force_off(id).await.expect("ends");

    let work = share("work", true).await;
    manager.start(id, HERE, None, &|_| {}).await.expect("starts");
    for name in ["a.txt", "a (2).txt"] {
        let to = GivenTo::Shared { tag: "work".into(), name: name.into(), path: None };
        match give().await {
            Ok(Reply::Copied { bytes, to: Some(given) }) => assert_eq!((bytes, given), (7, to)),
            other => panic!("{other:?}"),
        }
        assert_eq!(std::fs::read(work.join(name)).expect("is there"), b"for you");
    }
    // What is told of such a machine says that it takes files.
    let machine = manager.machine(id).await.expect("a handle");
    let facts = machine.status().await.expect("is asked").and_then(|status| status.facts).expect("runs");
    let files = facts.features.iter().find(|one| one.feature == sampan_control::Feature::Files);
    assert_eq!(files.expect("is told").state, sampan_control::FeatureState::Works);
    drop(machine);
    manager.force_off(id).await.expect("ends");
    assert!(matches!(give().await, Err(Error::NotRunning { .. })));
}
