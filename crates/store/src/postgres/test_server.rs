//! A PostgreSQL server for tests: private, on a Unix socket in a temporary folder, gone with the process that started it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::link::{Driver, Link};
use super::place::Place;

/// What is to be installed.
pub const HOW_TO_GET: &str = "apt-get install postgresql";

/// Starts a server, says where, and ends it when standard input does: when the process that holds its other end has ended, however that came.
const SCRIPT: &str = r#"
set -eu
trap '' INT
dir=$(mktemp -d /tmp/buoy-postgres-XXXXXX)
trap 'rm -rf "$dir"' EXIT
"$1/initdb" -D "$dir/data" -U buoy -A trust -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$1/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync="$2" -c max_connections=200 \
    -c shared_buffers=64MB >>"$dir/log" 2>&1 &
pid=$!
tries=0
until "$1/pg_isready" -q -h "$dir" -U buoy -d postgres; do
    tries=$((tries + 1))
    kill -0 $pid && [ $tries -lt 1200 ] || { cat "$dir/log" >&2; kill -QUIT $pid; exit 1; }
    sleep 0.05
done
echo "$dir"
cat >/dev/null
kill -QUIT $pid
wait $pid || true
"#;

/// Whether commits of the server survive the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// They wait for the disk: to measure.
    Real,
    /// They don't: faster, for tests of everything else.
    None,
}

/// A server that runs.
#[derive(Debug)]
pub struct TestServer {
    /// Its input ends the server when it is dropped.
    _child: Child,
    folder: PathBuf,
}

impl TestServer {
    /// Starts one.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, in words.
    ///
    /// # Panics
    /// If it is, and does not start.
    pub fn start(durability: Durability) -> Result<Self, &'static str> {
        let programs = programs().ok_or(HOW_TO_GET)?;
        let mut command = if is_root() {
            // The server refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let fsync = if durability == Durability::Real { "on" } else { "off" };
        command.args(["-c", SCRIPT, "sh"]).arg(programs).arg(fsync).current_dir("/");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("`sh` and `setpriv` are there");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the script says where the server is");
        assert!(!line.is_empty(), "PostgreSQL did not start; see above");
        Ok(Self { _child: child, folder: line.trim().into() })
    }

    /// The one of this process. None if PostgreSQL is not installed; the test is then to be skipped, and that has been said.
    ///
    /// # Panics
    /// Where tests must not be skipped (`CI=true`).
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<TestServer, &'static str>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::start(Durability::None)) {
            Ok(server) => Some(server),
            Err(how_to_get) => {
                assert!(std::env::var("CI").is_err(), "PostgreSQL is not installed: {how_to_get}");
                println!("skipped: {how_to_get}");
                None
            }
        }
    }

    /// The folder of its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL of a database, which is made if there is none of this name.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let place = Place::parse(&self.url("postgres")).expect("it is a URL");
        let driver = Driver::start("postgres tests").expect("a thread");
        let mut link = Link::connect(&driver, &place).expect("the server runs");
        let there = link.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).expect("an answer");
        if there.is_empty() {
            link.batch("SET default_transaction_read_only = off").expect("a setting");
            link.batch(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).expect("a database");
        }
        self.url(name)
    }

    fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?user=buoy&host={}", self.folder.display())
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The folder of the server's programs: Debian's, of the latest version, or one of the path.
fn programs() -> Option<PathBuf> {
    let has_all =
        |folder: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).exists());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin")).filter(has_all).max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.or_else(|| std::env::split_paths(&path).find(has_all))
}
