//! Deleting what is kept of one learner, and of nobody else.

use bytes::Bytes;
use dailycast::{machine::FailureKind, provider::object_store::ObjectStore};

use super::s3::Server;
use crate::support::objects::MemoryStore;

const OF_LEARNER: [&str; 3] = ["podcasts/4/2026-11-21_1.mp3", "podcasts/4/2026-11-22_2.mp3", "podcasts/4/elsewhere/x"];
const OF_OTHERS: [&str; 4] = ["podcasts/42/2026-11-22_3.mp3", "podcasts/4", "podcasts/5/2026-11-22_4.mp3", "4/x"];

async fn deletes_one_learner(store: &dyn ObjectStore) {
    for key in OF_LEARNER.into_iter().chain(OF_OTHERS) {
        store.put_once(key, Bytes::from_static(b"sound")).await.unwrap();
    }
    assert_eq!(store.delete_below("podcasts/4/").await.unwrap(), 3);
    assert_eq!(store.delete_below("podcasts/4/").await.unwrap(), 0, "nothing there is success");
    for key in OF_OTHERS {
        assert_eq!(store.delete_below(key).await.unwrap(), 1, "{key} was left alone");
    }
}

#[tokio::test]
async fn all_of_a_learner_goes_and_nothing_else() {
    let server = Server::start().await;
    let store = server.store().await;
    deletes_one_learner(&store).await;
    deletes_one_learner(&MemoryStore::default()).await;
    server.server.stop().await;
    let refused = store.delete_below("podcasts/4/").await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::StorageUnavailable);
}

/// More than one page of a listing: S3 gives a thousand keys at once.
#[tokio::test]
async fn a_learner_with_more_than_a_page_of_objects_loses_all() {
    let server = Server::start().await;
    let store = server.store().await;
    // Put beside the server, which keeps an object as a line about it and the bytes: much faster.
    store.put_once("podcasts/4/0", Bytes::from_static(b"sound")).await.unwrap();
    let bucket = server.folder.0.join("episodes");
    let one = std::fs::read_dir(&bucket).unwrap().next().unwrap().unwrap().path();
    for number in 1..1_005 {
        let name = one.file_name().unwrap().to_str().unwrap().to_owned() + &number.to_string();
        std::fs::copy(&one, bucket.join(name)).unwrap();
    }
    assert_eq!(store.delete_below("podcasts/4/").await.unwrap(), 1_005);
    assert_eq!(std::fs::read_dir(&bucket).unwrap().count(), 0);
}
