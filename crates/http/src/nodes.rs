//! The JSON of nodes in Leshan's dialect: objects, instances, resources and resource instances, to and from values.

use std::collections::BTreeMap;

use buoy_api::PathValue;
use buoy_lwm2m::path::{Level, Path};
use buoy_lwm2m::value::OwnedValue;
use buoy_services::hex;
use buoy_services::values::Entry;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

/// A node as Leshan writes it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind")]
pub(crate) enum Node {
    #[serde(rename = "root")]
    Root { objects: Vec<Node> },
    #[serde(rename = "obj")]
    Object { id: u16, instances: Vec<Node> },
    #[serde(rename = "instance")]
    Instance { id: u16, resources: Vec<Node> },
    #[serde(rename = "singleResource")]
    SingleResource(Single),
    #[serde(rename = "multiResource")]
    MultiResource {
        id: u16,
        #[serde(rename = "type")]
        value_type: &'static str,
        values: BTreeMap<u16, NodeValue>,
    },
    #[serde(rename = "resourceInstance")]
    ResourceInstance(Single),
}

/// A node that has one value.
#[derive(Debug, Serialize)]
pub(crate) struct Single {
    id: u16,
    #[serde(rename = "type")]
    value_type: &'static str,
    value: NodeValue,
}

/// Both ids of a link that leads nowhere (Core 1.1.1 appendix C).
const NO_OBJECT: u16 = 65_535;

/// A value: whole and floating numbers travel as text, times as milliseconds.
#[derive(Debug)]
pub(crate) struct NodeValue(OwnedValue);

/// The node of each path; one of which nothing was said is left out, as Leshan does.
pub(crate) type Composite = BTreeMap<String, Node>;

/// What a payload said of several paths.
pub(crate) fn composite(paths: &[Path], entries: &[Entry]) -> Composite {
    let is_said = |path: &&Path| entries.iter().any(|entry| entry.path.starts_with(**path));
    let nodes =
        paths.iter().filter(is_said).filter_map(|path| Some((path.to_string(), node(*path, entries)?)));
    nodes.collect()
}

/// The node at `path`, made of what a payload said; `None` if it said nothing of it.
pub(crate) fn node(path: Path, entries: &[Entry]) -> Option<Node> {
    let inside: Inside<'_> = entries
        .iter()
        .filter(|entry| entry.path.starts_with(path) || path.starts_with(entry.path))
        .map(|entry| (entry.path, entry.value.as_ref()))
        .collect();
    match path.level() {
        Level::Root => {
            let objects = children(path, &inside).filter_map(|child| node(child, entries)).collect();
            Some(Node::Root { objects })
        }
        Level::Object => {
            let instances = children(path, &inside).filter_map(|child| instance(child, &inside)).collect();
            Some(Node::Object { id: path.last_id()?, instances })
        }
        Level::ObjectInstance => instance(path, &inside),
        Level::Resource => resource(path, &inside),
        Level::ResourceInstance => Some(Node::ResourceInstance(single(path, (*inside.get(&path)?)?)?)),
    }
}

/// The part of a payload that concerns a node.
type Inside<'a> = BTreeMap<Path, Option<&'a OwnedValue>>;

fn instance(path: Path, inside: &Inside<'_>) -> Option<Node> {
    let resources = children(path, inside).filter_map(|child| resource(child, inside)).collect();
    let is_named = inside.keys().any(|known| known.starts_with(path));
    is_named.then_some(Node::Instance { id: path.last_id()?, resources })
}

fn resource(path: Path, inside: &Inside<'_>) -> Option<Node> {
    if let Some(Some(value)) = inside.get(&path) {
        return Some(Node::SingleResource(single(path, value)?));
    }
    let mut values = BTreeMap::new();
    let mut value_type = None;
    for child in children(path, inside) {
        if let Some(Some(value)) = inside.get(&child) {
            value_type = Some(type_name(value));
            values.insert(child.last_id()?, NodeValue((*value).clone()));
        }
    }
    let is_named = inside.contains_key(&path) || value_type.is_some();
    let value_type = value_type.unwrap_or("STRING");
    is_named.then_some(Node::MultiResource { id: path.last_id()?, value_type, values })
}

fn single(path: Path, value: &OwnedValue) -> Option<Single> {
    Some(Single { id: path.last_id()?, value_type: type_name(value), value: NodeValue(value.clone()) })
}

fn children(path: Path, inside: &Inside<'_>) -> impl Iterator<Item = Path> {
    let mut children: Vec<Path> = inside
        .keys()
        .filter(|known| known.len() > path.len() && known.starts_with(path))
        .map(|known| known.truncated(path.len() + 1))
        .collect();
    children.dedup();
    children.into_iter()
}

fn type_name(value: &OwnedValue) -> &'static str {
    match value {
        OwnedValue::String(_) => "STRING",
        OwnedValue::Integer(_) => "INTEGER",
        OwnedValue::UnsignedInteger(_) => "UNSIGNED_INTEGER",
        OwnedValue::Float(_) => "FLOAT",
        OwnedValue::Boolean(_) => "BOOLEAN",
        OwnedValue::Opaque(_) => "OPAQUE",
        OwnedValue::Time(_) => "TIME",
        OwnedValue::ObjectLink(_) => "OBJLNK",
        OwnedValue::CoreLink(_) => "CORELINK",
    }
}

impl Serialize for NodeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            OwnedValue::String(text) | OwnedValue::CoreLink(text) => serializer.serialize_str(text),
            OwnedValue::Integer(number) => serializer.collect_str(number),
            OwnedValue::UnsignedInteger(number) => serializer.collect_str(number),
            // As Java writes it: always with a point.
            OwnedValue::Float(number) => serializer.collect_str(&format_args!("{number:?}")),
            OwnedValue::Boolean(on) => serializer.serialize_bool(*on),
            OwnedValue::Opaque(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            OwnedValue::Time(seconds) => serializer.serialize_i64(seconds.saturating_mul(1000)),
            OwnedValue::ObjectLink(link) => {
                let link = json!({
                    "objectId": link.object,
                    "objectInstanceId": link.instance,
                    "nullLink": link.object == NO_OBJECT && link.instance == NO_OBJECT,
                });
                link.serialize(serializer)
            }
        }
    }
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeFault {
    /// Something is not what it must be.
    Form(&'static str),
    /// It is none of this kind that could be written there.
    Kind { kind: String, path: Path },
    /// It belongs elsewhere.
    OtherId(Path),
    /// A resource instance has no such id.
    InstanceId(String),
    /// A member is no list.
    NoList(&'static str),
}

impl std::fmt::Display for NodeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form(words) => f.write_str(words),
            Self::Kind { kind, path } => write!(f, "a node of kind \"{kind}\" cannot be written to {path}"),
            Self::OtherId(path) => write!(f, "the \"id\" of the node is not that of {path}"),
            Self::InstanceId(id) => write!(f, "\"{id}\" is no resource instance id"),
            Self::NoList(name) => write!(f, "\"{name}\" must be a list"),
        }
    }
}

/// The id of a node.
const ID: NodeFault = NodeFault::Form("\"id\" must be 0 to 65534");

/// The values of a node in a request. `path` is where the node belongs; the ids inside must agree with it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(path: Path, node: &Json) -> Result<Vec<PathValue>, NodeFault> {
    let mut values = Vec::new();
    let object =
        node.as_object().ok_or(NodeFault::Form("the body must be a JSON object, a node of LwM2M"))?;
    let kind = kind_of(path, object)?;
    match (kind, path.level()) {
        ("instance", Level::Object | Level::ObjectInstance) => {
            parse_instance(instance_path(path, object)?, object, &mut values)?;
        }
        ("obj", Level::Object) => {
            check_id(path, object)?;
            for instance in list(object, "instances")? {
                let instance =
                    instance.as_object().ok_or(NodeFault::Form("each of \"instances\" must be an object"))?;
                parse_instance(instance_path(path, instance)?, instance, &mut values)?;
            }
        }
        ("singleResource" | "multiResource", Level::Resource) => {
            check_id(path, object)?;
            parse_resource(path, object, &mut values)?;
        }
        ("resourceInstance", Level::ResourceInstance) => {
            check_id(path, object)?;
            values.push(value_of(path, object.get("value"), object.get("type"))?);
        }
        (kind, _) => return Err(NodeFault::Kind { kind: kind.to_owned(), path }),
    }
    Ok(values)
}

/// A new instance of the object at `path`: its id, if the node has one, and its values, whose paths are relative to the instance.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_new_instance(
    path: Path,
    mut node: Json,
) -> Result<(Option<u16>, Vec<PathValue>), NodeFault> {
    let no_instance = NodeFault::Form("the body must be an object instance as a JSON object");
    let members = node.as_object_mut().ok_or(no_instance)?;
    let has_id = members.get("id").is_some_and(|id| !id.is_null());
    if !has_id {
        members.insert("id".to_owned(), json!(0));
    }
    let kind = kind_of(path, members)?;
    if kind != "instance" {
        return Err(NodeFault::Kind { kind: kind.to_owned(), path });
    }
    let instance = instance_path(path, members)?;
    let mut values = Vec::new();
    parse_instance(instance, members, &mut values)?;
    let start = format!("{instance}/");
    let relative = |value: PathValue| {
        let path = value.path.strip_prefix(&start)?.to_owned();
        Some(PathValue { path, ..value })
    };
    Ok((instance.instance_id().filter(|_| has_id), values.into_iter().filter_map(relative).collect()))
}

/// What a node is: as it says, or, since the clients of Leshan 1 say nothing, as it looks.
fn kind_of(path: Path, object: &Map<String, Json>) -> Result<&str, NodeFault> {
    if let Some(kind) = object.get("kind") {
        return kind.as_str().ok_or(NodeFault::Form("\"kind\" must be a string"));
    }
    let value = if path.level() == Level::ResourceInstance { "resourceInstance" } else { "singleResource" };
    let looks =
        [("instances", "obj"), ("resources", "instance"), ("values", "multiResource"), ("value", value)];
    let found = looks.into_iter().find(|(member, _)| object.contains_key(*member));
    found.map(|(_, kind)| kind).ok_or(NodeFault::Form(
        "the node has none of \"kind\", \"instances\", \"resources\", \"values\" and \"value\"",
    ))
}

fn parse_instance(
    path: Path,
    object: &Map<String, Json>,
    values: &mut Vec<PathValue>,
) -> Result<(), NodeFault> {
    let resources = list(object, "resources")?;
    if resources.is_empty() {
        values.push(empty(path));
    }
    for resource in resources {
        let resource =
            resource.as_object().ok_or(NodeFault::Form("each of \"resources\" must be an object"))?;
        let child = path.child(id_of(resource)?).ok_or(ID)?;
        parse_resource(child, resource, values)?;
    }
    Ok(())
}

fn parse_resource(
    path: Path,
    object: &Map<String, Json>,
    values: &mut Vec<PathValue>,
) -> Result<(), NodeFault> {
    let kind = object.get("type");
    match object.get("values") {
        None => values.push(value_of(path, object.get("value"), kind)?),
        Some(Json::Object(all)) => {
            if all.is_empty() {
                values.push(empty(path));
            }
            for (id, value) in all {
                let id = id.parse().map_err(|_| NodeFault::InstanceId(id.clone()))?;
                let child =
                    path.child(id).ok_or(NodeFault::Form("a resource instance id must be 0 to 65534"))?;
                values.push(value_of(child, Some(value), kind)?);
            }
        }
        Some(_) => return Err(NodeFault::Form("\"values\" must be an object of id to value")),
    }
    Ok(())
}

fn list<'a>(object: &'a Map<String, Json>, name: &'static str) -> Result<&'a [Json], NodeFault> {
    let list = object.get(name).and_then(Json::as_array);
    list.map(Vec::as_slice).ok_or(NodeFault::NoList(name))
}

fn instance_path(path: Path, object: &Map<String, Json>) -> Result<Path, NodeFault> {
    match path.level() {
        Level::Object => Ok(path.child(id_of(object)?).ok_or(ID)?),
        _ => check_id(path, object).map(|()| path),
    }
}

fn id_of(object: &Map<String, Json>) -> Result<u16, NodeFault> {
    // Scripts that cut the id out of a path send it as text.
    let id = object.get("id").and_then(|id| match id {
        Json::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|id| u16::try_from(id).ok()),
    });
    id.ok_or(NodeFault::Form("\"id\" is missing or not 0 to 65534"))
}

fn check_id(path: Path, object: &Map<String, Json>) -> Result<(), NodeFault> {
    match object.get("id") {
        None => Ok(()),
        Some(_) if Some(id_of(object)?) == path.last_id() => Ok(()),
        Some(_) => Err(NodeFault::OtherId(path)),
    }
}

fn value_of(path: Path, value: Option<&Json>, kind: Option<&Json>) -> Result<PathValue, NodeFault> {
    let value = value.filter(|value| !value.is_null()).ok_or(NodeFault::Form("\"value\" is missing"))?;
    let kind = kind.and_then(Json::as_str).map(str::to_owned);
    Ok(PathValue { path: path.to_string(), value: value.clone(), kind, at: None })
}

/// An instance without resources, or a resource without instances.
fn empty(path: Path) -> PathValue {
    PathValue { path: path.to_string(), value: Json::Null, kind: None, at: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, value: OwnedValue) -> Entry {
        Entry { path: path.parse().unwrap(), value: Some(value), time: None }
    }

    #[test]
    fn nodes_have_the_documented_shapes() {
        let entries = [
            entry("/3/0/9", OwnedValue::Integer(75)),
            entry("/3/0/7/0", OwnedValue::Integer(3800)),
            entry("/3/0/7/1", OwnedValue::Integer(5000)),
            entry("/3/0/13", OwnedValue::Time(1_795_466_474)),
        ];
        let written = |path| serde_json::to_value(node(path, &entries).unwrap()).unwrap();
        assert_eq!(
            written(Path::resource(3, 0, 9)),
            json!({"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "75"})
        );
        assert_eq!(
            written(Path::resource(3, 0, 7)),
            json!({"kind": "multiResource", "id": 7, "type": "INTEGER", "values": {"0": "3800", "1": "5000"}})
        );
        assert_eq!(
            written(Path::resource(3, 0, 13)),
            json!({"kind": "singleResource", "id": 13, "type": "TIME", "value": 1_795_466_474_000_i64})
        );
        let object = written(Path::object(3));
        assert_eq!((&object["kind"], &object["instances"][0]["id"]), (&json!("obj"), &json!(0)));
        assert_eq!(object["instances"][0]["resources"].as_array().unwrap().len(), 3);
        assert!(node(Path::resource(3, 0, 77), &entries).is_none());
    }

    fn value(path: &str, value: Json, kind: Option<&str>) -> PathValue {
        PathValue { path: path.to_owned(), value, kind: kind.map(str::to_owned), at: None }
    }

    #[test]
    fn what_is_written_has_the_type_that_the_node_names() {
        let light = Path::resource(3311, 0, 5850);
        let read = |body: Json| parse(light, &body);
        assert_eq!(
            read(json!({"kind": "singleResource", "id": 5850, "type": "boolean", "value": true})),
            Ok(vec![value("/3311/0/5850", json!(true), Some("boolean"))])
        );
        assert_eq!(
            read(json!({"kind": "singleResource", "id": 5850, "value": "true"})),
            Ok(vec![value("/3311/0/5850", json!("true"), None)])
        );
        assert!(read(json!({"kind": "singleResource", "id": 5850, "value": null})).is_err());
        assert!(read(json!({"kind": "singleResource", "id": 1, "value": true})).is_err());
        assert!(read(json!({"id": 5850})).unwrap_err().to_string().contains("kind"));
        assert!(read(json!([1])).is_err());
    }

    #[test]
    fn an_id_may_be_text_at_every_level() {
        let light = Path::resource(3311, 0, 5850);
        let on = Ok(vec![value("/3311/0/5850", json!(true), None)]);
        let resource = json!({"kind": "singleResource", "id": "5850", "value": true});
        let instance = json!({"kind": "instance", "id": "0", "resources": [resource]});
        let object = json!({"kind": "obj", "id": "3311", "instances": [instance]});
        assert_eq!(parse(light, &resource), on);
        assert_eq!(parse(Path::instance(3311, 0), &instance), on);
        assert_eq!(parse(Path::object(3311), &object), on);
        for wrong in [json!("5851"), json!("x"), json!(""), json!("-1"), json!(65_536), json!(1.5)] {
            let resource = json!({"kind": "singleResource", "id": wrong, "value": true});
            assert!(parse(light, &resource).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_node_without_kind_is_what_it_looks_like() {
        let (voltage, first) = (Path::resource(3, 0, 7), "/3/0/7/0".parse::<Path>().unwrap());
        let volts = Ok(vec![value("/3/0/7/0", json!(3800), None)]);
        let light = json!({"id": 5850, "value": true});
        let on = Ok(vec![value("/3311/0/5850", json!(true), None)]);
        assert_eq!(parse(Path::resource(3311, 0, 5850), &light), on);
        assert_eq!(parse(first, &json!({"id": 0, "value": 3800})), volts);
        assert_eq!(parse(voltage, &json!({"id": 7, "values": {"0": 3800}})), volts);
        let instance = json!({"id": 0, "resources": [light]});
        assert_eq!(parse(Path::instance(3311, 0), &instance), on);
        assert_eq!(parse(Path::object(3311), &json!({"instances": [instance]})), on);
    }

    #[test]
    fn what_is_empty_is_named_without_a_value() {
        assert_eq!(
            parse(Path::resource(3, 0, 7), &json!({"id": 7, "values": {}})),
            Ok(vec![value("/3/0/7", Json::Null, None)])
        );
        assert_eq!(
            parse(Path::instance(3303, 1), &json!({"id": 1, "resources": []})),
            Ok(vec![value("/3303/1", Json::Null, None)])
        );
    }

    #[test]
    fn a_new_instance_has_an_id_or_the_device_chooses() {
        let object = Path::object(3303);
        let values = || vec![value("5700", json!(1.5), None), value("5750/0", json!("a"), None)];
        let resources = json!([{"id": 5700, "value": 1.5}, {"id": 5750, "values": {"0": "a"}}]);
        let new = |body: Json| parse_new_instance(object, body);
        assert_eq!(new(json!({"id": 4, "resources": resources})), Ok((Some(4), values())));
        assert_eq!(new(json!({"kind": "instance", "resources": resources})), Ok((None, values())));
        assert_eq!(new(json!({"id": 4, "resources": []})), Ok((Some(4), vec![])));
        assert!(new(json!({"id": 3303, "instances": []})).is_err());
    }

    #[test]
    fn a_composite_leaves_out_the_paths_of_which_nothing_was_said() {
        let entries =
            [entry("/3/0/9", OwnedValue::Integer(75)), entry("/3303/0/5700", OwnedValue::Float(1.5))];
        let paths = ["/3/0/9", "/3/0/77", "/5", "/3303/7", "/3303/0", "/1/0/1/0"];
        let paths = paths.map(|path| path.parse::<Path>().unwrap());
        let said = composite(&paths, &entries);
        assert_eq!(said.keys().map(String::as_str).collect::<Vec<_>>(), ["/3/0/9", "/3303/0"]);
    }

    #[test]
    fn a_link_says_whether_it_leads_nowhere() {
        let link = |object, instance| {
            let link = buoy_lwm2m::value::ObjectLink { object, instance };
            serde_json::to_value(NodeValue(OwnedValue::ObjectLink(link))).unwrap()["nullLink"].clone()
        };
        assert_eq!((link(3, 0), link(65_535, 65_535)), (json!(false), json!(true)));
    }

    #[test]
    fn hexadecimal_digits_are_read_strictly() {
        assert_eq!(hex::decode("00ff"), Some(vec![0, 255]));
        assert_eq!((hex::decode("0"), hex::decode("+1"), hex::decode("zz")), (None, None, None));
    }
}
