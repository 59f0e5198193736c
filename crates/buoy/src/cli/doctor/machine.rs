//! The machine: its clock, limits and buffers.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Finding;

/// The receive buffer that each socket of the server asks for: `net::udp`.
const WANTED_BUFFER: u64 = 8 << 20;
/// 2026-01-01: a clock before it has not been set.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// Files and connections of a server with some thousand readers.
const WANTED_FILES: u64 = 4096;

pub(super) fn check() -> Vec<Finding> {
    let all = [Some(clock()), synchronised(), files(), receive_buffer(), dropped()];
    all.into_iter().flatten().collect()
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now < EARLIEST {
        let detail = format!("the clock says {} s after 1970", now.as_secs());
        return Finding::failed(
            "clock",
            detail,
            "set it, as by `timedatectl set-ntp true`: certificates and histories need the time",
        );
    }
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    Finding::ok("clock", buoy_services::moments::text(millis / 1000 * 1000))
}

/// Whether the kernel is told that the clock is kept by NTP.
#[cfg(target_os = "linux")]
fn synchronised() -> Option<Finding> {
    // SAFETY: zeros are a valid value of this plain C structure; its field `modes` of zero asks, and sets nothing.
    let mut time: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure outlives the call.
    let state = unsafe { libc::adjtimex(&mut time) };
    if state < 0 {
        return None;
    }
    Some(if time.status & libc::STA_UNSYNC == 0 {
        Finding::ok("clock source", "it is kept by NTP")
    } else {
        Finding::warning(
            "clock source",
            "nothing keeps the clock of this machine in time, or does not tell the kernel",
            "run chrony or systemd-timesyncd; in a container the host does it",
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn synchronised() -> Option<Finding> {
    None
}

#[cfg(unix)]
fn files() -> Option<Finding> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return None;
    }
    let detail = format!("a process may open {} files", limit.rlim_cur);
    Some(if limit.rlim_cur < WANTED_FILES {
        let hint = format!("set `LimitNOFILE={WANTED_FILES}` in the unit, or `ulimit -n {WANTED_FILES}`");
        Finding::warning("open files", detail, hint)
    } else {
        Finding::ok("open files", detail)
    })
}

#[cfg(not(unix))]
fn files() -> Option<Finding> {
    None
}

/// What the kernel grants of the buffer that is asked for.
fn receive_buffer() -> Option<Finding> {
    let granted: u64 = fs::read_to_string("/proc/sys/net/core/rmem_max").ok()?.trim().parse().ok()?;
    let detail = format!("net.core.rmem_max is {granted}");
    Some(if granted < WANTED_BUFFER {
        let hint = format!(
            "a burst of datagrams, as after a power cut of a town, may be lost: `sysctl -w net.core.rmem_max={WANTED_BUFFER}`, and the same in /etc/sysctl.d"
        );
        Finding::warning("UDP buffers", detail, hint)
    } else {
        Finding::ok("UDP buffers", detail)
    })
}

/// Datagrams that found no room since the machine was started.
fn dropped() -> Option<Finding> {
    let text = fs::read_to_string("/proc/net/snmp").ok()?;
    let errors = receive_errors(&text)?;
    Some(if errors > 0 {
        let detail = format!("{errors} datagrams found no room in a buffer since the machine was started");
        Finding::warning(
            "UDP losses",
            detail,
            "enlarge net.core.rmem_max, and look whether the number goes on growing",
        )
    } else {
        Finding::ok("UDP losses", "no datagram was lost for want of room")
    })
}

/// `RcvbufErrors` of the two lines of UDP, the first of which names the columns.
fn receive_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split(' ').position(|name| name == "RcvbufErrors")?;
    values.split(' ').nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_datagrams_are_read_by_the_name_of_their_column() {
        let text = "Ip: a b\nIp: 1 2\nUdp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 10 7 3\n";
        assert_eq!(receive_errors(text), Some(7));
        assert_eq!(receive_errors("Udp: InDatagrams\nUdp: 10\n"), None);
        assert_eq!(receive_errors(""), None);
    }
}
