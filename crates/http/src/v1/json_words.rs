//! Error messages for requests: the field, and what is expected there. The parser's own messages contain types of this program, which
//! a caller doesn't know.

use serde::de::DeserializeOwned;

/// The error in a JSON body, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonFault(String);

impl std::fmt::Display for JsonFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses a JSON body.
///
/// # Errors
/// [`JsonFault`]
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonFault> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let place = format!("line {}, column {}", inner.line(), inner.column());
        if inner.is_syntax() || inner.is_eof() {
            return JsonFault(format!(
                "the body is no JSON ({place}): {}",
                without_place(&inner.to_string())
            ));
        }
        JsonFault(described(&path, &without_place(&inner.to_string())))
    })?;
    reader.end().map_err(|_| JsonFault("the body goes on behind its JSON document".to_owned()))?;
    Ok(parsed)
}

/// Translates axum's error for a query.
pub(crate) fn of_query(text: &str) -> String {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    match text.split_once(": ") {
        Some((name, reason)) if !name.contains([' ', '`']) => {
            format!("the query {}", described(name, reason))
        }
        _ => format!("the query: {}", expected(text)),
    }
}

/// Removes the place that `serde_json` appends to the error; the path is more useful.
fn without_place(text: &str) -> String {
    text.split_once(" at line ").map_or(text, |(text, _)| text).to_owned()
}

fn described(path: &str, reason: &str) -> String {
    let at = if path == "." || path.is_empty() { "the body".to_owned() } else { format!("\"{path}\"") };
    let named = |reason: &str| reason.split('`').nth(1).unwrap_or_default().to_owned();
    if reason.starts_with("missing field") {
        return format!("{at}: \"{}\" is missing", named(reason));
    }
    if reason.starts_with("unknown field") || reason.starts_with("unknown variant") {
        let known: Vec<_> = reason.split('`').skip(3).step_by(2).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        return format!("{at}: \"{}\" is not known here; there is {known}", named(reason));
    }
    format!("{at}: {}", expected(reason))
}

/// What was expected, in terms of JSON.
fn expected(reason: &str) -> String {
    let Some((found, wanted)) = reason.split_once(", expected ") else {
        return match reason {
            "invalid digit found in string" | "cannot parse integer from empty string" => {
                "a whole number is expected".to_owned()
            }
            "number too large to fit in target type" | "number too small to fit in target type" => {
                "the number is out of range".to_owned()
            }
            "provided string was not `true` or `false`" => "true or false is expected".to_owned(),
            other => other.to_owned(),
        };
    };
    let found = found
        .replace("invalid type: ", "")
        .replace("invalid value: ", "")
        .replace("invalid length ", "length ");
    let found = match found.as_str() {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        other => other.replace('`', ""),
    };
    let wanted = match wanted {
        "u64" | "u32" | "usize" => "a whole number from 0".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "i64" | "i32" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.contains("enum ") => {
            "the name of one of its kinds, or an object with that name".to_owned()
        }
        other if other.contains("struct ") || other.contains("variant ") => "an object".to_owned(),
        other => other.replace('`', "\""),
    };
    format!("{wanted} is expected, not {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use buoy_api::StartOperation;

    fn refusal(body: &str) -> String {
        parse::<StartOperation>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_field_and_what_is_expected_there() {
        let read = r#""request":{"read":{"path":"/3/0/9"}}"#;
        for (body, expected) in [
            ("[]", "the body: an object is expected, not length 0"),
            ("7", "the body: an object is expected, not integer 7"),
            ("{}", "the body: \"endpoint\" is missing"),
            (&format!("{{\"endpoint\":5,{read}}}"), "\"endpoint\": a string is expected, not integer 5"),
            (
                &format!("{{\"endpoint\":\"e\",\"wait\":\"x\",{read}}}"),
                "\"wait\": a whole number from 0 is expected, not string \"x\"",
            ),
            (
                &format!("{{\"endpoint\":\"e\",\"wait\":-1,{read}}}"),
                "\"wait\": a whole number from 0 is expected, not integer -1",
            ),
            (
                &format!("{{\"endpoint\":\"e\",\"pause\":1,{read}}}"),
                "\"pause\" is not known here; there is endpoint, request, deadline, wait",
            ),
            (
                r#"{"endpoint":"e","request":{"reed":{}}}"#,
                "\"reed\" is not known here; there is read, discover",
            ),
            (r#"{"endpoint":"e","request":{"read":{}}}"#, "\"path\" is missing"),
            (
                r#"{"endpoint":"e","request":{"create":{"path":"/3","instance":70000,"values":[]}}}"#,
                "0 to 65535",
            ),
        ] {
            let refused = refusal(body);
            assert!(refused.contains(expected), "{body}: {refused}");
            assert!(!refused.contains("struct") && !refused.contains("StartOperation"), "{refused}");
        }
        assert!(refusal("{").starts_with("the body is no JSON (line 1, column 1)"));
        assert!(refusal("").starts_with("the body is no JSON"));
    }

    #[test]
    fn an_error_of_a_query_names_it() {
        for (text, expected) in [
            (
                "Failed to deserialize query string: limit: invalid digit found in string",
                "the query \"limit\": a whole number is expected",
            ),
            (
                "Failed to deserialize query string: asleep: provided string was not `true` or `false`",
                "the query \"asleep\": true or false is expected",
            ),
            (
                "Failed to deserialize query string: unknown field `x`, expected `after` or `limit`",
                "the query",
            ),
        ] {
            assert!(of_query(text).starts_with(expected), "{}", of_query(text));
        }
    }
}
