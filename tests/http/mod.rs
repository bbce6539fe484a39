//! The HTTP server from outside: real requests to a real server on a database of its own.

mod audio;
mod auth;
mod connections;
mod expired;
mod metrics;
mod ops;
mod outage;
mod server;
mod support;
mod today;
mod tokens;
mod transcript;
