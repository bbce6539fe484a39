//! (the map of the house is written when the house stands)
pub mod audio;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod learner;
pub mod local;
pub mod machine;
pub mod podcast;
pub mod provider;
pub mod step;
pub mod store;
pub mod telemetry;
pub mod worker;
pub mod workflow;
