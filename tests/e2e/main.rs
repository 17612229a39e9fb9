//! End-to-end tests: run the real program on real files.

mod alerts;
mod build;
#[cfg(target_os = "linux")]
mod change_times;
mod cluster;
#[cfg(target_os = "linux")]
mod cluster_faults;
#[cfg(target_os = "linux")]
mod concurrent_writers;
#[cfg(target_os = "linux")]
mod crash_points;
mod credentials;
mod devices;
#[cfg(target_os = "linux")]
mod disk;
mod documents;
mod encoder_servers;
mod eval;
mod exit_codes;
mod fetch;
mod flag_files;
mod folders;
mod foreign_files;
mod hits;
mod hostile;
mod inputs;
#[cfg(target_os = "linux")]
mod interruptions;
mod isolation;
#[cfg(target_os = "linux")]
mod kill_fixture;
#[cfg(target_os = "linux")]
mod kills;
mod layers;
mod limits;
#[cfg(target_os = "linux")]
mod locks;
#[expect(dead_code, reason = "the tests of the library use more of it")]
#[path = "../../src/http/loopback.rs"]
mod loopback;
mod models;
mod outputs;
mod places;
#[cfg(target_os = "linux")]
mod publish_order;
mod query;
mod reference;
mod regressions;
mod relocate;
mod resume;
#[cfg(target_os = "linux")]
mod running_build;
mod same_bytes;
#[cfg(target_os = "linux")]
mod scripted_worker;
mod security;
#[cfg(target_os = "linux")]
mod segments;
mod selection;
mod serve;
mod served;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod simulated_device;
#[cfg(target_os = "linux")]
mod snapshots;
#[cfg(unix)]
mod special_files;
mod sql;
mod strace;
#[cfg(target_os = "linux")]
mod syscalls;
#[path = "../../src/test_folder.rs"]
mod test_folder;
mod texts;
mod unattended;
mod unavailable_roots;
mod verify;
mod watchdog;
#[cfg(target_os = "linux")]
mod windows;
mod world;
