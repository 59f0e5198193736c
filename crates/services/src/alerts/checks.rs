//! Looks at the server itself: the disk of the data folder, and its certificates.

use std::path::{Path, PathBuf};

use buoy_fleet::alerts::{Condition, Key, Rule};

use crate::certificates;
use crate::identity;

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// The parts of a server that alerts may be about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Files with certificates, besides those in the data folder.
    pub(crate) certificates: Vec<PathBuf>,
}

/// Whether the condition of a rule holds for a part of the server.
pub(super) struct Finding {
    pub(super) key: Key,
    pub(super) holds: bool,
    pub(super) detail: String,
}

/// What the rules about the server find. It reads files, so it is for a thread that may wait.
pub(super) fn findings(parts: &Parts, rules: &[Rule], now: u64) -> Vec<Finding> {
    rules.iter().flat_map(|rule| of_rule(parts, rule, now)).collect()
}

fn of_rule(parts: &Parts, rule: &Rule, now: u64) -> Vec<Finding> {
    let finding = |subject: &str, holds, detail| Finding {
        key: Key { rule: rule.name.clone(), subject: subject.into() },
        holds,
        detail,
    };
    match rule.condition {
        Condition::Disk { free_percent } => {
            let free = free_space(&parts.data);
            free.map(|free| {
                let detail = format!("{free} % of the disk of {} are free", parts.data.display());
                finding("disk", free < u64::from(free_percent), detail)
            })
            .into_iter()
            .collect()
        }
        Condition::Certificate { days } => {
            let near = |(path, end): (PathBuf, u64)| {
                let detail = match end.checked_sub(now) {
                    Some(left) => format!("it ends in {} days", left / DAY),
                    None => format!("it ended {} days ago", (now - end) / DAY),
                };
                finding(&path.display().to_string(), end < now + u64::from(days) * DAY, detail)
            };
            ends(parts).into_iter().map(near).collect()
        }
        _ => Vec::new(),
    }
}

/// The part of a disk that is free, in percent.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(100) / disk.f_blocks)
}

#[cfg(not(unix))]
fn free_space(_folder: &Path) -> Option<u64> {
    None
}

/// Finds that the alert about a certificate is over, because its file is not there or not looked at any more. Of a file that can't be read
/// nothing is known.
pub(super) fn gone(parts: &Parts, key: Key) -> Option<Finding> {
    let path = Path::new(&*key.subject);
    let is_gone = !files(parts).iter().any(|file| file == path) || path.try_exists().is_ok_and(|is| !is);
    is_gone.then(|| Finding {
        key,
        holds: false,
        detail: "the server does not use this file any more".into(),
    })
}

/// When the certificates end: of each file the one that ends first.
fn ends(parts: &Parts) -> Vec<(PathBuf, u64)> {
    files(parts).into_iter().filter_map(|path| Some((path.clone(), first_end(&path)?))).collect()
}

/// The files that may have certificates.
fn files(parts: &Parts) -> Vec<PathBuf> {
    let own =
        [identity::CERTIFICATE_FILE, identity::HTTPS_CERTIFICATE_FILE].map(|name| parts.data.join(name));
    let mut all: Vec<PathBuf> = own.into_iter().chain(parts.certificates.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

fn first_end(path: &Path) -> Option<u64> {
    let all = certificates::read_certificates(path).ok()?;
    let end = |certificate: &x509_cert::Certificate| {
        let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
        u64::try_from(end.as_millis()).unwrap_or(u64::MAX)
    };
    all.iter().map(end).min()
}

#[cfg(test)]
mod tests {
    use buoy_fleet::alerts::{Flapping, Severity};

    use super::*;
    use crate::certificates::{Subject, Use};

    fn rule(condition: Condition) -> Rule {
        Rule {
            name: "x".into(),
            description: String::new(),
            severity: Severity::Warning,
            condition,
            hold: 0,
            resolve_after: 0,
            flapping: Flapping::default(),
            repeat: None,
            receivers: Vec::new(),
        }
    }

    #[test]
    fn a_certificate_that_ends_soon_and_a_full_disk_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let key = certificates::new_key().unwrap();
        let subject = Subject { name: "buoy", usage: Use::Server, alternatives: &[], days: 20 };
        let made = certificates::self_signed(&subject, &key).unwrap();
        let path = folder.path().join(identity::CERTIFICATE_FILE);
        std::fs::write(&path, certificates::certificate_pem(&made).unwrap()).unwrap();
        let parts =
            Parts { data: folder.path().to_owned(), certificates: vec![path.clone(), "gone.crt".into()] };
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let look = |condition, now| findings(&parts, &[rule(condition)], now);
        let of_days = |days, now| look(Condition::Certificate { days }, now);
        assert_eq!(of_days(30, now).len(), 1);
        assert!(of_days(30, now)[0].holds && !of_days(10, now)[0].holds);
        assert_eq!(&*of_days(30, now)[0].key.subject, path.display().to_string());
        assert!(of_days(1, now + 25 * DAY)[0].detail.contains("ended 5 days ago"));
        let key = of_days(30, now)[0].key.clone();
        assert!(gone(&parts, key.clone()).is_none());
        std::fs::write(&path, "no certificate").unwrap();
        assert!(gone(&parts, key.clone()).is_none(), "nothing is known of it");
        std::fs::remove_file(&path).unwrap();
        assert!(!gone(&parts, key.clone()).unwrap().holds);
        assert!(gone(&Parts::default(), key).is_some());
        if cfg!(unix) {
            let disk = look(Condition::Disk { free_percent: 1 }, now);
            assert!(disk.len() == 1 && disk[0].detail.contains("are free"), "{}", disk[0].detail);
        }
        assert!(look(Condition::Store, now).is_empty());
    }
}
