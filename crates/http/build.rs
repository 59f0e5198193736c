//! Builds the web page and embeds its files.
//!
//! `web/dist` is built by npm if Node.js is there and the sources have changed since the last build. `BUOY_WEB=off` leaves the page out, and
//! `BUOY_WEB=require` makes it an error if the page can't be built. The files are then listed in `page_files.rs`, which `page.rs` includes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// What the page is made from, in `web`.
const SOURCES: [&str; 8] = [
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "scripts",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];
/// The oldest Node.js that Vite runs on.
const NODE: (u32, u32) = (20, 19);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let web = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../web");
    println!("cargo::rerun-if-env-changed=BUOY_WEB");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES.iter().map(|name| web.join(name)).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let wish = std::env::var("BUOY_WEB").unwrap_or_default();
    let built = match wish.as_str() {
        "off" => Err("it was left out by BUOY_WEB=off".into()),
        _ => build(&web),
    };
    let listed = match built {
        Ok(()) => list(&web.join("dist"), &out)?,
        Err(reason) if wish == "require" => return Err(format!("the web page is not built: {reason}").into()),
        Err(reason) => {
            if wish != "off" {
                println!("cargo::warning=the program is built without its web page: {reason}");
            }
            format!("const REASON: &str = {:?};\nconst FILES: &[PageFile] = &[];\n", reason.to_string())
        }
    };
    fs::write(out.join("page_files.rs"), listed)?;
    Ok(())
}

/// Builds `web/dist` unless it is what the sources would give.
fn build(web: &Path) -> Result<()> {
    if !web.join("package.json").exists() {
        return Err("the folder web is missing".into());
    }
    // Builds of several target folders may run at the same time.
    let lock = File::create(web.join(".build-lock"))?;
    lock.lock()?;
    let sources = fingerprint(web, &SOURCES)?;
    let mark = web.join("dist/.sources");
    if fs::read_to_string(&mark).is_ok_and(|built| built == sources) {
        return Ok(());
    }
    check_node()?;
    let packages = fingerprint(web, &["package-lock.json"])?;
    let installed = web.join("node_modules/.packages");
    if !fs::read_to_string(&installed).is_ok_and(|mark| mark == packages) {
        npm(web, &["ci", "--no-audit", "--no-fund", "--ignore-scripts"])?;
        fs::write(installed, packages)?;
    }
    npm(web, &["run", "build"])?;
    fs::write(mark, sources)?;
    Ok(())
}

fn check_node() -> Result<()> {
    let how = format!("install Node.js {}.{} or later with npm, and build again", NODE.0, NODE.1);
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|error| format!("node can't be started ({error}); {how}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers =
        version.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NODE { Err(format!("Node.js is {version}; {how}").into()) } else { Ok(()) }
}

fn npm(web: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(web).stdin(Stdio::null());
    let said = format!("npm {}", arguments.join(" "));
    let output = command.output().map_err(|error| format!("{said} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = [output.stderr, output.stdout].concat();
    let words = String::from_utf8_lossy(&words).replace("npm error", "");
    let start: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    Err(format!("{said} failed in {}: {}", web.display(), start.join(" | ")).into())
}

/// A hash over the names and contents of files and folders.
fn fingerprint(web: &Path, names: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in
        names.iter().map(|name| web.join(name)).map(|path| files(&path)).collect::<Result<Vec<_>>>()?.concat()
    {
        let name = file.strip_prefix(web)?.to_string_lossy().into_owned();
        let bytes = fs::read(&file)?;
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(&bytes);
    }
    Ok(hex(&hash.finalize()))
}

/// All files at or under a path, ordered by name.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path)? {
        entries.push(entry?.path());
    }
    entries.sort();
    Ok(entries.iter().map(|entry| files(entry)).collect::<Result<Vec<_>>>()?.concat())
}

/// Copies the files of the page to `out`, where no other build changes them, and writes the table of them.
fn list(dist: &Path, out: &Path) -> Result<String> {
    let copies = out.join("page");
    let _ = fs::remove_dir_all(&copies);
    let mut table = "const REASON: &str = \"\";\nconst FILES: &[PageFile] = &[\n".to_owned();
    for file in files(dist)? {
        let name = file.strip_prefix(dist)?.to_string_lossy().replace('\\', "/");
        if name.starts_with('.') || name.ends_with(".br") || name.ends_with(".gz") {
            continue;
        }
        let copy = |suffix: &str| -> Result<Option<PathBuf>> {
            let from = dist.join(format!("{name}{suffix}"));
            if !from.exists() {
                return Ok(None);
            }
            let to = copies.join(format!("{name}{suffix}"));
            fs::create_dir_all(to.parent().unwrap_or(&copies))?;
            fs::copy(&from, &to)?;
            Ok(Some(to))
        };
        let included = |path: Option<PathBuf>| match path {
            Some(path) => format!("Some(include_bytes!({path:?}))"),
            None => "None".to_owned(),
        };
        let plain = copy("")?.ok_or("a file of the page vanished")?;
        let tag = hex(&Sha256::digest(fs::read(&plain)?)[..12]);
        let (br, gz) = (included(copy(".br")?), included(copy(".gz")?));
        writeln!(
            table,
            "    PageFile {{ name: {name:?}, tag: \"\\\"{tag}\\\"\", plain: include_bytes!({plain:?}), br: {br}, gzip: {gz} }},"
        )?;
    }
    table.push_str("];\n");
    Ok(table)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
