//! A registration with all that the device said, for faces that show it whole.

use std::sync::Arc;

use buoy_lwm2m::path::Path;
use buoy_server::{Attributes, ObjectList, RegistrationView};

/// A registration (LwM2M Core 1.1 section 6.2). The texts are shared with the registration itself.
#[derive(Clone, Debug)]
pub struct RegistrationDetails(RegistrationView);

impl From<RegistrationView> for RegistrationDetails {
    fn from(registration: RegistrationView) -> Self {
        Self(registration)
    }
}

impl RegistrationDetails {
    /// The endpoint name.
    pub fn endpoint(&self) -> &Arc<str> {
        &self.0.endpoint
    }

    /// What stands behind `/rd/` in its location.
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// Where the device was last heard from: `IP:PORT`.
    pub fn address(&self) -> String {
        self.0.address.to_string()
    }

    /// Whether the device speaks over DTLS.
    pub fn is_secure(&self) -> bool {
        self.0.session.is_some()
    }

    /// When it registered, in milliseconds since the epoch.
    pub fn registered_at(&self) -> u64 {
        self.0.registered_at
    }

    /// When it was last heard, in milliseconds since the epoch.
    pub fn last_contact(&self) -> u64 {
        self.0.last_contact
    }

    /// Seconds; 0 is for ever.
    pub fn lifetime(&self) -> u32 {
        self.0.lifetime
    }

    /// The version of LwM2M, as in "1.1".
    pub fn lwm2m(&self) -> String {
        format!("{}.{}", self.0.version.0, self.0.version.1)
    }

    /// Whether the device sleeps between its contacts.
    pub fn queue_mode(&self) -> bool {
        self.0.queue_mode
    }

    /// Whether it is taken to sleep now.
    pub fn is_asleep(&self) -> bool {
        self.0.asleep
    }

    /// The binding, as the device wrote it.
    pub fn binding(&self) -> &str {
        &self.attributes().binding
    }

    /// The number for SMS.
    pub fn sms(&self) -> Option<&str> {
        self.attributes().sms.as_deref()
    }

    /// What else stood in the query of its Register.
    pub fn other_attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes().others.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Its object list, as the device wrote it (RFC 6690).
    pub fn links(&self) -> &str {
        self.objects().text()
    }

    /// The path below which the device has its objects.
    pub fn root(&self) -> &str {
        self.objects().root()
    }

    /// Its objects and instances.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        self.objects().paths()
    }

    fn objects(&self) -> &ObjectList {
        &self.0.objects
    }

    fn attributes(&self) -> &Attributes {
        &self.0.attributes
    }
}
