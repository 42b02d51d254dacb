//! What a person should confirm.

use crate::hints::with_hint;
use anyhow::{Result, bail};
use sampan_config::{Finding, Severity};
use sampan_message::Message;

/// Refuses what would do damage, and what might unless it was confirmed by `--yes`. Gives back what was confirmed.
pub fn confirm(findings: Vec<Finding>, yes: bool) -> Result<Vec<String>> {
    let of = |severity: Severity, words: fn(&Message) -> String| {
        let found = findings.iter().filter(move |finding| finding.severity == severity);
        found.map(|finding| words(&finding.message)).collect::<Vec<_>>()
    };
    let hinted = |message: &Message| with_hint(message, None);
    let (refused, doubtful) = (of(Severity::Refuse, hinted), of(Severity::Confirm, hinted));
    if !refused.is_empty() {
        bail!("{}", refused.join("; "));
    }
    if !doubtful.is_empty() && !yes {
        bail!("{}. If that is what you want, say --yes", doubtful.join("; "));
    }
    Ok(of(Severity::Confirm, Message::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_refused_and_doubt_wants_a_yes() {
        let finding =
            |severity, words: &str| Finding::new(severity, "memory.mib", Message::new("tight", words));
        let doubt = || vec![finding(Severity::Confirm, "tight"), finding(Severity::Confirm, "slow")];
        let words = confirm(doubt(), false).expect_err("wants a yes").to_string();
        assert!(words.contains("tight; slow") && words.contains("--yes"), "{words}");
        assert_eq!(confirm(doubt(), true).expect("was confirmed"), ["tight", "slow"]);
        let mut both = doubt();
        both.push(finding(Severity::Refuse, "never"));
        assert_eq!(confirm(both, true).expect_err("no yes helps").to_string(), "never");
        let disk =
            Message::new("not_a_cd", "a.img: this is a disk").with("what", "disk").with("path", "a.img");
        let words = confirm(vec![Finding::new(Severity::Confirm, "drives.cd0", disk)], false);
        let words = words.expect_err("wants a yes").to_string();
        assert!(words.contains("--image a.img") && words.contains("--yes"), "{words}");
        assert!(confirm(Vec::new(), false).expect("nothing found").is_empty());
    }
}
