//! `docs/protocol-coverage.md` against the tests that exist.
//!
//! A row of its tables is `| number | behaviour | tests |`. The last cell names tests as `` `crate::name_of_the_test` ``, those with
//! other people's implementations as `` `interop::name_of_the_function` ``, and says `open` where a proof, or one side's proof, is still
//! missing. A name without its test is a failure; an open row is told, and is none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::outcome::Outcome;

const MAP: &str = "docs/protocol-coverage.md";
/// Where the crates' sources are.
const CRATES: &str = "crates";
/// Where the scripts are that run other people's implementations.
const INTEROP: &str = "interop";

/// What no row may be missing for: the numbers of OMA's enabler test specification that concern what is built, and the RFCs.
const IN_SCOPE: &[&str] = &[
    "int-0", "int-1", "int-2", "int-4", "int-5", "int-6", "int-7", "int-8", "int-9", "int-101", "int-102",
    "int-103", "int-104", "int-105", "int-107", "int-108", "int-109", "int-201", "int-203", "int-204",
    "int-205", "int-211", "int-212", "int-215", "int-220", "int-221", "int-222", "int-223", "int-224",
    "int-225", "int-226", "int-227", "int-228", "int-229", "int-230", "int-231", "int-232", "int-233",
    "int-234", "int-235", "int-236", "int-237", "int-241", "int-256", "int-257", "int-260", "int-261",
    "int-280", "int-281", "int-301", "int-302", "int-303", "int-304", "int-305", "int-306", "int-307",
    "int-308", "int-309", "int-310", "int-311", "int-401", "int-402", "int-403", "RFC 7252", "RFC 7641",
    "RFC 7959", "RFC 7967", "RFC 8132", "RFC 8974", "RFC 9175", "RFC 4279", "RFC 5077", "RFC 5280",
    "RFC 5746", "RFC 6066", "RFC 6347", "RFC 7250", "RFC 7627", "RFC 8422", "RFC 8449", "RFC 9146",
];

pub(crate) fn step() -> Result<Outcome> {
    let map = fs::read_to_string(MAP).with_context(|| format!("{MAP} is missing"))?;
    let mut tests = tests_of_crates(Path::new(CRATES))?;
    tests.insert(INTEROP.to_owned(), tests_of_scripts(Path::new(INTEROP))?);
    let Findings { complaints, proved, open } = check(&map, &tests);
    if !complaints.is_empty() {
        return Ok(Outcome::failed(MAP, complaints.join("\n")));
    }
    let open = if open.is_empty() { String::new() } else { format!("; open: {}", open.join(", ")) };
    Ok(Outcome::passed(format!("{proved} rows proved{open}")))
}

/// What a map says, and what is wrong with it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    complaints: Vec<String>,
    /// How many rows are proved whole.
    proved: usize,
    /// The rows where a proof is missing.
    open: Vec<String>,
}

/// The tests by crate.
type Tests = BTreeMap<String, BTreeSet<String>>;

fn check(map: &str, tests: &Tests) -> Findings {
    let mut findings = Findings::default();
    let rows: Vec<Row<'_>> = map.lines().filter_map(Row::read).collect();
    for required in IN_SCOPE {
        if !rows.iter().any(|row| row.concerns(required)) {
            findings.complaints.push(format!("{required} has no row"));
        }
    }
    for row in rows {
        findings.complaints.extend(row.complaints(tests));
        if row.is_open {
            findings.open.push(row.number.to_owned());
        } else {
            findings.proved += 1;
        }
    }
    findings
}

struct Row<'a> {
    number: &'a str,
    tests: Vec<&'a str>,
    is_open: bool,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let cells: Vec<&str> =
            line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [number, _behaviour, proof] = cells[..] else { return None };
        let is_head = number.starts_with("--") || proof == "Tests";
        // Every second piece between backticks is inside of them.
        let tests = proof.split('`').skip(1).step_by(2).collect();
        let is_open = proof.split(|letter: char| !letter.is_alphabetic()).any(|word| word == "open");
        (!is_head).then_some(Self { number, tests, is_open })
    }

    /// Whether the row is about a number, or a part of it as in `RFC 7252, 4.3`.
    fn concerns(&self, number: &str) -> bool {
        self.number.split(',').next() == Some(number)
    }

    fn complaints(&self, tests: &Tests) -> Vec<String> {
        let number = self.number;
        if self.tests.is_empty() && !self.is_open {
            return vec![format!("{number} names no test and doesn't say that it is open")];
        }
        let exists = |name: &str| {
            let parts = name.split_once("::");
            parts.is_some_and(|(of, test)| tests.get(of).is_some_and(|all| all.contains(test)))
        };
        let missing = self.tests.iter().filter(|name| !exists(name));
        missing
            .map(|name| format!("{number} names `{name}`: there is no such test in {CRATES} or {INTEROP}"))
            .collect()
    }
}

fn tests_of_crates(folder: &Path) -> Result<Tests> {
    let mut tests = Tests::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let mut names = BTreeSet::new();
        collect(&entry.path(), &mut names)?;
        tests.insert(entry.file_name().to_string_lossy().into_owned(), names);
    }
    Ok(tests)
}

fn tests_of_scripts(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            names.extend(checks_in(&fs::read_to_string(&path)?));
        }
    }
    Ok(names)
}

/// The names of a script's functions that say what holds, which they do to the `check` that they are given.
fn checks_in(source: &str) -> Vec<String> {
    let functions = source.lines().filter_map(|line| line.strip_prefix("def ")?.split_once('('));
    functions.filter(|(_, rest)| rest.starts_with("check,")).map(|(name, _)| name.to_owned()).collect()
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_in(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The names of the functions under an attribute such as `#[test]` or `#[tokio::test]`.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some(rest) = line.split_once("fn ").map(|(_, rest)| rest).filter(|_| is_test) {
            names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            is_test = false;
        } else if !line.is_empty() && !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_tests() -> Tests {
        let names = BTreeSet::from(["int_101_it_registers".to_owned()]);
        Tests::from([("server".to_owned(), names)])
    }

    fn complaints_of(row: &str) -> Vec<String> {
        Row::read(row).unwrap().complaints(&some_tests())
    }

    #[test]
    fn the_map_of_this_repository_names_real_tests() {
        std::env::set_current_dir(crate::root()).unwrap();
        assert_eq!(step().unwrap().word(), "passed");
    }

    #[test]
    fn a_row_names_tests_that_exist() {
        assert!(complaints_of("| int-101 | registration | `server::int_101_it_registers` |").is_empty());
        assert_eq!(complaints_of("| int-101 | registration | `server::int_101_gone` |").len(), 1);
        assert_eq!(complaints_of("| int-101 | registration | `client::int_101_it_registers` |").len(), 1);
        assert_eq!(
            complaints_of("| int-101 | registration | `int_101_it_registers` |").len(),
            1,
            "of which crate?"
        );
    }

    #[test]
    fn a_row_without_a_test_says_that_it_is_open() {
        assert!(complaints_of("| int-101 | registration | open |").is_empty());
        assert_eq!(complaints_of("| int-101 | registration | |").len(), 1);
        let half =
            Row::read("| int-101 | registration | `server::int_101_it_registers`; open: device |").unwrap();
        assert!(half.is_open && half.complaints(&some_tests()).is_empty());
    }

    #[test]
    fn a_number_in_scope_needs_a_row() {
        let findings = check("| int-101 | registration | open |", &some_tests());
        assert!(findings.complaints.contains(&"int-102 has no row".to_owned()));
        assert!(findings.complaints.contains(&"int-1 has no row".to_owned()), "int-101 is another number");
        assert_eq!(findings.open, ["int-101"]);
    }

    #[test]
    fn only_functions_that_are_given_a_check_are_tests_of_a_script() {
        let source = "def one(check, server):\n    def two(check, it):\ndef three(server):\nclass Four:\n";
        assert_eq!(checks_in(source), ["one"]);
    }

    #[test]
    fn only_functions_under_a_test_attribute_are_tests() {
        let source = "#[test]\n#[should_panic]\nfn one() {}\nfn two() {}\n#[tokio::test]\nasync fn three() {}\n#[inline]\nfn four() {}";
        assert_eq!(tests_in(source), ["one", "three"]);
    }
}
