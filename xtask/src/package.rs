//! The Debian package: built by Debian's own `dpkg-deb`, unpacked by `dpkg`, and its program started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{Run, is_installed};
use crate::outcome::Outcome;

/// Where the package is built.
const FOLDER: &str = "target/package";
/// How long the installed program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `systemd-analyze security` may give the unit at most, in tenths; 100 is a service without any protection.
const MOST_EXPOSED: &str = "25";

/// `cargo xtask package deb`.
pub(crate) fn deb() -> Result<ExitCode> {
    let built = Run::cargo(&["build", "--release", "--package", "buoy"]).in_the_open()?;
    ensure!(built.success(), "the program cannot be built");
    let package = build(Path::new("target/release/buoy"), "-Zxz")?;
    println!("{}", package.display());
    Ok(ExitCode::SUCCESS)
}

/// The package of the program as it was built for the tests, unpacked into a root of its own.
pub(crate) fn step() -> Result<Outcome> {
    if !is_installed("dpkg-deb", "--version") {
        return Ok(Outcome::skipped("package", "apt-get install dpkg, on Debian or Ubuntu"));
    }
    let built = Run::cargo(&["build", "--quiet", "--package", "buoy"]).log("package-build").finish()?;
    if !built.success {
        return Ok(Outcome::failed("package", built.output));
    }
    let mut outcome = Outcome::default();
    let package = build(Path::new("target/debug/buoy"), "-Znone")?;
    outcome.passed += 1;
    let started = unpack(&package).and_then(|root| start(&root));
    outcome.check(
        "the program of the package",
        started.is_ok(),
        started.err().map(|it| format!("{it:#}\n")).unwrap_or_default(),
    );
    for script in ["postinst", "prerm", "postrm"] {
        let path = format!("packaging/debian/{script}");
        let checked = Run::new("sh", &["-n", &path]).log(&format!("package-{script}")).finish()?;
        outcome.check(script, checked.success, checked.output);
    }
    if is_installed("systemd-analyze", "--version") {
        let threshold = format!("--threshold={MOST_EXPOSED}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, "packaging/buoy.service"];
        let checked = Run::new("systemd-analyze", &arguments).log("package-unit").finish()?;
        outcome.check("the unit is hardened", checked.success, checked.output);
    } else {
        outcome.skip("the unit", "apt-get install systemd");
    }
    outcome.summary = format!("{} kB", fs::metadata(&package)?.len() / 1000);
    Ok(outcome)
}

/// Builds the package of a program. The tests need none of the time that it takes to pack it.
fn build(program: &Path, compression: &str) -> Result<PathBuf> {
    let folder = Path::new(FOLDER);
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let put = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let target = tree.join(to);
        fs::create_dir_all(target.parent().unwrap_or(&tree))?;
        fs::copy(from, &target).with_context(|| format!("{} is missing", from.display()))?;
        Ok(fs::set_permissions(&target, fs::Permissions::from_mode(mode))?)
    };
    put(program, "usr/bin/buoy", 0o755)?;
    // Without the tables of the debugger it is a tenth.
    let target = tree.join("usr/bin/buoy");
    let stripped = Run::new("strip", &["--strip-debug", &target.to_string_lossy()]).finish();
    ensure!(stripped.is_ok_and(|it| it.success), "`strip` is missing; apt-get install binutils");
    put(Path::new("packaging/buoy.service"), "usr/lib/systemd/system/buoy.service", 0o644)?;
    put(Path::new("packaging/buoy.toml"), "etc/buoy/buoy.toml", 0o644)?;
    put(Path::new("LICENSE-MIT"), "usr/share/doc/buoy/copyright", 0o644)?;
    put(Path::new("CHANGELOG.md"), "usr/share/doc/buoy/CHANGELOG.md", 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&Path::new("packaging/debian").join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    fs::write(tree.join("DEBIAN/conffiles"), "/etc/buoy/buoy.toml\n")?;
    write_pages(program, &tree)?;
    let (version, architecture) = (version()?, words("dpkg", &["--print-architecture"])?);
    let control = format!(
        "Package: buoy\nVersion: {version}\nArchitecture: {architecture}\nSection: net\nPriority: optional\n\
        Maintainer: The Buoy project <buoy@localhost>\nDepends: libc6 (>= {}), libgcc-s1, passwd\nSuggests: postgresql\n\
        Description: server for small connected devices (LwM2M)\n \
        Registers devices over CoAP and DTLS, reads and commands them, records their\n \
        values, and updates their firmware. It has a REST interface, a web page and a\n command line.\n",
        words("getconf", &["GNU_LIBC_VERSION"])?.trim_start_matches("glibc "),
    );
    fs::write(tree.join("DEBIAN/control"), control)?;
    let package = folder.join(format!("buoy_{version}_{architecture}.deb"));
    let arguments =
        ["--root-owner-group", compression, "--build", &tree.to_string_lossy(), &package.to_string_lossy()];
    let built = Run::new("dpkg-deb", &arguments).finish()?;
    ensure!(built.success, "{}", built.output);
    Ok(package)
}

/// Manual pages, and the script of bash's completions.
fn write_pages(program: &Path, tree: &Path) -> Result<()> {
    let pages = tree.join("usr/share/man/man1");
    let written = Run::new(&program.to_string_lossy(), &["man", &pages.to_string_lossy()]).finish()?;
    ensure!(written.success, "{}", written.output);
    for page in fs::read_dir(&pages)? {
        let page = page?.path();
        let packed = Run::new("gzip", &["--best", "--no-name", &page.to_string_lossy()]).finish()?;
        ensure!(packed.success, "{}", packed.output);
    }
    let script = Command::new(program).args(["completions", "bash"]).output()?;
    let place = tree.join("usr/share/bash-completion/completions");
    fs::create_dir_all(&place)?;
    Ok(fs::write(place.join("buoy"), script.stdout)?)
}

fn version() -> Result<String> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string("Cargo.toml")?)?;
    let version = manifest.get("workspace").and_then(|it| it.get("package")).and_then(|it| it.get("version"));
    version.and_then(|it| it.as_str()).map(str::to_owned).context("Cargo.toml has no version")
}

fn words(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("`{program}` is missing"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Unpacks a package by `dpkg` into a root that has nothing else: scripts, which would change this machine, are not run.
fn unpack(package: &Path) -> Result<PathBuf> {
    let root = std::path::absolute(Path::new(FOLDER).join("root"))?;
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for folder in ["info", "updates"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(folder))?;
    }
    fs::write(root.join("var/lib/dpkg/status"), "")?;
    let at = format!("--root={}", root.display());
    let arguments = [&at, "--force-not-root", "--force-depends", "--unpack", &package.to_string_lossy()];
    let unpacked = Run::new("dpkg", &arguments).log("package-dpkg").finish()?;
    ensure!(unpacked.success, "{}", unpacked.output);
    for file in ["usr/lib/systemd/system/buoy.service", "usr/share/man/man1/buoy-ctl.1.gz"] {
        ensure!(root.join(file).exists(), "the package has no {file}");
    }
    Ok(root)
}

/// Starts the unpacked program with the settings of the package, on ports and in a folder of its own, until it is ready.
fn start(root: &Path) -> Result<()> {
    let log = Path::new(FOLDER).join("serve.log");
    let mut settings = root.join("etc/buoy/buoy.toml");
    if !settings.exists() {
        // A package that is not configured yet has its settings under this name.
        settings.set_extension("toml.dpkg-new");
    }
    let mut command = Command::new(root.join("usr/bin/buoy"));
    command.args(["serve", "--config"]).arg(settings);
    command.env("BUOY_DATA", root.join("var/lib/buoy/data")).env("BUOY_COAPS", "127.0.0.1:0");
    command.env("BUOY_HTTP", "127.0.0.1:0").stdin(Stdio::null());
    command.stdout(fs::File::create(&log)?).stderr(Stdio::null());
    let mut server = Ended(command.spawn()?);
    let since = Instant::now();
    while !fs::read_to_string(&log)?.lines().any(|line| line.starts_with("REST")) {
        if let Some(status) = server.0.try_wait()? {
            bail!("it ended with {status}: {}", fs::read_to_string(&log)?);
        }
        ensure!(since.elapsed() < PATIENCE, "it is not ready after {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
    let stopped = Run::new("kill", &["-TERM", &server.0.id().to_string()]).finish()?;
    ensure!(stopped.success, "{}", stopped.output);
    let status = server.0.wait()?;
    ensure!(status.success(), "it ended with {status} when it was told to stop");
    Ok(())
}

/// A process that does not outlive the check.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
