//! Device memory, read again and again beside the work, so that nobody waits for it.
//!
//! Whoever reads may hang: a driver in trouble answers late or never. So one thread asks, another keeps
//! the deadline: after it the reading is unknown, and the thread that hangs is not asked again until it
//! has come back. Nothing here creates a context on the device, and nothing decides what a reading means.

use crate::device::{DeviceId, DeviceMemory};
use crate::platform;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nvml_wrapper::Nvml;
use std::io::{self, Read as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// One reading, or for people why there is none.
pub type Answer = Result<DeviceMemory, String>;

/// What one device said when it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub device: DeviceId,
    pub answer: Answer,
}

/// When to ask, and how long to wait for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the end of one reading to the next.
    pub every: Duration,
    pub deadline: Duration,
}

/// A crawl takes minutes, so a reading a second is plenty; NVML answers in a millisecond, a command in some
/// ten. Together they stay well below the age at which the watchdog takes a reading for none.
impl Default for Timing {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(1),
            deadline: Duration::from_secs(3),
        }
    }
}

/// Readings of a device not yet taken. More would only be old.
const BACKLOG: usize = 4;

/// Devices that one build may watch: one for each kind of encoder.
const MOST_DEVICES: usize = 2;

/// Where the readings of all devices of a build arrive.
#[derive(Clone, Debug)]
pub struct Channel {
    sender: Sender<Reading>,
    readings: Receiver<Reading>,
}

impl Channel {
    pub fn new() -> Self {
        let (sender, readings) = bounded(BACKLOG * MOST_DEVICES);
        Self { sender, readings }
    }

    /// Each reading when it was made. Never closed while this lives.
    pub fn readings(&self) -> &Receiver<Reading> {
        &self.readings
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one device until it is dropped. Dropping waits for nobody.
#[derive(Debug)]
pub struct Probe {
    /// Its end is the sign to stop.
    _running: Sender<()>,
    /// The command that answers, if one does.
    command: Option<Commands>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(command) = &self.command {
            command.end();
        }
    }
}

impl Probe {
    /// Asks by calling `ask`, which may block for as long as it likes.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        device: DeviceId,
        timing: Timing,
        to: &Channel,
        mut ask: impl FnMut() -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, asked) = bounded::<()>(1);
        let (answer, answers) = bounded::<Answer>(1);
        thread::Builder::new()
            .name("vram-ask".to_owned())
            .spawn(move || {
                for () in asked {
                    if answer.send(ask()).is_err() {
                        return;
                    }
                }
            })?;
        let sender = to.sender.clone();
        let (running, stop) = bounded::<()>(0);
        let pace = Pace {
            timing,
            questions,
            answers,
            is_waiting: false,
        };
        thread::Builder::new()
            .name("vram".to_owned())
            .spawn(move || pace.run(&device, &sender, &stop))?;
        Ok(Self {
            _running: running,
            command: None,
        })
    }

    /// Asks NVML for the device that it lists at `index`; that is not CUDA's index where the environment
    /// hides or reorders devices. The library is loaded by the thread that asks, for that may hang as well.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn nvml(device: DeviceId, timing: Timing, to: &Channel, index: u32) -> io::Result<Self> {
        let mut loaded = None;
        Self::start(device, timing, to, move || {
            let nvml = match loaded.take() {
                Some(nvml) => nvml,
                None => Nvml::init().map_err(|error| error.to_string())?,
            };
            let memory = nvml.device_by_index(index).and_then(|d| d.memory_info());
            // Loaded anew after a failure: a driver that was replaced answers a new session alone.
            let memory = memory.map_err(|error| error.to_string())?;
            loaded = Some(nvml);
            DeviceMemory::new(memory.used, memory.total)
                .ok_or_else(|| format!("{} of {} bytes in use", memory.used, memory.total))
        })
    }

    /// Asks by running a command in the system's shell; see [`parse`] for what it shall print. One that
    /// takes longer than the deadline is ended, with all that it has started, and so is one that runs when the probe is
    /// dropped. In its environment [`DEVICE`] is the
    /// number of the device.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn command(
        device: DeviceId,
        timing: Timing,
        to: &Channel,
        command: &str,
    ) -> io::Result<Self> {
        let number = device.0.rsplit_once(':').map(|(_, number)| number);
        let running = Commands::default();
        running.remember();
        let mut asker = CommandAsker {
            running: running.clone(),
            command: command.to_owned(),
            number: number.map(str::to_owned),
            deadline: timing.deadline,
            reader: None,
        };
        // The command's own deadline comes first, so that what it says about it is heard.
        let timing = Timing {
            deadline: timing.deadline + REAP,
            ..timing
        };
        let mut probe = Self::start(device, timing, to, move || asker.ask())?;
        probe.command = Some(running);
        Ok(probe)
    }
}

/// Ends the commands of all probes, for a process that ends without dropping them. No other starts.
pub fn end_commands() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    for state in all.iter().filter_map(Weak::upgrade) {
        Commands(state).end();
    }
}

static ALL: Mutex<Vec<Weak<Mutex<Running>>>> = Mutex::new(Vec::new());

/// The variable in which a command finds the number of its device: 1 for `cuda:1`.
pub const DEVICE: &str = "HELIX_DEVICE";

/// The side that keeps time.
struct Pace {
    timing: Timing,
    questions: Sender<()>,
    answers: Receiver<Answer>,
    /// A question is out whose deadline has passed.
    is_waiting: bool,
}

impl Pace {
    fn run(mut self, device: &DeviceId, readings: &Sender<Reading>, stop: &Receiver<()>) {
        loop {
            let Some(answer) = self.ask() else {
                return;
            };
            let device = device.clone();
            // Nobody takes them at the moment: the next one says more than this.
            let _ = readings.try_send(Reading { device, answer });
            match stop.recv_timeout(self.timing.every) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// `None`: the thread that asks is gone.
    fn ask(&mut self) -> Option<Answer> {
        if self.is_waiting {
            // What comes so late says nothing about now; but who sent it can be asked again.
            match self.answers.try_recv() {
                Ok(_) => self.is_waiting = false,
                Err(crossbeam_channel::TryRecvError::Empty) => return Some(Err(self.hangs())),
                Err(crossbeam_channel::TryRecvError::Disconnected) => return None,
            }
        }
        self.questions.send(()).ok()?;
        match self.answers.recv_timeout(self.timing.deadline) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => {
                self.is_waiting = true;
                Some(Err(self.hangs()))
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn hangs(&self) -> String {
        format!("no answer within {:?}", self.timing.deadline)
    }
}

/// How long a command that was killed may take to be gone.
const REAP: Duration = Duration::from_secs(1);

/// Longest text that a command may print: two numbers need less.
const MOST_TEXT: u64 = 4096;

/// The command that a probe runs, one at a time, where whoever ends the probe finds it.
#[derive(Clone, Debug, Default)]
struct Commands(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    child: Option<Child>,
    /// No other shall start.
    is_over: bool,
}

impl Commands {
    fn state(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|state| state.strong_count() > 0);
        all.push(Arc::downgrade(&self.0));
    }

    /// Starts a command, and returns what it prints to.
    fn start(&self, command: &mut Command) -> io::Result<ChildStdout> {
        let mut state = self.state();
        if state.is_over {
            return Err(io::Error::other("the probe has ended"));
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        state.child = Some(child);
        stdout.ok_or_else(|| io::Error::other("no pipe"))
    }

    /// Kills the command that runs, and all that it has started; does not wait for it.
    fn kill(&self) {
        if let Some(child) = &mut self.state().child {
            // Gone already, perhaps.
            let _ = platform::kill_group(child);
        }
    }

    fn end(&self) {
        self.state().is_over = true;
        self.kill();
    }

    /// Whether the command has ended, and how.
    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let mut state = self.state();
        let child = state.child.as_mut();
        let ended = child
            .ok_or_else(|| io::Error::other("no command"))?
            .try_wait()?;
        if ended.is_some() {
            // Its number may be another's from now on.
            state.child = None;
        }
        Ok(ended)
    }
}

struct CommandAsker {
    running: Commands,
    command: String,
    /// Of the device, where it has one.
    number: Option<String>,
    deadline: Duration,
    /// Reads the last command's output.
    reader: Option<thread::JoinHandle<()>>,
}

impl CommandAsker {
    fn ask(&mut self) -> Answer {
        if self.reader.as_ref().is_some_and(|r| !r.is_finished()) {
            // It has left its process group. One such is enough.
            return Err("something that the command started still holds its output".to_owned());
        }
        let stdout = self.spawn().map_err(|error| format!("shell: {error}"))?;
        let answer = self.listen(stdout);
        if answer.is_err() {
            self.running.kill();
        }
        let status = reap(&self.running)?;
        let text = answer?;
        match status.success() {
            true => parse(&text),
            false => Err(format!("{status}")),
        }
    }

    fn spawn(&self) -> io::Result<ChildStdout> {
        let mut command = shell(&self.command);
        if let Some(number) = &self.number {
            command.env(DEVICE, number);
        }
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        platform::own_process_group(&mut command);
        self.running.start(&mut command)
    }

    /// All that it prints, if it ends in time.
    fn listen(&mut self, stdout: ChildStdout) -> Result<String, String> {
        let (sender, output) = bounded(1);
        let reader = thread::Builder::new()
            .name("vram-read".to_owned())
            .spawn(move || {
                let mut text = Vec::new();
                let read = stdout.take(MOST_TEXT).read_to_end(&mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                let _ = sender.send(read.map(|_| text));
            });
        self.reader = Some(reader.map_err(|error| error.to_string())?);
        match output.recv_timeout(self.deadline) {
            Ok(text) => text.map_err(|error| error.to_string()),
            Err(_) => Err(format!("did not end within {:?}", self.deadline)),
        }
    }
}

#[cfg(unix)]
fn shell(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(text);
    command
}

#[cfg(windows)]
fn shell(text: &str) -> Command {
    use std::os::windows::process::CommandExt as _;
    let mut command = Command::new("cmd");
    // As typed: the shell has quoting rules of its own.
    command.arg("/C").raw_arg(text);
    command
}

/// Waits for a command that has closed its output or was killed; one that stays is left behind.
fn reap(running: &Commands) -> Result<ExitStatus, String> {
    let deadline = Instant::now() + REAP;
    loop {
        match running.ended() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() > deadline => {
                running.kill();
                return Err("its process does not end".to_owned());
            }
            Ok(None) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Numbers without a unit whose total is below this are MiB, as `nvidia-smi` prints them with `nounits`:
/// no device has less than 16 MiB, none more than 16 TiB.
const LEAST_BYTES: f64 = (1u64 << 24) as f64;

/// Reads the first line that is not blank: used and total memory, separated by blanks or a comma, in
/// bytes or MiB, each perhaps with a unit (`B`, `KiB`, `MiB`, `GiB`): `12425625600 12884901888`,
/// `11850, 12288`, `11.85 GiB, 12 GiB`.
pub fn parse(text: &str) -> Answer {
    let garbage = || {
        let start: String = text.trim().chars().take(60).collect();
        format!("not \"USED TOTAL\": {start:?}")
    };
    let line = text.lines().find(|line| !line.trim().is_empty());
    let words = line.unwrap_or_default().split([' ', '\t', ',', '\r']);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let numbers = match words.as_slice() {
        [used, total] => plain(used).zip(plain(total)).map(|(used, total)| {
            let unit = if total < LEAST_BYTES { MIB } else { 1.0 };
            (used * unit, total * unit)
        }),
        [used, used_unit, total, total_unit] => {
            let sized = |number, name| Some(plain(number)? * unit(name)?);
            sized(used, used_unit).zip(sized(total, total_unit))
        }
        _ => None,
    };
    let (used, total) = numbers.ok_or_else(garbage)?;
    // Memory sizes are far below 2^53, and what is beyond is refused.
    DeviceMemory::new(used as u64, total as u64).ok_or_else(garbage)
}

const MIB: f64 = 1_048_576.0;

fn plain(word: &str) -> Option<f64> {
    let number: f64 = word.parse().ok()?;
    (0.0..9e15).contains(&number).then_some(number)
}

fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => MIB,
        "GiB" => MIB * 1024.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
