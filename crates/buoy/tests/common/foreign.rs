//! A device that is not ours: it answers requests as a function says, over plain CoAP.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};

use super::common::{Server, register_request, wait_until};

/// What a device is asked.
pub(crate) struct Asked {
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) accept: Option<ContentFormat>,
    pub(crate) observe: Option<u32>,
}

/// What it answers.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    pub(crate) format: Option<ContentFormat>,
    pub(crate) payload: Vec<u8>,
    pub(crate) location: Vec<String>,
}

impl Answer {
    pub(crate) fn code(code: Code) -> Self {
        Self { code, format: None, payload: Vec::new(), location: Vec::new() }
    }

    pub(crate) fn content(format: ContentFormat, payload: &[u8]) -> Self {
        Self { format: Some(format), payload: payload.to_vec(), ..Self::code(Code::CONTENT) }
    }

    /// An error with its words.
    pub(crate) fn error(code: Code, words: &str) -> Self {
        Self { payload: words.as_bytes().to_vec(), ..Self::code(code) }
    }
}

/// The tokens of observations, by path.
type Observed = Mutex<Vec<(String, Vec<u8>)>>;

/// The device; it is switched off with this.
pub(crate) struct Foreign {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    observed: Arc<Observed>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Foreign {
    /// Registers with objects 1, 3 and 5, and answers each request by `answer`; `None` is silence.
    pub(crate) fn start(
        server: &Server,
        name: &str,
        answer: impl Fn(&Asked) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&server.coap).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        socket.send(&register_request(name, 1, b"r")).unwrap();
        let (stop, observed) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = std::thread::spawn({
            let (socket, stop, observed) = (socket.try_clone().unwrap(), stop.clone(), observed.clone());
            move || {
                let mut buffer = [0; 2048];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(length) = socket.recv(&mut buffer) {
                        take(&socket, &buffer[..length], &observed, &answer);
                    }
                }
            }
        });
        wait_until(name, || server.client().device(name).is_ok());
        Self { socket, stop, observed, thread: Some(thread) }
    }

    /// Sends a confirmable POST.
    pub(crate) fn post(&self, message_id: u16, path: &str, queries: &[&str], format: u16, payload: &[u8]) {
        let mut buffer = [0; 1024];
        let token = message_id.to_be_bytes();
        let header = Header { kind: Kind::Confirmable, code: Code::POST, message_id, token: &token };
        let mut writer = MessageWriter::new(&mut buffer, header);
        writer.option(OptionNumber::URI_PATH, path.as_bytes()).content_format(ContentFormat(format));
        for query in queries {
            writer.option(OptionNumber::URI_QUERY, query.as_bytes());
        }
        let length = writer.payload(payload).finish().unwrap();
        self.socket.send(&buffer[..length]).unwrap();
    }

    /// Notifies of what is observed at a path.
    pub(crate) fn notify(
        &self,
        path: &str,
        message_id: u16,
        number: u32,
        format: ContentFormat,
        payload: &[u8],
    ) {
        let observed = self.observed.lock().unwrap();
        let (_, token) = observed.iter().find(|(of, _)| of == path).expect("it is observed");
        let mut buffer = [0; 1024];
        let header = Header { kind: Kind::NonConfirmable, code: Code::CONTENT, message_id, token };
        let mut writer = MessageWriter::new(&mut buffer, header);
        writer.uint(OptionNumber::OBSERVE, number).content_format(format);
        let length = writer.payload(payload).finish().unwrap();
        self.socket.send(&buffer[..length]).unwrap();
    }
}

fn take(
    socket: &UdpSocket,
    datagram: &[u8],
    observed: &Observed,
    answer: &impl Fn(&Asked) -> Option<Answer>,
) {
    let Ok(message) = Message::parse(datagram) else { return };
    if !message.code().is_request() {
        return;
    }
    let path: Vec<_> = message
        .values(OptionNumber::URI_PATH)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let asked = Asked {
        code: message.code(),
        path: format!("/{}", path.join("/")),
        accept: message.uint(OptionNumber::ACCEPT).map(|number| ContentFormat(number as u16)),
        observe: message.uint(OptionNumber::OBSERVE),
    };
    let Some(answer) = answer(&asked) else { return };
    if asked.observe == Some(0) {
        observed.lock().unwrap().push((asked.path.clone(), message.token().to_vec()));
    }
    let mut buffer = [0; 1400];
    let (message_id, token) = (message.message_id(), message.token());
    let header = Header { kind: Kind::Acknowledgement, code: answer.code, message_id, token };
    let mut writer = MessageWriter::new(&mut buffer, header);
    if asked.observe == Some(0) && answer.code.is_success() {
        writer.uint(OptionNumber::OBSERVE, 1);
    }
    for segment in &answer.location {
        writer.option(OptionNumber::LOCATION_PATH, segment.as_bytes());
    }
    if let Some(format) = answer.format {
        writer.content_format(format);
    }
    let length = writer.payload(&answer.payload).finish().unwrap();
    socket.send(&buffer[..length]).unwrap();
}
