//! Signing with keys from files: every form in which they come, and what is refused.

use dailycast::provider::sign::{Algorithm, Error, SigningKey};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::keys;

fn signs(pem: &str, algorithm: Algorithm) {
    let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
    assert_eq!(key.algorithm(), algorithm);
    let signature = key.sign(b"a message").unwrap();
    let check = |message: &[u8]| match algorithm {
        Algorithm::RsaSha256 => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys::rsa_public()).verify(message, &signature)
        }
        Algorithm::EcdsaP256Sha256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, keys::p256_public()).verify(message, &signature)
        }
    };
    check(b"a message").unwrap();
    check(b"another message").unwrap_err();
}

#[test]
fn rsa_signs_from_either_form() {
    signs(keys::RSA_PKCS8, Algorithm::RsaSha256);
    signs(keys::RSA_PKCS1, Algorithm::RsaSha256);
    signs(&keys::RSA_PKCS8.replace('\n', "\r\n"), Algorithm::RsaSha256);
}

#[test]
fn p256_signs_from_either_form() {
    signs(keys::P256_PKCS8, Algorithm::EcdsaP256Sha256);
    signs(keys::P256_SEC1, Algorithm::EcdsaP256Sha256);
}

#[test]
fn what_is_no_fit_key_is_refused_when_it_is_read() {
    let refused = |pem: &[u8]| SigningKey::from_pem(pem).unwrap_err();
    assert_eq!(refused(b""), Error::NoKey);
    assert_eq!(refused(b"\0\xff-----BEGIN"), Error::NoKey);
    assert_eq!(refused(b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n"), Error::NoKey);
    assert_eq!(refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Error::NoKey);
    assert_eq!(refused(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Error::Unfit);
    assert_eq!(refused(keys::RSA_1024.as_bytes()), Error::Unfit);
    assert_eq!(refused(keys::P521_SEC1.as_bytes()), Error::Unfit);
    let cut = &keys::RSA_PKCS8[..keys::RSA_PKCS8.len() / 2];
    assert_eq!(refused(cut.as_bytes()), Error::NoKey);
}

#[test]
fn a_key_does_not_show_itself() {
    let key = SigningKey::from_pem(keys::RSA_PKCS8.as_bytes()).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey { algorithm: RsaSha256, .. }");
}
