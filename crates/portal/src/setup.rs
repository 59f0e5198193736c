//! What a person tells a device: its network, its server, its name, and its key.

use core::fmt::{self, Write};

use crate::form::{FieldError, Form};
use crate::text::Text;

/// The longest lines of settings, in bytes.
pub const LINES: usize = 768;
/// Bytes of a key in letters and digits.
const KEY_TEXT: usize = 128;
const KEY_MIN: usize = 8;
const KEY_MAX: usize = 64;

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The name of the Wi-Fi network (SSID).
    pub network: Text<32>,
    /// Its password; none for an open network.
    pub password: Text<64>,
    /// The URI of the server.
    pub server: Text<128>,
    /// What the server is to the device.
    pub role: ServerRole,
    /// The endpoint name.
    pub endpoint: Text<64>,
    /// The identity of the key; the endpoint name unless told otherwise.
    pub identity: Text<64>,
    /// The key or claim code, as it was typed; none without security.
    pub key: Text<KEY_TEXT>,
    /// Where the device asks for the time (SNTP); it may do without.
    pub time: Text<64>,
    /// Whether the device sleeps while nothing is due (queue mode).
    pub sleeps: bool,
}

/// What a server is to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// It manages the device.
    Lwm2m,
    /// It gives the device its accounts.
    Bootstrap,
}

/// A field that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which one.
    pub field: Field,
    /// What is wrong with it.
    pub why: Why,
}

/// The fields of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The name of the network.
    Network,
    /// Its password.
    Password,
    /// The server.
    Server,
    /// The endpoint name.
    Endpoint,
    /// The identity of the key.
    Identity,
    /// The key or claim code.
    Key,
    /// The time server.
    Time,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is empty.
    Missing,
    /// It has more bytes than there is room for.
    TooLong,
    /// It is no text, or has control characters.
    NotText,
    /// WPA2 and WPA3 have passwords of 8 to 63 characters.
    PasswordLength,
    /// It is no address of a server.
    NotServer,
    /// The server's URI says that there is security, and there is no key; or the other way round.
    KeyAndServer,
    /// It has characters that an endpoint name must not have.
    NotName,
    /// It is shorter than 8 bytes, or longer than 64.
    KeyLength,
}

impl Field {
    /// Its name in the form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Password => "password",
            Self::Server => "server",
            Self::Endpoint => "endpoint",
            Self::Identity => "identity",
            Self::Key => "key",
            Self::Time => "time",
        }
    }

    fn read<const N: usize>(self, form: Form<'_>) -> Result<Text<N>, Mistake> {
        form.field(self.name()).map_err(|error| {
            self.mistake(if error == FieldError::TooLong { Why::TooLong } else { Why::NotText })
        })
    }

    const fn mistake(self, why: Why) -> Mistake {
        Mistake { field: self, why }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "must not be empty",
            Self::TooLong => "is too long",
            Self::NotText => "has characters that can't be used",
            Self::PasswordLength => "has 8 to 63 characters, or none for an open network",
            Self::NotServer => "is an address such as lwm2m.example.org or 192.0.2.1:5684",
            Self::KeyAndServer => "is needed for a coaps address, and has no use with a coap address",
            Self::NotName => "has letters, digits, and : - . _ alone",
            Self::KeyLength => {
                "has 8 to 64 bytes: 16 to 128 hexadecimal digits, or a claim code of 8 to 64 characters"
            }
        })
    }
}

impl Setup {
    /// Reads what a browser sent.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn from_form(form: Form<'_>) -> Result<Self, Mistake> {
        let network: Text<32> = Field::Network.read(form)?;
        // A network of the list, unless a name was typed.
        let network = if network.is_empty() {
            form.field("choice").map_err(|_| Field::Network.mistake(Why::NotText))?
        } else {
            network
        };
        let password: Text<64> = Field::Password.read(form)?;
        let typed: Text<120> = Field::Server.read(form)?;
        let endpoint: Text<64> = Field::Endpoint.read(form)?;
        let identity: Text<64> = Field::Identity.read(form)?;
        let key: Text<KEY_TEXT> = Field::Key.read(form)?;
        let role = match form.field::<16>("role") {
            Ok(role) if role.as_str() == "bootstrap" => ServerRole::Bootstrap,
            _ => ServerRole::Lwm2m,
        };
        for (field, text) in [
            (Field::Network, network.as_str()),
            (Field::Server, typed.as_str()),
            (Field::Endpoint, endpoint.as_str()),
        ] {
            if text.trim().is_empty() {
                return Err(field.mistake(Why::Missing));
            }
        }
        if !password.is_empty() && !(8..64).contains(&password.as_str().len()) {
            return Err(Field::Password.mistake(Why::PasswordLength));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b":-._".contains(&byte);
        if !endpoint.as_str().bytes().all(is_name) {
            return Err(Field::Endpoint.mistake(Why::NotName));
        }
        let server = server(typed.as_str(), key.is_empty()).ok_or(Field::Server.mistake(Why::NotServer))?;
        if server.as_str().starts_with("coaps://") == key.is_empty() {
            return Err(Field::Key.mistake(Why::KeyAndServer));
        }
        let key_bytes = key_bytes(key.as_str()).count();
        if !key.is_empty() && !(KEY_MIN..=KEY_MAX).contains(&key_bytes) {
            return Err(Field::Key.mistake(Why::KeyLength));
        }
        let time: Text<64> = Field::Time.read(form)?;
        if !time.is_empty() && !is_authority(time.as_str()) {
            return Err(Field::Time.mistake(Why::NotServer));
        }
        let sleeps = form.field::<8>("sleeps").is_ok_and(|value| value.as_str() == "1");
        let identity = if identity.is_empty() { endpoint } else { identity };
        Ok(Self { network, password, server, role, endpoint, identity, key, time, sleeps })
    }

    /// The settings as lines `name=value`.
    ///
    /// # Errors
    /// There is less room than [`LINES`].
    pub fn write_lines(&self, out: &mut impl Write) -> fmt::Result {
        let Self { network, password, server, endpoint, identity, .. } = self;
        writeln!(out, "endpoint={}", endpoint.as_str())?;
        let role = if self.role == ServerRole::Bootstrap { "bootstrap" } else { "server" };
        writeln!(out, "{role}={}", server.as_str())?;
        if !self.key.is_empty() {
            writeln!(out, "identity={}", identity.as_str())?;
            out.write_str("key=")?;
            for byte in key_bytes(self.key.as_str()) {
                write!(out, "{byte:02x}")?;
            }
            out.write_str("\n")?;
        }
        if !self.time.is_empty() {
            writeln!(out, "ntp={}", self.time.as_str())?;
        }
        if self.sleeps {
            out.write_str("queue=1\n")?;
        }
        writeln!(out, "wifi={}", network.as_str())?;
        writeln!(out, "wifi-password={}", password.as_str())
    }
}

/// The URI of the server; an address without a scheme has that which the key asks for.
fn server(typed: &str, is_open: bool) -> Option<Text<128>> {
    let typed = typed.trim();
    let mut uri = Text::EMPTY;
    if !typed.contains("://") {
        uri.write_str(if is_open { "coap://" } else { "coaps://" }).ok()?;
    }
    uri.write_str(typed).ok()?;
    let authority = uri.as_str().strip_prefix("coap://").or(uri.as_str().strip_prefix("coaps://"))?;
    is_authority(authority).then_some(uri)
}

/// A host, with or without a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "1"));
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The bytes of a key: of an even number of hexadecimal digits from 16 on what they say, of everything else the characters.
fn key_bytes(key: &str) -> impl Iterator<Item = u8> {
    let is_hexadecimal = key.len() >= 2 * KEY_MIN
        && key.len().is_multiple_of(2)
        && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = key.as_bytes().chunks_exact(2).filter_map(move |pair| {
        u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok().filter(|_| is_hexadecimal)
    });
    digits.chain(key.bytes().filter(move |_| !is_hexadecimal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(form: &str) -> Result<String, Mistake> {
        let setup = Setup::from_form(Form(form.as_bytes()))?;
        let mut lines = String::new();
        setup.write_lines(&mut lines).unwrap();
        Ok(lines)
    }

    #[test]
    fn what_was_told_becomes_settings() {
        let form = "choice=Harbour&network=&password=sea+breeze&server=buoy.example.org%3A5784&role=bootstrap&endpoint=buoy-1&identity=&key=000102030405060708090a0b0c0d0e0f";
        assert_eq!(
            lines(form).unwrap(),
            "endpoint=buoy-1\nbootstrap=coaps://buoy.example.org:5784\nidentity=buoy-1\nkey=000102030405060708090a0b0c0d0e0f\nwifi=Harbour\nwifi-password=sea breeze\n"
        );
        let open = "network=Open+Sea&choice=Other&server=192.0.2.1&endpoint=b&role=server";
        assert_eq!(
            lines(open).unwrap(),
            "endpoint=b\nserver=coap://192.0.2.1\nwifi=Open Sea\nwifi-password=\n"
        );
        let sleeping = "network=n&server=h&endpoint=b&time=ntp.example.org&sleeps=1";
        assert!(lines(sleeping).unwrap().contains("ntp=ntp.example.org\nqueue=1\n"));
        let claim = "network=n&server=h&endpoint=b&key=WAVE-7391";
        assert!(
            lines(claim).unwrap().contains("key=574156452d37333931\n"),
            "a claim code is the bytes of its characters"
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_field() {
        let good =
            [("network", "n"), ("password", ""), ("server", "h"), ("endpoint", "b"), ("key", "12345678")];
        let with = |name: &str, value: &str| {
            let fields = good.map(|(key, old)| format!("{key}={}", if key == name { value } else { old }));
            Setup::from_form(Form(fields.join("&").as_bytes()))
                .err()
                .map(|mistake| (mistake.field, mistake.why))
        };
        assert_eq!(with("", ""), None);
        assert_eq!(with("network", ""), Some((Field::Network, Why::Missing)));
        assert_eq!(with("network", &"x".repeat(33)), Some((Field::Network, Why::TooLong)));
        assert_eq!(with("network", "a%0Akey%3D00"), Some((Field::Network, Why::NotText)));
        assert_eq!(with("password", "short"), Some((Field::Password, Why::PasswordLength)));
        assert_eq!(with("server", "http://h"), Some((Field::Server, Why::NotServer)));
        assert_eq!(with("server", "h:70000"), Some((Field::Server, Why::NotServer)));
        assert_eq!(with("server", "<b>"), Some((Field::Server, Why::NotServer)));
        assert_eq!(with("server", "coap://h"), Some((Field::Key, Why::KeyAndServer)));
        let time = Setup::from_form(Form(b"network=n&server=h&endpoint=b&time=%3Cb%3E")).unwrap_err();
        assert_eq!((time.field, time.why), (Field::Time, Why::NotServer));
        assert_eq!(with("endpoint", "%3Cscript%3E"), Some((Field::Endpoint, Why::NotName)));
        assert_eq!(with("key", ""), None, "without a key the way is open");
        assert_eq!(with("key", "1234567"), Some((Field::Key, Why::KeyLength)));
        assert_eq!(with("key", &"x".repeat(10_000)), Some((Field::Key, Why::TooLong)));
        assert_eq!(with("key", &"z".repeat(65)), Some((Field::Key, Why::KeyLength)));
    }

    #[test]
    fn the_longest_settings_have_room() {
        let form = format!(
            "network={}&password={}&server=coaps://{}&endpoint={}&identity={}&key={}&time={}&sleeps=1",
            "n".repeat(32),
            "p".repeat(63),
            "h".repeat(112),
            "e".repeat(64),
            "i".repeat(64),
            "ab".repeat(64),
            "t".repeat(64)
        );
        assert!(lines(&form).unwrap().len() <= LINES);
    }
}
