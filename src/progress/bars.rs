//! Bars on a terminal: one line per worker with its shard, and one for the whole build.

use super::status;
use super::tally::Tally;
use crate::ids::WorkerId;
use crate::terminal;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most redraws per second: enough for smooth bars.
const REDRAWS_PER_SECOND: u8 = 8;

/// Positions of the total bar, in thousandths.
const STEPS: u64 = 1000;

pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    workers: BTreeMap<WorkerId, ProgressBar>,
}

impl Bars {
    pub fn new() -> Self {
        let all =
            MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
        let style = ProgressStyle::with_template("{bar:24} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let total = all.add(ProgressBar::new(STEPS).with_style(style));
        Self {
            all,
            total,
            workers: BTreeMap::new(),
        }
    }

    pub fn draw(&mut self, tally: &Tally, now: Duration) {
        for (worker, line) in &tally.workers {
            let bar = self.workers.entry(*worker).or_insert_with(|| {
                let style = ProgressStyle::with_template("{wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                self.all
                    .insert_before(&self.total, ProgressBar::new_spinner().with_style(style))
            });
            let shard = line.segment.map(|segment| tally.shard_line(segment.shard));
            let message = format!(
                "  worker {worker} {:10} {}  {}",
                line.state,
                shard.unwrap_or_default(),
                line.file
            );
            bar.set_message(terminal::line(&message).into_owned());
        }
        self.total
            .set_position((tally.share() * STEPS as f64) as u64);
        self.total.set_message(status(tally, now));
    }

    /// Print a line above the bars.
    pub fn print(&self, line: &str) {
        // This fails if the terminal is closed; the build goes on.
        let _ = self.all.println(terminal::message(line));
    }

    pub fn clear(self) {
        let _ = self.all.clear();
    }
}
