//! `buoy ca`: an authority for fleets that have none.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use buoy_services::certificates::{self, Issuer, Subject, Use};
use buoy_services::private_file;

/// An authority lives as long as the devices that were told of it.
const AUTHORITY_DAYS: u32 = 20 * 365;
const DEVICE_DAYS: u32 = 90;
const SERVER_DAYS: u32 = 365;
const LONGEST_DAYS: u32 = 100 * 365;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes an authority: ca.key.pem (keep it secret, and off the server) and ca.cert.pem (for `buoy serve --client-ca`, and for
    /// devices).
    Init {
        /// Where the two files go.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// What the authority is called.
        #[arg(long, default_value = "Buoy fleet")]
        name: String,
        /// Days for which it is good.
        #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))]
        days: u32,
    },
    /// Makes a key and a certificate for it: NAME.key.pem and NAME.cert.pem.
    Issue(Issue),
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// What for.
    #[arg(value_enum)]
    kind: Kind,
    /// The device's endpoint name, or the server's DNS name.
    name: String,
    /// The folder of the authority.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Days for which it is good [default: 90 for a device, 365 for a server]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_DAYS)))]
    days: Option<u32>,
    /// A DNS name or IP address that stands in it; may be repeated [default: a server's name]
    #[arg(long = "dns", value_name = "NAME")]
    alternatives: Vec<String>,
    /// A certificate request (PEM), whose key is taken in place of a new one.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Where the files go: PREFIX.key.pem and PREFIX.cert.pem [default: NAME in the folder of the authority]
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Device,
    Server,
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Init { dir, name, days } => init(dir, name, *days),
        Command::Issue(issue) => issue.run(),
    }
}

fn init(dir: &Path, name: &str, days: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let files = Pair::of(&dir.join("ca"));
    let key = certificates::new_key()?;
    let subject = Subject { name, usage: Use::Authority, alternatives: &[], days };
    let certificate = certificates::self_signed(&subject, &key)?;
    files.check_free()?;
    private_file::create(&files.key, certificates::key_pem(&key)?.as_bytes())?;
    files.write_certificate(&certificates::certificate_pem(&certificate)?)?;
    println!("{}\n{}", files.key.display(), files.certificate.display());
    Ok(())
}

impl Issue {
    fn run(&self) -> anyhow::Result<()> {
        let issuer = Issuer::read(&self.dir)?;
        let alternatives = match self.kind {
            Kind::Server => certificates::server_names(&self.name, &self.alternatives),
            Kind::Device => self.alternatives.clone(),
        };
        let (usage, days) = match self.kind {
            Kind::Device => (Use::Device, DEVICE_DAYS),
            Kind::Server => (Use::Server, SERVER_DAYS),
        };
        let days = self.days.unwrap_or(days);
        let subject = Subject { name: &self.name, usage, alternatives: &alternatives, days };
        // A slash would lead elsewhere.
        let prefix = self.out.clone().unwrap_or_else(|| self.dir.join(self.name.replace(['/', '\\'], "_")));
        let files = Pair::of(&prefix);
        files.check_free()?;
        let (key, public) = match &self.csr {
            Some(path) => (None, certificates::read_request(path)?),
            None => {
                let key = certificates::new_key()?;
                let public = certificates::public_half(&key)?;
                (Some(key), public)
            }
        };
        let certificate = certificates::issue(&issuer, &subject, public)?;
        if let Some(key) = key {
            private_file::create(&files.key, certificates::key_pem(&key)?.as_bytes())?;
            println!("{}", files.key.display());
        }
        files.write_certificate(&certificates::certificate_pem(&certificate)?)?;
        println!("{}", files.certificate.display());
        Ok(())
    }
}

/// A key and its certificate.
struct Pair {
    key: PathBuf,
    certificate: PathBuf,
}

impl Pair {
    fn of(prefix: &Path) -> Self {
        let with = |end: &str| {
            let mut name = prefix.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self { key: with(".key.pem"), certificate: with(".cert.pem") }
    }

    /// A key without its certificate, or a certificate of the key before, would be of no use.
    fn check_free(&self) -> anyhow::Result<()> {
        match [&self.key, &self.certificate].into_iter().find(|path| path.exists()) {
            Some(path) => bail!(
                "{} is there already, and is not overwritten; move it away, or choose another place",
                path.display()
            ),
            None => Ok(()),
        }
    }

    fn write_certificate(&self, pem: &str) -> anyhow::Result<()> {
        let written = buoy_files::create(&self.certificate, pem.as_bytes(), buoy_files::Access::Everybody);
        written.with_context(|| format!("{} cannot be written", self.certificate.display()))
    }
}
