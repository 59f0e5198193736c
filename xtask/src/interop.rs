//! Other people's implementations against ours (interop/README.md).

use std::path::Path;

use anyhow::Result;

use crate::command::{Finished, Run, is_installed};
use crate::outcome::Outcome;

const PYTHON: &str = "interop/venv/bin/python";
const REQUIREMENTS: &str = "interop/requirements.txt";
const DTLS_REQUIREMENTS: &str = "interop/requirements-dtls.txt";
const OPENAPI_REQUIREMENTS: &str = "interop/requirements-openapi.txt";
/// libcoap's programs: without DTLS, and with each of the libraries that Debian builds it with.
const LIBCOAP: &[&str] = &[
    "coap-client-notls",
    "coap-client-openssl",
    "coap-client-gnutls",
    "coap-server-openssl",
    "coap-server-gnutls",
];

/// Every interoperability check. Add yours here.
const CHECKS: &[Check] = &[
    Check {
        name: "Leshan's peers among themselves",
        needs: &[Need::Leshan, Need::Python],
        command: &[PYTHON, "interop/leshan/selfcheck.py"],
    },
    Check {
        name: "aiocoap's peers among themselves and with Leshan's",
        needs: &[Need::Leshan, Need::Python],
        command: &[PYTHON, "interop/aiocoap/selfcheck.py"],
    },
    Check {
        name: "Buoy's server with the probe, libcoap, Leshan's device and aiocoap's",
        needs: &[Need::Buoy, Need::Leshan, Need::Python, Need::Libcoap],
        command: &[PYTHON, "interop/buoy.py", "target/debug/buoy"],
    },
    Check {
        name: "Buoy's REST interface as scripts for Leshan use it, bootstrap credentials included",
        needs: &[Need::Buoy, Need::Python],
        command: &[PYTHON, "interop/leshan_scripts.py", "target/debug/buoy"],
    },
    Check {
        name: "Buoy's device in the hands of a bootstrap server scripted with aiocoap",
        needs: &[Need::Buoy, Need::Python],
        command: &[PYTHON, "interop/aiocoap/bootstrap.py", "target/debug/buoy"],
    },
    Check {
        name: "Buoy over DTLS with OpenSSL, libcoap, tinydtls and mbed TLS",
        needs: &[Need::Buoy, Need::Openssl, Need::Libcoap, Need::Python, Need::DtlsLibraries],
        command: &[PYTHON, "interop/dtls.py", "target/debug/buoy"],
    },
    Check {
        name: "Buoy over DTLS with Scandium: Leshan's device and server, bootstrap, changes of address",
        needs: &[Need::Buoy, Need::Openssl, Need::Leshan, Need::Python],
        command: &[PYTHON, "interop/scandium.py", "target/debug/buoy"],
    },
    Check {
        name: "Buoy's REST interface against its description, by schemathesis",
        needs: &[Need::Buoy, Need::Schemathesis],
        command: &[PYTHON, "interop/openapi.py", "target/debug/buoy"],
    },
];

struct Check {
    name: &'static str,
    needs: &'static [Need],
    command: &'static [&'static str],
}

/// What has to be there before a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The Java programs, built.
    Leshan,
    /// The virtual environment with aiocoap.
    Python,
    /// tinydtls and mbed TLS in the virtual environment: wheels that not every machine can have.
    DtlsLibraries,
    /// schemathesis in the virtual environment.
    Schemathesis,
    /// Debian's libcoap3-bin.
    Libcoap,
    /// The command `openssl`.
    Openssl,
    /// The program itself, built.
    Buoy,
}

/// Whether a need is met.
enum Met {
    Yes,
    /// And what to do about it.
    Missing(&'static str),
    /// The tool is there, and failed.
    Failed(String),
}

pub(crate) fn step() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    // What is missing is missing for all checks; what is prepared, is prepared once.
    let mut known: Vec<(Need, Met)> = Vec::new();
    for check in CHECKS {
        for need in check.needs {
            if !known.iter().any(|(of, _)| of == need) {
                known.push((*need, need.prepare()?));
            }
        }
        let obstacle =
            known.iter().find(|(need, met)| check.needs.contains(need) && !matches!(met, Met::Yes));
        match obstacle.map(|(_, met)| met) {
            None | Some(Met::Yes) => check.run(&mut outcome)?,
            Some(Met::Missing(how_to_get)) => outcome.skip(check.name, how_to_get),
            Some(Met::Failed(output)) => outcome.fail(check.name, output),
        }
    }
    outcome.summary = format!("{} checks", outcome.passed);
    Ok(outcome)
}

impl Check {
    fn run(&self, outcome: &mut Outcome) -> Result<()> {
        let [program, arguments @ ..] = self.command else { return Ok(()) };
        let log = self.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let Finished { success, output } =
            Run::new(program, arguments).log(&format!("interop-{log}")).finish()?;
        outcome.check(self.name, success, output);
        Ok(())
    }
}

impl Need {
    fn prepare(self) -> Result<Met> {
        Ok(match self {
            Self::Leshan => prepare_leshan()?,
            Self::Python => prepare_python()?,
            Self::Schemathesis => prepare_schemathesis()?,
            Self::DtlsLibraries => prepare_dtls_libraries()?,
            Self::Openssl if is_installed("openssl", "version") => Met::Yes,
            Self::Openssl => Met::Missing("OpenSSL 3.0; on Debian: apt-get install openssl"),
            Self::Libcoap if LIBCOAP.iter().all(|program| is_installed(program, "-h")) => Met::Yes,
            Self::Libcoap => Met::Missing("on Debian: apt-get install libcoap3-bin"),
            Self::Buoy => met(Run::cargo(&["build", "--quiet", "--package", "buoy"]).finish()?),
        })
    }
}

fn prepare_leshan() -> Result<Met> {
    if !is_installed("java", "-version") || !is_installed("mvn", "--version") {
        return Ok(Met::Missing(
            "a JDK of 17 or later and Maven; on Debian: apt-get install openjdk-17-jdk-headless maven",
        ));
    }
    let build = Run::new("mvn", &["-q", "-B", "-f", "interop/leshan/pom.xml", "package"]);
    Ok(met(build.finish()?))
}

fn prepare_python() -> Result<Met> {
    if !is_installed("python3", "--version") {
        return Ok(Met::Missing("Python 3.11 or later; on Debian: apt-get install python3 python3-venv"));
    }
    if !Path::new(PYTHON).exists() {
        let venv = Run::new("python3", &["-m", "venv", "interop/venv"]).log("venv").finish()?;
        if !venv.success {
            return Ok(Met::Failed(format!("{}\non Debian: apt-get install python3-venv\n", venv.output)));
        }
    }
    let install = Run::new(PYTHON, &["-m", "pip", "install", "-q", "-r", REQUIREMENTS]);
    Ok(met(install.log("pip").finish()?))
}

fn prepare_dtls_libraries() -> Result<Met> {
    if !Path::new(PYTHON).exists() {
        return Ok(Met::Missing("Python's virtual environment"));
    }
    let install = Run::new(PYTHON, &["-m", "pip", "install", "-q", "-r", DTLS_REQUIREMENTS]);
    Ok(match install.log("pip-dtls").finish()? {
        Finished { success: true, .. } => Met::Yes,
        // There are wheels for some machines and versions of Python, and elsewhere they want to be compiled.
        Finished { .. } => {
            Met::Missing("what interop/requirements-dtls.txt names; see target/xtask/pip-dtls.log")
        }
    })
}

fn prepare_schemathesis() -> Result<Met> {
    if let unmet @ (Met::Missing(_) | Met::Failed(_)) = prepare_python()? {
        return Ok(unmet);
    }
    let install = Run::new(PYTHON, &["-m", "pip", "install", "-q", "-r", OPENAPI_REQUIREMENTS]);
    Ok(match install.log("pip-openapi").finish()? {
        Finished { success: true, .. } => Met::Yes,
        Finished { .. } => Met::Missing(
            "what interop/requirements-openapi.txt names, from PyPI; see target/xtask/pip-openapi.log",
        ),
    })
}

fn met(finished: Finished) -> Met {
    if finished.success { Met::Yes } else { Met::Failed(finished.output) }
}
