//! The least that a read through HTTP can be: a request comes by TCP, a datagram goes to the device and one comes back, an answer goes by TCP.
//!
//! No request is parsed and no device known here: what it costs is what kernel and load generator cost, whichever server is between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener};

use anyhow::{Context, Result, bail};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_net::udp::{self, Receiver, Ways, send_batch};
use buoy_sim::crowd::Crowd;
use mio::{Events, Interest, Poll, Token};

/// As long as Buoy's.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 150\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n\
{\"status\":\"CONTENT(205)\",\"valid\":true,\"success\":true,\"failure\":false,\"content\":{\"kind\":\"singleResource\",\"id\":5700,\"type\":\"FLOAT\",\"value\":\"21.5\"}     }";
const DEVICES: Token = Token(usize::MAX);
const CALLERS: Token = Token(usize::MAX - 1);

/// A relay in a thread that ends with the program: where it takes requests.
pub(crate) fn start(port_of_devices: u16, devices: u32) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let mut relay = Relay {
        poll: Poll::new()?,
        listener: mio::net::TcpListener::from_std(listener),
        callers: Vec::new(),
        socket: udp::bind(([127, 0, 0, 1], 0).into(), 1)?.pop().context("no socket")?,
        receiver: Receiver::default(),
        port_of_devices,
        devices,
    };
    std::thread::spawn(move || {
        if let Err(error) = relay.run() {
            eprintln!("the relay ended: {error:#}");
        }
    });
    Ok(address)
}

struct Relay {
    poll: Poll,
    listener: mio::net::TcpListener,
    callers: Vec<mio::net::TcpStream>,
    socket: mio::net::UdpSocket,
    receiver: Receiver,
    port_of_devices: u16,
    devices: u32,
}

impl Relay {
    fn run(&mut self) -> Result<()> {
        self.poll.registry().register(&mut self.listener, CALLERS, Interest::READABLE)?;
        self.poll.registry().register(&mut self.socket, DEVICES, Interest::READABLE)?;
        let mut events = Events::with_capacity(256);
        loop {
            self.poll.poll(&mut events, None)?;
            let mut asking = Vec::new();
            for event in &events {
                match event.token() {
                    CALLERS => self.accept()?,
                    DEVICES => self.answer()?,
                    Token(caller) => asking.push(caller),
                }
            }
            self.ask(asking)?;
        }
    }

    fn accept(&mut self) -> Result<()> {
        while let Ok((mut caller, _)) = self.listener.accept() {
            caller.set_nodelay(true)?;
            let token = Token(self.callers.len());
            self.poll.registry().register(&mut caller, token, Interest::READABLE)?;
            self.callers.push(caller);
        }
        Ok(())
    }

    /// Sends a read for each caller that has one.
    fn ask(&mut self, callers: Vec<usize>) -> Result<()> {
        let mut requests: Vec<(SocketAddr, [u8; 64], usize)> = Vec::new();
        for caller in callers {
            let mut request = [0; 1024];
            match self.callers.get_mut(caller).context("no such caller")?.read(&mut request) {
                Ok(0) => continue,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(error) => bail!(error),
            }
            let mut datagram = [0; 64];
            let length = read_request(u16::try_from(caller)?, &mut datagram);
            let device = Crowd::address(u32::try_from(caller)? % self.devices);
            requests.push((SocketAddrV4::new(device, self.port_of_devices).into(), datagram, length));
        }
        let datagrams = requests.iter().map(|(device, datagram, length)| (*device, &datagram[..*length]));
        send_batch(&self.socket, &Ways::default(), datagrams);
        Ok(())
    }

    /// Gives each device's answer to who asked.
    fn answer(&mut self) -> Result<()> {
        while self.receiver.receive(&self.socket).is_ok() {
            for (_, datagram) in self.receiver.datagrams() {
                let message = Message::parse(datagram).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                let caller = self.callers.get_mut(usize::from(message.message_id()));
                caller.context("an answer for nobody")?.write_all(ANSWER.as_bytes())?;
            }
        }
        Ok(())
    }
}

fn read_request(caller: u16, datagram: &mut [u8]) -> usize {
    let header =
        Header { kind: Kind::Confirmable, code: Code::GET, message_id: caller, token: &caller.to_be_bytes() };
    let mut writer = MessageWriter::new(datagram, header);
    for segment in ["3303", "0", "5700"] {
        writer.option(OptionNumber::URI_PATH, segment.as_bytes());
    }
    writer.finish().unwrap_or(0)
}
