//! The HTTP server from outside: real requests to a real server on a database of its own.

mod audio;
mod auth;
mod expired;
mod server;
mod support;
mod today;
