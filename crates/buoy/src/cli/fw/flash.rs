//! What a programmer in the factory writes: a whole flash, with boot loader, partition table and factory image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use buoy_ota::container::Proof;
use buoy_ota::host;
use buoy_ota::partition::{PartitionTable, TABLE_OFFSET};
use buoy_ota::slots::{Layout, Slot};

use super::{read, signature_names};

#[derive(Debug, clap::Args)]
pub(super) struct Flash {
    /// The image that the device leaves the factory with; its signature lies beside it.
    #[arg(long, value_name = "IMAGE")]
    factory: PathBuf,
    /// The boot loader, an ELF file whose load addresses lie in the flash. Without it there is none: other tools write ESP-IDF's.
    #[arg(long, value_name = "ELF", requires = "base")]
    boot: Option<PathBuf>,
    /// Where the processor sees the first byte of the flash.
    #[arg(long, value_name = "ADDRESS", value_parser = number, requires = "boot")]
    base: Option<u32>,
    /// Leaves out so many bytes in front, for tools that write from there on.
    #[arg(long, value_name = "BYTES", value_parser = number, default_value_t = 0, conflicts_with = "boot")]
    skip: u32,
    /// Bytes of the flash.
    #[arg(long, value_name = "BYTES", value_parser = number)]
    size: u32,
    /// Where the flash's content goes.
    #[arg(value_name = "FILE")]
    output: PathBuf,
}

/// A number as in 32768 or 0x8000.
fn number(text: &str) -> Result<u32, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

impl Flash {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let table = PartitionTable::standard_4mb();
        let layout = Layout::from_table(&table)?;
        let place = layout.slot(Slot::Factory).context("the layout has no factory slot")?;
        let image = read(&self.factory)?;
        let names = signature_names(&self.factory);
        let Some(beside) = names.iter().find(|name| name.exists()) else {
            bail!("{} has no signature beside it; `buoy fw sign` makes one", self.factory.display());
        };
        let signature = read(beside)?;
        let contents = host::slot_contents(&place, &image, Proof::recognise(&signature)?)
            .with_context(|| format!("{} does not fit", self.factory.display()))?;
        let mut flash = vec![0xFF; self.size as usize];
        let mut put = |offset: u32, bytes: &[u8], what: &Path| -> anyhow::Result<()> {
            let at = offset as usize;
            let Some(room) = flash.get_mut(at..at + bytes.len()) else {
                bail!(
                    "{} needs {} bytes at {offset:#x}, and the flash ends before",
                    what.display(),
                    bytes.len()
                );
            };
            if room.iter().any(|byte| *byte != 0xFF) {
                bail!("{} lies at {offset:#x}, where something else is", what.display());
            }
            room.copy_from_slice(bytes);
            Ok(())
        };
        put(TABLE_OFFSET, &table.to_bytes(), Path::new("the partition table"))?;
        put(place.image.offset(), &contents, &self.factory)?;
        if let (Some(boot), Some(base)) = (&self.boot, self.base) {
            for (address, bytes) in loaded(&read(boot)?).with_context(|| boot.display().to_string())? {
                let Some(offset) = address.checked_sub(base) else {
                    bail!("{} has bytes at {address:#x}, before the flash", boot.display());
                };
                put(offset, &bytes, boot)?;
            }
        }
        if self.skip > TABLE_OFFSET {
            bail!(
                "--skip leaves out what this makes: it is {TABLE_OFFSET:#x} at most, where the partition table is"
            );
        }
        let flash = flash.split_off(self.skip as usize);
        fs::write(&self.output, flash).with_context(|| format!("{} cannot be written", self.output.display()))
    }
}

/// What an ELF file loads, and where to: physical addresses.
fn loaded(elf: &[u8]) -> anyhow::Result<Vec<(u32, Vec<u8>)>> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let header = object::elf::FileHeader32::<object::Endianness>::parse(elf)
        .context("it is no ELF file for 32 bits; name what the linker wrote")?;
    let endian = header.endian()?;
    let mut found = Vec::new();
    for segment in header.program_headers(endian, elf)? {
        let is_loaded = segment.p_type(endian) == object::elf::PT_LOAD;
        let bytes = segment.data(endian, elf).ok().filter(|bytes| is_loaded && !bytes.is_empty());
        if let Some(bytes) = bytes {
            found.push((segment.p_paddr(endian), bytes.to_vec()));
        }
    }
    Ok(found)
}
