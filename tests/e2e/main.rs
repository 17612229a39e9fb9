//! Drives the real program on real files.

mod build;
mod exit_codes;
mod hostile;
mod inputs;
mod isolation;
mod layers;
mod query;
mod resume;
mod same_bytes;
mod security;
mod verify;
mod world;
