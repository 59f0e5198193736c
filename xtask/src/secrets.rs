//! Types that would print a key: `derive(Debug)` over a field that is named like a secret and holds plain bytes or text.
//!
//! A simple reading of the source, as in [`circles`](crate::circles): it knows no types but by their names. What is found gets a type that prints
//! nothing of its content (`api::Secret`, `Zeroizing` in a type with a `Debug` of its own), or an entry below that says why it is no secret.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Words in the names of fields that hold secrets.
const SECRETS: &[&str] =
    &["psk", "secret", "private", "password", "passphrase", "key", "keys", "seed", "master"];
/// Words that say that it is none.
const PUBLIC: &[&str] = &["public", "identity", "file", "path"];
/// Types that print what they hold.
const PLAIN: &[&str] = &["u8", "String", "str", "Bytes"];
/// Types that don't, around whatever.
const SILENT: &[&str] = &["Secret"];

/// Fields that are named so and hold no secret: type, field.
const HARMLESS: &[(&str, &str)] = &[
    // The name by which a request is known again.
    ("KeyRow", "key"),
    // Public keys.
    ("Library", "release_keys"),
    // Their bytes print their length alone (`client::text`).
    ("Security", "server_key"),
    ("Security", "secret_key"),
];

/// Complaints about all crates in a folder.
pub(crate) fn complaints(folder: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    read_folder(folder, &mut all)?;
    all.sort();
    Ok(all)
}

fn read_folder(folder: &Path, all: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        let is_of_tests = path.file_name().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_of_tests {
            read_folder(&path, all)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
            all.extend(printing_secrets(&text).into_iter().map(|(name, field)| {
                format!(
                    "{}: derive(Debug) of {name} prints its field {field}, which is named like a secret",
                    path.display()
                )
            }));
        }
    }
    Ok(())
}

/// The types whose derived Debug prints a secret, with the field.
fn printing_secrets(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[derive(") {
        rest = &rest[at + "#[derive(".len()..];
        let Some((derived, behind)) = rest.split_once(")]") else { break };
        let is_printed = derived.split(',').any(|name| name.trim() == "Debug");
        if let Some((name, body)) = declaration(behind).filter(|_| is_printed) {
            let fields = fields(body).filter(|(field, kind)| is_secret(field) && is_plain(kind));
            let fields = fields.filter(|(field, _)| !HARMLESS.contains(&(name, field)));
            found.extend(fields.map(|(field, _)| (name.to_owned(), field.to_owned())));
        }
    }
    found
}

/// The name and the body of the struct or enum that begins here, behind attributes and comments.
fn declaration(text: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    let line = text.split_inclusive('\n').find(|line| {
        let code = line.trim();
        let is_it = ["struct ", "enum "]
            .iter()
            .any(|word| code.starts_with(word) || (code.starts_with("pub") && code.contains(word)));
        start += if is_it { 0 } else { line.len() };
        is_it
    })?;
    // The next derive is of another type.
    if text[..start].contains("#[derive(") {
        return None;
    }
    let (_, name) = line.split_once("struct ").or_else(|| line.split_once("enum "))?;
    // Behind the word, for `pub(crate)` has brackets too.
    let body = &text[start + line.len() - name.len()..];
    let name = name.split(|it: char| !it.is_alphanumeric() && it != '_').next()?;
    let open = body.find(['{', ';', '(']).filter(|at| body.as_bytes().get(*at) == Some(&b'{'))?;
    let mut depth = 0;
    let end = body[open..].char_indices().find_map(|(at, it)| {
        depth += match it {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        (depth == 0).then_some(open + at)
    })?;
    Some((name, &body[open + 1..end]))
}

/// Names and types of the fields, those of an enum's variants too.
fn fields(body: &str) -> impl Iterator<Item = (&str, &str)> {
    let code = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    code.flat_map(|line| line.split(['{', '}'])).flat_map(|part| {
        let mut depth = 0;
        part.split(move |it: char| {
            depth += match it {
                '<' | '[' | '(' => 1,
                '>' | ']' | ')' => -1,
                _ => 0,
            };
            it == ',' && depth == 0
        })
        .filter_map(|field| {
            let (name, kind) = field.split_once(": ")?;
            Some((name.trim().rsplit(' ').next()?, kind.trim()))
        })
    })
}

fn is_secret(field: &str) -> bool {
    let has = |words: &[&str]| field.split('_').any(|word| words.contains(&word));
    has(SECRETS) && !has(PUBLIC)
}

fn is_plain(kind: &str) -> bool {
    let mut names = kind.split(|it: char| !it.is_alphanumeric() && it != '_');
    names.clone().any(|name| PLAIN.contains(&name)) && !names.any(|name| SILENT.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_debug_that_prints_a_key_is_found() {
        let text = r#"
#[derive(Clone, Debug)]
/// Words.
#[serde(transparent)]
pub(crate) struct Account<'a> {
    /// Its name: text.
    pub name: String,
    // psk_key: String,
    pub(super) psk_key: Option<String>,
    psk_identity: String,
    public_key: Vec<u8>,
    key_file: String,
    secret: Option<Secret>,
    private: &'a [u8], seed: [u8; 32],
    pairs: HashMap<String, Vec<u8>>,
    monkey: String,
}

#[derive(Debug)]
enum Proof {
    Psk { identity: String, key: Vec<u8> },
    Nothing,
}

#[derive(Debug)]
struct Tuple(Vec<u8>);

#[derive(Clone)]
struct Silent {
    key: Vec<u8>,
}

#[derive(Debug)]
struct KeyRow {
    key: String,
}
"#;
        let found = printing_secrets(text);
        let found: Vec<_> = found.iter().map(|(name, field)| (name.as_str(), field.as_str())).collect();
        assert_eq!(
            found,
            [("Account", "psk_key"), ("Account", "private"), ("Account", "seed"), ("Proof", "key")]
        );
    }
}
