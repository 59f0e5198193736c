//! Keys and certificates on P-256 for LwM2M (RFC 5280): for a fleet's own authority, for its devices and for servers.
//!
//! Compatible with `openssl`: keys are PKCS#8 in PEM, certificates are in PEM.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use buoy_ota::host::rewrapped;
use p256::SecretKey;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::asn1::{Any, Ia5String, ObjectIdentifier, OctetString, SetOfVec};
use x509_cert::der::{Decode, DecodePem, Encode, EncodePem, Tag};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::CertReq;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, SubjectPublicKeyInfo, TbsCertificate};
use zeroize::Zeroizing;

use crate::private_file;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// RFC 5280 appendix A.1: ub-common-name.
const MAX_COMMON_NAME: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate is valid from this long before it is made, since the clock of the verifier may be behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// Bytes of a random serial number. The CA/Browser Forum's rules require at least 64 random bits.
const SERIAL_LENGTH: usize = 16;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Signing others.
    Authority,
    /// Authenticating a device under its endpoint name.
    Device,
    /// Authenticating a server under its name.
    Server,
}

/// The contents of a certificate.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The common name: for a device its endpoint name.
    pub name: &'a str,
    /// Its use.
    pub usage: Use,
    /// DNS names and IP addresses.
    pub alternatives: &'a [String],
    /// Its validity in days.
    pub days: u32,
}

/// An issuer: a key and its certificate.
pub struct Issuer {
    /// The private key.
    pub key: SecretKey,
    /// Its certificate.
    pub certificate: Certificate,
}

impl Issuer {
    /// The authority that `buoy ca init` made in a folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let (key, certificate) = (folder.join("ca.key.pem"), folder.join("ca.cert.pem"));
        if !key.exists() {
            bail!("there is no authority in {}; `buoy ca init` makes one", folder.display());
        }
        Ok(Self { key: read_key(&key)?, certificate: read_certificates(&certificate)?.swap_remove(0) })
    }
}

/// A new key.
pub fn new_key() -> anyhow::Result<SecretKey> {
    // Nearly every number of 32 bytes is a key.
    for _ in 0..8 {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
        if let Ok(key) = SecretKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
    bail!("the system's random numbers are none")
}

/// A key as PKCS#8 in PEM.
pub fn key_pem(key: &SecretKey) -> anyhow::Result<Zeroizing<String>> {
    key.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow!("the key cannot be written: {error}"))
}

/// Reads a private key from a file that only its owner may read: PKCS#8, or SEC1 as `openssl ecparam -genkey` writes it.
pub fn read_key(path: &Path) -> anyhow::Result<SecretKey> {
    let bytes = private_file::read(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let text = &*rewrapped(text);
    let key = SecretKey::from_pkcs8_pem(text)
        .ok()
        .or_else(|| SecretKey::from_sec1_pem(text.get(text.find("-----BEGIN EC PRIVATE KEY")?..)?).ok());
    key.with_context(|| format!("{} is no private key on P-256 in PEM, without a password", path.display()))
}

/// Reads certificates in PEM; other text between them is ignored.
pub fn read_certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut all = Vec::new();
    let text = rewrapped(&text);
    let mut rest = text.as_str();
    while let Some(start) = rest.find(BEGIN) {
        let block = &rest[start..];
        let length = block.find(END).map_or(block.len(), |at| at + END.len());
        let (block, after) = block.split_at(length);
        let certificate = Certificate::from_pem(block);
        all.push(
            certificate
                .with_context(|| format!("certificate {} in {} is damaged", all.len() + 1, path.display()))?,
        );
        rest = after;
    }
    if all.is_empty() {
        bail!("{} has no certificate in PEM", path.display());
    }
    Ok(all)
}

/// A certificate in PEM.
pub fn certificate_pem(certificate: &Certificate) -> anyhow::Result<String> {
    certificate.to_pem(LineEnding::LF).context("the certificate cannot be written")
}

/// A self-signed certificate.
pub fn self_signed(subject: &Subject<'_>, key: &SecretKey) -> anyhow::Result<Certificate> {
    let name = name(subject.name)?;
    make(subject, name, public_half(key)?, key)
}

/// A certificate for another key, signed by the issuer.
pub fn issue(
    issuer: &Issuer,
    subject: &Subject<'_>,
    key: SubjectPublicKeyInfo,
) -> anyhow::Result<Certificate> {
    make(subject, issuer.certificate.tbs_certificate().subject().clone(), key, &issuer.key)
}

/// The public half of a key.
pub fn public_half(key: &SecretKey) -> anyhow::Result<SubjectPublicKeyInfo> {
    SubjectPublicKeyInfo::from_key(&key.public_key()).context("the key cannot be written")
}

/// The public key of a certificate request. The request's signature proves that its author has the private key. Its names are ignored: the
/// issuer chooses the contents of the certificate.
pub fn read_request(path: &Path) -> anyhow::Result<SubjectPublicKeyInfo> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let request = CertReq::from_pem(rewrapped(&text).as_bytes())
        .with_context(|| format!("{} is no certificate request in PEM", path.display()))?;
    let point = request.info.public_key.subject_public_key.raw_bytes();
    let key = VerifyingKey::from_sec1_bytes(point);
    let key = key.ok().with_context(|| format!("the key in {} is not on P-256", path.display()))?;
    let signed = request.info.to_der()?;
    let signature = DerSignature::try_from(request.signature.raw_bytes());
    let is_genuine = signature.is_ok_and(|signature| key.verify(&signed, &signature).is_ok());
    if !is_genuine {
        bail!("the signature of {} is not by its own key with ECDSA and SHA-256", path.display());
    }
    Ok(request.info.public_key)
}

fn make(
    subject: &Subject<'_>,
    issuer: Name,
    key: SubjectPublicKeyInfo,
    signer: &SecretKey,
) -> anyhow::Result<Certificate> {
    let profile = Profile {
        issuer,
        subject: name(subject.name)?,
        usage: subject.usage,
        alternatives: alternatives(subject.alternatives)?,
    };
    let mut serial = [0; SERIAL_LENGTH];
    getrandom::fill(&mut serial).map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
    // Positive, and without zeros in front.
    serial[0] = serial[0] & 0x7f | 0x40;
    let now = SystemTime::now();
    let validity = Validity::new(time(now - BACKDATED)?, time(now + DAY * subject.days)?);
    let failed = |error| anyhow!("the certificate cannot be made: {error}");
    let builder =
        CertificateBuilder::new(profile, SerialNumber::new(&serial)?, validity, key).map_err(failed)?;
    builder.build::<_, DerSignature>(&SigningKey::from(signer)).map_err(failed)
}

fn time(at: SystemTime) -> anyhow::Result<Time> {
    Time::try_from(at).map_err(|error| anyhow!("the time cannot be written: {error}; choose fewer --days"))
}

fn name(common_name: &str) -> anyhow::Result<Name> {
    if common_name.is_empty()
        || common_name.len() > MAX_COMMON_NAME
        || common_name.chars().any(char::is_control)
    {
        bail!(
            "the name {common_name:?} has {} bytes; a certificate's has 1 to {MAX_COMMON_NAME}, without control characters",
            common_name.len()
        );
    }
    let value = Any::new(Tag::Utf8String, common_name.as_bytes())?;
    let pair = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let part = RelativeDistinguishedName::from(SetOfVec::try_from(vec![pair])?);
    Ok(Name::from_der(&RdnSequence::from(vec![part]).to_der()?)?)
}

/// The alternative names of a server's certificate: its own name, if it has the right form, and the other names. Clients check only these
/// (RFC 6125 section 6.4.4), so its own name must be among them.
#[must_use]
pub fn server_names(name: &str, others: &[String]) -> Vec<String> {
    let is_usable = others.is_empty() || alternatives(&[name.to_owned()]).is_ok();
    let own = is_usable.then(|| name.to_owned());
    let mut names: Vec<String> = Vec::with_capacity(others.len() + 1);
    for name in own.into_iter().chain(others.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn alternatives(names: &[String]) -> anyhow::Result<Vec<GeneralName>> {
    let alternative = |name: &String| -> anyhow::Result<GeneralName> {
        Ok(match name.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => GeneralName::IpAddress(OctetString::new(ip.octets())?),
            Ok(IpAddr::V6(ip)) => GeneralName::IpAddress(OctetString::new(ip.octets())?),
            Err(_) => {
                let is_dns = !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
                if !is_dns {
                    bail!("{name:?} is neither a DNS name nor an IP address");
                }
                GeneralName::DnsName(Ia5String::new(name)?)
            }
        })
    };
    names.iter().map(alternative).collect()
}

/// Chooses the extensions for each use.
struct Profile {
    issuer: Name,
    subject: Name,
    usage: Use,
    alternatives: Vec<GeneralName>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let mut extensions = Vec::new();
        let mut add =
            |extension: Result<Extension, x509_cert::der::Error>| -> x509_cert::builder::Result<()> {
                extensions.push(extension?);
                Ok(())
            };
        let subject = certificate.subject();
        let is_authority = self.usage == Use::Authority;
        // A path length of 0: the certificates that it signs can't sign others.
        let constraints =
            BasicConstraints { ca: is_authority, path_len_constraint: is_authority.then_some(0) };
        add((true, &constraints).to_extension(subject, &[]))?;
        let usages = if is_authority {
            KeyUsages::KeyCertSign | KeyUsages::CRLSign
        } else {
            KeyUsages::DigitalSignature.into()
        };
        add((true, &KeyUsage(usages)).to_extension(subject, &[]))?;
        let purpose = match self.usage {
            Use::Authority => None,
            Use::Device => Some(CLIENT_AUTH),
            Use::Server => Some(SERVER_AUTH),
        };
        if let Some(purpose) = purpose {
            add((false, &ExtendedKeyUsage(vec![purpose])).to_extension(subject, &[]))?;
        }
        add((false, &SubjectKeyIdentifier::try_from(key)?).to_extension(subject, &[]))?;
        add((false, &AuthorityKeyIdentifier::try_from(issuer_key)?).to_extension(subject, &[]))?;
        if !self.alternatives.is_empty() {
            add((false, &SubjectAltName(self.alternatives.clone())).to_extension(subject, &[]))?;
        }
        Ok(extensions)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use buoy_dtls::config::OwnKey;
    use buoy_dtls::crypto::RustCrypto;
    use buoy_dtls::x509::{
        Anchor, CertificateError, CertificateUsage, Pinned, ServerCertificateTrust, check_client,
    };

    use super::*;

    fn authority() -> Issuer {
        let key = new_key().unwrap();
        let subject =
            Subject { name: "Fleet, \"of\" buoys", usage: Use::Authority, alternatives: &[], days: 3650 };
        let certificate = self_signed(&subject, &key).unwrap();
        Issuer { key, certificate }
    }

    fn issued(authority: &Issuer, name: &str, usage: Use, alternatives: &[String]) -> (SecretKey, Vec<u8>) {
        let key = new_key().unwrap();
        let subject = Subject { name, usage, alternatives, days: 90 };
        let certificate = issue(authority, &subject, public_half(&key).unwrap()).unwrap();
        (key, certificate.to_der().unwrap())
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    /// PEM with base64 lines of this length.
    fn in_lines_of(width: usize, pem: &str) -> String {
        let (begin, rest) = pem.split_once('\n').unwrap();
        let (body, end) = rest.split_at(rest.find("-----END").unwrap());
        let body = body.replace('\n', "");
        let lines: Vec<_> = body.as_bytes().chunks(width).map(|it| str::from_utf8(it).unwrap()).collect();
        format!("{begin}\r\n{}\r\n{end}", lines.join("\r\n"))
    }

    #[test]
    fn pem_with_lines_of_any_length_is_read() {
        let fleet = authority();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            let _ = std::fs::remove_file(&path);
            private_file::create(&path, text.as_bytes()).unwrap();
            path
        };
        let pem = certificate_pem(&fleet.certificate).unwrap();
        let request = folder.path().join("device.csr");
        let key = file("device.key", &key_pem(&fleet.key).unwrap());
        let made = std::process::Command::new("openssl")
            .args(["req", "-new", "-subj", "/CN=buoy-1", "-key"])
            .arg(&key)
            .arg("-out")
            .arg(&request)
            .output();
        assert!(made.expect("these tests need the `openssl` command").status.success());
        let request = std::fs::read_to_string(request).unwrap();
        for width in [4, 60, 64, 76, 10_000] {
            let two = format!("{}between\n{}", in_lines_of(width, &pem), in_lines_of(width, &pem));
            assert_eq!(read_certificates(&file("ca.pem", &two)).unwrap(), vec![fleet.certificate.clone(); 2]);
            let key = in_lines_of(width, &key_pem(&fleet.key).unwrap());
            assert_eq!(read_key(&file("ca.key", &key)).unwrap(), fleet.key);
            let sec1 = in_lines_of(width, &fleet.key.to_sec1_pem(LineEnding::LF).unwrap());
            assert_eq!(read_key(&file("ca.sec1", &sec1)).unwrap(), fleet.key);
            read_request(&file("device.csr", &in_lines_of(width, &request))).unwrap();
        }
    }

    #[test]
    fn a_device_is_believed_by_its_certificate_for_ninety_days_and_as_a_device_only() {
        let fleet = authority();
        let anchor = Anchor::new(&fleet.certificate.to_der().unwrap()).unwrap();
        let (key, device) = issued(&fleet, "urn:dev:os:32473-7", Use::Device, &[]);
        let check =
            |der: &[u8], at: u64| check_client::<RustCrypto>(&[der], std::slice::from_ref(&anchor), Some(at));

        let facts = check(&device, now()).unwrap();
        assert_eq!(facts.common_name(), Some("urn:dev:os:32473-7"));
        assert_eq!(facts.serial().len(), SERIAL_LENGTH);
        let day = 24 * 60 * 60;
        assert!(matches!(check(&device, now() + 91 * day), Err(CertificateError::Expired(_))));
        assert!(matches!(check(&device, now() - day), Err(CertificateError::NotYetValid(_))));
        let (_, server) = issued(&fleet, "buoy.example", Use::Server, &[]);
        assert!(matches!(check(&server, now()), Err(CertificateError::WrongPurpose)));
        let number: [u8; 32] = key.to_bytes().into();
        OwnKey::certificate::<RustCrypto>(&number, &[&device]).unwrap();
        assert!(OwnKey::certificate::<RustCrypto>(&number, &[&server]).is_err(), "another's key");
        let stranger = issued(&authority(), "urn:dev:os:32473-7", Use::Device, &[]).1;
        assert!(matches!(check(&stranger, now()), Err(CertificateError::BadSignature)));
        // The certificate of a device can't sign others.
        let (middle, certificate) = issued(&fleet, "middle", Use::Device, &[]);
        let middle = Issuer { key: middle, certificate: Certificate::from_der(&certificate).unwrap() };
        let (_, below) = issued(&middle, "below", Use::Device, &[]);
        let chain: [&[u8]; 2] = [&below, &certificate];
        let refused = check_client::<RustCrypto>(&chain, std::slice::from_ref(&anchor), Some(now()));
        assert!(matches!(refused, Err(CertificateError::NotAnAuthority)));
    }

    #[test]
    fn a_server_is_believed_under_its_names() {
        let fleet = authority();
        let names = ["buoy.example".to_owned(), "192.0.2.7".to_owned(), "2001:db8::7".to_owned()];
        let (_, server) = issued(&fleet, "buoy.example", Use::Server, &names);
        let pinned = Pinned::Certificate(fleet.certificate.to_der().unwrap().into());
        let mut trust = ServerCertificateTrust::new(CertificateUsage::TrustAnchorAssertion, pinned);
        for name in &names {
            trust.name = Some(name.as_str().into());
            trust.check::<RustCrypto>(&[&server], Some(now())).unwrap();
        }
        trust.name = Some("other.example".into());
        assert!(matches!(
            trust.check::<RustCrypto>(&[&server], Some(now())),
            Err(CertificateError::WrongName)
        ));
    }

    #[test]
    fn a_server_keeps_its_own_name_beside_others_and_an_address_is_one() {
        let names = |name, others: &[&str]| {
            let others: Vec<String> = others.iter().map(|other| (*other).to_owned()).collect();
            server_names(name, &others)
        };
        assert_eq!(names("localhost", &["127.0.0.1"]), ["localhost", "127.0.0.1"]);
        assert_eq!(names("localhost", &[]), ["localhost"]);
        assert_eq!(names("localhost", &["localhost", "::1"]), ["localhost", "::1"]);
        assert_eq!(names("Our server", &["buoy.example"]), ["buoy.example"]);
        let kinds = alternatives(&names("localhost", &["127.0.0.1", "::1"])).unwrap();
        let is_address = kinds.iter().map(|name| matches!(name, GeneralName::IpAddress(_)));
        assert_eq!(is_address.collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn what_cannot_stand_in_a_certificate_is_refused() {
        let key = new_key().unwrap();
        let long = "x".repeat(65);
        for (name, alternatives) in
            [("", vec![]), (long.as_str(), vec![]), ("a\nb", vec![]), ("a", vec!["a b".to_owned()])]
        {
            let subject = Subject { name, usage: Use::Server, alternatives: &alternatives, days: 1 };
            assert!(self_signed(&subject, &key).is_err(), "{name:?} {alternatives:?}");
        }
    }
}
