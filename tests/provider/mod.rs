//! The neighbours: who speaks and keeps audio, and what is made of their answers.

pub mod audio;
pub mod keys;
mod s3;
mod sign;
mod spool;
mod tts;
mod upload;
mod vendors_tts;
mod vendors_tts_answers;
mod vendors_tts_voices;
