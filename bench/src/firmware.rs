//! Downloads of one image by CoAP blocks of 1024 (RFC 7959): one block after the other, by one device or by many at once.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_sim::crowd::Crowd;

use crate::http;

/// Bytes of code and data in the image; with its header it is a little over 1.2 MB.
const PAYLOAD: usize = 1_200_000;
const BLOCK_EXPONENT: u32 = 6;
const BLOCK: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(2);

/// An image that the server offers.
pub(crate) struct Image {
    path: Vec<String>,
    pub(crate) length: usize,
}

/// Makes an image and uploads it.
pub(crate) fn upload(program: &Path, folder: &Path, server: SocketAddr) -> Result<Image> {
    let file = folder.join("image.bin");
    let made = Command::new(program)
        .args(["fw", "build", "--release", "1.0.0", "--size", &PAYLOAD.to_string()])
        .arg(&file)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let image = std::fs::read(&file)?;
    let answer: serde_json::Value = serde_json::from_str(&http::upload(server, "/api/v1/firmware", &image)?)?;
    let uri = answer["coap_uri"].as_str().context("no coap_uri")?;
    let path = uri.splitn(4, '/').nth(3).context("no path")?;
    Ok(Image { path: path.split('/').map(str::to_owned).collect(), length: image.len() })
}

#[derive(Clone, Default)]
struct Device {
    message_id: u16,
    block: usize,
    /// The server's Echo, which proves the address (RFC 9175).
    echo: Vec<u8>,
    sent: Option<Instant>,
    /// Bytes so far.
    received: usize,
}

/// Lets so many devices fetch the image at once; how long it takes until the last has it.
pub(crate) fn download(server: SocketAddrV4, image: &Image, devices: u32) -> Result<Duration> {
    let mut crowd = Crowd::bind()?;
    let mut all = vec![Device::default(); devices as usize];
    let started = Instant::now();
    for (number, device) in all.iter_mut().enumerate() {
        request(&mut crowd, server, image, number, device);
    }
    let mut open = all.len();
    let mut last_look = started;
    while open > 0 {
        crowd.flush();
        crowd.wait(Duration::from_millis(100))?;
        while crowd.receive()? > 0 {
            let mut go_on = Vec::new();
            for (to, _, datagram) in crowd.datagrams() {
                let number = Crowd::number(to) as usize;
                let Some(device) = all.get_mut(number) else { continue };
                let message = Message::parse(datagram).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                if message.message_id() != device.message_id || device.sent.is_none() {
                    continue;
                }
                ensure!(message.code() == Code::CONTENT, "the server answered {}", message.code());
                device.sent = None;
                if take(device, &message)? {
                    ensure!(device.received == image.length, "{} bytes came", device.received);
                    open -= 1;
                } else {
                    go_on.push(number);
                }
            }
            for number in go_on {
                request(&mut crowd, server, image, number, &mut all[number]);
            }
        }
        if last_look.elapsed() > PATIENCE {
            last_look = Instant::now();
            for (number, device) in all.iter_mut().enumerate() {
                if device.sent.is_some_and(|sent| sent.elapsed() > PATIENCE) {
                    request(&mut crowd, server, image, number, device);
                }
            }
        }
        if started.elapsed() > Duration::from_secs(300) {
            bail!("{open} downloads are not done after 300 s");
        }
    }
    Ok(started.elapsed())
}

/// Takes a block. Whether it was the last.
fn take(device: &mut Device, message: &Message<'_>) -> Result<bool> {
    let block = message.uint(OptionNumber::BLOCK2).context("an answer without Block2")?;
    let (number, more, exponent) = ((block >> 4) as usize, block & 8 != 0, block & 7);
    let size = 16 << exponent;
    if let Some(echo) = message.value(OptionNumber::ECHO) {
        device.echo = echo.to_vec();
    }
    if size < BLOCK && more {
        // The address was not proved yet: the block comes again, in full size, with the Echo.
        return Ok(false);
    }
    ensure!(number == device.block && exponent == BLOCK_EXPONENT, "another block than asked for");
    device.received += message.payload().len();
    device.block += 1;
    Ok(!more)
}

fn request(crowd: &mut Crowd, server: SocketAddrV4, image: &Image, number: usize, device: &mut Device) {
    device.message_id = device.message_id.wrapping_add(1);
    device.sent = Some(Instant::now());
    let token = (number as u32).to_be_bytes();
    crowd.send(Crowd::address(number as u32), server, |buffer| {
        let header =
            Header { kind: Kind::Confirmable, code: Code::GET, message_id: device.message_id, token: &token };
        let mut writer = MessageWriter::new(buffer, header);
        for segment in &image.path {
            writer.option(OptionNumber::URI_PATH, segment.as_bytes());
        }
        writer.uint(OptionNumber::BLOCK2, ((device.block as u32) << 4) | BLOCK_EXPONENT);
        if !device.echo.is_empty() {
            writer.option(OptionNumber::ECHO, &device.echo);
        }
        writer.finish().unwrap_or(0)
    });
}
