//! Firmware updates of devices that are not ours: they keep old results, refuse, or install without a reboot. Each speaks CoAP by a script.

mod common;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use common::{Server, Workshop, register_request, wait_until};

/// Something that happens to the device by itself.
#[derive(Clone, Copy)]
enum Move {
    State(u8),
    Result(u8),
    Version(&'static str),
    Register,
}

#[derive(Clone)]
struct Script {
    state: u8,
    result: u8,
    /// The answer to an empty Package URI; with 2.04 the device drops its package.
    reset: Code,
    execute: Code,
    /// In milliseconds after the Package URI.
    on_order: Vec<(u64, Move)>,
    /// In milliseconds after the Execute.
    on_execute: Vec<(u64, Move)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            state: 0,
            result: 0,
            reset: Code::CHANGED,
            execute: Code::CHANGED,
            on_order: vec![(300, Move::State(1)), (600, Move::State(2))],
            on_execute: vec![
                (0, Move::State(3)),
                (500, Move::Version("1.1.0")),
                (500, Move::Register),
                (1000, Move::Result(1)),
                (1000, Move::State(0)),
            ],
        }
    }
}

/// A device with objects 1, 3 and 5, which can't be observed.
struct Scripted {
    socket: UdpSocket,
    script: Script,
    version: &'static str,
    moves: Vec<(Instant, Move)>,
    executed: Arc<AtomicUsize>,
    /// From where it was told to fetch its package.
    uri: Arc<Mutex<String>>,
    name: String,
    next_id: u16,
}

struct Running {
    stop: Arc<AtomicBool>,
    executed: Arc<AtomicUsize>,
    uri: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Scripted {
    fn start(server: &Server, name: &str, script: Script) -> Running {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&server.coap).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (stop, executed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let uri = Arc::<Mutex<String>>::default();
        let mut device = Self {
            socket,
            script,
            version: "1.0.0",
            moves: Vec::new(),
            executed: executed.clone(),
            uri: uri.clone(),
            name: name.into(),
            next_id: 1,
        };
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || device.run(&stop)
        });
        wait_until(name, || server.client().device(name).is_ok());
        Running { stop, executed, uri, thread: Some(thread) }
    }

    fn run(&mut self, stop: &AtomicBool) {
        self.register();
        let mut buffer = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok(length) = self.socket.recv(&mut buffer) {
                self.take(&buffer[..length]);
            }
            let now = Instant::now();
            let due: Vec<_> = self.moves.extract_if(.., |(at, _)| *at <= now).collect();
            due.into_iter().for_each(|(_, what)| self.make(what));
        }
    }

    fn register(&mut self) {
        self.next_id += 1;
        self.socket.send(&register_request(&self.name, self.next_id, b"r")).unwrap();
    }

    fn make(&mut self, what: Move) {
        match what {
            Move::State(state) => self.script.state = state,
            Move::Result(result) => self.script.result = result,
            Move::Version(version) => self.version = version,
            Move::Register => self.register(),
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        if message.code().is_request() {
            let path: Vec<_> = message.values(OptionNumber::URI_PATH).map(String::from_utf8_lossy).collect();
            let (code, payload) = self.answer(&path.join("/"), &message);
            let header = Header {
                kind: Kind::Acknowledgement,
                code,
                message_id: message.message_id(),
                token: message.token(),
            };
            let mut buffer = [0; 256];
            let mut writer = MessageWriter::new(&mut buffer, header);
            if !payload.is_empty() {
                writer.content_format(ContentFormat::TEXT);
            }
            let length = writer.payload(payload.as_bytes()).finish().unwrap();
            self.socket.send(&buffer[..length]).unwrap();
        }
    }

    fn answer(&mut self, path: &str, message: &Message<'_>) -> (Code, String) {
        match path {
            "3/0/3" => (Code::CONTENT, self.version.into()),
            "5/0/3" => (Code::CONTENT, self.script.state.to_string()),
            "5/0/5" => (Code::CONTENT, self.script.result.to_string()),
            "5/0/1" if message.payload().is_empty() => {
                if self.script.reset == Code::CHANGED {
                    (self.script.state, self.script.result) = (0, 0);
                }
                (self.script.reset, String::new())
            }
            "5/0/1" => {
                *self.uri.lock().unwrap() = String::from_utf8_lossy(message.payload()).into();
                self.plan(self.script.on_order.clone());
                (Code::CHANGED, String::new())
            }
            "5/0/2" => {
                self.executed.fetch_add(1, Ordering::Relaxed);
                if self.script.execute == Code::CHANGED {
                    self.plan(self.script.on_execute.clone());
                }
                (self.script.execute, String::new())
            }
            _ => (Code::NOT_FOUND, String::new()),
        }
    }

    fn plan(&mut self, moves: Vec<(u64, Move)>) {
        let now = Instant::now();
        self.moves =
            moves.into_iter().map(|(after, what)| (now + Duration::from_millis(after), what)).collect();
    }
}

/// Updates a device for each script at the same time, and compares what is told of it and how often it was told to install.
#[test]
fn devices_that_are_not_ours_are_followed_by_what_they_say() {
    let workshop = Workshop::new();
    let image = workshop.release("1.1.0", "good");
    let server = Server::start(&workshop.path("data"));
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    let late = vec![(2000, Move::State(1)), (2500, Move::State(2))];
    let stays = vec![(0, Move::State(3)), (300, Move::Version("1.1.0")), (300, Move::State(0))];
    let other = vec![
        (0, Move::State(3)),
        (300, Move::Version("3.0.0")),
        (300, Move::Result(1)),
        (300, Move::State(0)),
    ];
    let fails = |state| vec![(0, Move::State(3)), (300, Move::Result(8)), (300, Move::State(state))];
    let unknown = vec![(0, Move::State(3)), (300, Move::Result(99)), (300, Move::State(2))];
    let cases = [
        (
            "result-1-of-before",
            Script { result: 1, on_order: late.clone(), ..Script::default() },
            "updated",
            1,
        ),
        ("result-8-of-before", Script { result: 8, on_order: late, ..Script::default() }, "updated", 1),
        ("another-package", Script { state: 2, ..Script::default() }, "updated", 1),
        (
            "keeps-its-package",
            Script { state: 2, reset: Code::METHOD_NOT_ALLOWED, ..Script::default() },
            "refuses to drop it: 4.05",
            0,
        ),
        (
            "refuses-execute",
            Script { execute: Code::METHOD_NOT_ALLOWED, ..Script::default() },
            "/5/0/2: 4.05",
            1,
        ),
        ("fails-at-idle", Script { on_execute: fails(0), ..Script::default() }, "refused (result 8", 1),
        ("fails-at-downloaded", Script { on_execute: fails(2), ..Script::default() }, "refused (result 8", 1),
        (
            "fails-unknown",
            Script { on_execute: unknown, ..Script::default() },
            "refused (result 99, unknown code)",
            1,
        ),
        ("without-a-reboot", Script { on_execute: stays, ..Script::default() }, "updated", 1),
        (
            "another-version",
            Script { on_execute: other, ..Script::default() },
            "runs 3.0.0, not the expected 1.1.0, and says success",
            1,
        ),
    ];
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (name, script, expected, executes) in cases {
            let (server, told) = (&server, &told);
            scope.spawn(move || {
                let device = Scripted::start(server, name, script);
                let output = server.ctl(&["update", name, "1.1.0.bin", "--delivery", "pull-coap"]);
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let executed = device.executed.load(Ordering::Relaxed);
                told.lock().unwrap().push((name, said, expected, executed, executes));
            });
        }
    });
    for (name, said, expected, executed, executes) in told.into_inner().unwrap() {
        assert!(said.contains(expected), "{name}: {said}");
        assert_eq!(executed, executes, "{name}: {said}");
    }
}

/// On Linux each address of 127.0.0.0/8 is this machine's.
#[cfg(target_os = "linux")]
#[test]
fn a_device_is_answered_from_the_address_that_it_asked_and_fetches_from_there() {
    let workshop = Workshop::new();
    let image = workshop.release("1.1.0", "good");
    let mut server = Server::start_at("0.0.0.0:0", &workshop.path("data"), &["--files", "0.0.0.0:0"]);
    server.says(&["firmware", "upload", image.to_str().unwrap()]);
    // What is said behind the URI is that the address is a guess.
    let port_of =
        |uri: &str| uri.split_whitespace().next()?.rsplit_once(':').map(|(_, port)| port.to_owned());
    let (port, files) = (port_of(&server.coap).unwrap(), port_of(server.uri("Files")).unwrap());
    // The device takes answers from there alone, as from behind a NAT.
    server.coap = format!("127.0.0.7:{port}");
    for (name, delivery, start) in [
        ("fetches-by-coap", "pull-coap", format!("coap://127.0.0.7:{port}/fw/")),
        ("fetches-by-http", "pull-http", format!("http://127.0.0.7:{files}/fw/")),
    ] {
        let device = Scripted::start(&server, name, Script::default());
        server.says(&["update", name, "1.1.0.bin", "--delivery", delivery]);
        let uri = device.uri.lock().unwrap().clone();
        assert!(uri.starts_with(&start), "{uri}");
    }
}
