<<<<<<< HEAD
//! The neighbours: who keeps audio, and what is made of their answers.

mod s3;
mod spool;
mod upload;
=======
//! (being built)

pub mod audio;
mod tts;
>>>>>>> sound
