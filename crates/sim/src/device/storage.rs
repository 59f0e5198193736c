//! What survives a reboot, as one file for each record beside the flash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use buoy_client::Storage;
use buoy_files::{Access, sync_folder};

pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder of a flash.
    pub(super) fn beside(flash: &Path) -> io::Result<Self> {
        let mut name = flash.as_os_str().to_owned();
        name.push(".state");
        fs::create_dir_all(&name)?;
        Ok(Self(name.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Storage for Folder {
    type Error = io::Error;

    fn load(&mut self, object: u16, record: &mut [u8]) -> io::Result<Option<usize>> {
        let bytes = match fs::read(self.0.join(object.to_string())) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match record.get_mut(..bytes.len()) {
            Some(room) => room.copy_from_slice(&bytes),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a record is too long")),
        }
        Ok(Some(bytes.len()))
    }

    fn save(&mut self, object: u16, record: &[u8]) -> io::Result<()> {
        // Server accounts have keys in them.
        buoy_files::replace(&self.0.join(object.to_string()), record, Access::Owner)
    }

    fn wipe(&mut self) -> io::Result<()> {
        fs::read_dir(&self.0)?.try_for_each(|entry| fs::remove_file(entry?.path()))?;
        sync_folder(&self.0)
    }
}
