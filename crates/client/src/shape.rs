//! How much memory a device has for what.
//!
//! An engine lies whole where the shell puts it, in arrays. A [`Shape`] names their lengths, each as a type ([`UpTo`]), and all that
//! depends on one of them is generic over the shape.

use core::fmt::Debug;
use core::ops::{Deref, DerefMut};

/// The lengths of a device's memory. A shell declares its own in one place:
///
/// ```
/// use buoy_client::{Shape, UpTo};
///
/// /// A sensor with one server and a shared key.
/// #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
/// struct Sensor;
///
/// impl Shape for Sensor {
///     type Servers = UpTo<1>;
///     type Observations = UpTo<8>;
///     type Attributes = UpTo<4>;
///     type Outgoing = UpTo<768>;
///     type Body = UpTo<1024>;
///     type Kept = UpTo<256>;
///     type Key = UpTo<32>;
///     type Location = UpTo<64>;
/// }
/// ```
///
/// Bytes are at most 65,535 of a kind. A shape has no value that matters: it can be copied and compared so that what is generic over it can.
pub trait Shape: Copy + Debug + Default + Eq + 'static {
    /// Server accounts besides that of the bootstrap server: at most 255. Each has a session, and a second place for its account while
    /// a bootstrap goes on.
    type Servers: Capacity;
    /// Observations, over all servers.
    type Observations: Capacity;
    /// Places with notification attributes, over all servers: paths, and observations that have their own.
    type Attributes: Capacity;
    /// Bytes of the messages that wait for an answer or an acknowledgement, such as a Register or a confirmable notification, without what
    /// DTLS adds: up to four, and three bytes more of each. Blocks are the largest that leave 200 bytes for the rest of a message.
    type Outgoing: Capacity;
    /// Bytes of what has to be in memory whole: an answer, a list of objects, a Write in blocks, a record. One is kept, for what comes in
    /// blocks and for a configuration that a bootstrap server writes; others lie on the stack. A shape whose longest records of objects 1
    /// and 2 don't fit does not compile.
    type Body: Capacity;
    /// Bytes of the values that are kept for notifications while there is no network, each with its path and time: about 25 for a number. With
    /// none, the last value is told when the network is back, whatever a server wishes (1/x/6).
    type Kept: Capacity;
    /// Bytes of an identity, a public key or a secret key; an account has three of them. A public key on P-256 has 91 bytes in DER, its
    /// secret key in PKCS#8 67, or 138 with the public key in it.
    type Key: Capacity;
    /// Bytes of where a server has put the registration: its path and query, and one byte for each of their parts. At a server that says
    /// more a device can't register.
    type Location: Capacity;
}

/// A sensor with one server and shared keys, over blocks of 1,024 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sensor;

impl Shape for Sensor {
    type Servers = UpTo<1>;
    type Observations = UpTo<8>;
    type Attributes = UpTo<4>;
    type Outgoing = UpTo<1248>;
    type Body = UpTo<1280>;
    type Kept = UpTo<384>;
    type Key = UpTo<32>;
    type Location = UpTo<64>;
}

/// A chip with several servers, and keys on P-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chip;

impl Shape for Chip {
    type Servers = UpTo<3>;
    type Observations = UpTo<16>;
    type Attributes = UpTo<12>;
    type Outgoing = UpTo<1536>;
    type Body = UpTo<1536>;
    type Kept = UpTo<768>;
    type Key = UpTo<96>;
    type Location = UpTo<544>;
}

/// A PC or a simulator, where a key may be a chain of certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

impl Shape for Host {
    type Servers = UpTo<3>;
    type Observations = UpTo<32>;
    type Attributes = UpTo<24>;
    type Outgoing = UpTo<5120>;
    type Body = UpTo<8192>;
    type Kept = UpTo<2048>;
    type Key = UpTo<2048>;
    type Location = UpTo<544>;
}

/// How many there can be of something. [`UpTo`] is the only one.
pub trait Capacity: memory::Memory {
    /// So many.
    const MAX: usize;
}

/// At most `N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpTo<const N: usize>;

impl<const N: usize> Capacity for UpTo<N> {
    const MAX: usize = N;
}

/// An array as long as a capacity says.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Array<T: Copy, C: Capacity>(C::Array<T>);

impl<T: Copy, C: Capacity> Array<T, C> {
    #[inline(always)]
    pub(crate) fn repeat(element: T) -> Self {
        Self(C::repeat(element))
    }

    #[inline(always)]
    pub(crate) fn from_fn(element: impl FnMut(usize) -> T) -> Self {
        Self(C::from_fn(element))
    }
}

impl<C: Capacity> Array<u8, C> {
    pub(crate) const ZEROES: Self = Self(C::ZEROES);
}

impl<T: Copy, C: Capacity> Deref for Array<T, C> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref()
    }
}

impl<T: Copy, C: Capacity> DerefMut for Array<T, C> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut()
    }
}

/// What has to be in memory whole.
pub(crate) type Body<S> = Array<u8, <S as Shape>::Body>;

/// The messages that are kept until they are acknowledged.
pub(crate) type Outgoing<S> = <<S as Shape>::Outgoing as memory::Memory>::Messages;

/// Stable Rust has no arrays whose length is a constant of a type parameter; these are made where the length is known.
mod memory {
    use core::fmt::Debug;

    use buoy_coap::buffer::{Messages, Pool};

    use super::UpTo;

    /// The memory for so many things, bytes or not. Nobody outside can name it, so there are no capacities but [`UpTo`].
    pub trait Memory: Copy + Debug + Default + Eq + 'static {
        type Array<T: Copy>: Copy + AsRef<[T]> + AsMut<[T]>;
        /// Messages of so many bytes together.
        type Messages: Messages + Default;
        const ZEROES: Self::Array<u8>;

        fn repeat<T: Copy>(element: T) -> Self::Array<T>;
        fn from_fn<T: Copy>(element: impl FnMut(usize) -> T) -> Self::Array<T>;
    }

    impl<const N: usize> Memory for UpTo<N> {
        type Array<T: Copy> = [T; N];
        type Messages = Pool<N>;
        const ZEROES: [u8; N] = [0; N];

        #[inline(always)]
        fn repeat<T: Copy>(element: T) -> [T; N] {
            [element; N]
        }

        #[inline(always)]
        fn from_fn<T: Copy>(element: impl FnMut(usize) -> T) -> [T; N] {
            core::array::from_fn(element)
        }
    }
}
