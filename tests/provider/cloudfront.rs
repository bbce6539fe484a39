//! Addresses that CloudFront checks: their policy, their signature, what stands in them; and a
//! start with a key that cannot sign.

use std::{fs, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use dailycast::{
    cli::{
        exit::{Exit, Told},
        neighbours::object_store,
    },
    config::{Config, ConfigFile, Sources},
    provider::{
        object_store::{CloudFront, ObjectStore, cloudfront::canned_policy},
        sign::SigningKey,
    },
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};

use super::keys;
use crate::support::{Folder, objects::MemoryStore};

const KEY: &str = "podcasts/42/2026-11-22_7.mp3";

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn distribution(pem: &str, origin: Arc<MemoryStore>) -> CloudFront {
    CloudFront {
        origin,
        domain: "d111111abcdef8.cloudfront.net".to_owned(),
        key_pair_id: "K2JCJMDEHXQW5F".to_owned(),
        key: SigningKey::from_pem(pem.as_bytes()).unwrap(),
    }
}

async fn sign(pem: &str, key: &str) -> String {
    let store = distribution(pem, Arc::default());
    store.sign(key, moment("2026-11-22T09:00:00Z"), moment("2026-11-22T10:00:00.9Z")).await.unwrap()
}

/// The signature of an address, as CloudFront takes it apart.
fn signature(address: &str) -> Vec<u8> {
    let written = address.split("&Signature=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!written.contains(['+', '=', '/']), "{written}");
    BASE64_STANDARD.decode(written.replace('-', "+").replace('_', "=").replace('~', "/")).unwrap()
}

#[tokio::test]
async fn an_address_is_signed_with_the_canned_policy() {
    let of_rsa: (&str, Vec<u8>, &'static dyn VerificationAlgorithm) =
        (keys::RSA_PKCS8, keys::rsa_public(), &RSA_PKCS1_2048_8192_SHA256);
    let of_p256: (&str, Vec<u8>, &'static dyn VerificationAlgorithm) =
        (keys::P256_SEC1, keys::p256_public(), &ECDSA_P256_SHA256_ASN1);
    for (pem, public, algorithm) in [of_rsa, of_p256] {
        let address = sign(pem, KEY).await;
        let start = format!("https://d111111abcdef8.cloudfront.net/{KEY}?Expires=1795341600&Signature=");
        assert!(address.starts_with(&start), "{address}");
        assert!(address.ends_with("&Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256"), "{address}");
        let policy = r#"{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/podcasts/42/2026-11-22_7.mp3","Condition":{"DateLessThan":{"AWS:EpochTime":1795341600}}}]}"#;
        assert_eq!(canned_policy(address.split('?').next().unwrap(), 1_795_341_600), policy);
        let signature = signature(&address);
        let public = UnparsedPublicKey::new(algorithm, public);
        public.verify(policy.as_bytes(), &signature).unwrap();
        public.verify(policy.replace("600}", "601}").as_bytes(), &signature).unwrap_err();
    }
}

/// The policy has the address as it is asked for, with what has to be encoded encoded.
#[tokio::test]
async fn a_key_is_encoded_in_address_and_policy_alike() {
    let address = sign(keys::RSA_PKCS1, "a b/ü%\"?&+#~-_.mp3").await;
    let asked = address.split('?').next().unwrap();
    assert_eq!(asked, "https://d111111abcdef8.cloudfront.net/a%20b/%C3%BC%25%22%3F%26%2B%23~-_.mp3");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys::rsa_public());
    public.verify(canned_policy(asked, 1_795_341_600).as_bytes(), &signature(&address)).unwrap();
}

#[tokio::test]
async fn episodes_are_put_into_the_bucket_behind_it() {
    let origin = Arc::new(MemoryStore::default());
    let store = distribution(keys::RSA_PKCS8, origin.clone());
    store.ready().await.unwrap();
    let stored = store.put_once(KEY, Bytes::from_static(b"sound")).await.unwrap();
    assert_eq!(stored.url, format!("s3://memory/{KEY}"));
    assert_eq!(origin.get(KEY).unwrap(), "sound");
    assert_eq!(store.signs_until(), None, "the key pair does not end with the credentials of the bucket");
}

/// A key that cannot sign is told before anything starts, with the file and what to do, and without
/// what is in it.
#[test]
fn a_file_without_a_fit_key_is_told_at_the_start() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("cloudfront.pem");
    let started_with = |pem: &str| {
        fs::write(&file, pem).unwrap();
        let env = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("DAILYCAST_STORAGE__CLOUDFRONT__DOMAIN", "d111111abcdef8.cloudfront.net"),
            ("DAILYCAST_STORAGE__CLOUDFRONT__KEY_PAIR_ID", "K2JCJMDEHXQW5F"),
            ("DAILYCAST_STORAGE__CLOUDFRONT__PRIVATE_KEY_FILE", file.to_str().unwrap()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let file = ConfigFile::IfThere(folder.0.join("dailycast.toml"));
        object_store(&Config::load(Sources { file, env, flags: vec![] }).unwrap())
    };
    for (pem, why) in [("no key", "holds no private key in PEM"), (keys::RSA_1024, "damaged or of another kind")] {
        let error = started_with(pem).err().unwrap();
        let told = Told(&error).to_string();
        let what = format!("storage.cloudfront.private_key_file: {} is no key to sign with", file.display());
        assert!(told.contains(&what) && told.contains(why), "{told}");
        assert!(told.contains("mend: name the PEM file of the private key"), "{told}");
        assert_eq!(Exit::of(&error), Exit::Usage);
    }
    assert!(started_with(keys::P256_PKCS8).is_ok());
}
