//! Why a command on accounts, tokens and sign-ins failed.

use std::fmt;

use buoy_store::StoreError;

use super::attempts::TooMany;
use crate::access::Forbidden;
use crate::journal::NotSaved;

/// Why a command on accounts, tokens and sign-ins failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum AccessError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// Name, password or code is wrong; which one is not told.
    WrongSignIn,
    /// Name and password are right, and a code is missing.
    SecondFactorNeeded,
    /// There were too many attempts.
    TooMany(TooMany),
    /// Too many passwords are being checked.
    Busy,
    /// The one-time token of the first run is wrong, or an account exists already.
    NoSetup(&'static str),
    /// A link that signs in does not count, or the account can have none.
    Link(&'static str),
    /// The name of an account or a token can't be one.
    Name(&'static str),
    /// The password can't be one.
    Password(&'static str),
    /// An account or token with too few or too many grants, or with a wrong one.
    Grants(&'static str),
    /// The grants are more than the principal has.
    MoreThanOwn,
    /// There is an account of this name already.
    Exists(String),
    /// There is an account of this name, and the identity provider does not sign it in.
    NotOfProvider(String),
    /// There is no account of this name.
    NoSuchAccount(String),
    /// There is no token of this id.
    NoSuchToken(u64),
    /// Without this account nobody could manage accounts.
    LastAdmin(String),
    /// There are as many as there may be.
    Full(&'static str),
    /// This needs a sign-in: a token doesn't do.
    NeedsSession(&'static str),
    /// The second factor is in the wrong state.
    SecondFactor(&'static str),
    /// The lifetime of a token is invalid.
    Lifetime(&'static str),
    /// It could not be saved.
    NotSaved(NotSaved),
    /// The store could not be read.
    Store(StoreError),
    /// The system failed.
    Failed(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::WrongSignIn => f.write_str(
                "the name, the password or the code is wrong, or the account is disabled; an admin can give it a new password",
            ),
            Self::SecondFactorNeeded => f.write_str(
                "this account has a second factor; send the code that the authenticator shows, or a recovery code, as \"code\"",
            ),
            Self::TooMany(TooMany { seconds }) => {
                write!(f, "there were too many attempts that failed; try again in {seconds} s")
            }
            Self::Busy => f.write_str("too many sign-ins are being checked; try again in a few seconds"),
            Self::NoSetup(reason)
            | Self::Link(reason)
            | Self::Name(reason)
            | Self::Password(reason)
            | Self::Grants(reason)
            | Self::Full(reason)
            | Self::NeedsSession(reason)
            | Self::SecondFactor(reason)
            | Self::Lifetime(reason) => f.write_str(reason),
            Self::MoreThanOwn => f.write_str("nobody can grant more than what he may do himself"),
            Self::Exists(name) => write!(f, "there is an account {name} already; choose another name"),
            Self::NotOfProvider(name) => write!(
                f,
                "there is an account {name} already, which the identity provider does not sign in, or of another person; an admin can remove it, or have the provider tell another name"
            ),
            Self::NoSuchAccount(name) => write!(f, "there is no account {name}"),
            Self::NoSuchToken(id) => write!(f, "there is no token {id} that you may see"),
            Self::LastAdmin(name) => write!(
                f,
                "{name} is the last account that signs in here by a password and has the role admin everywhere; without it nobody could manage accounts. Make another one first"
            ),
            Self::NotSaved(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for AccessError {}

impl From<Forbidden> for AccessError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<TooMany> for AccessError {
    fn from(error: TooMany) -> Self {
        Self::TooMany(error)
    }
}

impl From<NotSaved> for AccessError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<getrandom::Error> for AccessError {
    fn from(error: getrandom::Error) -> Self {
        Self::Failed(format!("the system has no random numbers: {error}"))
    }
}

impl From<super::password::Trouble> for AccessError {
    fn from(trouble: super::password::Trouble) -> Self {
        match trouble {
            super::password::Trouble::Busy => Self::Busy,
            super::password::Trouble::Failed => Self::Failed("the password cannot be hashed".to_owned()),
        }
    }
}
