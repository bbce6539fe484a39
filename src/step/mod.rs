//! What the work of each status is: collect and write, speak, upload. A step takes a podcast and
//! its neighbours and returns an outcome; it knows no SQL and no job.

pub mod call;
pub mod collect;
pub mod script;
pub mod speech;
pub mod upload;
