//! What a device has from its factory: lines `name=value`.
//!
//! | Name | Value |
//! |---|---|
//! | `endpoint` | the endpoint name |
//! | `bootstrap` | the URI of the bootstrap server |
//! | `server` | the URI of the server, for a device that is not bootstrapped |
//! | `identity`, `key` | the shared key for it, the key in hexadecimal digits |
//! | `lifetime` | seconds of the registration at `server`; 300 |
//! | `ntp` | address and port of a time server |
//! | `trial` | seconds in which an image on trial has to register; 300 |
//! | `queue` | 1 for queue mode: the device sleeps while nothing is due |
//! | `wifi`, `wifi-password` | the network, for a board with a radio |
//! | `joined` | 1 once the board has been in that network |

use buoy_client::text::{Bytes, Text};
use buoy_client::{Chip, ENDPOINT_MAX, Security, UpTo};

use crate::network::Host;

/// The value of a setting, in lines as [`crate::Board::factory_settings`] gives them.
#[must_use]
pub fn setting<'a>(lines: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = core::str::from_utf8(lines).ok()?.lines();
    lines.find_map(|line| line.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Text<ENDPOINT_MAX>,
    pub(crate) bootstrap: Option<Security<Chip>>,
    pub(crate) server: Option<Security<Chip>>,
    pub(crate) lifetime: u32,
    pub(crate) ntp: Option<(Text<64>, u16)>,
    pub(crate) trial: u32,
    pub(crate) queue: bool,
}

impl Settings {
    /// Reads the lines. What can't be read is as if it weren't there, and named in the second part.
    pub(crate) fn parse(text: &[u8]) -> (Self, Option<&str>) {
        let text = core::str::from_utf8(text).unwrap_or_default();
        let mut settings = Self {
            endpoint: Text::clipped("buoy"),
            bootstrap: None,
            server: None,
            lifetime: 300,
            ntp: None,
            trial: 300,
            queue: false,
        };
        let mut identity = "";
        let mut key = Bytes::<UpTo<64>>::EMPTY;
        let (mut bootstrap, mut server, mut wrong) = (None, None, None);
        for line in text.lines().filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once('=') else {
                wrong = Some(line);
                continue;
            };
            let is_read = match name {
                "endpoint" => Text::new(value).map(|it| settings.endpoint = it).is_ok(),
                "bootstrap" => bootstrap.insert(value).len() > 1,
                "server" => server.insert(value).len() > 1,
                "identity" => {
                    identity = value;
                    true
                }
                "key" => digits(value).map(|it| key = it).is_some(),
                "lifetime" => value.parse().map(|it| settings.lifetime = it).is_ok(),
                "trial" => value.parse().map(|it| settings.trial = it).is_ok(),
                "queue" => {
                    settings.queue = value == "1";
                    settings.queue || value == "0"
                }
                // The board has read them.
                "wifi" | "wifi-password" | "joined" => true,
                "ntp" => {
                    let host = Host::of_authority(value, 123);
                    settings.ntp = host.and_then(|host| Some((Text::new(host.name).ok()?, host.port)));
                    settings.ntp.is_some()
                }
                _ => false,
            };
            if !is_read {
                wrong = Some(line);
            }
        }
        let account = |uri: &str| {
            if key.is_empty() {
                Security::none(uri).ok()
            } else {
                Security::psk(uri, identity.as_bytes(), key.as_slice()).ok()
            }
        };
        settings.bootstrap = bootstrap.and_then(account);
        settings.server = server.and_then(account);
        (settings, wrong)
    }
}

fn digits(text: &str) -> Option<Bytes<UpTo<64>>> {
    let mut bytes = Bytes::EMPTY;
    if !text.is_ascii() || text.len() % 2 != 0 {
        return None;
    }
    for at in (0..text.len()).step_by(2) {
        let byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        bytes.extend(&[byte]).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_one_that_makes_no_sense_is_named() {
        let text = b"endpoint=buoy-1\nbootstrap=coaps://192.0.2.1:5784\nidentity=me\nkey=00ff10\nntp=192.0.2.2\ntrial=20\n";
        let (settings, wrong) = Settings::parse(text);
        assert_eq!((settings.endpoint.as_str(), settings.trial, wrong), ("buoy-1", 20, None));
        let account = settings.bootstrap.unwrap();
        assert_eq!(
            (account.identity.as_slice(), account.secret_key.as_slice()),
            (&b"me"[..], &[0, 255, 16][..])
        );
        let (name, port) = settings.ntp.unwrap();
        assert_eq!((name.as_str(), port), ("192.0.2.2", 123));
        for line in ["key=0", "key=xx", "nonsense", "lifetime=soon", "ntp=:", "queue=2", "colour=red"] {
            assert_eq!(Settings::parse(line.as_bytes()).1, Some(line));
        }
    }
}
