//! What makes one machine enough: the private Postgres, the sample academy, the S3 server.

mod academy;
mod django;
mod postgres;
