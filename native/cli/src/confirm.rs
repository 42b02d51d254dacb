//! What a person should confirm.

use anyhow::{Result, bail};
use sampan_config::{Finding, Severity};

/// Refuses what would do damage, and what might unless it was confirmed by `--yes`. Gives back what was confirmed.
pub fn confirm(findings: Vec<Finding>, yes: bool) -> Result<Vec<String>> {
    let of = |severity: Severity| {
        let words = findings.iter().filter(move |f| f.severity == severity).map(|f| f.message.to_string());
        words.collect::<Vec<_>>()
    };
    let (refused, doubtful) = (of(Severity::Refuse), of(Severity::Confirm));
    if !refused.is_empty() {
        bail!("{}", refused.join("; "));
    }
    if !doubtful.is_empty() && !yes {
        bail!("{}. If that is what you want, say --yes", doubtful.join("; "));
    }
    Ok(doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Message;

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
        assert!(confirm(Vec::new(), false).expect("nothing found").is_empty());
    }
}
