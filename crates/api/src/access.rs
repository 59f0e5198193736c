//! Accounts, API tokens, and sign-in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// What somebody may do. Each role may do all that the roles before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads devices, their values, operations, updates and the firmware library.
    Viewer,
    /// Also commands devices, updates their firmware, and manages the firmware library.
    Operator,
    /// Also manages accounts, tokens of others, credentials of devices and bootstrap, and reads the audit log.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A role, for all devices or for those of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The group of devices to which it is limited; absent for the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Grant {
    /// A role for the whole server.
    #[must_use]
    pub fn everywhere(role: Role) -> Self {
        Self { role, group: None }
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.group {
            None => self.role.fmt(f),
            Some(group) => write!(f, "{}@{group}", self.role),
        }
    }
}

impl std::str::FromStr for Grant {
    type Err = String;

    /// `operator`, or `operator@north`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (role, group) = match text.split_once('@') {
            Some((_, "")) => return Err(format!("{text:?} has no group after its @")),
            Some((role, group)) => (role, Some(group.to_owned())),
            None => (text, None),
        };
        let known = Role::ALL.into_iter().find(|known| known.name() == role);
        let role = known.ok_or_else(|| {
            format!("{role:?} is no role; the roles are viewer, operator and admin, and operator@north is for the group north")
        })?;
        Ok(Self { role, group })
    }
}

/// The account of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// Whether it signs in with a one-time code as well.
    pub second_factor: bool,
    /// Whether it may not sign in, and its tokens don't count.
    pub disabled: bool,
    /// Whether an identity provider signs it in; it has no password then.
    #[serde(default)]
    pub external: bool,
    /// When it was made.
    pub created_at: u64,
    /// When it last signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sign_in: Option<u64>,
}

/// Makes an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddAccount {
    /// Its name: 1 to 64 letters, digits, and `.`, `-`, `_`, `@`.
    pub name: String,
    /// Its password: 12 to 1024 bytes.
    pub password: Secret,
    /// What it may do.
    pub grants: Vec<Grant>,
}

/// Changes an account. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAccount {
    /// What it may do from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// A new password. Its sign-ins end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether it may no longer sign in. If true, its sign-ins end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// `false` removes its second factor, which it lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
}

/// Changes one's own password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password of now.
    pub current: Secret,
    /// The next one.
    pub new: Secret,
}

/// An API token: what programs use in place of a sign-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The account that it belongs to. It may never do more than this.
    pub account: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: u64,
    /// When it stops to count; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// When it was last used, to the minute or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<u64>,
}

/// Makes an API token of one's own account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddToken {
    /// Its name, for example that of the program.
    pub name: String,
    /// What it may do, at most what its account may; absent for all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// After how many seconds it stops to count; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// What to send as `Authorization: Bearer …`. It is shown this once.
    pub secret: Secret,
}

/// A link that signs a browser in once: the page with `#sign-in=TOKEN` behind its address. Browsers send that part to nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignInLink {
    /// The account that it signs in to.
    pub account: String,
    /// What the page sends to `/api/v1/sign-in/link`. It is shown this once.
    pub token: Secret,
    /// When it stops to count.
    pub expires_at: u64,
}

impl SignInLink {
    /// The address to open, of a server at `base`.
    #[must_use]
    pub fn address(&self, base: &str) -> String {
        format!("{}/#sign-in={}", base.trim_end_matches('/'), self.token.reveal())
    }
}

/// Signs in by a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInByLink {
    /// The token in the link.
    pub token: Secret,
}

/// Whether the server has its first account, and how to make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetupState {
    /// Whether there is no account yet.
    pub needed: bool,
    /// The identity provider that can sign in, by the name to show; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// Makes the first account, an admin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The one-time token that the server printed at its start.
    pub token: Secret,
    /// The name of the account.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// Signs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The account.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// The one-time code of its second factor, or one of its recovery codes. If it is missing and needed, the answer is 401 with the title
    /// "Second factor needed".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
}

/// How a request is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignedInBy {
    /// Not at all: the server has no account yet, and the request came from this machine.
    Loopback,
    /// The cookie of a sign-in.
    Session,
    /// An API token.
    Token,
}

/// The author of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The name in the audit log.
    pub name: String,
    /// The account, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How the request is signed in.
    pub by: SignedInBy,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// Whether the account has a second factor.
    #[serde(default)]
    pub second_factor: bool,
    /// Where a browser ends its sign-in at the identity provider, too; absent if it signed in otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_sign_out: Option<String>,
    /// For a sign-in by cookie: the value of the header `X-CSRF-Token` that each POST, PUT and DELETE needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<Secret>,
    /// When the sign-in or the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// A second factor that was prepared, and counts when a code of it was confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondFactor {
    /// Its secret in Base32 (RFC 4648), to type into an authenticator.
    pub secret: Secret,
    /// The same as a URI, to show as a QR code.
    pub uri: Secret,
}

/// Confirms a second factor by a code of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSecondFactor {
    /// The code that the authenticator shows.
    pub code: Secret,
}

/// Removes one's own second factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveSecondFactor {
    /// The password of the account.
    pub password: Secret,
}

/// Codes that each replace a one-time code once. They are shown this once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub codes: Vec<Secret>,
}

/// The state of the audit log's hash chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditChain {
    /// Whether no entry was changed, removed or inserted.
    pub intact: bool,
    /// How many entries were checked.
    pub entries: u64,
    /// How many entries before them are of a version that made no hashes.
    pub without_hash: u64,
    /// The id of the last entry.
    pub last: u64,
    /// The hash of the last entry, which covers all entries before it.
    pub head: String,
    /// What was found, if anything.
    pub faults: Vec<String>,
}
