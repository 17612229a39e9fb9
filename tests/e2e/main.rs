//! Drives the real program on real files.

mod build;
#[cfg(target_os = "linux")]
mod crash_points;
mod exit_codes;
#[cfg(target_os = "linux")]
mod ground;
mod hostile;
mod inputs;
mod isolation;
#[cfg(target_os = "linux")]
mod kills;
mod layers;
#[cfg(target_os = "linux")]
mod live;
mod query;
mod resume;
mod same_bytes;
mod security;
mod verify;
mod world;
