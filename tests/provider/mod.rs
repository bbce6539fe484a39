//! The neighbours: who speaks and keeps audio, and what is made of their answers.

pub mod audio;
pub mod keys;
mod cloudfront;
mod lifecycle;
mod s3;
mod sign;
mod spool;
mod tts;
mod upload;
