//! What is set up before anything runs: settings.

mod config;
