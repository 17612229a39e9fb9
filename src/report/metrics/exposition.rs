//! The text exposition format itself: families, samples, labels and numbers as they are written.

use std::fmt::Write as _;

#[derive(Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
}

/// A value with its labels.
pub struct Sample {
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

pub fn plain(value: f64) -> Sample {
    labelled([], value)
}

pub fn labelled<const N: usize>(labels: [(&'static str, String); N], value: f64) -> Sample {
    Sample {
        labels: labels.into(),
        value,
    }
}

/// A family without samples is left out.
pub fn write_family(text: &mut String, name: &str, kind: Kind, help: &str, samples: &[Sample]) {
    if samples.is_empty() {
        return;
    }
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for sample in samples {
        text.push_str(name);
        for (n, (label, value)) in sample.labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let _ = write!(text, "{before}{label}=\"{}\"", escaped(value));
        }
        if !sample.labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {}", number(sample.value));
    }
}

/// A label's value: backslash, quote and line feed are the format's own.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        // Digits without an exponent, and `NaN`.
        value.to_string()
    }
}
