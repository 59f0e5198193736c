//! The CBOR format of LwM2M 1.2 (`application/vnd.oma.lwm2m+cbor`, Core 1.2, section 7.4.7).
//!
//! Maps inside maps, keyed by ids; an array of ids as key goes down several levels at once.

use super::cbor::{Cbor, Count, Element, Major, TimeTag, insert_head, write_head, write_null, write_value};
use super::{FormatError, Integer, Item};
use crate::output::Output;
use crate::path::{Level, Path};
use crate::value::Value;

/// The root's map and one map per level above the last.
const MAX_DEPTH: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Frame {
    path: Path,
    left: Count,
}

/// Reads the entries of a payload, however they are nested.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    cbor: Cbor<'a>,
    frames: [Frame; MAX_DEPTH],
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Result<Self, FormatError> {
        let mut cbor = Cbor::new(payload);
        let Element::Map(left) = cbor.element()? else {
            return Err(FormatError::PeerSentBadCbor);
        };
        Ok(Self { cbor, frames: [Frame { path: Path::ROOT, left }; MAX_DEPTH], depth: 1 })
    }

    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, FormatError> {
        while let Some(frame) = self.depth.checked_sub(1).and_then(|index| self.frames.get_mut(index)) {
            if !self.cbor.next_member(&mut frame.left)? {
                self.depth = self.depth.saturating_sub(1);
                continue;
            }
            let path = read_key(frame.path, &mut self.cbor)?;
            if let Some(item) = self.enter(path)? {
                return Ok(Some(item));
            }
        }
        self.cbor.end()?;
        Ok(None)
    }

    /// Goes into a map, or makes an item of what isn't one.
    fn enter(&mut self, path: Path) -> Result<Option<Item<'a>>, FormatError> {
        let mut ahead = self.cbor;
        let Element::Map(mut left) = ahead.element()? else {
            return Ok(Some(Item { path, value: self.cbor.scalar()?, time: None }));
        };
        self.cbor = ahead;
        let is_empty = left == Some(0) || (left.is_none() && !self.cbor.next_member(&mut left)?);
        if is_empty {
            return Ok(Some(Item { path, value: None, time: None }));
        }
        if path.level() == Level::ResourceInstance {
            return Err(FormatError::PeerSentTooDeep);
        }
        let slot = self.frames.get_mut(self.depth).ok_or(FormatError::PeerSentTooDeep)?;
        *slot = Frame { path, left };
        self.depth = self.depth.saturating_add(1);
        Ok(None)
    }
}

fn read_key(parent: Path, cbor: &mut Cbor<'_>) -> Result<Path, FormatError> {
    match cbor.element()? {
        Element::Integer(id) => child(parent, id),
        Element::Array(left) => read_key_array(parent, left, cbor),
        _ => Err(FormatError::PeerSentBadCbor),
    }
}

fn read_key_array(parent: Path, mut left: Count, cbor: &mut Cbor<'_>) -> Result<Path, FormatError> {
    let mut path = parent;
    while cbor.next_member(&mut left)? {
        let Element::Integer(id) = cbor.element()? else {
            return Err(FormatError::PeerSentBadCbor);
        };
        path = child(path, id)?;
    }
    // A key that leads nowhere would let maps nest without end.
    if path == parent { Err(FormatError::PeerSentBadCbor) } else { Ok(path) }
}

fn child(parent: Path, id: Integer) -> Result<Path, FormatError> {
    if parent.level() == Level::ResourceInstance {
        return Err(FormatError::PeerSentTooDeep);
    }
    id.to_u64().and_then(|id| parent.child(u16::try_from(id).ok()?)).ok_or(FormatError::PeerSentBadId)
}

/// A map that is being written; its head, which counts its entries, is still missing.
#[derive(Clone, Copy, Debug, Default)]
struct OpenMap {
    start: usize,
    entries: u64,
}

/// Writes nested maps front to back.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    maps: [OpenMap; 5],
    /// The path of the innermost map; its length is how many maps are open inside the root's.
    open: Path,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { maps: [OpenMap::default(); 5], open: Path::ROOT }
    }

    pub(crate) fn push(
        &mut self,
        path: Path,
        value: &Value<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), FormatError> {
        self.write_key(path, output)?;
        write_value(value, TimeTag::Written, output)
    }

    pub(crate) fn push_empty(&mut self, path: Path, output: &mut Output<'_>) -> Result<(), FormatError> {
        if path.level() < Level::ResourceInstance {
            return self.move_to(path, output);
        }
        self.write_key(path, output)?;
        write_null(output)
    }

    pub(crate) fn finish(&mut self, output: &mut Output<'_>) -> Result<(), FormatError> {
        self.move_to(Path::ROOT, output)?;
        self.close(0, output)
    }

    fn write_key(&mut self, path: Path, output: &mut Output<'_>) -> Result<(), FormatError> {
        let (Some(parent), Some(id)) = (path.parent(), path.last_id()) else {
            return Err(FormatError::OutOfOrder);
        };
        self.move_to(parent, output)?;
        self.count_entry();
        write_head(Major::Unsigned, id.into(), output)
    }

    /// Closes maps that `path` isn't in and opens those that lead to it.
    fn move_to(&mut self, path: Path, output: &mut Output<'_>) -> Result<(), FormatError> {
        let common = self.open.common_len(path);
        while self.open.len() > common {
            self.close(self.open.len(), output)?;
            self.open = self.open.truncated(self.open.len().saturating_sub(1));
        }
        for &id in path.ids().iter().skip(common) {
            self.count_entry();
            write_head(Major::Unsigned, id.into(), output)?;
            self.open = self.open.child(id).unwrap_or(self.open);
            if let Some(map) = self.maps.get_mut(self.open.len()) {
                *map = OpenMap { start: output.len(), entries: 0 };
            }
        }
        Ok(())
    }

    fn count_entry(&mut self) {
        if let Some(map) = self.maps.get_mut(self.open.len()) {
            map.entries = map.entries.saturating_add(1);
        }
    }

    fn close(&mut self, level: usize, output: &mut Output<'_>) -> Result<(), FormatError> {
        let map = self.maps.get(level).copied().unwrap_or_default();
        insert_head(Major::Map, map.entries, map.start, output)
    }
}

/// Writes paths that have no values, in any order: a flat map with null behind each key.
pub(crate) fn write_paths(
    paths: impl IntoIterator<Item = Path>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    let mut count = 0_u64;
    for path in paths {
        match *path.ids() {
            [] => {
                return Err(FormatError::UnsupportedPath {
                    level: path.level(),
                    format: super::ContentFormat::LWM2M_CBOR,
                });
            }
            [id] => write_head(Major::Unsigned, id.into(), output)?,
            _ => {
                write_head(Major::Array, path.len() as u64, output)?;
                path.ids().iter().try_for_each(|&id| write_head(Major::Unsigned, id.into(), output))?;
            }
        }
        write_null(output)?;
        count = count.saturating_add(1);
    }
    insert_head(Major::Map, count, 0, output)
}
