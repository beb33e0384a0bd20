use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SignatureAlgorithm,
};

use super::*;

fn make(
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Vec<u8> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    change(&mut params);
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn the_hash_to_bind_to_is_that_of_the_signature() {
    let bound = |algorithm| {
        let der = make(algorithm, |_| {});
        let binding = Certificate::parse(&der).unwrap().channel_binding(&der);
        (der, binding)
    };
    let (der, binding) = bound(&PKCS_ECDSA_P256_SHA256);
    let expected = ChannelBinding::from_certificate_hash(&Sha256::digest(&der));
    assert_eq!(binding, Some(expected));
    let (der, binding) = bound(&PKCS_ECDSA_P384_SHA384);
    let expected = ChannelBinding::from_certificate_hash(&Sha384::digest(&der));
    assert_eq!(binding, Some(expected));
    assert_eq!(bound(&PKCS_ED25519).1, None);
}

#[test]
fn a_subject_has_one_common_name_or_none() {
    let name = |names: &[&str]| {
        let der = make(&PKCS_ECDSA_P256_SHA256, |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::OrganizationName, "some, CN=other");
            for name in names {
                params.distinguished_name.push(DnType::CommonName, *name);
            }
        });
        let parsed = Certificate::parse(&der).unwrap();
        parsed.common_name().map(ToOwned::to_owned)
    };
    assert_eq!(name(&["ann"]).as_deref(), Some("ann"));
    assert_eq!(name(&["jürgen"]).as_deref(), Some("jürgen"));
    assert_eq!(name(&[]), None);
    assert_eq!(name(&["a\0nn"]), None);
}

#[test]
fn times_and_names_are_found() {
    let der = make(&PKCS_ECDSA_P256_SHA256, |params| {
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2100, 2, 28);
        params.subject_alt_names = vec![rcgen::SanType::DnsName("db".try_into().unwrap())];
    });
    let parsed = Certificate::parse(&der).unwrap();
    assert_eq!(parsed.valid, 946_598_400..=4_107_456_000);
    assert!(parsed.has_alternative_names);
    let plain = make(&PKCS_ECDSA_P256_SHA256, |_| {});
    assert!(!Certificate::parse(&plain).unwrap().has_alternative_names);
}

#[test]
fn no_bytes_make_it_panic() {
    let seeds = [
        make(&PKCS_ECDSA_P256_SHA256, |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("db".try_into().unwrap())];
        }),
        make(&PKCS_ED25519, |_| {}),
    ];
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let mut der = random.choice(&seeds).unwrap().clone();
        for _ in 0..random.usize(1..5) {
            let at = random.usize(..der.len());
            match random.u8(..3) {
                0 => der[at] = random.u8(..),
                1 => der.insert(at, random.u8(..)),
                _ => der.truncate(at.max(1)),
            }
        }
        if let Some(parsed) = Certificate::parse(&der) {
            let _ = (parsed.common_name(), parsed.channel_binding(&der));
        }
    }
}
