//! What is set up before anything runs: settings, and what makes one machine enough (the private
//! Postgres, the sample academy, the S3 server).

mod academy;
mod cli;
mod commands;
mod config;
mod cost;
mod django;
mod grafana;
mod online;
mod postgres;
mod readme;
mod role;
