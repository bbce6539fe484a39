//! The neighbours: who speaks and keeps audio, and what is made of their answers.

pub mod audio;
mod breaker;
mod cloudfront;
pub mod keys;
mod lifecycle;
mod llm;
mod llm_answers;
mod fuzzed;
mod s3;
mod sign;
mod spool;
mod tts;
mod upload;
mod vendors_tts;
mod vendors_tts_answers;
mod vendors_tts_voices;
