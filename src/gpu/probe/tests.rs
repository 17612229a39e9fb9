//! Probes that answer, print garbage, hang and recover.

use super::parse::{MIB, parse};
use super::*;
use crate::device::{DeviceId, DeviceMemory};
use proptest::prelude::*;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// More readings than may wait in the channel.
const READINGS: usize = 6;

/// For readings that must come; a loaded machine may take a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Short, so that tests are quick.
const TIMING: Timing = Timing {
    interval: Duration::from_millis(1),
    timeout: Duration::from_millis(50),
};

fn device() -> DeviceId {
    DeviceId("cuda:0".to_owned())
}

fn memory(used_bytes: u64, total_bytes: u64) -> DeviceMemory {
    DeviceMemory::new(used_bytes, total_bytes).expect("possible")
}

/// Wait for a reading that meets the condition.
fn until(channel: &Channel, is_it: impl Fn(&Answer) -> bool) -> Reading {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reading = channel
            .readings()
            .recv_deadline(deadline)
            .expect("a reading in time");
        assert_eq!(reading.device, device());
        if is_it(&reading.answer) {
            return reading;
        }
    }
}

#[test]
fn numbers_are_bytes_or_mebibytes_and_units_are_read() {
    let gib = |gib: f64| (gib * 1024.0 * MIB) as u64;
    for (text, used, total) in [
        ("12425625600 12884901888\n", 12_425_625_600, 12_884_901_888),
        ("11850, 12288\n", 11_850 << 20, 12_288 << 20),
        ("\n  0\t16777216 \r\nignored\n", 0, 16_777_216),
        ("11850 MiB, 12288 MiB", 11_850 << 20, 12_288 << 20),
        ("11.85 GiB, 12 GiB", gib(11.85), gib(12.0)),
        ("1024 KiB 4194304 B", 1 << 20, 4 << 20),
    ] {
        assert_eq!(parse(text), Ok(memory(used, total)), "{text:?}");
    }
}

#[test]
fn garbage_is_no_reading() {
    for text in [
        "",
        "\n \n",
        "12",
        "1 2 3",
        "-1 12288",
        "13000 12288",
        "0 0",
        "nan nan",
        "inf inf",
        "1e300 1e300",
        "[N/A], [N/A]",
        "11 GB, 12 GB",
        "used 1 total 2",
        "No devices were found",
    ] {
        let answer = parse(text);
        assert!(answer.is_err(), "{text:?}: {answer:?}");
    }
}

proptest! {
    #[test]
    fn no_text_is_misread(text: String) {
        if let Ok(memory) = parse(&text) {
            prop_assert!(memory.used_bytes <= memory.total_bytes && memory.total_bytes > 0);
        }
    }
}

#[test]
fn a_probe_that_hangs_is_read_again_when_it_recovers() {
    let (let_go, held) = bounded::<()>(0);
    let (hangs, hung) = bounded::<()>(1);
    let shall_hang = Arc::new(AtomicBool::new(false));
    let is_told = Arc::clone(&shall_hang);
    let mut used = 1;
    let channel = Channel::new();
    let _probe = Probe::start(device(), TIMING, &channel, move || {
        if is_told.swap(false, Ordering::SeqCst) {
            let _ = hangs.send(());
            let _ = held.recv_timeout(PATIENCE);
            // This answer is late; the next ones are not.
            used = 3;
            return Ok(memory(2, 4));
        }
        Ok(memory(used, 4))
    })
    .expect("threads");
    until(&channel, |answer| *answer == Ok(memory(1, 4)));
    shall_hang.store(true, Ordering::SeqCst);
    hung.recv_timeout(PATIENCE).expect("asked");
    let unknown = Err(ProbeError::Timeout(TIMING.timeout));
    for _ in 0..READINGS {
        until(&channel, |answer| *answer == unknown);
    }
    let_go.send_timeout((), PATIENCE).expect("it hangs there");
    until(&channel, |answer| {
        assert_ne!(*answer, Ok(memory(2, 4)), "a late answer is not used");
        *answer == Ok(memory(3, 4))
    });
}

#[cfg(unix)]
#[test]
fn a_command_that_hangs_is_killed_with_its_probe() {
    let folder = crate::test_folder::create();
    let file = folder.path().join("pid");
    let command = format!(
        "sleep 1000 & echo $! > {}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let channel = Channel::new();
    let timing = Timing {
        timeout: PATIENCE,
        ..TIMING
    };
    let probe = Probe::command(device(), timing, &channel, &command).expect("threads");
    let deadline = Instant::now() + PATIENCE;
    let pid = loop {
        if let Ok(pid) = std::fs::read_to_string(&file) {
            break pid;
        }
        assert!(Instant::now() < deadline, "the command does not begin");
        thread::sleep(Duration::from_millis(1));
    };
    drop(probe);
    // A zombie keeps its process id for a moment.
    let is_there = || {
        let mut state = Command::new("ps");
        state.args(["-o", "stat=", "-p", pid.trim()]);
        let state = state.output().expect("ps runs").stdout;
        !state.is_empty() && !state.starts_with(b"Z")
    };
    while is_there() {
        assert!(Instant::now() < deadline, "process {pid} goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn dropping_a_probe_that_hangs_does_not_wait() {
    let (let_go, held) = bounded::<()>(0);
    let channel = Channel::new();
    let probe = Probe::start(device(), TIMING, &channel, move || {
        let _ = held.recv_timeout(PATIENCE);
        Err(ProbeError::Driver(String::new()))
    })
    .expect("threads");
    until(&channel, Result::is_err);
    drop(probe);
    drop(let_go);
}

#[test]
fn a_device_that_nvml_does_not_have_is_read_again() {
    let channel = Channel::new();
    let _probe = Probe::nvml(device(), TIMING, &channel, 9999).expect("threads");
    for _ in 0..READINGS {
        let answer = until(&channel, |_| true).answer;
        let error = answer.expect_err("there is no such device").to_string();
        assert!(error.len() > 5, "{error}");
    }
}

/// The devices of this machine, if it has any.
#[test]
fn nvml_reports_the_memory_of_the_device() {
    let found = crate::gpu::list().unwrap_or_default();
    if found.is_empty() {
        println!("skipped: no NVIDIA device here");
    }
    for gpu in found {
        let channel = Channel::new();
        let _probe =
            Probe::nvml(device(), Timing::default(), &channel, gpu.index).expect("threads");
        let reading = until(&channel, Result::is_ok);
        let total = reading.answer.map(|memory| memory.total_bytes);
        assert_eq!(total, Ok(gpu.total_bytes));
    }
}

#[cfg(unix)]
mod commands {
    use super::command::shell;
    use super::*;
    use std::fs;

    /// Long enough for a shell to start on a loaded machine.
    const TIMING: Timing = Timing {
        interval: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
    };

    const SHORT: Timing = Timing {
        timeout: Duration::from_millis(100),
        ..TIMING
    };

    #[test]
    fn a_command_gets_the_number_of_its_device() {
        let channel = Channel::new();
        let probes = ["cuda:1", "cuda:3"].map(|name| {
            let id = DeviceId(name.to_owned());
            Probe::command(id, TIMING, &channel, "echo $HELIX_DEVICE 4").expect("threads")
        });
        for (name, used) in [("cuda:1", 1), ("cuda:3", 3)] {
            let deadline = Instant::now() + PATIENCE;
            let is_it = |reading: &Reading| reading.device.0 == name;
            let reading = loop {
                let reading = channel.readings().recv_deadline(deadline);
                match reading.expect("a reading in time") {
                    reading if is_it(&reading) => break reading,
                    _ => {}
                }
            };
            assert_eq!(reading.answer, Ok(memory(used << 20, 4 << 20)), "{name}");
        }
        drop(probes);
    }

    #[test]
    fn a_script_simulates_a_card() {
        let folder = crate::test_folder::create();
        let file = folder.path().join("memory");
        fs::write(&file, "3000 12288").expect("written");
        let command = format!("cat '{}'", file.display());
        let channel = Channel::new();
        let _probe = Probe::command(device(), TIMING, &channel, &command).expect("threads");
        let card = |used: u64| Ok(memory(used << 20, 12_288 << 20));
        until(&channel, |answer| *answer == card(3000));
        let next = folder.path().join("next");
        fs::write(&next, "11850 12288").expect("written");
        fs::rename(next, file).expect("renamed");
        until(&channel, |answer| *answer == card(11_850));
    }

    #[test]
    fn a_command_that_fails_or_prints_garbage_is_an_error() {
        for (command, why) in [
            ("echo 1 2; exit 3", "exit status: 3"),
            (
                "echo driver not loaded",
                "not \"USED TOTAL\": \"driver not loaded\"",
            ),
            ("helix-no-such-command", "exit status: 127"),
            // Its output is truncated, and it may end in any way.
            ("yes", ""),
        ] {
            let channel = Channel::new();
            let _probe = Probe::command(device(), TIMING, &channel, command).expect("threads");
            let answer = until(&channel, |_| true)
                .answer
                .expect_err(command)
                .to_string();
            assert!(answer.starts_with(why), "{command}: {answer}");
        }
    }

    /// The process and its children are killed, and the next command runs.
    #[test]
    fn a_command_that_hangs_is_killed_with_all_it_started() {
        let folder = crate::test_folder::create();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let command = format!(
            "if [ -e '{1}' ]; then echo 1 2; else sleep 1000 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait; fi",
            file("pid"),
            file("healed")
        );
        let channel = Channel::new();
        let _probe = Probe::command(device(), SHORT, &channel, &command).expect("threads");
        let unknown = Err(ProbeError::CommandTimeout(SHORT.timeout));
        until(&channel, |answer| *answer == unknown);
        // A loaded machine may not have come that far the first time.
        let deadline = Instant::now() + PATIENCE;
        while !folder.path().join("pid").exists() {
            assert!(Instant::now() < deadline, "the command never ran");
            until(&channel, |_| true);
        }
        fs::write(folder.path().join("healed"), "").expect("written");
        until(&channel, Result::is_ok);
        let pid = fs::read_to_string(folder.path().join("pid")).expect("a pid");
        let deadline = Instant::now() + PATIENCE;
        while is_running(pid.trim()) {
            assert!(Instant::now() < deadline, "it sleeps on");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Some containers reap no orphans, so a zombie counts as ended.
    fn is_running(pid: &str) -> bool {
        let kill = shell(&format!("kill -0 {pid}"))
            .stderr(Stdio::null())
            .status();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        let is_zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
        kill.expect("a shell").success() && !is_zombie
    }
}
