//! The operator's side from outside: pages, deeds and their JSON.

mod operations;
