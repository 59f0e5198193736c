//! `-o name`: what the entries of a document are called, so that other verbs take it.

use serde_json::Value;

/// The members by which an entry is named, the best first: an operation is named by its id, and not by its device.
const NAMES: [&str; 8] = ["id", "digest", "endpoint", "pattern", "name", "path", "value", "forgotten"];

/// The entries of a list or of a page; anything else is one entry.
pub(super) fn entries(document: &Value) -> Vec<&Value> {
    let items = document.get("items").and_then(Value::as_array);
    match (document.as_array(), items) {
        (Some(items), _) | (None, Some(items)) => items.iter().collect(),
        (None, None) => vec![document],
    }
}

/// The names of all entries.
pub(super) fn of(document: &Value) -> Vec<String> {
    entries(document).into_iter().filter_map(name).collect()
}

fn name(entry: &Value) -> Option<String> {
    match entry {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(members) => {
            let named = NAMES.iter().find_map(|key| members.get(*key)).and_then(name);
            // A device with its observations, a credential with its key.
            named.or_else(|| members.values().filter(|member| member.is_object()).find_map(name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_entry_is_named_as_verbs_take_it() {
        assert_eq!(of(&json!([{"endpoint": "a", "state": "online"}, {"endpoint": "b"}])), ["a", "b"]);
        assert_eq!(of(&json!([{"endpoint": "a", "id": 7}])), ["7"]);
        assert_eq!(of(&json!({"device": {"endpoint": "a"}, "observations": []})), ["a"]);
        assert_eq!(of(&json!({"items": [{"name": "x"}], "next": "x"})), ["x"]);
        assert_eq!(of(&Value::Null), [""; 0]);
    }
}
