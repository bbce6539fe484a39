//! The outside world: who writes, who speaks, where audio waits and where it is kept, who is
//! told of alerts. Each kind of neighbour is a trait here, so that a step never knows whom it talks to.

pub mod alert_sink;
pub mod breaker;
pub mod gate;
pub mod http;
pub mod llm;
pub mod object_store;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod sign;
pub mod spool;
pub mod tts;
