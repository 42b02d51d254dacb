//! Tests of the answer file.

use super::*;
use proptest::prelude::*;
use roxmltree::{Document, Node};

fn answers() -> WindowsAnswers {
    WindowsAnswers {
        processor: Processor::Arm64,
        computer: "BOX".into(),
        user: "Ada L.ovelace".into(),
        password: "a<b>&\"c\"]]>'".into(),
        locale: "de-DE".into(),
        keyboard: "0407:00000407".into(),
        timezone: "W. Europe Standard Time".into(),
        disk: DiskLayout::Uefi,
        edition: Some("Windows 11 Pro".into()),
        product_key: Some("AAAAA-BBBBB-CCCCC-DDDDD-12345".into()),
        bypass_requirements: true,
    }
}

fn texts<'a>(document: &'a Document<'_>, name: &str) -> Vec<&'a str> {
    let named = document.descendants().filter(|n| n.is_element() && n.tag_name().name() == name);
    named.map(|n| n.text().unwrap_or_default()).collect()
}

#[test]
fn every_answer_is_where_setup_looks_for_it() {
    let text = answers().autounattend().unwrap();
    let document = Document::parse(&text).unwrap();
    let passes: Vec<_> = document.root_element().children().filter(Node::is_element).collect();
    let names: Vec<_> = passes.iter().map(|p| p.attribute("pass").unwrap()).collect();
    assert_eq!(names, ["windowsPE", "specialize", "oobeSystem"]);
    assert!(passes.iter().all(|p| p.tag_name().namespace() == Some(UNATTEND)));
    let components: Vec<_> = document.descendants().filter(|n| n.tag_name().name() == "component").collect();
    assert_eq!(components.len(), 6);
    assert!(components.iter().all(|c| c.attribute("processorArchitecture") == Some("arm64")));
    assert_eq!(texts(&document, "Value"), ["Windows 11 Pro", "a<b>&\"c\"]]>'"]);
    assert_eq!(texts(&document, "ComputerName"), ["BOX"]);
    assert_eq!(texts(&document, "Type"), ["EFI", "MSR", "Primary"]);
    assert_eq!(texts(&document, "PartitionID"), ["1", "3", "3"], "formatted, and installed to the last");
    assert_eq!(texts(&document, "Path").len(), 3);
}

#[test]
fn what_was_not_asked_for_is_not_done() {
    let modest = WindowsAnswers {
        disk: DiskLayout::Ask,
        edition: None,
        product_key: None,
        bypass_requirements: false,
        ..answers()
    };
    let text = modest.autounattend().unwrap();
    for word in ["WillWipeDisk", "LabConfig", "ProductKey", "ImageInstall"] {
        assert!(!text.contains(word), "{word}");
        assert!(answers().autounattend().unwrap().contains(word), "{word}");
    }
    let bios = WindowsAnswers { disk: DiskLayout::Bios, ..answers() }.autounattend().unwrap();
    assert_eq!(texts(&Document::parse(&bios).unwrap(), "Type"), ["Primary", "Primary"]);
    assert!(!format!("{:?}", answers()).contains("a<b>"), "the password is not shown");
}

#[test]
fn values_that_setup_would_refuse_are_refused() {
    type Change = fn(&mut WindowsAnswers);
    let cases: [Change; 13] = [
        |a| a.computer = "123".into(),
        |a| a.computer = "a".repeat(16),
        |a| a.computer = "a b".into(),
        |a| a.user = "Administrator".into(),
        |a| a.user = "a/b".into(),
        |a| a.user = String::new(),
        |a| a.password = "a\u{1}".into(),
        |a| a.password = "\u{ffff}".into(),
        |a| a.locale = "german".into(),
        |a| a.keyboard = "0407:0407".into(),
        |a| a.timezone = "Europe/Berlin".into(),
        |a| a.edition = Some("<Pro>".into()),
        |a| a.product_key = Some("AAAAA-BBBBB".into()),
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let mut answers = answers();
        change(&mut answers);
        let error = answers.image().expect_err(&number.to_string());
        assert!(!error.to_string().contains("AAAAA"), "{error}");
    }
}

proptest! {
    #[test]
    fn hostile_answers_stay_text(user in "\\PC{1,20}", password in "\\PC{0,127}") {
        let plain = answers().autounattend().unwrap();
        let odd = WindowsAnswers { user, password, ..answers() };
        if let Ok(text) = odd.autounattend() {
            let (document, plain) = (Document::parse(&text).unwrap(), Document::parse(&plain).unwrap());
            let shape = |d: &Document<'_>| {
                d.descendants().filter(Node::is_element).map(|n| n.tag_name().name().to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(shape(&document), shape(&plain));
            prop_assert_eq!(texts(&document, "Name"), [odd.user.as_str()]);
            prop_assert_eq!(texts(&document, "Value")[1], odd.password.as_str());
        }
    }
}
