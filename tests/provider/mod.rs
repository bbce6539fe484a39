//! (being built)

pub mod audio;
mod tts;
