//! The neighbours: who speaks and keeps audio, and what is made of their answers.

pub mod audio;
mod fuzzed;
mod s3;
mod spool;
mod tts;
mod upload;
