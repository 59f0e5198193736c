//! Chains of certificates from strangers, with signatures that are all believed: nothing panics, nothing takes long.
#![no_main]

use buoy_dtls::crypto::insecure::Insecure;
use buoy_dtls::x509::{Anchor, CertificateUsage, Pinned, ServerCertificateTrust, WithoutClock, check_client};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, u8, Option<u64>)| {
    let (certificates, number, unix_time) = input;
    let chain: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let anchors: Box<[Anchor]> = chain.iter().filter_map(|der| Anchor::new(der).ok()).collect();
    let _ = check_client::<Insecure>(&chain, &anchors, unix_time);
    let Some(usage) = CertificateUsage::from_number(number % 4) else { return };
    let pinned = chain.last().map_or(Pinned::Sha256([0; 32]), |der| Pinned::Certificate((*der).into()));
    let mut trust = ServerCertificateTrust::new(usage, pinned);
    trust.anchors = anchors;
    trust.name = Some("buoy.example".into());
    trust.without_clock = if number > 127 { WithoutClock::Accept } else { WithoutClock::Refuse };
    if let Ok(facts) = trust.check::<Insecure>(&chain, unix_time) {
        assert!(facts.dns_names().count() <= 32);
    }
});
