//! The HTTP server from outside: real requests to a real server on a database of its own.

mod audio;
mod auth;
mod connections;
mod cors;
mod episodes;
mod expired;
mod generate;
mod marks;
mod metrics;
mod ops;
mod outage;
mod rate;
mod server;
mod share;
mod support;
mod today;
mod tokens;
