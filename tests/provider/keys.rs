//! Private keys that were made for the tests and open nothing, and their public halves.

use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

pub const RSA_PKCS8: &str = include_str!("../fixtures/keys/rsa_pkcs8.pem");

/// The same key as [`RSA_PKCS8`].
pub const RSA_PKCS1: &str = include_str!("../fixtures/keys/rsa_pkcs1.pem");

pub const P256_PKCS8: &str = include_str!("../fixtures/keys/p256_pkcs8.pem");

/// The same key as [`P256_PKCS8`].
pub const P256_SEC1: &str = include_str!("../fixtures/keys/p256_sec1.pem");

/// Of a curve that nobody here uses.
pub const P521_SEC1: &str = include_str!("../fixtures/keys/p521_sec1.pem");

/// Too short to be trusted.
pub const RSA_1024: &str = include_str!("../fixtures/keys/rsa_1024.pem");

fn pkcs8(pem: &str) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// As `ring` takes it.
pub fn rsa_public() -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8(RSA_PKCS8).secret_pkcs8_der()).unwrap();
    pair.public_key().as_ref().to_vec()
}

/// As `ring` takes it.
pub fn p256_public() -> Vec<u8> {
    let random = ring::rand::SystemRandom::new();
    let der = pkcs8(P256_PKCS8);
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der(), &random).unwrap();
    pair.public_key().as_ref().to_vec()
}
