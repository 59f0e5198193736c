//! `-o yaml`: JSON values in the block style of YAML 1.2.
//!
//! A text is written in quotes as JSON has it, which is YAML too, unless it is a word that no version of YAML takes for anything else.

use std::fmt::Write;

use serde_json::Value;

use super::json;

/// Words that some versions of YAML take for a truth, for nothing or for a number.
const TAKEN: [&str; 13] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", "e", "x"];

/// A whole document, with its line ends.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => object(&mut out, members, 0, false),
        Value::Array(items) if !items.is_empty() => array(&mut out, items, 0),
        other => {
            let _ = writeln!(out, "{}", scalar(other));
        }
    }
    out
}

/// `inline`: the first member stands behind the dash of a list.
fn object(out: &mut String, members: &serde_json::Map<String, Value>, depth: usize, inline: bool) {
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 || !inline {
            indent(out, depth);
        }
        out.push_str(&text(name));
        out.push(':');
        below(out, value, depth);
    }
}

/// What stands behind the colon of a member.
fn below(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            object(out, members, depth + 1, false);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            array(out, items, depth);
        }
        other => {
            let _ = writeln!(out, " {}", scalar(other));
        }
    }
}

fn array(out: &mut String, items: &[Value], depth: usize) {
    for item in items {
        indent(out, depth);
        match item {
            Value::Object(members) if !members.is_empty() => {
                out.push_str("- ");
                object(out, members, depth + 1, true);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push_str("-\n");
                array(out, inner, depth + 1);
            }
            other => {
                let _ = writeln!(out, "- {}", scalar(other));
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(word) => text(word),
        // Empty lists and objects are written as in JSON.
        other => other.to_string(),
    }
}

fn text(word: &str) -> String {
    let is_plain = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        && !TAKEN.contains(&word.to_ascii_lowercase().as_str());
    if is_plain { word.to_owned() } else { json(&Value::from(word).to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_written_in_blocks() {
        let value = json!({
            "endpoint": "buoy-1", "tags": ["a", "no"], "none": [], "at": 5, "text": "a: b\n", "version": "1.0",
            "items": [{"path": "/3/0", "value": true}, [1, [2]]],
        });
        let expected = "at: 5\nendpoint: buoy-1\nitems:\n- path: \"/3/0\"\n  value: true\n-\n  - 1\n  -\n    - 2\nnone: []\n\
            tags:\n- a\n- \"no\"\ntext: \"a: b\\n\"\nversion: \"1.0\"\n";
        let mut lines: Vec<_> = document(&value).lines().map(str::to_owned).collect();
        let mut wanted: Vec<_> = expected.lines().map(str::to_owned).collect();
        lines.sort();
        wanted.sort();
        assert_eq!(lines, wanted);
        assert_eq!(document(&json!([])), "[]\n");
        assert_eq!(document(&json!("yes")), "\"yes\"\n");
    }
}
