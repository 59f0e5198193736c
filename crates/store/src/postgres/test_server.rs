//! A PostgreSQL server for tests: private, in a temporary folder, gone with the process that started it.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::link::{Driver, Link};
use super::place::Place;

/// What is to be installed.
pub const HOW_TO_GET: &str = "apt-get install postgresql";

/// Starts a server, says where, and does what its input asks for. It ends the server with its input: when the process that holds the other end
/// has ended, however that came.
const SCRIPT: &str = r#"
set -eu
trap '' INT
programs=$1 fsync=$2 port=$3
dir=$(mktemp -d /tmp/buoy-postgres-XXXXXX)
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT
tls=off listen=
if [ -n "$TLS_KEY" ]; then
    tls=on
    printf %s "$TLS_CERTIFICATE" >"$dir/server.crt"
    (umask 077 && printf %s "$TLS_KEY" >"$dir/server.key")
fi
[ -z "$PASSWORD" ] || listen=localhost
printf %s "${PASSWORD:-none}" >"$dir/password"
"$programs/initdb" -D "$dir/data" -U buoy --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password" \
    -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
rm "$dir/password"
start() {
    "$programs/postgres" -D "$dir/data" -k "$dir" -p "$port" -c listen_addresses="$listen" -c fsync="$fsync" \
        -c max_connections=200 -c shared_buffers=64MB -c ssl=$tls -c ssl_cert_file="$dir/server.crt" \
        -c ssl_key_file="$dir/server.key" >>"$dir/log" 2>&1 &
    pid=$!
    tries=0
    until "$programs/pg_isready" -q -h "$dir" -p "$port" -U buoy -d postgres; do
        tries=$((tries + 1))
        kill -0 $pid && [ $tries -lt 1200 ] || { cat "$dir/log" >&2; kill -QUIT $pid; exit 1; }
        sleep 0.05
    done
}
stop() {
    [ -n "$pid" ] || return 0
    kill -CONT $(all) || true
    kill -QUIT $pid
    wait $pid || true
    pid=
}
all() { echo $pid $(cat /proc/$pid/task/$pid/children 2>/dev/null); }
start
echo "$dir"
while read -r line; do
    case $line in
    start) start ;;
    stop) stop ;;
    halt) kill -STOP $(all) || true ;;
    go-on) kill -CONT $(all) || true ;;
    standby) stop; touch "$dir/data/standby.signal"; start ;;
    esac
    echo done
done
stop
"#;

/// Whether commits of the server survive the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// They wait for the disk: to measure.
    Real,
    /// They don't: faster, for tests of everything else.
    None,
}

/// Where a server is reached, beside its Unix socket.
#[derive(Clone, Copy)]
pub enum Network<'a> {
    /// Nowhere.
    None,
    /// At a port of `localhost`, by this password of its user `buoy`.
    Plain {
        /// The password.
        password: &'a str,
    },
    /// The same, by TLS if it is asked for.
    Tls {
        /// The password.
        password: &'a str,
        /// The server's certificate (PEM).
        certificate: &'a str,
        /// Its key (PEM).
        key: &'a str,
    },
}

/// A server that runs.
#[derive(Debug)]
pub struct TestServer {
    /// Its input ends the server when it is dropped.
    script: Mutex<(Child, BufReader<ChildStdout>)>,
    folder: PathBuf,
    port: u16,
}

impl TestServer {
    /// Starts one.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, in words.
    ///
    /// # Panics
    /// If it is, and does not start.
    pub fn start(durability: Durability, network: Network<'_>) -> Result<Self, &'static str> {
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
        let (port, password, certificate, key) = match network {
            Network::None => (5432, "", "", ""),
            Network::Plain { password } => (free_port(), password, "", ""),
            Network::Tls { password, certificate, key } => (free_port(), password, certificate, key),
        };
        command.args(["-c", SCRIPT, "sh"]).arg(programs).arg(fsync).arg(port.to_string()).current_dir("/");
        command.env("PASSWORD", password).env("TLS_CERTIFICATE", certificate).env("TLS_KEY", key);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("`sh` and `setpriv` are there");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Self { script: Mutex::new((child, output)), folder: PathBuf::new(), port };
        server.folder = server.line().into();
        Ok(server)
    }

    /// The one of this process. None if PostgreSQL is not installed; the test is then to be skipped, and that has been said.
    ///
    /// # Panics
    /// Where tests must not be skipped (`CI=true`).
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<TestServer>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_or_skip(Network::None)).as_ref()
    }

    /// One of the test's own, to be stopped. None as with [`TestServer::shared`].
    ///
    /// # Panics
    /// Where tests must not be skipped (`CI=true`).
    #[must_use]
    pub fn start_or_skip(network: Network<'_>) -> Option<Self> {
        match Self::start(Durability::None, network) {
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

    /// Its port, in the name of the socket and at `localhost`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash does: nothing is finished, and sessions end at once (`pg_ctl stop -m immediate`).
    pub fn stop(&self) {
        self.ask("stop");
    }

    /// Starts it again where it was.
    pub fn start_again(&self) {
        self.ask("start");
    }

    /// Stops all its processes as they are: connections are taken by the system, and nobody answers.
    pub fn halt(&self) {
        self.ask("halt");
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        self.ask("go-on");
    }

    /// Starts it again as a standby, which can't be written until [`TestServer::run`] promotes it.
    pub fn make_standby(&self) {
        self.ask("standby");
    }

    /// Runs SQL as the administrator, in a database that is there.
    ///
    /// # Panics
    /// If that fails.
    pub fn run(&self, database: &str, sql: &str) {
        let link = self.link(database);
        link.1.batch(sql).expect("the statement is right");
    }

    /// The URL of a database, which is made if there is none of this name.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let (_driver, mut link) = self.link("postgres");
        let there = link.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).expect("an answer");
        if there.is_empty() {
            link.batch(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).expect("a database");
        }
        self.url(name)
    }

    fn link(&self, database: &str) -> (Driver, Link) {
        let place = Place::parse(&self.url(database)).expect("it is a URL");
        let driver = Driver::start("postgres tests").expect("a thread");
        let link = Link::connect(&driver, &place).expect("the server runs");
        link.batch("SET default_transaction_read_only = off").expect("a setting");
        (driver, link)
    }

    fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?user=buoy&host={}&port={}", self.folder.display(), self.port)
    }

    fn ask(&self, what: &str) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let input = script.0.stdin.as_mut().expect("it is piped");
        writeln!(input, "{what}").expect("the script runs");
        drop(script);
        assert_eq!(self.line(), "done");
    }

    fn line(&self) -> String {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = String::new();
        script.1.read_line(&mut line).expect("the script says what it did");
        assert!(!line.is_empty(), "PostgreSQL did not start; see above");
        line.trim().to_owned()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
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
