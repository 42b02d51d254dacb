//! `docs/control.md` tells what the types say.

use sampan_control::wire::{ClientLine, ServerLine, parse};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../../docs/control.md");

/// A request of each kind with all its members.
const REQUESTS: &str = r#"
{"command":"status"}
{"command":"watch"}
{"command":"screenshot"}
{"command":"thumbnail","width":1}
{"command":"type","text":""}
{"command":"key","names":[]}
{"command":"pointer","x":1,"y":1}
{"command":"click","button":""}
{"command":"wheel","notches":1}
{"command":"resize","width":1,"height":1}
{"command":"pause"}
{"command":"resume"}
{"command":"reset"}
{"command":"powerdown"}
{"command":"quit"}
{"command":"console"}
{"command":"suspend"}
{"command":"snapshot","name":"","note":"","disks_only":true}
{"command":"snapshot-edit","snapshot":"","name":"","note":""}
{"command":"snapshot-delete","snapshot":""}
{"command":"rename","name":""}
{"command":"configure","sections":{}}
{"command":"insert","drive":"","medium":"","force":true}
{"command":"grow","drive":"","size":1}
{"command":"forward-add","forward":""}
{"command":"forward-remove","forward":""}
{"command":"mode","mode":"saver"}
{"command":"background","on":true}
{"command":"vnc-password","password":""}
{"command":"exec","argv":[],"stdin":"","timeout":1}
{"command":"push","from":"","to":""}
{"command":"pull","from":"","to":""}
{"command":"agent"}
{"command":"sound","volume":1,"muted":true,"microphone":true}
{"command":"sound-stream","play":true,"record":true}
{"command":"clipboard-get","kind":"text"}
{"command":"stream-on","address":"192.0.2.1","port":1,"lasting":true}
{"command":"stream-off"}
{"command":"stream-pair"}
{"command":"stream-answer","request":"","rights":["watch"]}
{"command":"stream-kick","viewer":""}
{"command":"stream-give","viewer":""}
{"command":"stream-revoked","device":""}
{"command":"stream-publish","url":"","token":"","plain_http":true,"ca_file":""}
{"command":"stream-unpublish"}
{"command":"clipboard-set","kind":"png","data":"","secret":true}
"#;

/// The rows of the page's tables whose first cell is a word in code: the word, and the words in code of the second cell.
fn rows() -> BTreeMap<String, Vec<String>> {
    let cells = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let requests = PAGE.split("## Requests").nth(1).and_then(|rest| rest.split("## Errors").next());
    let table = requests.expect("a part about requests").lines().filter(|line| line.starts_with("| `"));
    table.map(cells).map(|row| (words(&row[1]).remove(0), words(&row[2]))).collect()
}

#[test]
fn every_request_is_told_with_its_members_and_no_other() {
    let mut rows = rows();
    for line in REQUESTS.lines().filter(|line| !line.is_empty()) {
        let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        value["version"] = 2.into();
        let Ok(ClientLine::Request(request)) = parse(value.to_string().as_bytes()) else {
            panic!("{line} is no request")
        };
        // The wire's own word of it: a request that is new is missing in the list above, and is found here by its name.
        let object = serde_json::to_value(&request).expect("JSON");
        let command = object["command"].as_str().expect("a command");
        let told = rows.remove(command).unwrap_or_else(|| panic!("docs/control.md does not tell {command}"));
        let members = value.as_object().expect("an object").keys();
        for member in members.filter(|member| !["command", "version"].contains(&member.as_str())) {
            assert!(told.contains(member), "docs/control.md does not tell {member} of {command}");
        }
    }
    assert!(rows.is_empty(), "docs/control.md tells requests that are none: {:?}", rows.keys());
}

#[test]
fn the_list_of_requests_above_is_whole() {
    // serde names every variant when it refuses one.
    let error = parse(br#"{"version":2,"command":"nothing"}"#).expect_err("is none").to_string();
    let named: Vec<&str> = error.split('`').skip(1).step_by(2).filter(|word| *word != "nothing").collect();
    assert!(named.len() > 20, "{error}");
    for command in named {
        assert!(REQUESTS.contains(&format!(r#"{{"command":"{command}""#)), "{command} is missing");
    }
}

#[test]
fn examples_are_lines_of_the_protocol() {
    let mut examples = 0;
    for block in PAGE.split("```json\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            examples += 1;
            match line.contains("\"version\"") {
                true => drop(parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}"))),
                false => drop(ServerLine::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}"))),
            }
        }
    }
    assert!(examples > 5);
}
