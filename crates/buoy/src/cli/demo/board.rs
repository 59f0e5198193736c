//! The story with an emulated board: the boot loader and the application of `embedded/`, as QEMU runs them.
//!
//! `cargo xtask embedded qemu` builds what this needs: the flash of a new board, and releases that are signed with the key that is in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use buoy_api::{Delivery, Firmware, Update};
use serde_json::{Value, json};

use super::cast::Cast;
use super::{Act, Story, ended, read, registration, wait_within, write};

/// The host as the board sees it.
pub(super) const HOST: &str = "10.0.2.2";
const ENDPOINT: &str = "buoy-qemu";
const KEY: &str = "0f0e0d0c0b0a09080706050403020100";
const QEMU: &str = "qemu-system-riscv32";
/// An image of 330 kB is downloaded in blocks, and a bad one is started three times.
const PATIENCE: Duration = Duration::from_secs(240);

/// A board that the demo can be played with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BoardKind {
    /// The machine `virt` of qemu-system-riscv32.
    Qemu,
}

/// What the board needs: a flash, and releases.
pub(super) struct Files(PathBuf);

impl Files {
    /// Looks for them before anything is started.
    pub(super) fn find(folder: &Path) -> anyhow::Result<Self> {
        for name in ["flash.bin", "1.0.1.bin", "1.1.0.bin", "1.2.0.bin", "1.7.0.bin"] {
            ensure!(
                folder.join(name).exists(),
                "{} is not there; `cargo xtask embedded qemu` builds it, in the sources of Buoy (--board-files names another folder)",
                folder.join(name).display()
            );
        }
        let has_qemu =
            Command::new(QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(has_qemu.is_ok(), "there is no {QEMU}; on Debian: apt-get install qemu-system-misc");
        Ok(Self(folder.to_owned()))
    }
}

/// Plays the story. Gives the board, which runs on.
pub(super) fn tell(story: &mut Story<'_>, files: &Files) -> anyhow::Result<Machine> {
    let folder = story.cast.folder().to_owned();
    let port = story.cast.bootstraps.rsplit(':').next().unwrap_or_default().to_owned();
    fs::copy(files.0.join("flash.bin"), folder.join("board.flash")).context("the flash can't be copied")?;
    let settings = format!(
        "endpoint={ENDPOINT}\nbootstrap=coaps://{HOST}:{port}\nidentity={ENDPOINT}\nkey={KEY}\ntrial=10\n"
    );
    fs::write(folder.join("board.settings"), settings)?;
    story.step("a board is claimed by the key that it leaves the factory with", claim)?;
    let mut machine = Machine::start(story.cast)?;
    story.step("its boot loader verifies the image, and it registers over DTLS", |act| {
        let line = machine.says("boot: starts")?;
        act.screen.detail(&line);
        act.command("buoy ctl devices");
        let registration = wait_within(PATIENCE, "the registration", || registration(act.client, ENDPOINT))?;
        ensure!(registration.secure, "the board should speak over DTLS");
        let version = read(act.client, ENDPOINT, "3/0/3")?;
        ensure!(version == "1.0.0", "the board should run 1.0.0, and runs {version}");
        Ok(format!("{ENDPOINT} at {}, firmware {version}", registration.address))
    })?;
    story.step("the light goes on", |act| {
        act.command(&format!("buoy ctl write {ENDPOINT} /3311/0/5850=true"));
        write(
            act.client,
            ENDPOINT,
            "3311/0/5850",
            &json!({"kind": "singleResource", "id": 5850, "value": true}),
        )?;
        machine.says("board: the light is at 100 %")
    })?;
    story.step("signed 1.1.0 rolls out", |act| {
        let update = update(act, files, "1.1.0")?;
        ended(&update, "updated")
    })?;
    story.step("1.2.0 crashes and is rolled back", |act| {
        let update = update(act, files, "1.2.0")?;
        machine.says("boot: starts version 1.2.0")?;
        act.screen.detail(&machine.says("boot: starts version 1.1.0")?);
        ended(&update, "rolled_back")
    })?;
    story.step("an image that another key has signed is refused", |act| {
        let update = update(act, files, "1.7.0")?;
        act.screen.detail(&machine.says("app: the package is refused")?);
        ended(&update, "refused")
    })?;
    let mut after_the_cut = None;
    story.step("power is cut in a download, and it goes on where it stopped", |act| {
        let firmware = upload(act, files, "1.0.1")?;
        let started = act.start(ENDPOINT, &firmware, Delivery::PullCoap)?;
        machine.says("bytes of the package")?;
        drop(machine);
        act.screen.detail("power off");
        let mut machine = Machine::start(act.cast)?;
        act.screen.detail("power on");
        let resumed = machine.says("app: the download goes on")?;
        let update = follow(act, started.id)?;
        after_the_cut = Some(machine);
        Ok(format!("{} ({resumed})", ended(&update, "updated")?))
    })?;
    after_the_cut.context("the board is off")
}

fn claim(act: &mut Act<'_, '_>) -> anyhow::Result<String> {
    act.command(&format!("buoy ctl credentials add {ENDPOINT} --purpose bootstrap --key {KEY}"));
    let claim = json!({"endpoint": ENDPOINT, "purpose": "bootstrap", "proof": {"psk": {"key": KEY}}});
    act.client.send_json::<Value>(ureq::http::Method::POST, "/api/v1/credentials", &claim)?;
    act.command(&format!("buoy ctl bootstrap add {ENDPOINT}"));
    let server = json!({"lifetime": 300, "binding": "U", "credentials": "mint_psk"});
    let config = json!({"pattern": ENDPOINT, "servers": [server]});
    act.client.send_json::<Value>(ureq::http::Method::PUT, "/api/v1/bootstrap/configs", &config)?;
    Ok(ENDPOINT.into())
}

fn upload(act: &mut Act<'_, '_>, files: &Files, version: &str) -> anyhow::Result<Firmware> {
    let name = format!("{version}.bin");
    let image = fs::read(files.0.join(&name))?;
    let signature = fs::read(files.0.join(format!("{name}.sig")))?;
    act.command(&format!("buoy ctl firmware upload {name}"));
    let firmware = act.client.upload_firmware(Some(&name), &image)?;
    Ok(act.client.upload_signature(&firmware.digest, &signature)?)
}

fn update(act: &mut Act<'_, '_>, files: &Files, version: &str) -> anyhow::Result<Update> {
    let firmware = upload(act, files, version)?;
    let update = act.start(ENDPOINT, &firmware, Delivery::PullCoap)?;
    follow(act, update.id)
}

/// Shows the stages of an update until it ends.
fn follow(act: &mut Act<'_, '_>, id: u64) -> anyhow::Result<Update> {
    act.follow_within(PATIENCE, id, |_| ())
}

/// A board that is switched on. Its end is a power cut.
pub(super) struct Machine {
    child: Arc<Mutex<Child>>,
    lines: Receiver<String>,
}

impl Machine {
    fn start(cast: &Cast) -> anyhow::Result<Self> {
        let folder = cast.folder();
        let drive = format!("if=pflash,unit=0,format=raw,file={}", folder.join("board.flash").display());
        let settings =
            format!("loader,file={},addr=0x80701000,force-raw=on", folder.join("board.settings").display());
        let mut child = Command::new(QEMU)
            .args(["-M", "virt", "-m", "8M", "-nographic", "-monitor", "none", "-serial", "stdio"])
            .args(["-bios", "none", "-drive", &drive, "-device", &settings])
            .args(["-device", "virtio-net-device,netdev=net", "-netdev", "user,id=net"])
            .args(["-device", "virtio-rng-device", "-device", "i6300esb", "-watchdog-action", "reset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("QEMU could not be started")?;
        let output = child.stdout.take().context("QEMU has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // Who no longer listens must not stop the board.
                let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        });
        let child = Arc::new(Mutex::new(child));
        cast.watch_board(child.clone());
        Ok(Self { child, lines })
    }

    /// Waits for a line that has this text.
    fn says(&mut self, text: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.ok().with_context(|| format!("the board did not say {text:?}"))?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be over already.
        let _ = child.kill();
        let _ = child.wait();
    }
}
