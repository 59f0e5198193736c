//! The data folder, the store, and certificates.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buoy_services::certificates::read_certificates;
use buoy_services::identity::{CERTIFICATE_FILE, HTTPS_CERTIFICATE_FILE};
use buoy_services::server::Settings;

use super::Finding;
use crate::server::{HttpPorts, Protection};

/// Room on the disk below which a server should not be run for long, and below which it soon stops.
const LOW: u64 = 1 << 30;
const VERY_LOW: u64 = 100 << 20;
/// A certificate that ends so soon is to be renewed.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Whether a server runs on the folder: it has locked it.
pub(super) fn is_running(data: &Path) -> bool {
    let lock = File::open(data.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

pub(super) fn check(settings: &Settings, is_running: bool) -> Vec<Finding> {
    let running = match is_running {
        true => Finding::ok("server", format!("it runs on {}", settings.data.display())),
        false => Finding::ok("server", "it does not run; its ports are tried"),
    };
    let mut findings = vec![running, folder(&settings.data)];
    findings.extend(disk(&settings.data));
    findings.push(store(settings));
    findings
}

fn folder(data: &Path) -> Finding {
    let shown = data.display();
    let metadata = match std::fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return Finding::failed("data folder", format!("{shown} is no folder"), "name another by --data");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok(
                "data folder",
                format!("{shown} is not there, and is made at the first start"),
            );
        }
        Err(error) => {
            return Finding::failed(
                "data folder",
                format!("{shown}: {error}"),
                "let the server's user read it",
            );
        }
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let hint = format!("it has keys in it: `chmod 700 {shown}`");
            return Finding::warning(
                "data folder",
                format!("{shown} can be read by others (mode {mode:o})"),
                hint,
            );
        }
        // SAFETY: it has no arguments, and cannot fail.
        let user = unsafe { libc::geteuid() };
        if user != 0 && metadata.uid() != user {
            let detail = format!("{shown} belongs to another user ({})", metadata.uid());
            return Finding::failed("data folder", detail, "run the command, and the server, as that user");
        }
    }
    #[cfg(not(unix))]
    let _ = metadata;
    Finding::ok("data folder", format!("{shown}, for its owner alone"))
}

#[cfg(unix)]
fn disk(data: &Path) -> Option<Finding> {
    use std::os::unix::ffi::OsStrExt;
    // Of a folder that is not there yet, that which it will be in.
    let there = data.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let path = std::ffi::CString::new(there.as_os_str().as_bytes()).ok()?;
    // SAFETY: zeros are a valid value of this plain C structure.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: both outlive the call, and the path ends with a zero.
    if unsafe { libc::statvfs(path.as_ptr(), &mut room) } != 0 {
        return None;
    }
    #[allow(clippy::useless_conversion, reason = "on some systems they have 32 bits")]
    let free = u64::from(room.f_bavail).saturating_mul(u64::from(room.f_frsize));
    let detail = format!("{} MB are free", free >> 20);
    let hint = "make room, or move the data folder: without room nothing is acknowledged any more";
    Some(match free {
        ..VERY_LOW => Finding::failed("disk", detail, hint),
        VERY_LOW..LOW => Finding::warning("disk", detail, hint),
        _ => Finding::ok("disk", detail),
    })
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Option<Finding> {
    None
}

fn store(settings: &Settings) -> Finding {
    let place = &settings.store;
    match place.open_to_read() {
        Ok(reader) => {
            let mut devices = 0_u64;
            match reader.devices(&mut |_| devices += 1) {
                Ok(()) => Finding::ok("store", format!("{place} can be read; it knows {devices} devices")),
                Err(error) => {
                    Finding::failed("store", format!("{place}: {error}"), "restore a backup: `buoy restore`")
                }
            }
        }
        Err(error) => {
            let words = format!("{error:#}");
            if words.contains("there is no database") {
                return Finding::ok("store", format!("{place} is not there, and is made at the first start"));
            }
            let hint = "a schema of an earlier version is brought up to date by `buoy migrate`, or when the server starts";
            Finding::failed("store", words, hint)
        }
    }
}

/// The certificates that the server shows, and those that it trusts.
pub(super) fn certificates(settings: &Settings, ports: &HttpPorts) -> Vec<Finding> {
    let own = |name: &str| Some(settings.data.join(name)).filter(|path| path.exists());
    let identity = settings.identity.certificate.clone().or_else(|| own(CERTIFICATE_FILE));
    let interface = match &ports.protection {
        Protection::Files(certificate, _) => Some(certificate.clone()),
        Protection::SelfSigned(_) => own(HTTPS_CERTIFICATE_FILE),
        Protection::Plain => None,
    };
    let files = ports.files_tls.and(ports.tls.as_ref()).map(|(certificate, _)| certificate.clone());
    let named = [
        ("certificate", identity),
        ("HTTPS", interface),
        ("files by HTTPS", files),
        ("authorities", settings.identity.client_authorities.clone()),
    ];
    named.into_iter().filter_map(|(check, path)| Some(certificate(check, &path?))).collect()
}

fn certificate(check: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    let all = match read_certificates(path) {
        Ok(all) => all,
        Err(error) => {
            return Finding::failed(check, format!("{error:#}"), "name a file with certificates (PEM)");
        }
    };
    let ends = all.iter().map(|it| it.tbs_certificate().validity().not_after.to_unix_duration());
    let Some(end) = ends.min() else {
        return Finding::failed(
            check,
            format!("{shown} has no certificate"),
            "name a file with certificates (PEM)",
        );
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = buoy_services::moments::text(end.as_secs().saturating_mul(1000));
    match end.checked_sub(now) {
        None => {
            let hint = "issue a new one; devices and browsers refuse this one";
            Finding::failed(check, format!("{shown} has expired at {date}"), hint)
        }
        Some(left) if left < SOON => {
            Finding::warning(check, format!("{shown} ends at {date}"), "issue a new one before that")
        }
        Some(_) => Finding::ok(check, format!("{shown} counts until {date}")),
    }
}
