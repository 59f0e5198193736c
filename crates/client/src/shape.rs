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
///     type Datagram = UpTo<720>;
///     type Body = UpTo<1024>;
///     type Key = UpTo<32>;
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
    /// Bytes of the longest message that waits for an answer or an acknowledgement, such as a Register or a confirmable notification,
    /// without what DTLS adds. Four are kept. Blocks are the largest that leave 200 bytes for the rest of the message.
    type Datagram: Capacity;
    /// Bytes of what has to be in memory whole: an answer, a list of objects, a Write in blocks, a record. Two are kept, for what comes in
    /// blocks and for a configuration that a bootstrap server writes; others lie on the stack. A shape whose longest records of objects 1
    /// and 2 don't fit does not compile.
    type Body: Capacity;
    /// Bytes of an identity, a public key or a secret key; an account has three of them. A public key on P-256 has 91 bytes in DER, its
    /// secret key in PKCS#8 67, or 138 with the public key in it.
    type Key: Capacity;
}

/// A chip: blocks of 512 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chip;

impl Shape for Chip {
    type Servers = UpTo<3>;
    type Observations = UpTo<16>;
    type Datagram = UpTo<720>;
    type Body = UpTo<1536>;
    type Key = UpTo<96>;
}

/// A PC or a simulator, where a key may be a chain of certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

impl Shape for Host {
    type Servers = UpTo<3>;
    type Observations = UpTo<32>;
    type Datagram = UpTo<1280>;
    type Body = UpTo<8192>;
    type Key = UpTo<2048>;
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
pub(crate) struct Array<T: Copy, C: Capacity>(C::Array<T>);

impl<T: Copy, C: Capacity> Array<T, C> {
    pub(crate) fn repeat(element: T) -> Self {
        Self(C::repeat(element))
    }

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

/// A message that is kept until it is acknowledged.
pub(crate) type Datagram<S> = <<S as Shape>::Datagram as memory::Memory>::Datagram;

/// Stable Rust has no arrays whose length is a constant of a type parameter; these are made where the length is known.
mod memory {
    use core::fmt::Debug;

    use buoy_coap::buffer::{Buffer, Inline};

    use super::UpTo;

    /// The memory for so many things, bytes or not. Nobody outside can name it, so there are no capacities but [`UpTo`].
    pub trait Memory: Copy + Debug + Default + Eq + 'static {
        type Array<T: Copy>: Copy + AsRef<[T]> + AsMut<[T]>;
        /// A message of up to so many bytes.
        type Datagram: Buffer;
        const ZEROES: Self::Array<u8>;

        fn repeat<T: Copy>(element: T) -> Self::Array<T>;
        fn from_fn<T: Copy>(element: impl FnMut(usize) -> T) -> Self::Array<T>;
    }

    impl<const N: usize> Memory for UpTo<N> {
        type Array<T: Copy> = [T; N];
        type Datagram = Inline<N>;
        const ZEROES: [u8; N] = [0; N];

        fn repeat<T: Copy>(element: T) -> [T; N] {
            [element; N]
        }

        fn from_fn<T: Copy>(element: impl FnMut(usize) -> T) -> [T; N] {
            core::array::from_fn(element)
        }
    }
}
