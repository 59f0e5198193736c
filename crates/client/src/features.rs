//! Which parts of LwM2M the engine has, as constants: the code of a part that is off is compiled and then left out, so that every
//! combination of features is the same program to the type checker.

/// Bootstrap, with its account, its copy of the configuration and its journal.
pub(crate) const BOOTSTRAP: bool = cfg!(feature = "bootstrap");
/// Object 2. Without it every server may do everything.
pub(crate) const ACCESS_CONTROL: bool = cfg!(feature = "access-control");
/// Operations on several paths at once.
pub(crate) const COMPOSITE: bool = cfg!(feature = "composite");
/// Resources 13 to 16 of object 0.
pub(crate) const TLS_SETTINGS: bool = cfg!(feature = "tls-settings");
/// What came with LwM2M 1.2. Without it a device registers with 1.1 at the most.
pub(crate) const VERSION_1_2: bool = cfg!(feature = "lwm2m-1-2");
