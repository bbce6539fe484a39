//! The HTTP server from outside: real requests to a real server on a database of its own.

mod audio;
mod auth;
mod connections;
mod cors;
mod dashboard;
mod docs;
mod enclosure;
mod episodes;
mod expired;
mod feed;
mod fuzz;
mod generate;
mod links;
mod log;
mod marks;
mod metrics;
mod odd;
mod ops;
mod outage;
mod rate;
mod server;
mod share;
mod study;
pub(crate) mod support;
mod today;
mod tokens;
mod transcript;
