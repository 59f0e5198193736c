//! `cargo xtask layers`: which of our crates may depend on which (ARCHITECTURE.md), that no files import each other in a circle, and what
//! may come from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package};

use crate::circles;
use crate::licence::is_allowed;
use crate::outcome::Outcome;
use crate::secrets;

/// The edges that are allowed. A new one needs a decision record in docs/adr.
const EDGES: &[(&str, &[&str])] = &[
    ("buoy", &["services", "http", "api", "store", "sim", "files", "client", "ota", "dtls", "lwm2m", "coap"]),
    // Leshan's dialect speaks of requests and answers as the engine does.
    ("http", &["services", "api", "lwm2m"]),
    ("services", &["server", "fleet", "store", "net", "files", "dtls", "ota", "lwm2m", "coap", "api"]),
    ("net", &["server", "dtls", "coap", "time"]),
    ("store", &["lwm2m", "fleet", "files"]),
    ("fleet", &["lwm2m", "time"]),
    ("api", &["lwm2m"]),
    ("server", &["lwm2m", "coap"]),
    ("sim", &["client", "files", "dtls", "ota", "lwm2m", "coap", "time"]),
    ("client", &["lwm2m", "coap", "ota"]),
    ("lwm2m", &["coap"]),
    ("coap", &["time"]),
    ("dtls", &["time"]),
    ("time", &[]),
    ("ota", &[]),
    ("files", &[]),
    ("portal", &[]),
    ("embedded", &["client", "dtls", "ota", "coap", "portal", "answers", "app", "boot", "prologues"]),
    // For tests: it pairs engines, and any crate's tests may use it.
    ("testkit", &["client", "server", "lwm2m", "coap", "dtls", "ota"]),
    // Measures from outside: sockets and messages are all it shares.
    ("bench", &["net", "sim", "dtls", "coap"]),
    ("xtask", &[]),
];

/// Only tests may depend on this one.
const TESTKIT: &str = "testkit";
const WORKSPACES: [&str; 3] = ["Cargo.toml", "embedded/Cargo.toml", "embedded/boards/esp32c3/Cargo.toml"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn step() -> Result<Outcome> {
    let mut complaints = Vec::new();
    let (mut crates, mut packages) = (0, 0);
    for manifest in WORKSPACES.into_iter().filter(|manifest| Path::new(manifest).exists()) {
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .features(CargoOpt::AllFeatures)
            .exec()
            .with_context(|| format!("cargo can't read {manifest}"))?;
        let allowed = allowed_licences()?;
        complaints.extend(edges_of(&metadata).iter().filter_map(forbidden));
        complaints.extend(metadata.packages.iter().filter_map(|package| unwanted(package, &allowed)));
        crates += metadata.workspace_members.len();
        packages += metadata.packages.len() - metadata.workspace_members.len();
    }
    complaints.extend(circles::complaints(Path::new("crates"))?);
    complaints.extend(secrets::complaints(Path::new("crates"))?);
    Ok(if complaints.is_empty() {
        Outcome::passed(format!("{crates} crates of ours, {packages} from elsewhere"))
    } else {
        Outcome::failed("layers", complaints.join("\n"))
    })
}

/// A dependency of one of our crates on another.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    is_for_tests: bool,
}

fn edges_of(metadata: &Metadata) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in metadata.workspace_packages() {
        let from = place_of(package);
        for dependency in &package.dependencies {
            // Our crates are those that are named by a path.
            if dependency.path.is_some() {
                let to = short(&dependency.name).to_owned();
                let is_for_tests = dependency.kind == DependencyKind::Development;
                edges.push(Edge { from: from.clone(), to, is_for_tests });
            }
        }
    }
    edges
}

/// All of `embedded` counts as one: its packages are a device's shells.
fn place_of(package: &Package) -> String {
    let is_embedded = package.manifest_path.components().any(|part| part.as_str() == "embedded");
    if is_embedded { "embedded".to_owned() } else { short(&package.name).to_owned() }
}

fn short(name: &str) -> &str {
    name.strip_prefix("buoy-").unwrap_or(name)
}

/// A complaint about an edge, if it is not allowed.
fn forbidden(edge: &Edge) -> Option<String> {
    let Edge { from, to, is_for_tests } = edge;
    // A crate's tests may ask for features of the crate itself.
    let is_of_tests = *is_for_tests && (to == TESTKIT || to == from);
    let table: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let is_listed = table.get(from.as_str()).is_some_and(|allowed| allowed.contains(&to.as_str()));
    let is_within = from == to && from == "embedded";
    (!is_of_tests && !is_listed && !is_within).then(|| {
        let allowed = table.get(from.as_str()).map_or("nothing".to_owned(), |allowed| allowed.join(", "));
        format!("{from} must not depend on {to} (allowed: {allowed}); the layers are in ARCHITECTURE.md")
    })
}

/// A complaint about a package from elsewhere, if its licence or its source is not allowed.
fn unwanted(package: &Package, allowed: &BTreeSet<String>) -> Option<String> {
    let name = format!("{} {}", package.name, package.version);
    if let Some(source) = &package.source
        && source.repr != REGISTRY
    {
        return Some(format!("{name} comes from {source}, and not from crates.io"));
    }
    match &package.license {
        Some(licence) if is_allowed(licence, allowed) => None,
        Some(licence) => Some(format!("{name} has the licence {licence}; deny.toml lists what is allowed")),
        None => Some(format!("{name} names no licence")),
    }
}

/// The list that cargo-deny uses too.
fn allowed_licences() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string("deny.toml").context("deny.toml is missing")?;
    let rules: toml::Table = text.parse().context("deny.toml is malformed")?;
    let list = rules.get("licenses").and_then(|section| section.get("allow")).and_then(toml::Value::as_array);
    let list = list.context("deny.toml has no list `allow` under [licenses]")?;
    Ok(list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(from: &str, to: &str, is_for_tests: bool) -> bool {
        forbidden(&Edge { from: from.into(), to: to.into(), is_for_tests }).is_none()
    }

    #[test]
    fn dependencies_point_one_way() {
        assert!(is_allowed("server", "coap", false));
        assert!(!is_allowed("coap", "server", false));
        assert!(!is_allowed("coap", "dtls", false) && !is_allowed("dtls", "coap", false));
        assert!(!is_allowed("server", "client", true), "not even in tests: that is what testkit is for");
    }

    #[test]
    fn only_tests_depend_on_testkit() {
        assert!(is_allowed("lwm2m", TESTKIT, true));
        assert!(!is_allowed("lwm2m", TESTKIT, false));
    }

    #[test]
    fn a_crate_that_nobody_thought_of_may_depend_on_nothing_of_ours() {
        assert!(!is_allowed("novelty", "coap", false));
    }

    #[test]
    fn the_table_has_no_circle() {
        let table: BTreeMap<_, _> = EDGES.iter().copied().collect();
        fn visit(name: &str, table: &BTreeMap<&str, &[&str]>, trail: &mut Vec<String>) {
            assert!(!trail.contains(&name.to_owned()), "{trail:?} → {name}");
            trail.push(name.to_owned());
            table.get(name).copied().unwrap_or_default().iter().for_each(|next| visit(next, table, trail));
            trail.pop();
        }
        table.keys().for_each(|name| visit(name, &table, &mut Vec::new()));
    }
}
