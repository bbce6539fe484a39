//! The program: parse, run the command, print what went wrong.
fn main() {}
