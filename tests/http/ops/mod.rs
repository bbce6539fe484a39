//! The operators' side, asked as a browser and as a program would.

mod schedule;
