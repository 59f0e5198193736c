//! What survives a reboot, as one file for each record beside the flash.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use buoy_client::Storage;

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
        let part = self.0.join(format!("{object}.part"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Server accounts have keys in them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&part)?;
        file.write_all(record)?;
        file.sync_all()?;
        fs::rename(part, self.0.join(object.to_string()))?;
        // The new name is safe only when the folder is.
        sync_folder(&self.0)
    }

    fn wipe(&mut self) -> io::Result<()> {
        fs::read_dir(&self.0)?.try_for_each(|entry| fs::remove_file(entry?.path()))?;
        sync_folder(&self.0)
    }
}

/// Windows has no folders that can be opened, and writes their entries through.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}
