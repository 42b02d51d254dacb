//! What a person has to confirm before it is done.

use crate::error::{Error, Result};
use sampan_config::{Finding, Severity};
use sampan_message::Message;
use std::collections::BTreeSet;

/// What a person has confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Confirmed {
    /// Nothing yet.
    #[default]
    Nothing,
    /// What these codes say.
    Codes(BTreeSet<String>),
    /// Whatever there is to confirm.
    Everything,
}

impl Confirmed {
    fn has(&self, finding: &Finding) -> bool {
        match self {
            Self::Nothing => false,
            Self::Codes(codes) => codes.contains(&*finding.message.code),
            Self::Everything => true,
        }
    }
}

/// Refuses what would do damage, and what might unless it was confirmed. Gives back what was confirmed, to be told once more.
///
/// # Errors
/// [`Error::Refused`], [`Error::NeedsConfirm`].
pub fn confirm(findings: Vec<Finding>, confirmed: &Confirmed) -> Result<Vec<Message>> {
    let of =
        |severity: Severity| findings.iter().filter(move |finding| finding.severity == severity).cloned();
    let refused: Vec<Finding> = of(Severity::Refuse).collect();
    if !refused.is_empty() {
        return Err(Error::Refused(refused));
    }
    let open: Vec<Finding> = of(Severity::Confirm).filter(|finding| !confirmed.has(finding)).collect();
    if !open.is_empty() {
        return Err(Error::NeedsConfirm(open));
    }
    Ok(of(Severity::Confirm).map(|finding| finding.message).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Coded;

    #[test]
    fn damage_is_refused_and_doubt_wants_a_yes() {
        let finding =
            |severity, code: &'static str| Finding::new(severity, "memory.mib", Message::new(code, code));
        let doubt = || vec![finding(Severity::Confirm, "tight"), finding(Severity::Confirm, "slow")];
        let error = confirm(doubt(), &Confirmed::Nothing).expect_err("wants a yes");
        assert_eq!((error.code(), error.to_string()), ("needs_confirm", "tight; slow".to_owned()));
        let one = Confirmed::Codes(BTreeSet::from(["tight".to_owned()]));
        let error = confirm(doubt(), &one).expect_err("wants another yes");
        assert_eq!(error.to_string(), "slow");
        let told = confirm(doubt(), &Confirmed::Everything).expect("was confirmed");
        assert_eq!(told.iter().map(|message| &*message.code).collect::<Vec<_>>(), ["tight", "slow"]);
        let mut both = doubt();
        both.push(finding(Severity::Refuse, "never"));
        both.push(finding(Severity::Note, "by the way"));
        let error = confirm(both, &Confirmed::Everything).expect_err("no yes helps");
        assert_eq!((error.message().code.as_ref(), error.to_string()), ("never", "never".to_owned()));
        assert!(confirm(Vec::new(), &Confirmed::Nothing).expect("nothing found").is_empty());
    }
}
