//! Drives the real program on real files.

#[cfg(target_os = "linux")]
mod abuse;
mod alerts;
mod build;
#[cfg(target_os = "linux")]
mod crash_points;
mod credentials;
mod devices;
#[cfg(target_os = "linux")]
mod disk;
mod documents;
mod exit_codes;
mod flag_files;
#[cfg(target_os = "linux")]
mod ground;
mod hostile;
mod inputs;
mod isolation;
#[cfg(target_os = "linux")]
mod kills;
mod layers;
mod limits;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod locks;
mod models;
mod not_ours;
mod outputs;
#[cfg(target_os = "linux")]
mod played;
#[cfg(target_os = "linux")]
mod publish_order;
mod query;
mod reference;
mod regressions;
mod resume;
#[cfg(target_os = "linux")]
mod rival;
#[cfg(target_os = "linux")]
mod rivals;
mod same_bytes;
mod security;
#[cfg(target_os = "linux")]
mod segments;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod snapshots;
#[cfg(unix)]
mod special_files;
mod strace;
#[cfg(target_os = "linux")]
mod syscalls;
mod unattended;
mod unavailable_roots;
mod verify;
mod watchdog;
mod world;
