//! `--watch`: the same picture again and again.

use std::time::Duration;

use super::exit::{Exit, NotDone};
use super::output;
use super::{Verb, campaigns, groups};

/// Repeats a verb that shows something, until Ctrl-C or an error.
pub(super) fn repeat(
    verb: &Verb,
    every: Duration,
    mut show: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !only_shows(verb) {
        let reason = "--watch is for verbs that show a list or a thing; this one changes something, or shows it as it comes already";
        return Err(NotDone::error(Exit::WrongUse, reason));
    }
    loop {
        output::new_picture();
        show()?;
        std::thread::sleep(every);
    }
}

/// Whether a verb shows something, once, and changes nothing.
fn only_shows(verb: &Verb) -> bool {
    match verb {
        Verb::Devices(_)
        | Verb::Device(_)
        | Verb::Objects(_)
        | Verb::Values(_)
        | Verb::Series(_)
        | Verb::Read(_)
        | Verb::Operations(_)
        | Verb::Operation(_)
        | Verb::Updates(_)
        | Verb::Status
        | Verb::Audit(_)
        | Verb::Whoami => true,
        Verb::Group(verb) => matches!(verb, groups::Verb::List | groups::Verb::Show(_)),
        Verb::Filter(verb) => matches!(verb, groups::FilterVerb::List | groups::FilterVerb::Explain(_)),
        Verb::Campaign(verb) => {
            matches!(&**verb, campaigns::Verb::List | campaigns::Verb::Show(_) | campaigns::Verb::Devices(_))
        }
        _ => false,
    }
}
