//! Files of one crate that import each other in a circle, by a simple reading of their `use` lines.
//!
//! Two files may know each other, as a module and its parent do. A circle of three or more has no beginning for who reads it, and nothing
//! in it can be moved or tested alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Complaints about all crates in a folder.
pub(crate) fn complaints(folder: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let crates = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let mut crates: Vec<PathBuf> = crates.filter_map(|entry| Some(entry.ok()?.path())).collect();
    crates.sort();
    for root in crates.iter().map(|path| path.join("src")).filter(|path| path.is_dir()) {
        let circles = Graph::read(&root)?.circles();
        all.extend(circles.into_iter().map(|circle| {
            let files = circle.iter().map(|module| module.replace("::", "/")).collect::<Vec<_>>();
            format!("{}: files import each other in a circle: {}", root.display(), files.join(" → "))
        }));
    }
    Ok(all)
}

/// Which module of a crate imports which. The root's name is empty.
#[derive(Debug, Default)]
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

/// A file as far as its imports go.
#[derive(Debug, Default)]
struct Source {
    /// The paths that it imports, without what is only exported again.
    imports: Vec<String>,
    /// Names that it exports again, and where they come from.
    exports: BTreeMap<String, String>,
}

impl Graph {
    fn read(root: &Path) -> Result<Self> {
        let mut sources = BTreeMap::new();
        read_folder(root, root, &mut sources)?;
        Ok(Self::of(&sources))
    }

    fn of(sources: &BTreeMap<String, Source>) -> Self {
        let mut graph = Self::default();
        for (module, source) in sources {
            let imported = source.imports.iter().filter_map(|path| resolve(path, sources));
            let others = imported.filter(|other| other != module);
            graph.edges.entry(module.clone()).or_default().extend(others);
        }
        graph
    }

    /// Circles of three files and more: one for each file that is in any.
    fn circles(&self) -> Vec<Vec<String>> {
        let mut found: Vec<Vec<String>> = Vec::new();
        for (from, others) in &self.edges {
            for to in others {
                if found.iter().any(|circle| circle.contains(from) && circle.contains(to)) {
                    continue;
                }
                if let Some(way_back) = self.way(to, from) {
                    found.push(std::iter::once(from.clone()).chain(way_back).collect());
                }
            }
        }
        found
    }

    /// The shortest way from one file to another that is longer than a step.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = std::collections::VecDeque::from([vec![from.to_owned()]]);
        let mut seen = BTreeSet::from([from.to_owned()]);
        while let Some(way) = ways.pop_front() {
            let last = way.last()?;
            for next in self.edges.get(last).into_iter().flatten() {
                if next == to && way.len() == 1 {
                    continue;
                }
                if next == to {
                    return Some(way.into_iter().chain([to.to_owned()]).collect());
                }
                if seen.insert(next.clone()) {
                    ways.push_back(way.iter().cloned().chain([next.clone()]).collect());
                }
            }
        }
        None
    }
}

fn read_folder(root: &Path, folder: &Path, sources: &mut BTreeMap<String, Source>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            read_folder(root, &path, sources)?;
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let module = module_of(root, &path);
            let text = fs::read_to_string(&path)?;
            sources.insert(module.clone(), Source::read(&module, &text));
        }
    }
    Ok(())
}

/// The module of a file, as in `shard::report`; empty for the crate's root.
fn module_of(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts.join("::")
}

impl Source {
    fn read(module: &str, text: &str) -> Self {
        let mut source = Self::default();
        // Tests may reach for anything.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for statement in statements(code) {
            for path in expand(&statement.tree) {
                let Some(path) = absolute(module, &path) else { continue };
                if statement.is_exported {
                    let name = path.rsplit("::").next().unwrap_or_default().to_owned();
                    let own = if module.is_empty() { name } else { format!("{module}::{name}") };
                    source.exports.insert(own, path);
                } else {
                    source.imports.push(path);
                }
            }
        }
        source
    }
}

/// A `use` statement.
struct Statement {
    tree: String,
    is_exported: bool,
}

fn statements(code: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        let exported = line.strip_prefix("pub").and_then(|rest| {
            let rest = if rest.starts_with('(') { rest.split_once(')')?.1 } else { rest };
            rest.trim_start().strip_prefix("use ")
        });
        let Some(start) = exported.or_else(|| line.strip_prefix("use ")) else { continue };
        let mut tree = start.to_owned();
        while !tree.contains(';') {
            let Some(more) = lines.next() else { break };
            tree += more.trim();
        }
        let tree = tree.split(';').next().unwrap_or_default().to_owned();
        found.push(Statement { tree, is_exported: exported.is_some() });
    }
    found
}

/// The paths of a tree such as `super::{a, b::{c, d}}`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().trim_end_matches("::*").trim_end_matches("::self").to_owned()];
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (place, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| {
            expand(part).into_iter().map(|path| match path.as_str() {
                "self" => head.trim_end_matches("::").to_owned(),
                _ => format!("{head}{path}"),
            })
        })
        .collect()
}

/// A path from the crate's root; `None` if it leads out of the crate.
fn absolute(module: &str, path: &str) -> Option<String> {
    if path == "crate" {
        return Some(String::new());
    }
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut rest = path;
    let mut is_relative = false;
    while let Some(after) = rest.strip_prefix("super") {
        base.pop();
        is_relative = true;
        rest = after.trim_start_matches("::");
    }
    if let Some(after) = rest.strip_prefix("self::") {
        is_relative = true;
        rest = after;
    }
    // What names a crate or a module below looks alike: only those that are modules are found later.
    let is_below = !is_relative;
    let joined =
        base.into_iter().chain([rest]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::");
    (is_relative || is_below).then_some(joined)
}

/// The module in which a path lies, behind what is only exported again.
fn resolve(path: &str, sources: &BTreeMap<String, Source>) -> Option<String> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let exported = sources.values().find_map(|source| {
            source.exports.iter().find(|(name, _)| path == **name || path.starts_with(&format!("{name}::")))
        });
        match exported {
            Some((name, origin)) if path != *origin => path = format!("{origin}{}", &path[name.len()..]),
            _ => break,
        }
    }
    let mut module = path.as_str();
    loop {
        if sources.contains_key(module) {
            return Some(module.to_owned());
        }
        module = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        if module.is_empty() {
            // A first segment that is no module is another crate, unless it stood behind `crate`.
            return (!path.contains("::") && sources.contains_key("")).then(String::new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Graph {
        let sources = files.iter().map(|(module, text)| ((*module).to_owned(), Source::read(module, text)));
        Graph::of(&sources.collect())
    }

    #[test]
    fn a_circle_of_three_is_found_and_one_of_two_is_not() {
        let two = graph(&[("a", "use crate::b::B;"), ("b", "use super::a::{A, C};")]);
        assert_eq!(two.circles(), Vec::<Vec<String>>::new());
        let three = graph(&[
            ("a", "use crate::{b::B, other};"),
            ("b", "use super::c::{\n    C,\n};"),
            ("c", "use crate::a;"),
            ("d", "use crate::a::A;"),
        ]);
        assert_eq!(three.circles(), [["a", "b", "c", "a"]]);
    }

    #[test]
    fn what_is_exported_again_leads_to_where_it_is() {
        let files = [
            ("", "mod a;\nmod b;\npub use a::A;\npub use b::{B, C};"),
            ("a", "use crate::B;"),
            ("b", "use std::fmt;"),
            ("b::inner", "use super::B;\nuse crate::A;"),
        ];
        let graph = graph(&files);
        assert_eq!(graph.edges["a"], BTreeSet::from(["b".to_owned()]));
        assert_eq!(graph.edges["b::inner"], BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert!(graph.edges["b"].is_empty());
    }

    #[test]
    fn tests_and_other_crates_are_no_imports() {
        let graph =
            graph(&[("a", "use buoy_coap::b::B;\n#[cfg(test)]\nmod tests { use crate::b::B; }"), ("b", "")]);
        assert!(graph.edges["a"].is_empty());
    }
}
