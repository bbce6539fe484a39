//! The HTTP server from outside: real requests to a real server on a database of its own.

mod audio;
mod auth;
mod connections;
mod docs;
mod enclosure;
mod expired;
mod feed;
mod fuzz;
mod metrics;
mod odd;
mod ops;
mod outage;
mod server;
mod study;
mod support;
mod today;
mod tokens;
mod transcript;
