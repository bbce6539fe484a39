//! Every test, grouped by what it holds up. One binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests may panic and look at the clock"
)]

mod browser;
mod faults;
mod http;
mod machine;
mod model;
mod provider;
mod setup;
mod store;
mod support;
mod tidy;
mod worker;
