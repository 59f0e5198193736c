//! Writing files so that they are complete or absent even after a power cut, and so that only their owner can read them.
//!
//! A file is first written as a [`Draft`] in the same folder, under its name with `.new` at the end. The draft is flushed to the disk and
//! renamed, and then the folder is flushed. If a run was interrupted, the next run removes its draft.

#![deny(unsafe_code)]

mod mapped;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

pub use mapped::{Mapped, map};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone, from the first byte on: it has secrets in it.
    Owner,
    /// Whoever the system lets (on Unix by the umask).
    Everybody,
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if it is there, whatever it is; or what the system says. Nothing is left then.
pub fn create(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let mut draft = Draft::new(path, access)?;
    draft.write_all(bytes)?;
    draft.commit_new()
}

/// Writes a file in place of what is there: a reader sees either the old one or the new one.
///
/// # Errors
/// What the system says; the old one is still there then.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let mut draft = Draft::new(path, access)?;
    draft.write_all(bytes)?;
    draft.commit()
}

/// A file that has not got its name yet. One that is dropped is removed.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
    file: File,
    is_done: bool,
}

impl Draft {
    /// An empty file beside `target`. What an interrupted run left of one is removed first.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(target: &Path, access: Access) -> io::Result<Self> {
        let mut path = target.as_os_str().to_owned();
        path.push(".new");
        let path = PathBuf::from(path);
        remove_if_there(&path)?;
        // One that somebody else makes meanwhile, as a link to another place, is not followed.
        let file = open_new(&path, access)?;
        Ok(Self { target: target.to_owned(), path, file, is_done: false })
    }

    /// Where it is, for whoever writes files by name. That may be removed and made anew until it is committed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, in place of what is there.
    ///
    /// # Errors
    /// What the system says; what was there is still there then.
    pub fn commit(mut self) -> io::Result<()> {
        self.sync()?;
        fs::rename(&self.path, &self.target)?;
        self.is_done = true;
        sync_folder_of(&self.target)
    }

    /// Gives the file its name, unless something has it.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], or what the system says.
    pub fn commit_new(self) -> io::Result<()> {
        self.sync()?;
        match fs::hard_link(&self.path, &self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // A file system without links. Whoever makes the same file at the same moment is overwritten there.
            Err(_) if fs::symlink_metadata(&self.target).is_err() => return self.commit(),
            Err(_) => return Err(ErrorKind::AlreadyExists.into()),
        }
        sync_folder_of(&self.target)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        // Whoever writes by name may have made another file of it.
        File::open(&self.path)?.sync_all()
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_done {
            // The next draft removes it otherwise.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the names in a folder outlive a power cut. Windows has no folders that can be opened, and writes their entries through.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes the name of a file outlive a power cut.
///
/// # Errors
/// What the system says.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_new(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = access;
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("key")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let place = Place::new();
        replace(&place.path(), b"one", Access::Everybody).unwrap();
        replace(&place.path(), b"two", Access::Everybody).unwrap();
        assert_eq!(
            (fs::read(place.path()).unwrap(), place.names()),
            (b"two".to_vec(), vec!["key".to_owned()])
        );
    }

    #[test]
    fn what_a_crash_left_of_a_draft_is_not_the_file_and_is_removed_by_the_next_writer() {
        let place = Place::new();
        replace(&place.path(), b"old", Access::Owner).unwrap();
        let mut draft = Draft::new(&place.path(), Access::Owner).unwrap();
        draft.write_all(b"ha").unwrap();
        // A process that dies drops nothing.
        std::mem::forget(draft);
        assert_eq!(fs::read(place.path()).unwrap(), b"old");
        assert_eq!(place.names(), ["key", "key.new"]);

        replace(&place.path(), b"new", Access::Owner).unwrap();
        assert_eq!(
            (fs::read(place.path()).unwrap(), place.names()),
            (b"new".to_vec(), vec!["key".to_owned()])
        );
    }

    #[test]
    fn a_draft_that_is_given_up_is_removed() {
        let place = Place::new();
        drop(Draft::new(&place.path(), Access::Owner).unwrap());
        assert!(place.names().is_empty());
    }

    #[test]
    fn a_file_that_is_there_is_not_created_again_and_stays_as_it_is() {
        let place = Place::new();
        create(&place.path(), b"one", Access::Owner).unwrap();
        let error = create(&place.path(), b"two", Access::Owner).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read(place.path()).unwrap(), place.names()),
            (b"one".to_vec(), vec!["key".to_owned()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_its_owner_s_from_the_first_byte_on() {
        let place = Place::new();
        // What is in the way may be read by all, and its permissions are not taken over.
        fs::write(place.path(), b"open").unwrap();
        fs::write(place.0.path().join("key.new"), b"open").unwrap();
        let draft = Draft::new(&place.path(), Access::Owner).unwrap();
        assert_eq!((mode(draft.path()), fs::read(draft.path()).unwrap()), (0o600, Vec::new()));
        draft.commit().unwrap();
        assert_eq!(mode(&place.path()), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_of_a_draft_is_not_followed() {
        let place = Place::new();
        let other = place.0.path().join("other");
        fs::write(&other, b"precious").unwrap();
        std::os::unix::fs::symlink(&other, place.0.path().join("key.new")).unwrap();
        replace(&place.path(), b"secret", Access::Owner).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"precious");
        assert_eq!(fs::read(place.path()).unwrap(), b"secret");
    }

    #[test]
    fn what_somebody_else_wrote_under_the_draft_s_name_gets_the_name() {
        let place = Place::new();
        let draft = Draft::new(&place.path(), Access::Owner).unwrap();
        fs::write(draft.path(), b"by name").unwrap();
        draft.commit().unwrap();
        assert_eq!(
            (fs::read(place.path()).unwrap(), place.names()),
            (b"by name".to_vec(), vec!["key".to_owned()])
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_no_panic() {
        let place = Place::new();
        let path = place.0.path().join("no/key");
        assert_eq!(replace(&path, b"", Access::Owner).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(sync_folder_of(&path).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
