//! A server and devices as processes of the program, in a folder of their own.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use buoy_api::client::Client;
use buoy_store::postgres::test_server::TestServer;

/// The program. Its servers do not ask devices what they are, unless a test says `--survey on`: devices of tests answer what they
/// expect.
pub(crate) fn buoy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buoy"));
    command.env("BUOY_SURVEY", "off");
    // A sign-in of whoever runs the tests is none of theirs.
    command.env("BUOY_CONTEXTS", std::env::temp_dir().join("no-buoy-contexts-here.json"));
    command
}

/// Whether servers are tested on PostgreSQL: `BUOY_TEST_STORE=postgres`. Else each has the SQLite file of its data folder.
pub(crate) fn is_on_postgres() -> bool {
    match std::env::var("BUOY_TEST_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("" | "sqlite") | Err(_) => false,
        Ok(other) => panic!("BUOY_TEST_STORE is {other}, and there are postgres and sqlite"),
    }
}

/// The flags for where the state of a server with this data folder is. On PostgreSQL it has a database of its own; if there is a file in
/// the folder, as in a copy that is restored, it moves there first.
pub(crate) fn store_flags(data: &Path) -> Vec<String> {
    if !is_on_postgres() {
        return Vec::new();
    }
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(data, &mut hasher);
    let name = format!("buoy_{:016x}", std::hash::Hasher::finish(&hasher));
    let url = TestServer::shared().expect("PostgreSQL is installed").database(&name);
    let file = data.join("buoy.db");
    if file.exists() {
        let moved = buoy().arg("move-store").arg(data).arg(&url).output().unwrap();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
        std::fs::remove_file(file).unwrap();
    }
    vec!["--store".into(), url]
}

/// `buoy serve` with its state where `store` says.
pub(crate) fn serve_on(data: &Path, store: &str) -> Command {
    let mut command = buoy();
    command.args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]);
    command.arg(data).args(["--store", store]);
    command
}

/// All that a program said.
pub(crate) fn words(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// Whether the server is ready, or why not.
pub(crate) fn ready(server: &Server) -> Result<(), String> {
    let answer =
        ureq::get(&format!("{}/readyz", server.http)).config().http_status_as_error(false).build().call();
    let mut answer = answer.map_err(|error| error.to_string())?;
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    if answer.status().is_success() { Ok(()) } else { Err(text) }
}

/// A server on ports that the system chose.
pub(crate) struct Server {
    child: Child,
    pub(crate) coap: String,
    pub(crate) http: String,
    /// The one-time token for the first account, if there is none.
    pub(crate) setup_token: Option<String>,
    addresses: HashMap<String, String>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, extra: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", data, extra)
    }

    /// Starts where devices look for it.
    pub(crate) fn start_at(coap: &str, data: &Path, extra: &[&str]) -> Self {
        let mut command = buoy();
        command.args(["serve", "--coaps", "off", "--coap", coap, "--http", "127.0.0.1:0", "--data"]);
        Self::spawn(command.arg(data).args(store_flags(data)).args(extra))
    }

    /// Starts a server on a disk of so many megabytes, which [`Server::disk`] reaches.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_on_small_disk(data: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m tmpfs \"$1\" && exec \"$0\" serve \
            --coaps off --coap 127.0.0.1:0 --http 127.0.0.1:0 --shards 1 --data \"$1\""
        );
        let mut command = Command::new("unshare");
        command.env("BUOY_ALLOW_RECEIVERS_IN", "127.0.0.1");
        Self::spawn(command.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_buoy")]).arg(data))
    }

    /// The folder as the server sees it.
    #[cfg(target_os = "linux")]
    pub(crate) fn disk(&self, data: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.child.id(), data.display()))
    }

    /// Starts a server whose log goes to a file.
    pub(crate) fn start_logged(data: &Path, log: &Path, extra: &[&str]) -> Self {
        let mut command = buoy();
        command.args(["serve", "--coaps", "off", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]);
        Self::spawn_logged(command.arg(data).args(extra), log)
    }

    /// Starts a server with ports of these flags alone, and reads where it is.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    /// The same, with the log in a file.
    pub(crate) fn spawn_logged(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        Self::spawn_with(command, log.into())
    }

    fn spawn_with(command: &mut Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut addresses = HashMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        while !addresses.contains_key("REST") {
            let line = lines.next().expect("the server starts");
            let (name, uri) = line.split_once(' ').unwrap();
            addresses.insert(name.to_owned(), uri.trim().to_owned());
        }
        let coap = addresses.get("CoAP").map_or("", |uri| uri.trim_start_matches("coap://")).to_owned();
        let http = addresses["REST"].clone();
        let setup = addresses.get("Setup").and_then(|text| text.split(' ').next());
        let setup_token = setup.map(str::to_owned);
        Self { child, coap, http, setup_token, addresses }
    }

    /// The URI of the port with this name, as `buoy serve` lists it.
    pub(crate) fn uri(&self, name: &str) -> &str {
        &self.addresses[name]
    }

    /// How long a processor has worked for the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may have spaces: user and system time are the fields 14 and 15, in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// What the process has in memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.http)
    }

    pub(crate) fn devices(&self) -> HashSet<String> {
        let devices = self.client().all::<buoy_api::Device>("/api/v1/devices?limit=1000").unwrap();
        let registered = devices.into_iter().filter(|device| device.registration.is_some());
        registered.map(|device| device.endpoint).collect()
    }

    /// Runs a verb of `buoy ctl`.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        buoy().args(["ctl", "--server", &self.http]).args(arguments).output().unwrap()
    }

    /// What a verb prints; it must succeed.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What a verb says on standard error; it must fail with exit code 1.
    pub(crate) fn refuses(&self, arguments: &[&str]) -> String {
        self.fails(1, arguments)
    }

    /// What a verb says on standard error; it must fail with this exit code.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    /// Ends it as an operator does, and waits for its end.
    pub(crate) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a release key and signed images.
pub(crate) struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        workshop.fw(&["keygen", "release"]);
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fw(&self, arguments: &[&str]) {
        let output = buoy().arg("fw").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Builds and signs an image.
    pub(crate) fn release(&self, version: &str, behaviour: &str) -> PathBuf {
        let name = format!("{version}.bin");
        self.fw(&["build", "--release", version, "--behaviour", behaviour, &name]);
        self.fw(&["sign", "--key", "release.key.pem", &name]);
        self.path(&name)
    }

    /// Switches a device on that left the factory with `factory`.
    pub(crate) fn device(&self, server: &Server, endpoint: &str, factory: &Path, extra: &[&str]) -> Device {
        let child = buoy()
            .args(["device", "--server", &format!("coap://{}", server.coap), "--endpoint", endpoint])
            .arg("--flash")
            .arg(self.path(&format!("{endpoint}.flash")))
            .arg("--trust")
            .arg(self.path("release.pub.pem"))
            .arg("--factory")
            .arg(factory)
            .args(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let device = Device { child };
        wait_until(endpoint, || server.client().device(endpoint).is_ok());
        device
    }
}

pub(crate) struct Device {
    child: Child,
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so. Processes have no fake clock; this is bounded.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not so after 60 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A Register request of a device with this name.
pub(crate) fn register_request(name: &str, message_id: u16, token: &[u8]) -> Vec<u8> {
    use buoy_coap::number::{Code, ContentFormat, OptionNumber};
    use buoy_coap::wire::{Header, Kind, MessageWriter};
    let mut buffer = [0; 256];
    let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id, token };
    let mut writer = MessageWriter::new(&mut buffer, header);
    writer.option(OptionNumber::URI_PATH, b"rd").content_format(ContentFormat::LINK);
    for query in [format!("ep={name}"), "lt=86400".into(), "lwm2m=1.1".into()] {
        writer.option(OptionNumber::URI_QUERY, query.as_bytes());
    }
    let length = writer.payload(b"</1/0>,</3/0>,</5/0>").finish().unwrap();
    buffer[..length].to_vec()
}

/// A swarm of simulated devices, which ends with this.
pub(crate) struct Swarm(Child);

impl Swarm {
    /// Devices for the plain port of a server.
    pub(crate) fn start(server: &Server, devices: usize, more: &[&str]) -> Self {
        let swarm = buoy()
            .args(["swarm", "--server", &format!("coap://{}", server.coap)])
            .args(["--devices", &devices.to_string()])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(swarm.unwrap())
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
