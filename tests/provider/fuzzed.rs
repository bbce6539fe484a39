//! Every file of the fuzzers' corpora, through the functions that the fuzzers feed.

use std::{collections::BTreeSet, fs, path::Path};

#[path = "../fuzz/targets.rs"]
mod targets;

/// A corpus is read by people and carried by every checkout.
const MOST_BYTES: u64 = 300_000;

#[test]
fn what_fuzzers_found_stays_mended() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let folders: BTreeSet<_> =
        fs::read_dir(&corpora).unwrap().map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect(), "a folder for each target");
    let mut size = 0;
    for (name, target) in targets::ALL {
        for file in fs::read_dir(corpora.join(name)).unwrap() {
            let file = file.unwrap().path();
            let bytes = fs::read(&file).unwrap();
            size += bytes.len() as u64;
            if let Err(why) = std::panic::catch_unwind(|| target(&bytes)) {
                eprintln!("{} breaks {name}", file.display());
                std::panic::resume_unwind(why);
            }
        }
    }
    assert!(size <= MOST_BYTES, "{size} bytes: keep what `tests/fuzz/run TARGET merge` keeps");
}
