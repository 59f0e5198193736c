//! The ports of a server: whether they can be had, or whether somebody answers there; and what devices are told of them.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use buoy_services::listen::{Addresses, ListedPort, Listen};
use buoy_services::server::Settings;

use super::Finding;
use crate::server::HttpPorts;

/// For an answer of this machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// A confirmable message without a code, which a CoAP endpoint answers with a Reset (RFC 7252 section 4.3).
const PING: [u8; 4] = [0x40, 0, 0x62, 0x75];
/// A ClientHello without a cookie, which a server answers with a HelloVerifyRequest, and forgets (RFC 6347 section 4.2.1).
const CLIENT_HELLO: [u8; 67] = client_hello();

pub(super) fn check(settings: &Settings, ports: &HttpPorts, is_running: bool) -> Vec<Finding> {
    let Listen { coap, coaps, bootstrap, bootstraps, .. } = settings.listen;
    let mut findings = Vec::new();
    for (name, address) in
        [("CoAP", coap), ("CoAPS", coaps), ("Bootstrap", bootstrap), ("BootstrapS", bootstraps)]
    {
        let Some(address) = address else { continue };
        let is_secure = name.ends_with('S');
        findings.push(if is_running { answers(name, address, is_secure) } else { free_udp(name, address) });
    }
    for (name, address) in [
        ("REST", Some(ports.interface)),
        ("BootREST", ports.bootstrap),
        ("Files", ports.files),
        ("FilesTLS", ports.files_tls),
    ] {
        let Some(address) = address else { continue };
        findings.push(if is_running { connects(name, address) } else { free_tcp(name, address) });
    }
    let listen = Listen { files: ports.files, files_tls: ports.files_tls, ..settings.listen.clone() };
    findings.extend(Addresses::planned(&listen).listed().iter().map(|port| told(port, is_running)));
    findings
}

fn free_udp(name: &'static str, address: SocketAddr) -> Finding {
    match UdpSocket::bind(address) {
        Ok(_) => Finding::ok(name, format!("{address} can be had")),
        Err(error) => taken(name, address, &error),
    }
}

fn free_tcp(name: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(name, format!("{address} can be had")),
        Err(error) => taken(name, address, &error),
    }
}

fn taken(name: &'static str, address: SocketAddr, error: &std::io::Error) -> Finding {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there: `ss -lunpt` shows which",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        _ => "take an address of this machine, or 0.0.0.0 for all",
    };
    Finding::failed(name, format!("{address} cannot be had: {error}"), hint)
}

/// Asks the port itself.
fn answers(name: &'static str, address: SocketAddr, is_secure: bool) -> Finding {
    let address = local(address);
    let question: &[u8] = if is_secure { &CLIENT_HELLO } else { &PING };
    match ask(address, question) {
        Ok(()) => Finding::ok(name, format!("{address} answers")),
        Err(error) => Finding::failed(
            name,
            format!("{address} does not answer: {error}"),
            "look whether the server was started with these settings, and whether a packet filter stands before it",
        ),
    }
}

fn ask(address: SocketAddr, question: &[u8]) -> std::io::Result<()> {
    let any: SocketAddr =
        if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (IpAddr::from([0u16; 8]), 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE / 4))?;
    let mut last = std::io::ErrorKind::TimedOut.into();
    for _ in 0..4 {
        socket.send(question)?;
        match socket.recv(&mut [0; 1500]) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connects(name: &'static str, address: SocketAddr) -> Finding {
    let address = local(address);
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Finding::ok(name, format!("{address} answers")),
        Err(error) => Finding::failed(
            name,
            format!("{address} does not answer: {error}"),
            "look whether the server was started with these settings",
        ),
    }
}

/// A port on all addresses is asked on loopback.
fn local(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16])
        });
    }
    address
}

/// What a CoAP server at this URI answers to.
fn question(uri: &str) -> Option<&'static [u8]> {
    match uri.split("://").next() {
        Some("coap") => Some(&PING),
        Some("coaps") => Some(&CLIENT_HELLO),
        _ => None,
    }
}

/// Whether what devices are told leads anywhere: a name has an address; of an address that is not of this machine nothing is known from here.
fn told(port: &ListedPort, is_running: bool) -> Finding {
    let check = "told devices";
    let ListedPort { name, told, caution, .. } = port;
    let host = told.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let with_port = if host.rsplit(':').next().is_some_and(|it| it.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:443")
    };
    let resolved: Vec<_> = match with_port.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let hint = "enter it into the DNS, or name the address that devices reach by --public-host";
            return Finding::failed(check, format!("{name}: {told} has no address: {error}"), hint);
        }
    };
    if let Some(caution) = caution {
        return Finding::warning(
            check,
            format!("{name}: {told}; {caution}"),
            "set --public-host to the name by which devices reach this machine",
        );
    }
    // Behind a router this shows that the port is forwarded, if the router lets a machine reach itself by its outer address.
    if is_running
        && let Some(question) = question(told)
        && resolved.iter().any(|it| ask(*it, question).is_ok())
    {
        return Finding::ok(check, format!("{name}: {told} answers from here"));
    }
    // A socket can be bound to an address only if it is one of this machine.
    let is_own = resolved.iter().any(|it| UdpSocket::bind((it.ip(), 0)).is_ok());
    if is_own {
        return Finding::ok(check, format!("{name}: {told}, an address of this machine"));
    }
    let shown = resolved.first().map(|it| it.ip().to_string()).unwrap_or_default();
    Finding::warning(
        check,
        format!("{name}: {told} is {shown}, which is not an address of this machine"),
        "behind a router or in a container this is right if the port is forwarded; try it from outside: `buoy device --server …`",
    )
}

const fn client_hello() -> [u8; 67] {
    // Handshake, DTLS 1.2, epoch 0, record 0, 54 bytes; ClientHello of 42 bytes, message 0, in one fragment; DTLS 1.2.
    let head: [u8; 27] =
        [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253];
    // Nobody needs these to be random here.
    let random = b"buoy doctor asks whether you are";
    // No session, no cookie; TLS_PSK_WITH_AES_128_CCM_8; no compression.
    let tail: [u8; 8] = [0, 0, 0, 2, 192, 168, 1, 0];
    let mut hello = [0; 67];
    let mut place = 0;
    while place < hello.len() {
        hello[place] = match place {
            0..27 => head[place],
            27..59 => random[place - 27],
            _ => tail[place - 59],
        };
        place += 1;
    }
    hello
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_answers_is_heard_and_nobody_is_told_from_him() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 100];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..length], from).unwrap();
        });
        assert!(ask(address, &PING).is_ok());
        answering.join().unwrap();
        assert!(ask(address, &PING).is_err());
    }
}
