//! CoRE link lists (RFC 6690): what Register, Update and Discover carry (LwM2M Core 1.1, sections 6.2.1 and 6.3.2).
//!
//! [`Links`] reads a list without copying it, [`LinkWriter`] writes one. [`ObjectLinks`] gives a device's list of objects
//! its meaning: which instances there are, which versions, below which root.

use crate::attributes::Attributes;
use crate::operation::ObjectVersion;
use crate::output::{Full, Output};
use crate::path::Path;
use buoy_coap::number::ContentFormat;
use core::fmt;

/// The resource type by which a device marks the root of its objects.
pub const ROOT_RESOURCE_TYPE: &str = "oma.lwm2m";

/// The links of a list; nothing follows an error.
///
/// ```
/// use buoy_lwm2m::link::Links;
///
/// let mut links = Links::new(br#"</3>;ver=1.2,</3/0>;pmin=10"#)?;
/// let object = links.next().unwrap()?;
/// assert_eq!(object.target, "/3");
/// assert_eq!(object.attribute("ver").unwrap().raw(), Some("1.2"));
/// # Ok::<(), buoy_lwm2m::link::LinkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Links<'a> {
    rest: &'a str,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Later,
    End,
}

/// One link: a target and its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// What stands between `<` and `>`.
    pub target: &'a str,
    /// The attributes as written, checked.
    attributes: &'a str,
}

/// One attribute of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAttribute<'a> {
    /// The name.
    pub name: &'a str,
    value: Option<LinkValue<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkValue<'a> {
    Token(&'a str),
    /// What stands between the quotes, with its backslashes.
    Quoted(&'a str),
}

/// What is wrong with a list of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The list is not UTF-8.
    PeerSentNotUtf8,
    /// A link doesn't start with a target in `<` and `>`.
    PeerSentBadTarget,
    /// An attribute has no name, or a name or value with characters that don't belong there.
    PeerSentBadAttribute,
    /// The list ends inside of a target or of a quoted value.
    PeerSentTruncated,
    /// The list of objects has more than one root.
    PeerSentTwoRoots,
    /// The buffer of the caller is too small.
    BufferTooSmall,
    /// A target, name or value that can't be written in a link.
    Unwritable,
}

impl<'a> Links<'a> {
    /// The links of a payload; an empty payload has none.
    ///
    /// # Errors
    /// [`LinkError::PeerSentNotUtf8`]
    pub fn new(payload: &'a [u8]) -> Result<Self, LinkError> {
        let text = core::str::from_utf8(payload).map_err(|_| LinkError::PeerSentNotUtf8)?;
        Ok(Self::of_text(text))
    }

    /// The links of a text.
    #[must_use]
    pub fn of_text(text: &'a str) -> Self {
        Self { rest: text, place: Place::First }
    }

    /// The links of an answer to Bootstrap-Discover. LwM2M 1.0 puts its version in front of them, which is no link:
    /// `lwm2m="1.0",</0/0>,</0/1>;ssid=101` (TS 1.0 section 5.2.7.3; some devices do so with later versions too).
    ///
    /// # Errors
    /// [`LinkError::PeerSentNotUtf8`]
    pub fn of_bootstrap(payload: &'a [u8]) -> Result<Self, LinkError> {
        let links = Self::new(payload)?;
        Ok(match links.rest.trim_ascii_start().strip_prefix("lwm2m=") {
            Some(version) => Self::of_text(version.split_once(',').map_or("", |(_, links)| links)),
            None => links,
        })
    }

    fn read(&mut self) -> Result<Option<Link<'a>>, LinkError> {
        self.rest = self.rest.trim_ascii_start();
        match self.place {
            Place::End => return Ok(None),
            Place::First if self.rest.is_empty() => return Ok(None),
            Place::First => self.place = Place::Later,
            Place::Later => match self.rest.strip_prefix(',') {
                None if self.rest.is_empty() => return Ok(None),
                None => return Err(LinkError::PeerSentBadAttribute),
                Some(rest) => self.rest = rest.trim_ascii_start(),
            },
        }
        let opened = self.rest.strip_prefix('<').ok_or(LinkError::PeerSentBadTarget)?;
        let (target, behind) = opened.split_once('>').ok_or(LinkError::PeerSentTruncated)?;
        if target.contains(['<', '"', ' ', '\n', '\r']) {
            return Err(LinkError::PeerSentBadTarget);
        }
        let length = attributes_len(behind)?;
        let (attributes, rest) = behind.split_at_checked(length).ok_or(LinkError::PeerSentTruncated)?;
        self.rest = rest;
        Ok(Some(Link { target, attributes }))
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = Result<Link<'a>, LinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.place = Place::End;
        }
        next
    }
}

impl core::iter::FusedIterator for Links<'_> {}

/// How many bytes the attributes at the start of `text` take.
fn attributes_len(text: &str) -> Result<usize, LinkError> {
    let mut rest = text;
    while let Some((_, behind)) = take_attribute(rest)? {
        rest = behind;
    }
    Ok(text.len().saturating_sub(rest.len()))
}

/// Takes `;name`, `;name=token` or `;name="quoted"`; `None` if no attribute comes next.
fn take_attribute(text: &str) -> Result<Option<(LinkAttribute<'_>, &str)>, LinkError> {
    let Some(rest) = text.trim_ascii_start().strip_prefix(';') else {
        return Ok(None);
    };
    let rest = rest.trim_ascii_start();
    let (name, rest) =
        split_at_first(rest, |character| matches!(character, '=' | ';' | ',') || character == ' ');
    if name.is_empty() || !name.chars().all(is_name_character) {
        return Err(LinkError::PeerSentBadAttribute);
    }
    let Some(value) = rest.strip_prefix('=') else {
        return Ok(Some((LinkAttribute { name, value: None }, rest)));
    };
    let (value, rest) = match value.strip_prefix('"') {
        Some(quoted) => take_quoted(quoted)?,
        None => take_token(value)?,
    };
    Ok(Some((LinkAttribute { name, value: Some(value) }, rest)))
}

fn take_token(text: &str) -> Result<(LinkValue<'_>, &str), LinkError> {
    let (token, rest) = split_at_first(text, |character| matches!(character, ';' | ',' | ' '));
    let is_sane = token
        .chars()
        .all(|character| !matches!(character, '"' | '<' | '>' | '\\') && !character.is_control());
    if is_sane { Ok((LinkValue::Token(token), rest)) } else { Err(LinkError::PeerSentBadAttribute) }
}

fn take_quoted(text: &str) -> Result<(LinkValue<'_>, &str), LinkError> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                let (inside, quote) = text.split_at_checked(at).ok_or(LinkError::PeerSentTruncated)?;
                return Ok((LinkValue::Quoted(inside), quote.strip_prefix('"').unwrap_or(quote)));
            }
            _ => {}
        }
    }
    Err(LinkError::PeerSentTruncated)
}

fn split_at_first(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(is_end).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// RFC 2616's token characters, of which parameter names are made, and the `*` of RFC 5987.
fn is_name_character(character: char) -> bool {
    let marks =
        matches!(character, '!' | '#' | '$' | '&' | '+' | '-' | '.' | '^' | '_' | '`' | '|' | '~' | '*');
    character.is_ascii_alphanumeric() || marks
}

impl<'a> Link<'a> {
    /// The attributes, in the order in which they are written.
    pub fn attributes(&self) -> impl Iterator<Item = LinkAttribute<'a>> + Clone + use<'a> {
        let mut rest = self.attributes;
        core::iter::from_fn(move || {
            let (attribute, behind) = take_attribute(rest).ok()??;
            rest = behind;
            Some(attribute)
        })
    }

    /// The first attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<LinkAttribute<'a>> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// The path in the data model that the target names below `root` (`/` unless the device has another).
    #[must_use]
    pub fn path(&self, root: &str) -> Option<Path> {
        let root = root.trim_end_matches('/');
        let rest = self.target.strip_prefix(root)?;
        if rest.is_empty() { Some(Path::ROOT) } else { rest.parse().ok() }
    }

    /// The notification attributes of the link; attributes that are none are passed over, and malformed ones too.
    #[must_use]
    pub fn notification_attributes(&self) -> Attributes {
        use crate::attributes::AttributeName;
        let mut attributes = Attributes::default();
        for attribute in self.attributes() {
            let name = AttributeName::parse(attribute.name);
            let value = attribute.raw();
            if let (Some(name), Some(value)) = (name, value) {
                attributes.set(name, name.parse_value(value).ok());
            }
        }
        attributes
    }

    /// `ver`: the version of the object.
    #[must_use]
    pub fn version(&self) -> Option<ObjectVersion> {
        self.attribute("ver")?.raw()?.parse().ok()
    }

    /// `dim`: how many instances a multiple resource has.
    #[must_use]
    pub fn dimension(&self) -> Option<u16> {
        self.attribute("dim")?.raw()?.parse().ok()
    }

    /// `ssid`: the short server id of a server's or security instance (Bootstrap-Discover).
    #[must_use]
    pub fn short_server_id(&self) -> Option<u16> {
        self.attribute("ssid")?.raw()?.parse().ok()
    }

    /// `uri`: the server URI of a security instance (Bootstrap-Discover, since 1.1), as written.
    #[must_use]
    pub fn server_uri(&self) -> Option<&'a str> {
        self.attribute("uri")?.raw()
    }
}

impl<'a> LinkAttribute<'a> {
    /// The value without its quotes, but with the backslashes that may stand in a quoted one.
    #[must_use]
    pub fn raw(&self) -> Option<&'a str> {
        match self.value? {
            LinkValue::Token(text) | LinkValue::Quoted(text) => Some(text),
        }
    }

    /// Whether the value stands in quotes.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        matches!(self.value, Some(LinkValue::Quoted(_)))
    }

    /// The characters of the value, escapes resolved; none if there is no value.
    pub fn chars(&self) -> impl Iterator<Item = char> + Clone + use<'a> {
        let is_quoted = self.is_quoted();
        let mut rest = self.raw().unwrap_or("").chars();
        core::iter::from_fn(move || match rest.next()? {
            '\\' if is_quoted => rest.next(),
            character => Some(character),
        })
    }
}

/// A device's list of objects: its root, what formats it speaks, its objects and their instances.
///
/// ```
/// use buoy_lwm2m::link::ObjectLinks;
/// use buoy_lwm2m::path::Path;
///
/// let payload = br#"</>;rt="oma.lwm2m";ct="60 110 112",</1/0>,</3>;ver=1.2,</3/0>"#;
/// let objects = ObjectLinks::parse(payload)?;
/// assert_eq!(objects.root(), "/");
/// let paths: Vec<Path> = objects.iter().map(|object| object.path).collect();
/// assert_eq!(paths, [Path::instance(1, 0), Path::object(3), Path::instance(3, 0)]);
/// # Ok::<(), buoy_lwm2m::link::LinkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ObjectLinks<'a> {
    links: Links<'a>,
    root: Option<Link<'a>>,
}

/// An object or an object instance of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLinkEntry<'a> {
    /// `/3` or `/3/0`.
    pub path: Path,
    /// The version of the object, if it is said.
    pub version: Option<ObjectVersion>,
    /// The whole link.
    pub link: Link<'a>,
}

impl<'a> ObjectLinks<'a> {
    /// Reads the payload of a Register or Update, whole.
    ///
    /// # Errors
    /// [`LinkError`] if it is no list of links. Links that name no object are no error: a device may have others.
    pub fn parse(payload: &'a [u8]) -> Result<Self, LinkError> {
        let links = Links::new(payload)?;
        let mut root = None;
        for link in links.clone() {
            let link = link?;
            if is_root(&link) && root.replace(link).is_some() {
                return Err(LinkError::PeerSentTwoRoots);
            }
        }
        Ok(Self { links, root })
    }

    /// Where the device's objects start; `/` unless it says otherwise.
    #[must_use]
    pub fn root(&self) -> &'a str {
        self.root.map_or("/", |link| link.target)
    }

    /// The content formats that the device says it speaks.
    pub fn content_formats(&self) -> impl Iterator<Item = ContentFormat> + use<'a> {
        let formats = self.root.and_then(|link| link.attribute("ct")?.raw()).unwrap_or("");
        formats.split_ascii_whitespace().filter_map(|format| format.parse().ok().map(ContentFormat))
    }

    /// The objects and object instances.
    pub fn iter(&self) -> impl Iterator<Item = ObjectLinkEntry<'a>> + Clone + use<'a> {
        let root = self.root();
        self.links.clone().filter_map(move |link| {
            let link = link.ok()?;
            let path = link.path(root).filter(|path| matches!(path.len(), 1 | 2))?;
            Some(ObjectLinkEntry { path, version: link.version(), link })
        })
    }
}

fn is_root(link: &Link<'_>) -> bool {
    let mut types = link.attributes().filter(|attribute| attribute.name == "rt");
    types.any(|attribute| {
        attribute.raw().is_some_and(|types| types.split(' ').any(|name| name == ROOT_RESOURCE_TYPE))
    })
}

/// Writes a list of links into a buffer.
///
/// ```
/// use buoy_lwm2m::link::LinkWriter;
/// use buoy_lwm2m::path::Path;
///
/// let mut buffer = [0; 64];
/// let mut links = LinkWriter::new(&mut buffer);
/// links.link("/")?.quoted("rt", "oma.lwm2m")?.quoted("ct", "110 112")?;
/// links.path(Path::object(3))?.token("ver", "1.2")?;
/// let length = links.finish();
/// assert_eq!(&buffer[..length], br#"</>;rt="oma.lwm2m";ct="110 112",</3>;ver=1.2"#);
/// # Ok::<(), buoy_lwm2m::link::LinkError>(())
/// ```
pub struct LinkWriter<'b> {
    output: Output<'b>,
}

impl<'b> LinkWriter<'b> {
    /// Begins a list.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { output: Output::new(buffer) }
    }

    /// Begins a link; its attributes follow.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]; [`LinkError::Unwritable`] if `target` has characters that would end it.
    pub fn link(&mut self, target: &str) -> Result<&mut Self, LinkError> {
        if target.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'"' | b' ' | b'\n' | b'\r')) {
            return Err(LinkError::Unwritable);
        }
        self.begin()?;
        self.output.bytes(target.as_bytes())?;
        self.output.byte(b'>')?;
        Ok(self)
    }

    /// Begins a link to a path of the data model below the root `/`.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]
    pub fn path(&mut self, path: Path) -> Result<&mut Self, LinkError> {
        self.begin()?;
        self.output.path(path)?;
        self.output.byte(b'>')?;
        Ok(self)
    }

    fn begin(&mut self) -> Result<(), Full> {
        self.output.bytes(if self.output.len() > 0 { b",<" } else { b"<" })
    }

    /// Adds `;name="value"`, with backslashes where the value needs them.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]; [`LinkError::Unwritable`] if `name` is none.
    pub fn quoted(&mut self, name: &str, value: &str) -> Result<&mut Self, LinkError> {
        self.name(name)?;
        self.output.bytes(b"=\"")?;
        for character in value.chars() {
            if matches!(character, '"' | '\\') {
                self.output.byte(b'\\')?;
            }
            self.output.bytes(character.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        self.output.byte(b'"')?;
        Ok(self)
    }

    /// Adds `;name=value` without quotes.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]; [`LinkError::Unwritable`] if `name` or `value` can't stand so.
    pub fn token(&mut self, name: &str, value: &str) -> Result<&mut Self, LinkError> {
        if value.bytes().any(|byte| !byte.is_ascii_graphic() || b"\",;<>\\".contains(&byte)) {
            return Err(LinkError::Unwritable);
        }
        self.name(name)?;
        self.output.byte(b'=')?;
        self.output.bytes(value.as_bytes())?;
        Ok(self)
    }

    /// Adds `;name=value` for a number.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]; [`LinkError::Unwritable`] if `name` is none.
    pub fn number(&mut self, name: &str, value: u16) -> Result<&mut Self, LinkError> {
        self.name(name)?;
        self.output.byte(b'=')?;
        self.output.whole(value.into())?;
        Ok(self)
    }

    /// Adds the version of an object.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]
    pub fn version(&mut self, version: ObjectVersion) -> Result<&mut Self, LinkError> {
        self.number("ver", version.major)?;
        self.output.byte(b'.')?;
        self.output.whole(version.minor.into())?;
        Ok(self)
    }

    /// Adds the attributes that are set.
    ///
    /// # Errors
    /// [`LinkError::BufferTooSmall`]
    pub fn notification_attributes(&mut self, attributes: &Attributes) -> Result<&mut Self, LinkError> {
        for (name, value) in attributes.iter() {
            self.name(name.as_str())?;
            self.output.byte(b'=')?;
            value.write(&mut self.output)?;
        }
        Ok(self)
    }

    fn name(&mut self, name: &str) -> Result<(), LinkError> {
        if name.is_empty() || !name.chars().all(is_name_character) {
            return Err(LinkError::Unwritable);
        }
        self.output.byte(b';')?;
        self.output.bytes(name.as_bytes())?;
        Ok(())
    }

    /// Ends the list and says how many bytes of the buffer it fills.
    #[must_use]
    pub fn finish(self) -> usize {
        self.output.len()
    }
}

impl From<Full> for LinkError {
    fn from(_: Full) -> Self {
        Self::BufferTooSmall
    }
}

impl From<fmt::Error> for LinkError {
    fn from(_: fmt::Error) -> Self {
        Self::BufferTooSmall
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerSentNotUtf8 => "the list of links is not UTF-8",
            Self::PeerSentBadTarget => "a link has to start with its target in < and >",
            Self::PeerSentBadAttribute => "an attribute of a link is malformed",
            Self::PeerSentTruncated => "the list of links ends inside of a link",
            Self::PeerSentTwoRoots => "the list of objects has two roots",
            Self::BufferTooSmall => "the buffer is too small",
            Self::Unwritable => "a link can't hold such a target or name",
        })
    }
}

impl core::error::Error for LinkError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Vec<Link<'_>>, LinkError> {
        Links::of_text(text).collect()
    }

    #[test]
    fn targets_and_attributes_are_read() {
        let links = all(r#"</sensors>;ct=40;title="a, \"b\"; c";hidden , <//x?y>"#).unwrap();
        assert_eq!(links[0].target, "/sensors");
        let attributes: Vec<_> =
            links[0].attributes().map(|a| (a.name, a.chars().collect::<String>())).collect();
        assert_eq!(
            attributes,
            [("ct", "40".into()), ("title", "a, \"b\"; c".into()), ("hidden", String::new())]
        );
        assert_eq!(links[1].target, "//x?y");
        assert_eq!(all("").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_links_is_refused() {
        for text in [
            "x",
            "<",
            "</1",
            "</1>x",
            "</1>;",
            "</1>;=2",
            "</1>;a=\"b",
            "</1>,",
            "</1>,,</2>",
            "</1>;a\"b\"",
            "< >",
            "</1>;a=b\"c",
            "</1>;a=\"b\"c",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
        assert!(matches!(Links::new(&[0xff]), Err(LinkError::PeerSentNotUtf8)));
    }

    #[test]
    fn a_registration_names_objects_instances_and_versions() {
        let payload =
            br#"</>;rt="oma.lwm2m";ct="60 110 112",</1>;ver=1.1,</1/0>,</5>,</.well-known/core>,</3303/12>"#;
        let objects = ObjectLinks::parse(payload).unwrap();
        let entries: Vec<_> = objects.iter().map(|entry| (entry.path.to_string(), entry.version)).collect();
        let version = Some(ObjectVersion { major: 1, minor: 1 });
        assert_eq!(
            entries,
            [("/1".into(), version), ("/1/0".into(), None), ("/5".into(), None), ("/3303/12".into(), None)]
        );
        let formats: Vec<_> = objects.content_formats().map(|format| format.0).collect();
        assert_eq!(formats, [60, 110, 112]);
    }

    #[test]
    fn objects_may_lie_below_another_root() {
        let objects = ObjectLinks::parse(br#"</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>,</3/0>"#).unwrap();
        assert_eq!(objects.root(), "/lwm2m");
        let paths: Vec<_> = objects.iter().map(|entry| entry.path).collect();
        assert_eq!(paths, [Path::instance(1, 0)]);
    }

    #[test]
    fn the_quotes_around_versions_that_old_devices_write_are_forgiven() {
        let objects = ObjectLinks::parse(br#"</3>;ver="1.2""#).unwrap();
        assert_eq!(objects.iter().next().unwrap().version, Some(ObjectVersion { major: 1, minor: 2 }));
    }

    #[test]
    fn discovered_attributes_are_read_and_written() {
        let attributes = Attributes { pmin: Some(10), gt: Some(2.5), ..Attributes::default() };
        let mut buffer = [0; 64];
        let mut writer = LinkWriter::new(&mut buffer);
        let path = Path::resource(3, 0, 7);
        writer.path(path).unwrap().number("dim", 2).unwrap().notification_attributes(&attributes).unwrap();
        let length = writer.finish();
        assert_eq!(&buffer[..length], b"</3/0/7>;dim=2;pmin=10;gt=2.5");
        let link = Links::new(&buffer[..length]).unwrap().next().unwrap().unwrap();
        assert_eq!((link.dimension(), link.notification_attributes()), (Some(2), attributes));
        assert_eq!(link.path("/"), Some(path));
    }

    #[test]
    fn what_would_break_the_list_is_not_written() {
        let mut buffer = [0; 8];
        let mut writer = LinkWriter::new(&mut buffer);
        assert_eq!(writer.link("/a>b").err(), Some(LinkError::Unwritable));
        assert_eq!(writer.link("/").unwrap().number("a b", 1).err(), Some(LinkError::Unwritable));
        assert_eq!(writer.quoted("title", "long").err(), Some(LinkError::BufferTooSmall));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            for link in Links::of_text(&text).flatten() {
                let _ = link.attributes().map(|attribute| attribute.chars().count()).sum::<usize>();
            }
            let _ = ObjectLinks::parse(text.as_bytes()).map(|objects| objects.iter().count());
        }

        #[test]
        fn no_heap_of_tokens_makes_the_parser_panic(text in r#"[<>/;,=" a1\\]*"#) {
            let _ = all(&text);
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z]{1,8}", value in "\\PC{0,12}", target in "/[a-z0-9/]{0,8}") {
            let mut buffer = [0; 256];
            let mut writer = LinkWriter::new(&mut buffer);
            writer.link(&target).unwrap().quoted(&name, &value).unwrap();
            writer.link(&target).unwrap();
            let length = writer.finish();
            let links = all(core::str::from_utf8(&buffer[..length]).unwrap()).unwrap();
            prop_assert_eq!(links.len(), 2);
            prop_assert_eq!(links[0].target, target.as_str());
            let read = links[0].attribute(&name).unwrap();
            prop_assert_eq!(read.chars().collect::<String>(), value);
        }
    }
}
