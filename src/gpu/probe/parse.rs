//! The output of a command: used and total memory.

use super::error::ProbeError;
use super::reading::Answer;
use crate::device::DeviceMemory;

/// Numbers without a unit are MiB if the total is below this, as `nvidia-smi` prints them with `nounits`. No device has less
/// than 16 MiB or more than 16 TiB.
const MIN_BYTES: f64 = (1u64 << 24) as f64;

/// Parse the first line that is not blank: used and total memory, separated by blanks or a comma, in bytes or MiB, each
/// optionally with a unit (`B`, `KiB`, `MiB`, `GiB`): `12425625600 12884901888`, `11850, 12288`, `11.85 GiB, 12 GiB`.
pub(super) fn parse(text: &str) -> Answer {
    let garbage = || {
        let start: String = text.trim().chars().take(60).collect();
        ProbeError::Garbage(start)
    };
    let line = text.lines().find(|line| !line.trim().is_empty());
    let words = line.unwrap_or_default().split([' ', '\t', ',', '\r']);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let numbers = match words.as_slice() {
        [used, total] => plain(used).zip(plain(total)).map(|(used, total)| {
            let unit = if total < MIN_BYTES { MIB } else { 1.0 };
            (used * unit, total * unit)
        }),
        [used, used_unit, total, total_unit] => {
            let sized = |number, name| Some(plain(number)? * unit(name)?);
            sized(used, used_unit).zip(sized(total, total_unit))
        }
        _ => None,
    };
    let (used, total) = numbers.ok_or_else(garbage)?;
    // Larger numbers than 2^53 were refused.
    DeviceMemory::new(used as u64, total as u64).ok_or_else(garbage)
}

pub(super) const MIB: f64 = 1_048_576.0;

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
