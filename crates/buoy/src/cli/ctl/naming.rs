//! What objects and resources are called: names in place of numbers in what a person types, and names, units and meanings in what he reads.

use std::fmt::Write;

use buoy_api::client::{Client, ClientError, encode};
use buoy_api::{DeviceObject, ObjectDefinition, Page, PathValue, ResourceDefinition};
use serde_json::Value;

use super::exit::{Exit, NotDone};
use super::output::text;
use super::suggest;

/// The objects of a device with their definitions.
#[derive(Debug, Default)]
pub(super) struct Names {
    objects: Vec<DeviceObject>,
}

impl Names {
    /// Those of a device.
    pub(super) fn of(client: &Client, endpoint: &str) -> Result<Self, ClientError> {
        let path = format!("/api/v1/devices/{}/objects", encode(endpoint));
        Ok(Self { objects: client.get::<Page<DeviceObject>>(&path)?.items })
    }

    /// Those of a device; none if they can't be had, since a value is worth showing without them.
    pub(super) fn if_known(client: &Client, endpoint: &str) -> Self {
        Self::of(client, endpoint).unwrap_or_default()
    }

    /// The objects that the device has.
    pub(super) fn objects(&self) -> &[DeviceObject] {
        &self.objects
    }

    /// The definition of the resource that a path leads to.
    fn resource(&self, path: &str) -> Option<&ResourceDefinition> {
        let mut parts = path.trim_start_matches('/').split('/');
        let object: u16 = parts.next()?.parse().ok()?;
        let resource: u16 = parts.nth(1)?.parse().ok()?;
        let object = self.objects.iter().find(|known| known.id == object)?;
        object.definition.as_ref()?.resources.iter().find(|known| known.id == resource)
    }

    /// The name of a resource.
    pub(super) fn name(&self, path: &str) -> Option<&str> {
        self.resource(path).map(|resource| resource.name.as_str())
    }

    /// The unit of a resource.
    pub(super) fn units(&self, path: &str) -> Option<&str> {
        self.resource(path)?.units.as_deref().filter(|units| !units.is_empty())
    }

    /// A value as a person reads it: "Idle (0)", "21.5 Cel".
    pub(super) fn shown(&self, value: &PathValue) -> String {
        self.with_meaning(&value.path, &value.value, text(value))
    }

    /// The same of a value without its type.
    pub(super) fn shown_plain(&self, path: &str, value: &Value) -> String {
        self.with_meaning(path, value, super::output::plain(value))
    }

    fn with_meaning(&self, path: &str, value: &Value, shown: String) -> String {
        let Some(resource) = self.resource(path) else { return shown };
        if !value.is_number() {
            return shown;
        }
        let whole = value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
        let label = whole.and_then(|number| resource.labels.get(&number.to_string()));
        match (label, self.units(path)) {
            (Some(label), _) => format!("{label} ({shown})"),
            (None, Some(units)) if resource.value_type.as_deref() != Some("time") => {
                format!("{shown} {units}")
            }
            _ => shown,
        }
    }

    /// The path in numbers of "firmware-update/state", "temperature/1/sensor-value" or "5/0/3".
    fn path(&self, typed: &str) -> Result<String, String> {
        let mut words = typed.trim_matches('/').split('/');
        let object = self.object(words.next().unwrap_or_default())?;
        let mut path = format!("/{}", object.id);
        let Some(word) = words.next() else { return Ok(path) };
        let word = match word.parse::<u16>() {
            Ok(instance) => {
                let _ = write!(path, "/{instance}");
                words.next()
            }
            Err(_) => {
                let _ = write!(path, "/{}", only_instance(object, typed)?);
                Some(word)
            }
        };
        if let Some(word) = word {
            let _ = write!(path, "/{}", resource(object, word)?);
        }
        if let Some(word) = words.next() {
            let instance = word.parse::<u16>().map_err(|_| format!("{word} is no resource instance"))?;
            let _ = write!(path, "/{instance}");
        }
        match words.next() {
            None => Ok(path),
            Some(_) => Err(format!(
                "{typed} has too many parts; a path has an object, an instance, a resource and a resource instance"
            )),
        }
    }

    fn object(&self, word: &str) -> Result<&DeviceObject, String> {
        let is_named = |object: &&DeviceObject| match word.parse::<u16>() {
            Ok(id) => object.id == id,
            Err(_) => definition(object).is_some_and(|it| is_called(&it.name, word)),
        };
        self.objects.iter().find(is_named).ok_or_else(|| {
            let names: Vec<_> =
                self.objects.iter().filter_map(|object| Some(slug(&definition(object)?.name))).collect();
            unknown("the device has no object", word, &names)
        })
    }
}

/// The paths in numbers; the names of a device's objects are asked for only if one is used.
pub(super) fn paths(client: &Client, endpoint: &str, typed: &[String]) -> anyhow::Result<Vec<String>> {
    if typed.iter().all(|path| is_in_numbers(path)) {
        return Ok(typed.to_vec());
    }
    let names = Names::of(client, endpoint)?;
    let path = |typed: &String| match is_in_numbers(typed) {
        true => Ok(typed.clone()),
        false => names.path(typed).map_err(|reason| NotDone::error(Exit::WrongUse, reason)),
    };
    typed.iter().map(path).collect()
}

/// One path in numbers.
pub(super) fn path(client: &Client, endpoint: &str, typed: &str) -> anyhow::Result<String> {
    let mut paths = paths(client, endpoint, &[typed.to_owned()])?;
    Ok(paths.pop().unwrap_or_default())
}

/// What begins with a slash and a digit is left to the server, which says what is wrong with it.
fn is_in_numbers(path: &str) -> bool {
    path == "/"
        || path.trim_start_matches('/').starts_with(|first: char| first.is_ascii_digit()) && !has_name(path)
}

fn has_name(path: &str) -> bool {
    // A word of one letter is a slip, as in /3/x, and no resource's name.
    path.split('/').any(|part| part.len() > 1 && part.chars().any(|letter| letter.is_ascii_alphabetic()))
}

fn definition(object: &DeviceObject) -> Option<&ObjectDefinition> {
    object.definition.as_ref()
}

fn only_instance(object: &DeviceObject, typed: &str) -> Result<u16, String> {
    match object.instances.as_slice() {
        [one] => Ok(*one),
        [] => Ok(0),
        many => {
            let many: Vec<_> = many.iter().map(u16::to_string).collect();
            Err(format!("{typed}: there are the instances {}; say which, behind the object", many.join(", ")))
        }
    }
}

fn resource(object: &DeviceObject, word: &str) -> Result<u16, String> {
    if let Ok(id) = word.parse() {
        return Ok(id);
    }
    let resources = definition(object).map(|it| it.resources.as_slice()).unwrap_or_default();
    let found = resources.iter().find(|resource| is_called(&resource.name, word));
    found.map(|resource| resource.id).ok_or_else(|| {
        let names: Vec<_> = resources.iter().map(|resource| slug(&resource.name)).collect();
        unknown(&format!("the object {} has no resource", object.id), word, &names)
    })
}

fn unknown(what: &str, word: &str, names: &[String]) -> String {
    let near = suggest::nearest(word, names.iter().map(String::as_str));
    let next = match near.is_empty() {
        false => format!("did you mean {}?", near.join(" or ")),
        true => format!("it has {}", names.join(", ")),
    };
    format!("{what} {word}; {next}")
}

/// "Firmware Update" is called firmware-update; the objects of LwM2M itself also without "lwm2m-".
fn is_called(name: &str, word: &str) -> bool {
    let (name, word) = (slug(name), slug(word));
    name == word || name.strip_prefix("lwm2m-") == Some(&word)
}

/// A name as it is typed: small letters and digits, with a dash between words.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Names {
        let resource = |id: u16, name: &str, more: Value| {
            let mut all = json!({"id": id, "name": name, "operations": "R", "multiple": false, "mandatory": true, "type": "integer"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let object = |id: u16, name: &str, instances: Value, resources: Value| {
            json!({"id": id, "instances": instances, "definition":
                {"name": name, "version": "1.0", "multiple": true, "resources": resources}})
        };
        let objects = json!([
            object(1, "LwM2M Server", json!([0]), json!([resource(1, "Lifetime", json!({"units": "s"}))])),
            object(
                5,
                "Firmware Update",
                json!([0]),
                json!([resource(3, "State", json!({"labels": {"0": "Idle"}}))])
            ),
            object(
                3303,
                "Temperature",
                json!([0, 1]),
                json!([resource(5700, "Sensor Value", json!({"units": "Cel"}))])
            ),
        ]);
        Names { objects: serde_json::from_value(objects).unwrap() }
    }

    #[test]
    fn names_stand_for_numbers() {
        let names = names();
        for (typed, path) in [
            ("firmware-update/state", "/5/0/3"),
            ("/firmware-update/0/State", "/5/0/3"),
            ("5/state", "/5/0/3"),
            ("server/lifetime", "/1/0/1"),
            ("temperature/1/sensor-value", "/3303/1/5700"),
            ("temperature", "/3303"),
            ("temperature/1/5700/0", "/3303/1/5700/0"),
        ] {
            assert_eq!(names.path(typed).as_deref(), Ok(path), "{typed}");
        }
        for (typed, words) in [
            ("firmwareupdate/state", "did you mean firmware-update?"),
            ("firmware-update/stat", "did you mean state?"),
            ("temperature/sensor-value", "the instances 0, 1"),
            ("light/on", "it has lwm2m-server, firmware-update, temperature"),
            ("5/0/3/0/1", "too many parts"),
        ] {
            let reason = names.path(typed).unwrap_err();
            assert!(reason.contains(words), "{typed}: {reason}");
        }
        assert!(["/3/0/3", "/3", "/", "3303/0/5700", "/3/x"].into_iter().all(is_in_numbers));
        assert!(!["temperature", "/device/3", "5/state"].into_iter().any(is_in_numbers));
    }

    #[test]
    fn values_are_shown_with_what_they_mean() {
        let names = names();
        let shown = |path: &str, value: Value| {
            names.shown(&PathValue { path: path.into(), value, kind: Some("integer".into()), at: None })
        };
        assert_eq!(shown("/5/0/3", json!(0)), "Idle (0)");
        assert_eq!(shown("/5/0/3", json!(9)), "9");
        assert_eq!(shown("/3303/0/5700", json!(21.5)), "21.5 Cel");
        assert_eq!(shown("/9/0/1", json!("x")), "x");
    }
}
