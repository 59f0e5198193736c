//! Where the signature of an image lies.

use std::path::{Path, PathBuf};

/// Where a signature may lie beside an image, in the order in which it is looked for: where `buoy fw sign` puts it, and as `openssl dgst`
/// is told in most guides.
pub(crate) fn signature_names(image: &Path) -> Vec<PathBuf> {
    let mut names = vec![with_suffix(image, ".sig")];
    for extension in ["signature", "sig"] {
        let name = image.with_extension(extension);
        if name != image && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_looked_for_under_three_names() {
        let names = |image: &str| {
            let names = signature_names(Path::new(image));
            names.iter().map(|name| name.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("a/firmware.bin"), ["a/firmware.bin.sig", "a/firmware.signature", "a/firmware.sig"]);
        assert_eq!(names("firmware"), ["firmware.sig", "firmware.signature"]);
    }
}
