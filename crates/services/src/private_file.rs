//! Files that only their owner may read, such as keys. They are written completely or not at all, even if the power fails.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use buoy_files::Access;
use zeroize::Zeroizing;

/// Writes a file that must not exist yet.
pub fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    match buoy_files::create(path, bytes, Access::Owner) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} is there already, and is not overwritten; move it away, or choose another place",
                path.display()
            )
        }
        result => result.with_context(|| format!("{} cannot be written", path.display())),
    }
}

/// Replaces a file: a reader sees either the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let replaced = buoy_files::replace(path, bytes, Access::Owner);
    replaced.with_context(|| format!("{} cannot be written", path.display()))
}

/// Makes a file or a folder, if it exists, accessible only to its owner. Folders of earlier versions were accessible to others.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

/// Creates an empty file that is private; if it exists, it is made private.
pub fn create_empty(path: &Path) -> std::io::Result<()> {
    match buoy_files::create(path, b"", Access::Owner) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => make_private(path),
        result => result,
    }
}

/// Creates a folder that only its owner can read, and its parents. An existing folder is not changed.
pub fn create_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Reads a file. Refuses a file that others may read.
pub fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bytes = Zeroizing::new(bytes);
    check_private(path)?;
    Ok(bytes)
}

#[cfg(unix)]
fn check_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "{} holds a secret, and others may read it (its mode is {mode:o}); run `chmod 600 {}`, and make a new key if somebody \
             may have read this one",
            path.display(),
            path.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_written_for_its_owner_alone_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&path, b"two").unwrap_err().to_string().contains("not overwritten"));
        assert_eq!(*read(&path).unwrap(), b"one");
        // A draft of an interrupted replacement.
        fs::write(folder.path().join("key.new"), b"ha").unwrap();
        replace(&path, b"three").unwrap();
        assert_eq!(*read(&path).unwrap(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_earlier_versions_left_open_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (file, inner) = (folder.path().join("buoy.db"), folder.path().join("firmware"));
        make_private(&file).unwrap();
        fs::write(&file, b"rows").unwrap();
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        create_empty(&file).unwrap();
        make_private(&inner).unwrap();
        assert_eq!((mode(&file), mode(&inner)), (0o600, 0o700));
        assert_eq!(fs::read(&file).unwrap(), b"rows");
        create_empty(&folder.path().join("new")).unwrap();
        assert_eq!(mode(&folder.path().join("new")), 0o600);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("640") && error.contains("chmod 600"), "{error}");
    }
}
