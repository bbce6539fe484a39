//! The neighbours: who speaks and keeps audio, and what is made of their answers.

mod alert_sink;
pub mod audio;
mod breaker;
mod cloudfront;
mod deletion;
mod fuzzed;
pub mod keys;
mod lifecycle;
mod llm;
mod llm_answers;
mod official_clients;
mod paragraphs;
mod s3;
mod sign;
mod sim;
mod sim_faults;
mod sim_speech;
mod spool;
mod tts;
mod upload;
mod vendors_tts;
mod vendors_tts_answers;
mod vendors_tts_voices;
