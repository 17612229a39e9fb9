//! Reads device memory by a command.

use super::error::ProbeError;
use super::parse::parse;
use super::reading::Answer;
use crate::platform;
use crossbeam_channel::bounded;
use std::io::{self, Read as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The variable in which a command finds the number of its device: 1 for `cuda:1`.
pub(super) const DEVICE: &str = "HELIX_DEVICE";

/// How long a killed command may take to end.
pub(super) const REAP_TIMEOUT: Duration = Duration::from_secs(1);

/// Most bytes that are read of a command's output.
const MAX_OUTPUT: u64 = 4096;

/// The command that a probe is running, shared with those who may end the probe.
#[derive(Clone, Debug, Default)]
pub(super) struct RunningCommand(Arc<Mutex<State>>);

static ALL: Mutex<Vec<Weak<Mutex<State>>>> = Mutex::new(Vec::new());

/// Kill the commands of all probes, for a process that ends without dropping them. No other command starts.
pub fn end_commands() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    for state in all.iter().filter_map(Weak::upgrade) {
        RunningCommand(state).end();
    }
}

#[derive(Debug, Default)]
struct State {
    /// With the end of the pipe that its guard waits for.
    child: Option<Child>,
    /// No other command may start.
    is_ended: bool,
}

impl RunningCommand {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Let [`end_commands`] find this command.
    pub fn register(&self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|state| state.strong_count() > 0);
        all.push(Arc::downgrade(&self.0));
    }

    /// Start a command and return its output.
    fn start(&self, command: &mut Command) -> io::Result<ChildStdout> {
        let mut state = self.state();
        if state.is_ended {
            return Err(io::Error::other("the probe has ended"));
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        state.child = Some(child);
        stdout.ok_or_else(|| io::Error::other("no pipe"))
    }

    /// Kill the command and all that it has started. Do not wait for it.
    fn kill(&self) {
        if let Some(child) = &mut self.state().child {
            // It may have ended.
            let _ = platform::kill_group(child);
        }
    }

    /// Kill the command, and let no other start.
    pub fn end(&self) {
        self.state().is_ended = true;
        self.kill();
    }

    /// Return the status of the command if it has ended.
    fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut state = self.state();
        let child = state.child.as_mut();
        let ended = child
            .ok_or_else(|| io::Error::other("no command"))?
            .try_wait()?;
        if ended.is_some() {
            // From now on its process id may belong to another process.
            state.child = None;
        }
        Ok(ended)
    }
}

/// Reads a device by running a command in the system's shell.
pub(super) struct CommandReader {
    pub running: RunningCommand,
    pub command: String,
    /// Number of the device, if it has one.
    pub number: Option<String>,
    pub timeout: Duration,
    /// Reads the last command's output.
    pub reader: Option<thread::JoinHandle<()>>,
}

impl CommandReader {
    pub fn read(&mut self) -> Answer {
        if self.reader.as_ref().is_some_and(|r| !r.is_finished()) {
            return Err(ProbeError::OutputHeld);
        }
        let stdout = self.spawn();
        let stdout = stdout.map_err(|error| ProbeError::Shell(error.to_string()))?;
        let answer = self.read_output(stdout);
        if answer.is_err() {
            self.running.kill();
        }
        let status = reap(&self.running)?;
        let text = answer?;
        match status.success() {
            true => parse(&text),
            false => Err(ProbeError::CommandFailed(status)),
        }
    }

    fn spawn(&self) -> io::Result<ChildStdout> {
        let mut command = guarded(&self.command);
        if let Some(number) = &self.number {
            command.env(DEVICE, number);
        }
        // The other end tells the command's guard that this process has died, see [`guarded`].
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        platform::own_process_group(&mut command);
        self.running.start(&mut command)
    }

    /// Return what the command prints, if it ends in time.
    fn read_output(&mut self, stdout: ChildStdout) -> Result<String, ProbeError> {
        let (sender, output) = bounded(1);
        let reader = thread::Builder::new()
            .name("vram-read".to_owned())
            .spawn(move || {
                let mut text = Vec::new();
                let read = stdout.take(MAX_OUTPUT).read_to_end(&mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                let _ = sender.send(read.map(|_| text));
            });
        self.reader = Some(reader.map_err(|error| ProbeError::io(&error))?);
        match output.recv_timeout(self.timeout) {
            Ok(text) => text.map_err(|error| ProbeError::io(&error)),
            Err(_) => Err(ProbeError::CommandTimeout(self.timeout)),
        }
    }
}

/// Runs the command, and kills it with all that it has started when standard input ends: this process holds the other
/// end, so a killed build leaves no hung command behind. The shell waits for both, since in a container nobody else may.
#[cfg(unix)]
const GUARD: &str = r#"exec 3<&0
sh -c "$1" </dev/null 3<&- & command=$!
{ read -r _ <&3 || kill -9 0; } >/dev/null 2>&1 & guard=$!
exec 3<&-
wait "$command"; status=$?
kill "$guard"; wait "$guard"
exit "$status""#;

/// Return the command with its guard. Must run in a process group of its own, which the guard kills.
#[cfg(unix)]
fn guarded(text: &str) -> Command {
    let mut command = shell(GUARD);
    command.arg("sh").arg(text);
    command
}

#[cfg(windows)]
fn guarded(text: &str) -> Command {
    shell(text)
}

#[cfg(unix)]
pub(super) fn shell(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(text);
    command
}

#[cfg(windows)]
pub(super) fn shell(text: &str) -> Command {
    use std::os::windows::process::CommandExt as _;
    let mut command = Command::new("cmd");
    // Unquoted: the shell has its own quoting rules.
    command.arg("/C").raw_arg(text);
    command
}

/// Wait for a command that has closed its output or was killed. Leave it behind if it does not end.
fn reap(running: &RunningCommand) -> Result<ExitStatus, ProbeError> {
    let deadline = Instant::now() + REAP_TIMEOUT;
    loop {
        match running.status() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() > deadline => {
                running.kill();
                return Err(ProbeError::NotReaped);
            }
            Ok(None) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(ProbeError::io(&error)),
        }
    }
}
