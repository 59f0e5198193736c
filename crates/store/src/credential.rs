//! What devices prove themselves by. Secrets come sealed; the store never sees a key.

/// A credential of a device.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// Ids grow.
    pub id: u64,
    /// For which server.
    pub purpose: Purpose,
    /// The device.
    pub endpoint: String,
    /// Of which kind.
    pub kind: CredentialKind,
    /// By what the device is known: a PSK identity, the 65 bytes of a raw public key, or the SHA-256 of a certificate; empty for any
    /// certificate of the device's name. No two credentials of one purpose and kind have the same, unless it is empty.
    pub identity: Vec<u8>,
    /// The secret, sealed; empty if there is none.
    pub sealed: Vec<u8>,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// Whether it is believed.
    pub state: CredentialState,
}

impl std::fmt::Debug for CredentialRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, purpose, endpoint, kind, state, .. } = self;
        write!(f, "CredentialRow({id}, {purpose:?}, {endpoint}, {kind:?}, {state:?})")
    }
}

/// Which credentials to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialFilter<'a> {
    /// Only of this device.
    pub endpoint: Option<&'a str>,
    /// Only for this server.
    pub purpose: Option<Purpose>,
}

/// For which server a credential is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The LwM2M server.
    Lwm2m,
    /// The bootstrap server.
    Bootstrap,
}

/// How a device proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// By a key that the server has too.
    Psk,
    /// By a raw public key.
    Rpk,
    /// By a certificate.
    X509,
}

/// Whether a credential is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialState {
    /// It is.
    Active,
    /// It is, and takes the place of the active one when it is first used.
    Next,
    /// It is not, and its device is refused whatever else it shows of this kind.
    Revoked,
}

/// The words by which the variants stand in the database.
macro_rules! words {
    ($type:ty { $($variant:ident = $word:literal),* }) => {
        impl $type {
            /// As it stands in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Of the word that stands in the database.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(Purpose { Lwm2m = "lwm2m", Bootstrap = "bootstrap" });
words!(CredentialKind { Psk = "psk", Rpk = "rpk", X509 = "x509" });
words!(CredentialState { Active = "active", Next = "next", Revoked = "revoked" });
