//! Construction of a device in the place where it stays.
//!
//! A [`Client`] has several kilobytes. Made as a value and then moved, it lies on the stack twice, deeper than anything that a running device
//! needs. So its parts are written where they belong, one after the other, and only the largest part at a time is on the stack.

use core::mem::MaybeUninit;

use buoy_coap::block::BlockSize;
use buoy_coap::endpoint::{FixedEndpoint, MessageIds};
use buoy_lwm2m::operation::LwM2mVersion;
use rand_core::Rng;

use super::bootstrap::Bootstrap;
use super::history::History;
use super::observation::OtherPaths;
use super::session::Session;
use super::{Client, ClientConfig, Link};
use crate::access::{AccessObject, RECORD_OF_ACCESS_MAX};
use crate::accounts::{Accounts, RECORD_OF_SERVER_MAX};
use crate::effects::Effects;
use crate::features::VERSION_1_2;
use crate::shape::{Array, Capacity, Shape};
use crate::text::Bytes;

impl<R: Rng, S: Shape> Client<R, S> {
    /// A device without server accounts, which does nothing until [`Client::start`]. On a chip [`Client::new_in`] takes less of the stack.
    #[must_use]
    pub fn new(config: ClientConfig, rng: R) -> Self {
        let mut place = MaybeUninit::uninit();
        Self::new_in(&mut place, config, rng);
        // SAFETY: `new_in` has written all of it.
        unsafe { place.assume_init() }
    }

    /// The same, made in the place where it stays, such as a static.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use buoy_client::{Client, ClientConfig, Sensor};
    /// # use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng as _};
    ///
    /// let mut place = MaybeUninit::<Client<ChaCha12Rng, Sensor>>::uninit();
    /// let client = Client::new_in(&mut place, ClientConfig::new("buoy-1")?, ChaCha12Rng::from_seed([7; 32]));
    /// assert!(client.servers().next().is_none());
    /// # Ok::<(), buoy_client::ConfigError>(())
    /// ```
    #[inline(never)]
    pub fn new_in(place: &mut MaybeUninit<Self>, config: ClientConfig, mut rng: R) -> &mut Self {
        const {
            assert!(S::Servers::MAX <= u8::MAX as usize, "a server's slot is a byte");
            assert!(S::Servers::MAX * RECORD_OF_SERVER_MAX <= S::Body::MAX, "object 1 is one record");
            assert!(RECORD_OF_ACCESS_MAX <= S::Body::MAX, "object 2 is one record");
        };
        // Room for the header, the token and the options of the longest message, a Register.
        let longest = S::Outgoing::MAX.saturating_sub(200).max(16);
        let block_size = config.block_size.min(BlockSize::at_most(longest));
        let version = if VERSION_1_2 { config.version } else { config.version.min(LwM2mVersion::V1_1) };
        let parameters = config.parameters;
        let client = place.as_mut_ptr();
        // SAFETY: `client` points to memory for a device that nobody else has. It is only written to, each field once, and `has_all_fields`
        // fails to compile when there is a field that this doesn't know.
        unsafe {
            (&raw mut (*client).config).write(ClientConfig { block_size, version, ..config });
            write(&raw mut (*client).endpoint, &mut || FixedEndpoint::fixed(parameters, &mut rng));
            write(&raw mut (*client).accounts, &mut || Accounts::new(version));
            (&raw mut (*client).access).write(const { AccessObject::new() });
            write_each(&raw mut (*client).sessions, &mut || Session::new(MessageIds::random(&mut rng)));
            write_each(&raw mut (*client).observations, &mut || None);
            write_each(&raw mut (*client).attributes, &mut || None);
            (&raw mut (*client).other_paths).write(const { OtherPaths::new() });
            (&raw mut (*client).body).write(const { Bytes::EMPTY });
            (&raw mut (*client).history).write(const { History::new() });
            (&raw mut (*client).transfer).write(None);
            (&raw mut (*client).bootstrap).write(Bootstrap::new(MessageIds::random(&mut rng)));
            (&raw mut (*client).effects).write(Effects::new());
            (&raw mut (*client).link).write(Link::Up);
            (&raw mut (*client).started).write(false);
            (&raw mut (*client).objects_deadline).write(None);
            (&raw mut (*client).observations_begun).write(0);
            (&raw mut (*client).rng).write(rng);
            place.assume_init_mut()
        }
    }

    /// Never called: its pattern names the fields that [`Client::new_in`] writes.
    #[expect(dead_code, reason = "only compiled")]
    fn has_all_fields(self) {
        let Self {
            link: _,
            started: _,
            observations_begun: _,
            objects_deadline: _,
            transfer: _,
            bootstrap: _,
            rng: _,
            config: _,
            effects: _,
            sessions: _,
            accounts: _,
            access: _,
            attributes: _,
            other_paths: _,
            observations: _,
            endpoint: _,
            history: _,
            body: _,
        } = self;
    }
}

/// Writes a part that is off the stack again when the next one is made.
///
/// # Safety
/// `place` is memory for a `T`.
#[inline(never)]
unsafe fn write<T>(place: *mut T, make: &mut dyn FnMut() -> T) {
    // SAFETY: as the caller says.
    unsafe { place.write(make()) }
}

/// Writes the elements of an array one by one.
///
/// # Safety
/// `place` is memory for the array.
unsafe fn write_each<T: Copy, C: Capacity>(place: *mut Array<T, C>, make: &mut dyn FnMut() -> T) {
    for index in 0..C::MAX {
        // SAFETY: an `Array` is transparent, and the only capacity has arrays of `MAX` elements.
        unsafe { place.cast::<T>().add(index).write(make()) }
    }
}
