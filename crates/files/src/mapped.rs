//! Large files that are read where they lie.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// The bytes of a file. The system reads them from the disk when they are used, and takes the memory back when it needs it.
#[derive(Debug)]
pub struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps a file of this program, as [`replace`](crate::replace) wrote it: its bytes never change, since a new version is another file with the
/// same name. If the disk fails to read them later, the process ends.
///
/// # Errors
/// If the file can't be opened or mapped.
pub fn map(path: &Path) -> io::Result<Mapped> {
    let file = File::open(path)?;
    // SAFETY: the bytes must not change while they are mapped. Only this program may write into its data folder, and it replaces a file by
    // renaming another one, so the file that is mapped stays as it is, even after it is removed.
    #[expect(unsafe_code, reason = "a file that could change would be undefined behaviour")]
    let mapped = unsafe { Mmap::map(&file) }?;
    Ok(Mapped(mapped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, replace};

    #[test]
    fn a_file_that_is_mapped_keeps_its_bytes_when_it_is_replaced_and_when_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        replace(&path, b"before", Access::Owner).unwrap();
        let before = map(&path).unwrap();
        replace(&path, b"afterwards", Access::Owner).unwrap();
        let after = map(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((before.as_ref(), after.as_ref()), (&b"before"[..], &b"afterwards"[..]));
        assert!(map(&path).is_err());
    }
}
