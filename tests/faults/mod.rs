//! Whole nights with real processes of the program, real audio and a real object store, while
//! something goes wrong. After each of them the same must hold (`support/checker.rs`).

mod alerts;
mod boundaries;
mod calls;
mod clocks;
mod database;
mod demo;
mod erasure;
mod jobs;
mod kills;
mod operations;
mod pause;
mod server;
mod soak;
mod spool;
mod start;
mod statements;
mod stops;
mod storage;
#[cfg(feature = "otlp")]
mod traces;
mod vendor_nights;
mod vendors;
mod voice;
