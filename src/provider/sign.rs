//! Signs with a private key that came as a file: what Google's tokens and CloudFront's addresses
//! need.
//!
//! What would surprise: it is the signing of TLS that does the work, since that already reads every
//! kind of PEM and lies over `ring`. A key that cannot sign with SHA-256 is refused when it is read,
//! not when it is first needed.

use std::{fmt, sync::Arc};

use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

/// Why a key cannot sign. Says nothing of what the key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No private key was found.
    #[error("this holds no private key in PEM; it begins with -----BEGIN PRIVATE KEY----- or the like")]
    NoKey,
    /// A key of another kind, or a damaged one.
    #[error("the key is damaged or of another kind; RSA from 2048 bits and ECDSA P-256 will do")]
    Unfit,
    /// The key was read but does not sign.
    #[error("the key does not sign")]
    Refused,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 over SHA-256.
    RsaSha256,
    /// ECDSA on P-256 over SHA-256; its signatures are DER.
    EcdsaP256Sha256,
}

/// A private key. Cheap to clone; its `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<dyn rustls::sign::SigningKey>,
    algorithm: Algorithm,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::RsaSha256, Self::EcdsaP256Sha256];

    const fn scheme(self) -> SignatureScheme {
        match self {
            Self::RsaSha256 => SignatureScheme::RSA_PKCS1_SHA256,
            Self::EcdsaP256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl SigningKey {
    /// Reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// [`Error::NoKey`] or [`Error::Unfit`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| Error::NoKey)?;
        let key = any_supported_type(&der).map_err(|_| Error::Unfit)?;
        let fits = |algorithm: &Algorithm| key.choose_scheme(&[algorithm.scheme()]).is_some();
        let algorithm = Algorithm::ALL.into_iter().find(fits).ok_or(Error::Unfit)?;
        Ok(Self { key, algorithm })
    }

    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature of a message.
    ///
    /// # Errors
    /// [`Error::Refused`] when the key does not sign after all.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signer = self.key.choose_scheme(&[self.algorithm.scheme()]).ok_or(Error::Refused)?;
        signer.sign(message).map_err(|_| Error::Refused)
    }
}
