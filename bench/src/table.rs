//! The table of results, for the terminal and for the documentation.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::measured::Measured;
use crate::records::Rates;

/// All results.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) echo: Option<Measured>,
    pub(crate) relay: Option<Measured>,
    pub(crate) buoy: Server,
    pub(crate) leshan: Server,
    pub(crate) start_seconds: Option<f64>,
    pub(crate) firmware: Option<Firmware>,
    pub(crate) records: Option<Rates>,
    pub(crate) secure_start_seconds: Option<f64>,
}

/// Results of one server.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) register: Option<Measured>,
    pub(crate) register_half: Option<Measured>,
    pub(crate) update: Option<Measured>,
    pub(crate) update_half: Option<Measured>,
    pub(crate) read: Option<Measured>,
    pub(crate) notify: Option<Measured>,
    /// Non-confirmable notifications a second of which 99 of 100 were taken.
    pub(crate) stream: Option<f64>,
    pub(crate) bytes_per_device: Option<u64>,
    /// Full handshakes with TLS_PSK_WITH_AES_128_CCM_8.
    pub(crate) psk: Option<Measured>,
    /// Full handshakes with TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, both ends with raw public keys.
    pub(crate) ecdhe: Option<Measured>,
    /// Within sessions.
    pub(crate) secure_register: Option<Measured>,
    pub(crate) bytes_per_session: Option<u64>,
    /// All that the process had, with 100,000 sessions and registrations.
    pub(crate) resident_with_sessions: Option<u64>,
}

/// Downloads of one image.
pub(crate) struct Firmware {
    pub(crate) bytes: usize,
    pub(crate) one: Duration,
    pub(crate) many: Duration,
    /// Memory that the server took meanwhile.
    pub(crate) grown: u64,
}

/// Puts a table where the page has one of this name already.
pub(crate) fn put(page: &Path, name: &str, table: &str) -> Result<()> {
    let (begin, end) = (format!("<!-- begin: {name} -->"), format!("<!-- end: {name} -->"));
    let text = std::fs::read_to_string(page)?;
    let (before, rest) = text.split_once(&begin).with_context(|| format!("{begin} is not in the page"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("{end} is not in the page"))?;
    std::fs::write(page, format!("{before}{begin}\n{table}{end}{after}"))?;
    Ok(())
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn print(&self) {
        println!("\n{}", self.text());
    }

    /// Puts the table where the page has one already.
    pub(crate) fn write_into(&self, page: &Path) -> Result<()> {
        put(page, "cargo xtask bench", &self.text())
    }

    fn text(&self) -> String {
        let mut text = machine();
        let _ = writeln!(
            text,
            "\n| | a second | to Leshan | p50 ms | p99 ms | server's µs each | to Leshan | sent again |\n|---|---:|---:|---:|---:|---:|---:|---:|"
        );
        row(&mut text, "UDP echo, the limit", self.echo.as_ref(), None);
        row(&mut text, "relay between HTTP and CoAP, the limit of reads", self.relay.as_ref(), None);
        for (name, buoy, leshan) in [
            ("Register", &self.buoy.register, &self.leshan.register),
            ("Update", &self.buoy.update, &self.leshan.update),
            ("Read through REST", &self.buoy.read, &self.leshan.read),
            ("notification, confirmable", &self.buoy.notify, &self.leshan.notify),
            ("full DTLS handshake, PSK", &self.buoy.psk, &self.leshan.psk),
            ("full DTLS handshake, ECDHE-ECDSA", &self.buoy.ecdhe, &self.leshan.ecdhe),
            ("Register within a DTLS session", &self.buoy.secure_register, &self.leshan.secure_register),
        ] {
            row(&mut text, &format!("Buoy: {name}"), buoy.as_ref(), leshan.as_ref());
            row(&mut text, &format!("Leshan: {name}"), leshan.as_ref(), None);
        }
        if let (Some(buoy), Some(leshan)) = (self.buoy.stream, self.leshan.stream) {
            // One that loses some at the lowest rate has none.
            let ratio = if leshan > 0.0 { format!("{:.1} ×", buoy / leshan) } else { "–".into() };
            let _ = writeln!(
                text,
                "| Buoy: stream of notifications, none lost | {buoy:.0} | {ratio} | – | – | – | – | – |"
            );
            let _ = writeln!(
                text,
                "| Leshan: stream of notifications, none lost | {leshan:.0} | – | – | – | – | – | – |"
            );
        }
        row(&mut text, "Buoy: Register at half of its rate", self.buoy.register_half.as_ref(), None);
        row(&mut text, "Buoy: Update at half of its rate", self.buoy.update_half.as_ref(), None);
        text.push('\n');
        self.sizes(&mut text);
        self.protection(&mut text);
        text
    }

    fn protection(&self, text: &mut String) {
        let Some(Rates { aws_lc, rust_crypto, openssl }) = self.records else { return };
        let _ = writeln!(
            text,
            "\n| records of 200 bytes, AES-128-CCM-8, one thread | a second | to OpenSSL |\n|---|---:|---:|"
        );
        for (name, rate) in [
            ("`dtls` with AWS-LC, as in the server", aws_lc),
            ("`dtls` with RustCrypto, as on chips", rust_crypto),
            ("OpenSSL, the cipher alone (`openssl speed -evp aes-128-ccm -aead`)", openssl),
        ] {
            let _ = writeln!(text, "| {name} | {rate:.0} | {:.2} × |", rate / openssl);
        }
    }

    fn sizes(&self, text: &mut String) {
        let bytes = |server: &Server| {
            server.bytes_per_device.map_or_else(|| "not measured".into(), |bytes| format!("{bytes} bytes"))
        };
        let _ = writeln!(text, "| | Buoy | Leshan |\n|---|---:|---:|");
        let _ = writeln!(
            text,
            "| memory for a registered device | {} (resident, of 300,000) | {} (heap, of 100,000) |",
            bytes(&self.buoy),
            bytes(&self.leshan)
        );
        let session = |server: &Server| {
            server.bytes_per_session.map_or_else(|| "not measured".into(), |bytes| format!("{bytes} bytes"))
        };
        let _ = writeln!(
            text,
            "| memory for a DTLS session | {} (resident, of 100,000) | {} (heap, of 10,000) |",
            session(&self.buoy),
            session(&self.leshan)
        );
        if let Some(bytes) = self.buoy.resident_with_sessions {
            let megabytes = bytes as f64 / 1e6;
            let _ = writeln!(
                text,
                "| the whole server with 100,000 sessions, credentials and registrations | {megabytes:.0} MB | – |"
            );
        }
        if let Some(seconds) = self.secure_start_seconds {
            let _ =
                writeln!(text, "| start with those after a kill, no handshake since | {seconds:.2} s | – |");
        }
        if let Some(seconds) = self.start_seconds {
            let _ = writeln!(text, "| start with 300,000 devices in the store | {seconds:.2} s | – |");
        }
        if let Some(Firmware { bytes, one, many, grown }) = &self.firmware {
            let (one, many) = (one.as_secs_f64(), many.as_secs_f64());
            let _ = writeln!(
                text,
                "| image of {bytes} bytes by CoAP blocks of 1024, one device | {one:.3} s | – |"
            );
            let megabytes = *grown as f64 / 1e6;
            let _ = writeln!(
                text,
                "| the same, 1,000 devices at once | {many:.1} s, {megabytes:.1} MB more memory | – |"
            );
        }
    }
}

fn row(text: &mut String, name: &str, measured: Option<&Measured>, peer: Option<&Measured>) {
    let Some(measured) = measured else { return };
    let times = |ratio: Option<f64>| ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.1} ×"));
    let rates = times(peer.map(|peer| measured.rate() / peer.rate()));
    let costs = peer.and_then(Measured::server_micros).zip(measured.server_micros());
    let costs = times(costs.map(|(peer, own)| peer / own));
    let cost = measured.server_micros().map_or_else(|| "–".into(), |micros| format!("{micros:.1}"));
    let _ = writeln!(
        text,
        "| {name} | {:.0} | {rates} | {:.2} | {:.2} | {cost} | {costs} | {} |",
        measured.rate(),
        measured.percentile(50.0),
        measured.percentile(99.0),
        measured.repeated
    );
}

pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores, {model}; load generator and server on the same machine.\n")
}
