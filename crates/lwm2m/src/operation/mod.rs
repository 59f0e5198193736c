//! Requests and responses of every operation of LwM2M 1.0, 1.1 and 1.2, to and from CoAP codes and options.
//!
//! Who may say what depends on the direction, so there is a type for each: a device sends [`Uplink`] requests, a server
//! sends [`Downlink`] ones, a bootstrap server [`BootstrapDownlink`] ones. Each type has `code`, `each_option` and `payload`
//! for the sender and `parse` for the receiver. What is wrong with a request is a [`BadRequest`], which knows the response
//! code to answer with. Message types, tokens, blocks and retransmission are CoAP's business, not this module's.
//!
//! ```
//! use buoy_coap::number::Code;
//! use buoy_lwm2m::operation::{LwM2mVersion, Register, ShortText, Uplink};
//!
//! // What a device sends …
//! let endpoint = ShortText::new("buoy-1").unwrap();
//! let register = Register::new(endpoint, 300, LwM2mVersion::V1_1, b"</1/0>,</3/0>");
//! let request = Uplink::Register(register);
//! assert_eq!(request.code(), Code::POST);
//! let mut options = Vec::new();
//! request.each_option(&mut |number, value| options.push((number, value.to_vec())));
//!
//! // … is what a server reads.
//! let received = options.iter().map(|(number, value)| (*number, value.as_slice()));
//! let Ok(Uplink::Register(register)) = Uplink::parse(request.code(), received, request.payload()) else { panic!() };
//! assert_eq!(register.endpoint, Some(endpoint));
//! assert_eq!(register.lifetime, Some(300));
//! ```

mod arguments;
mod binding;
mod bootstrap;
mod downlink;
mod list;
mod location;
mod options;
mod refusal;
mod response;
mod short_text;
mod uplink;
mod version;

#[cfg(test)]
mod tests;

pub use arguments::{Argument, Arguments, BadArguments};
pub use binding::{Binding, NotABinding, Transport};
pub use bootstrap::BootstrapDownlink;
pub use downlink::{Downlink, WriteMode};
pub use location::Location;
pub use refusal::BadRequest;
pub use response::{BadResponse, Response};
pub use short_text::ShortText;
pub use uplink::{ExtraAttributes, Register, Update, Uplink};
pub use version::{LwM2mVersion, NotAVersion, ObjectVersion};

use buoy_coap::number::{Code, ContentFormat};

/// A payload and the format in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// How it is written.
    pub format: ContentFormat,
    /// What is written.
    pub payload: &'a [u8],
}

/// What is asked for, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Register
    Register,
    /// Update
    Update,
    /// De-register
    Deregister,
    /// Send (since 1.1)
    Send,
    /// Bootstrap-Request
    BootstrapRequest,
    /// Bootstrap-Pack-Request (since 1.2)
    BootstrapPackRequest,
    /// Discover
    Discover,
    /// Read
    Read,
    /// Read-Composite (since 1.1)
    ReadComposite,
    /// Write, replacing or partial
    Write,
    /// Write-Composite (since 1.1)
    WriteComposite,
    /// Write-Attributes
    WriteAttributes,
    /// Execute
    Execute,
    /// Create
    Create,
    /// Delete
    Delete,
    /// Observe, and Cancel Observation
    Observe,
    /// Observe-Composite, and Cancel Observation-Composite (since 1.1)
    ObserveComposite,
    /// Bootstrap-Write
    BootstrapWrite,
    /// Bootstrap-Delete
    BootstrapDelete,
    /// Bootstrap-Discover
    BootstrapDiscover,
    /// Bootstrap-Read (since 1.1)
    BootstrapRead,
    /// Bootstrap-Finish
    BootstrapFinish,
}

impl Operation {
    /// The response code that says that the operation was done (Core 1.1, section 6 of the transport bindings).
    #[must_use]
    pub const fn success(self) -> Code {
        match self {
            Self::Register | Self::Create => Code::CREATED,
            Self::Deregister | Self::Delete | Self::BootstrapDelete => Code::DELETED,
            Self::Discover
            | Self::Read
            | Self::ReadComposite
            | Self::Observe
            | Self::ObserveComposite
            | Self::BootstrapDiscover
            | Self::BootstrapRead
            | Self::BootstrapPackRequest => Code::CONTENT,
            Self::Update
            | Self::Send
            | Self::BootstrapRequest
            | Self::Write
            | Self::WriteComposite
            | Self::WriteAttributes
            | Self::Execute
            | Self::BootstrapWrite
            | Self::BootstrapFinish => Code::CHANGED,
        }
    }

    /// The name, as in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "Register",
            Self::Update => "Update",
            Self::Deregister => "De-register",
            Self::Send => "Send",
            Self::BootstrapRequest => "Bootstrap-Request",
            Self::BootstrapPackRequest => "Bootstrap-Pack-Request",
            Self::Discover => "Discover",
            Self::Read => "Read",
            Self::ReadComposite => "Read-Composite",
            Self::Write => "Write",
            Self::WriteComposite => "Write-Composite",
            Self::WriteAttributes => "Write-Attributes",
            Self::Execute => "Execute",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Observe => "Observe",
            Self::ObserveComposite => "Observe-Composite",
            Self::BootstrapWrite => "Bootstrap-Write",
            Self::BootstrapDelete => "Bootstrap-Delete",
            Self::BootstrapDiscover => "Bootstrap-Discover",
            Self::BootstrapRead => "Bootstrap-Read",
            Self::BootstrapFinish => "Bootstrap-Finish",
        }
    }
}

impl core::fmt::Display for Operation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
