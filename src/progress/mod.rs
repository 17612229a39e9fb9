//! Shows a running build: bars on a terminal, plain lines elsewhere, JSON for scripts.
//!
//! Writes to standard error only; standard output is for results. Decides nothing about the build: the engine emits
//! events, this module draws them.

mod bars;
mod tally;

use crate::report::{BuildEvent, LOG_ONLY};
use crate::terminal;
use bars::Bars;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};
use tally::Tally;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Bars,
    /// One line per interval and per important event.
    Plain,
    /// Every event as one JSON object per line.
    Json,
    None,
}

impl Style {
    /// Bars if standard error is a terminal that can draw them, otherwise plain lines.
    pub fn for_stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Self::Bars
        } else {
            Self::Plain
        }
    }
}

/// Time between plain lines, so that the log of an hour-long build stays readable.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Draws one build.
pub struct Display {
    style: Style,
    began: Instant,
    tally: Tally,
    bars: Option<Bars>,
    last_line: Duration,
}

impl Display {
    pub fn new(style: Style) -> Self {
        Self {
            style,
            began: Instant::now(),
            tally: Tally::default(),
            bars: (style == Style::Bars).then(Bars::new),
            last_line: Duration::ZERO,
        }
    }

    /// Show one event. Events come in order. Never fails: a closed terminal does not stop a build.
    pub fn event(&mut self, event: &BuildEvent) {
        let now = self.began.elapsed();
        self.tally.add(now, event);
        let line = headline(event, &self.tally);
        if let Some(line) = &line {
            record(line, self.style);
        }
        match self.style {
            Style::Bars => {
                if let Some(bars) = &mut self.bars {
                    if let Some(line) = line {
                        bars.print(&line);
                    }
                    bars.draw(&self.tally, now);
                }
            }
            Style::Plain => self.plain(event, line, now),
            Style::Json => {
                if let Ok(json) = serde_json::to_string(event) {
                    print(&json);
                }
            }
            Style::None => {}
        }
    }

    /// Remove the bars.
    pub fn finish(self) {
        if let Some(bars) = self.bars {
            bars.clear();
        }
    }

    fn plain(&mut self, event: &BuildEvent, line: Option<String>, now: Duration) {
        if let Some(line) = line {
            print(&line);
        } else if now.saturating_sub(self.last_line) >= PLAIN_INTERVAL
            && matches!(event, BuildEvent::FilesCommitted { .. })
        {
            self.last_line = now;
            print(&status(&self.tally, now));
        }
    }
}

/// Log a headline. If nothing is drawn, warnings go to standard error as log lines too.
fn record(line: &str, style: Style) {
    match (line.strip_prefix(WARNING), style) {
        (Some(warning), Style::None) => tracing::warn!("{warning}"),
        (Some(warning), _) => tracing::warn!(target: LOG_ONLY, "{warning}"),
        (None, _) => tracing::info!(target: LOG_ONLY, "{line}"),
    }
}

/// The prefix of a warning.
const WARNING: &str = "warning: ";

/// The line for an important event.
fn headline(event: &BuildEvent, tally: &Tally) -> Option<String> {
    match event {
        BuildEvent::Planned {
            profile,
            shards,
            unchanged,
            workers,
            file_workers,
            ..
        } => {
            let mut line = format!(
                "{profile}: {}, {}",
                count(tally.total_files, "file"),
                bytes(tally.total_bytes)
            );
            let n_shards = count(shards.len() as u64, "shard");
            let _ = write!(line, " in {n_shards} to build");
            if *unchanged > 0 {
                let _ = write!(line, ", {unchanged} unchanged");
            }
            let n_workers = count((*workers).into(), "worker");
            let n_file_workers = count((*file_workers).into(), "file worker");
            let _ = write!(line, "; {n_workers} x {n_file_workers}");
            Some(line)
        }
        BuildEvent::ShardPublished {
            shard,
            chunks,
            bytes: size,
        } => {
            let label = tally.shards.iter().find(|s| s.shard == *shard);
            Some(format!(
                "published {} ({}, {})",
                label.map_or("", |s| &s.label),
                count(*chunks, "chunk"),
                bytes(*size)
            ))
        }
        BuildEvent::WorkerLost { worker, reason } => Some(format!(
            "{WARNING}worker {worker} died: {reason}; starting another"
        )),
        BuildEvent::Quarantined {
            segment,
            path,
            reason,
        } => Some(format!(
            "{WARNING}{}/{path} brings down its worker and is skipped: {reason}",
            tally.label(*segment)
        )),
        BuildEvent::Warning { text } => Some(format!("{WARNING}{text}")),
        BuildEvent::Watchdog(event) => Some(format!("{WARNING}{event}")),
        BuildEvent::Pausing => Some("pausing: finishing the files in hand".to_owned()),
        BuildEvent::SegmentUndone { .. }
        | BuildEvent::DeviceMemory { .. }
        | BuildEvent::WorkerStarting { .. }
        | BuildEvent::WorkerReady { .. }
        | BuildEvent::SegmentOpened { .. }
        | BuildEvent::SegmentResumed { .. }
        | BuildEvent::FilesCommitted { .. }
        | BuildEvent::SegmentDone { .. } => None,
    }
}

/// Totals in one line.
fn status(tally: &Tally, now: Duration) -> String {
    let rates = tally.rates(now);
    let eta = tally.eta(now).map_or_else(|| "-".to_owned(), duration);
    format!(
        "{:3.0} %  {} chunks  {:.0} chunks/s  {}/s  {} of {} shards  {} left",
        tally.share() * 100.0,
        tally.totals.done.chunks,
        rates.chunks,
        bytes(rates.bytes as u64),
        tally.published,
        tally.shards.len(),
        eta
    )
}

fn print(line: &str) {
    // A closed standard error must not stop the build.
    let _ = writeln!(io::stderr().lock(), "{}", terminal::message(line));
}

/// A number with its noun: `1 file`, `12 files`.
pub fn count(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// Format bytes with a binary unit and up to three digits.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// Format a duration: `7 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_readable_units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(48 << 20), "48 MiB");
        assert_eq!(bytes(1_020 << 20), "1.0 GiB");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(7_500)), "2 h 5 min");
    }
}
