//! Time-based one-time codes (RFC 6238, with HMAC-SHA-1, six digits and steps of 30 s, as authenticators expect), and recovery codes.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::hex;

/// RFC 4226 section 4 recommends 160 bits.
const SECRET: usize = 20;
/// Milliseconds.
const STEP: u64 = 30_000;
/// Steps by which the clock of an authenticator may be ahead or behind.
const SKEW: u64 = 1;
const DIGITS: usize = 6;
/// Recovery codes of an account,
const RECOVERY_CODES: usize = 10;
/// and their random bytes.
const RECOVERY_BYTES: usize = 10;

/// The secret that a server shares with an authenticator.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A new one.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new(vec![0; SECRET]);
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In Base32, to type.
    pub(super) fn text(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// As a URI, to show as a QR code. The name of an account has no character that needs escaping but `@`.
    pub(super) fn uri(&self, account: &str) -> String {
        let account = account.replace('@', "%40");
        format!("otpauth://totp/Buoy:{account}?secret={}&issuer=Buoy", self.text())
    }

    /// The step of which this is the code, if it is one of now. A step that is not later than `used` does not count: each code is good once.
    pub(super) fn step_of(&self, code: &str, now: u64, used: Option<u64>) -> Option<u64> {
        let code: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        if code.len() != DIGITS {
            return None;
        }
        let current = now / STEP;
        let mut found = None;
        for step in current.saturating_sub(SKEW)..=current + SKEW {
            let is_it = bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes()));
            if is_it && used.is_none_or(|used| step > used) {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a time.
    #[cfg(test)]
    pub(super) fn code_at(&self, now: u64) -> String {
        self.code(now / STEP)
    }

    fn code(&self, step: u64) -> String {
        // A key may have any length.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return String::new() };
        mac.update(&step.to_be_bytes());
        let tag = mac.finalize().into_bytes();
        // RFC 4226 section 5.3.
        let offset = usize::from(tag[tag.len() - 1] & 0xf);
        let number = tag[offset..offset + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

/// New recovery codes, as in `abcd-efgh-ijkl-mnop`.
pub(super) fn recovery_codes() -> Result<Vec<String>, getrandom::Error> {
    (0..RECOVERY_CODES).map(|_| code_of(RECOVERY_BYTES)).collect()
}

/// A random code that can be typed.
pub(super) fn code_of(bytes: usize) -> Result<String, getrandom::Error> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random)?;
    let text = BASE32_NOPAD.encode(&random).to_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..text.len().min(at + 4)]).collect();
    Ok(groups.join("-"))
}

/// What is stored of a recovery code. Its 80 random bits can't be guessed, so a fast hash will do.
pub(super) fn recovery_digest(account: &str, code: &str) -> String {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut hasher = Sha256::new();
    hasher.update(b"buoy recovery code\0");
    hasher.update(account.as_bytes());
    hasher.update(b"\0");
    hasher.update(code.to_lowercase().as_bytes());
    hex::encode(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B.
    fn of_the_rfc() -> Secret {
        Secret::from_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(of_the_rfc().step_of(code, seconds * 1000, None), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_short_time() {
        let secret = of_the_rfc();
        let step = secret.step_of("287082", 59_000, None).unwrap();
        assert_eq!(secret.step_of("287082", 59_000, Some(step)), None);
        assert_eq!(secret.step_of("287 082", 59_000 + STEP, None), Some(step));
        assert_eq!(secret.step_of("287082", 59_000 + 2 * STEP, None), None);
        for wrong in ["", "28708", "2870822", "287083", "28708a"] {
            assert_eq!(secret.step_of(wrong, 59_000, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed() {
        let codes = recovery_codes().unwrap();
        assert_eq!((codes.len(), codes[0].len()), (RECOVERY_CODES, 19));
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(recovery_digest("a", &codes[0]), recovery_digest("a", &typed));
        assert_ne!(recovery_digest("a", &codes[0]), recovery_digest("b", &codes[0]));
        assert_ne!(codes[0], codes[1]);
    }

    #[test]
    fn a_secret_is_shown_in_base32_and_as_a_uri() {
        let secret = of_the_rfc();
        assert_eq!(secret.text(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = "otpauth://totp/Buoy:a%40b.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Buoy";
        assert_eq!(secret.uri("a@b.example"), uri);
    }
}
