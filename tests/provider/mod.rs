//! The neighbours: who speaks and keeps audio, and what is made of their answers.

pub mod audio;
mod official_clients;
mod s3;
mod sim;
mod sim_faults;
mod sim_speech;
mod spool;
mod tts;
mod upload;
