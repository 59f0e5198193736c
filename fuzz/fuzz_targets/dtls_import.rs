//! Bytes that claim to be saved sessions, with a seal that believes everything: what can be imported can be used, and never
//! sends before it was saved.
#![no_main]

use buoy_dtls::config::{ClientConfig, ClientCredentials, Psk};
use buoy_dtls::crypto::insecure::Insecure;
use buoy_dtls::time::Instant;
use buoy_dtls::{Client, Connection, Context, Datagram, ExportKey, Reserve, SealError, Server};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, mut datagram) = input;
    let key = ExportKey::new([1; 32]);
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let _ = Connection::<Server, Insecure>::import(&key, b"name", &bytes);
    let Ok(mut connection) = Connection::<Client, Insecure>::import(&key, b"name", &bytes) else { return };
    let mut out = [0; 512];
    let refused = connection.seal(b"payload", &mut out).expect_err("it was not saved");
    assert_ne!(refused, SealError::NotConnected);
    let Some(psk) = Psk::new(b"identity", b"key") else { return };
    let config = ClientConfig::new(ClientCredentials::Psk(psk));
    let mut context = Context::new(Instant::ZERO, &mut rng);
    let mut datagram = Datagram::new(&mut datagram);
    while connection.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
    while connection.poll_transmit(&mut out).is_some() {}
    let Some(export) = connection.export(&key, b"name", Reserve { send: 5, receive_margin: 3 }, &mut rng)
    else {
        return;
    };
    connection.saved(export.reservation);
    for _ in 0..10 {
        let _ = connection.seal(b"payload", &mut out);
    }
    assert!(Connection::<Client, Insecure>::import(&key, b"name", &export.bytes).is_ok());
});
