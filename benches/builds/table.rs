//! Tables of repeated measurements, printed as Markdown and JSON.

use serde::{Serialize, Serializer};
use std::fmt;

/// One figure, measured in every round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// `self + other`, round by round.
    pub fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
    }

    /// `self / other`, round by round.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    pub fn map(&self, of: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(of).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// NaN if nothing was measured.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[half],
            _ => f64::midpoint(sorted[half - 1], sorted[half]),
        }
    }

    /// Return the shortest measurement: disturbances only make measurements longer.
    pub fn least(&self) -> f64 {
        self.range().0
    }

    fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (end(sorted.first()), end(sorted.last()))
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (min, max) = self.range();
        let figures = serde_json::json!({
            "median": self.median(), "min": min, "max": max, "rounds": self.0
        });
        figures.serialize(serializer)
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Text(String),
    /// The number of digits after the decimal point.
    Figure(#[serde(serialize_with = "without_digits")] (Samples, usize)),
}

fn without_digits<S: Serializer>(
    (samples, _): &(Samples, usize),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    samples.serialize(serializer)
}

impl Cell {
    pub fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub fn figure(samples: &Samples, digits: usize) -> Self {
        Self::Figure((samples.clone(), digits))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Figure((samples, digits)) => {
                write!(f, "{:.digits$}", samples.median())?;
                let (min, max) = samples.range();
                if samples.0.len() > 1 {
                    write!(f, " ({min:.digits$} to {max:.digits$})")?;
                }
                Ok(())
            }
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub title: String,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(title: impl ToString, columns: &[&'static str]) -> Self {
        Self {
            title: title.to_string(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "**{}**\n", self.title)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.columns.len()))?;
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(ToString::to_string).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}
