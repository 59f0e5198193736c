//! A program for a chip that is never run: `cargo xtask footprint` builds it with a feature and without, and takes the difference. With the feature
//! `whole` it is all that a device has, for `cargo xtask embedded size`.
//!
//! What goes in and out passes through a register that the compiler knows nothing of, so nothing that a device needs is left out.
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{read_volatile, write_volatile};

// What the compiler calls by the flags of `embedded/.cargo/config.toml`.
use buoy_prologues as _;

use outside::{Outside, REGISTER};

mod outside;
#[cfg(feature = "whole")]
mod whole;

/// An allocator that costs nothing here: it asks the register.
#[global_allocator]
static ALLOCATOR: Outside = Outside;

// SAFETY: never run.
unsafe impl GlobalAlloc for Outside {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: never run.
        unsafe { read_volatile(REGISTER.cast::<*mut u8>().wrapping_add(layout.size())) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: never run.
        unsafe { write_volatile(REGISTER.cast::<*mut u8>(), pointer) }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    #[cfg(not(feature = "whole"))]
    {
        let mut buffer = [0; 1280];
        outside::pass(&mut buffer);
        #[cfg(feature = "dtls")]
        dtls::run(&mut buffer);
        #[cfg(feature = "client")]
        client::run(&mut buffer);
    }
    #[cfg(feature = "whole")]
    whole::run();
    loop {}
}

#[cfg(all(feature = "dtls", not(feature = "whole")))]
mod dtls {
    use buoy_dtls::config::{ClientConfig, ClientCredentials, Psk};
    use buoy_dtls::time::Instant;
    use buoy_dtls::{Client, Connection, Context, Datagram, Event, ExportKey, Reserve};

    use super::outside::{Outside, pass};

    /// How much an established connection takes in line: the size of this symbol.
    #[used]
    #[unsafe(no_mangle)]
    static CONNECTION: [u8; size_of::<Connection<Client>>()] = [0; size_of::<Connection<Client>>()];

    /// Everything that a device does: a handshake, records both ways, saving and going on.
    #[inline(never)]
    pub(super) fn run(buffer: &mut [u8; 1280]) {
        let mut rng = Outside;
        let Some(psk) = Psk::new(b"identity", b"0123456789abcdef") else { return };
        let config = ClientConfig::new(ClientCredentials::Psk(psk));
        let mut connection: Connection<Client> =
            Connection::client(&config, &mut Context::new(Instant::ZERO, &mut rng), None);
        loop {
            while let Some(length) = connection.poll_transmit(buffer) {
                pass(&mut buffer[..length]);
            }
            while let Some(event) = connection.poll_event() {
                if matches!(event, Event::Failed(_)) {
                    return;
                }
            }
            if connection.is_established() {
                let offset = connection.payload_offset();
                let length = pass(&mut buffer[offset..offset + 100]);
                if let Ok(length) = connection.seal_in_place(buffer, length) {
                    pass(&mut buffer[..length]);
                }
                let export = connection.export(&ExportKey::new([1; 32]), b"x", Reserve::default(), &mut rng);
                if let Some(mut export) = export.filter(|_| connection.save_is_due(10)) {
                    pass(&mut export.bytes);
                    connection.saved(export.reservation);
                }
            }
            let length = pass(buffer);
            let now = Instant::from_millis(length as u64);
            let mut context = Context::new(now, &mut rng);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while let Some(data) = connection.handle_datagram(&config, &mut context, &mut datagram) {
                pass(data);
            }
            connection.handle_timeout(now);
            if length == 99
                && let Ok(saved) = Connection::import(&ExportKey::new([1; 32]), b"x", buffer)
            {
                connection = saved;
            }
        }
    }
}

#[cfg(all(feature = "client", not(feature = "whole")))]
mod client {
    use buoy_client::objects::{Device, LightControl, Temperature, Time};
    use buoy_client::time::Instant;
    use buoy_client::{Chip, Client, ClientConfig, Security, Sensor, Server, ServerSlot};

    use super::outside::{Outside, pass};

    /// How much an engine takes in line, whatever its objects are: the size of this symbol.
    #[used]
    #[unsafe(no_mangle)]
    static SENSOR: [u8; size_of::<Client<Outside, Sensor>>()] = [0; size_of::<Client<Outside, Sensor>>()];

    /// How much one with more servers takes.
    #[used]
    #[unsafe(no_mangle)]
    static CHIP: [u8; size_of::<Client<Outside, Chip>>()] = [0; size_of::<Client<Outside, Chip>>()];

    /// Everything that a device does: bootstrap, registration, every operation, notifications, saving and going on.
    #[inline(never)]
    pub(super) fn run(buffer: &mut [u8; 1280]) {
        let Ok(config) = ClientConfig::new("buoy-1") else { return };
        let mut client = Client::<Outside, Sensor>::new(config, Outside);
        let server = Security::psk("coaps://192.0.2.1", b"buoy-1", b"0123456789abcdef");
        let Ok(server) = server else { return };
        if client.add_server(server, Server::new(1, 300)).is_err() {
            return;
        }
        #[cfg(feature = "bootstrap")]
        {
            let Ok(bootstrap) = Security::none("coap://192.0.2.2") else { return };
            if client.set_bootstrap_server(bootstrap).is_err() {
                return;
            }
        }
        let mut device = Device::new("Buoy", "Chip", "1", "1.0.0");
        let (mut light, mut time) = (LightControl::<1>::new(), Time::new());
        let mut temperature = Temperature::<1>::new(20.0, None);
        let objects: &mut [&mut dyn buoy_client::Object] =
            &mut [&mut device, &mut light, &mut temperature, &mut time];
        if client.restore(objects, &mut Outside).is_err() {
            return;
        }
        client.start(Instant::ZERO, objects);
        loop {
            let length = pass(buffer);
            let now = Instant::from_millis(length as u64);
            let mut answer = [0; 1280];
            let from = ServerSlot(buffer[1]);
            let length = client.handle_datagram(now, from, &buffer[..length], objects, &mut answer);
            client.handle_timeout(now, objects);
            if client.persist(objects, &mut Outside).is_err() {
                return;
            }
            pass(&mut answer[..length]);
            while let Some(transmit) = client.poll_transmit(now, objects, buffer) {
                pass(&mut buffer[..transmit.length]);
            }
            while let Some(event) = client.poll_event() {
                pass(&mut [u8::from(matches!(event, buoy_client::Event::Reboot(_)))]);
            }
            pass(&mut [u8::from(client.poll_timeout().is_some_and(|at| at <= now))]);
        }
    }
}
