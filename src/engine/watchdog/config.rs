//! The watchdog's settings: factor, window and action, from flags and the environment.
//!
//! Pure: the environment comes in as a function. An invalid flag is an error, since someone has just typed it. An invalid
//! environment variable is a warning, and the default applies: it may be years old and must not stop a build.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// When a crawl is detected, and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrawlConfig {
    /// A rate below the baseline divided by this is slow. Above 1.
    pub factor: f64,
    /// This many slow batches in a row are a crawl, and this many early batches make the baseline. At least 1.
    pub window: u32,
    pub action: CrawlAction,
}

/// The published defaults. Half the factor would take other programs on the device for crawls; twice the factor would
/// have missed the first published incident (15.3 to 2.3 chunks/s: a factor of 6.7).
impl Default for CrawlConfig {
    fn default() -> Self {
        Self {
            factor: 5.0,
            window: 8,
            action: CrawlAction::Ladder,
        }
    }
}

/// What to do about a crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrawlAction {
    /// Release memory, then respawn, then use the CPU for the rest of the shard.
    #[default]
    Ladder,
    /// Use the CPU for the rest of the shard at once.
    Cpu,
    /// Count and report crawls, do nothing about them.
    Off,
}

impl CrawlAction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ladder => "ladder",
            Self::Cpu => "cpu",
            Self::Off => "off",
        }
    }
}

impl Display for CrawlAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CrawlAction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Ladder, Self::Cpu, Self::Off]
            .into_iter()
            .find(|action| action.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| "must be ladder, cpu or off".to_owned())
    }
}

/// Flags as typed; `None` for those that are absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrawlFlags<'a> {
    pub factor: Option<&'a str>,
    pub window: Option<&'a str>,
    pub action: Option<&'a str>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOrigin {
    Flag,
    /// The variable's name.
    Environment(String),
    Default,
}

/// The settings, and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedCrawlConfig {
    pub config: CrawlConfig,
    /// Of factor, window and action.
    pub origins: [ConfigOrigin; 3],
    /// For people: environment variables that were ignored.
    pub warnings: Vec<String>,
}

/// A flag's value is invalid: a usage error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag} {value}: {problem}")]
pub struct CrawlConfigError {
    flag: &'static str,
    value: String,
    problem: String,
}

/// Prefixes of the environment variables; the first has priority. The second is the current name of the Python
/// builder's project.
const PREFIXES: [&str; 2] = ["HELIX_BFM_", "CYMATIX_BFM_"];

impl CrawlConfig {
    /// Resolve each setting from its flag, `HELIX_BFM_*`, `CYMATIX_BFM_*` or the default, in this order. An empty
    /// variable counts as not set. The first variable that is set decides: if it is invalid, the default applies, not the
    /// next variable.
    ///
    /// # Errors
    /// When a flag is invalid.
    pub fn resolve(
        flags: CrawlFlags<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ResolvedCrawlConfig, CrawlConfigError> {
        let default = Self::default();
        let mut warnings = Vec::new();
        let (factor, factor_origin) = Setting {
            flag: "crawl-factor",
            typed: flags.factor,
            parse: parse_factor,
            default: default.factor,
        }
        .resolve(environment, &mut warnings)?;
        let (window, window_origin) = Setting {
            flag: "crawl-window",
            typed: flags.window,
            parse: parse_window,
            default: default.window,
        }
        .resolve(environment, &mut warnings)?;
        let (action, action_origin) = Setting {
            flag: "crawl-action",
            typed: flags.action,
            parse: CrawlAction::from_str,
            default: default.action,
        }
        .resolve(environment, &mut warnings)?;
        Ok(ResolvedCrawlConfig {
            config: Self {
                factor,
                window,
                action,
            },
            origins: [factor_origin, window_origin, action_origin],
            warnings,
        })
    }
}

/// One setting, before it is resolved.
struct Setting<'a, T> {
    flag: &'static str,
    typed: Option<&'a str>,
    parse: fn(&str) -> Result<T, String>,
    default: T,
}

impl<T: Display> Setting<'_, T> {
    fn resolve(
        self,
        environment: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<(T, ConfigOrigin), CrawlConfigError> {
        let Self {
            flag,
            typed,
            parse,
            default,
        } = self;
        if let Some(value) = typed {
            return match parse(value.trim()) {
                Ok(parsed) => Ok((parsed, ConfigOrigin::Flag)),
                Err(problem) => Err(CrawlConfigError {
                    flag,
                    value: value.to_owned(),
                    problem,
                }),
            };
        }
        let suffix = flag.to_ascii_uppercase().replace('-', "_");
        for prefix in PREFIXES {
            let name = format!("{prefix}{suffix}");
            let Some(value) = environment(&name).filter(|value| !value.trim().is_empty()) else {
                continue;
            };
            return match parse(value.trim()) {
                Ok(parsed) => Ok((parsed, ConfigOrigin::Environment(name))),
                Err(problem) => {
                    warnings.push(format!(
                        "{name}={value}: {problem}; using the default, {default}"
                    ));
                    Ok((default, ConfigOrigin::Default))
                }
            };
        }
        Ok((default, ConfigOrigin::Default))
    }
}

/// Larger factors would never find anything.
const MAX_FACTOR: f64 = 1000.0;

fn parse_factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 1.0 && factor <= MAX_FACTOR => Ok(factor),
        _ => Err(format!("must be a number above 1, at most {MAX_FACTOR}")),
    }
}

/// Larger windows would take hours to find anything.
const MAX_WINDOW: u32 = 1000;

fn parse_window(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(window) if (1..=MAX_WINDOW).contains(&window) => Ok(window),
        _ => Err(format!("must be a whole number from 1 to {MAX_WINDOW}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolve(
        flags: CrawlFlags<'_>,
        set: &[(&str, &str)],
    ) -> Result<ResolvedCrawlConfig, CrawlConfigError> {
        CrawlConfig::resolve(flags, &|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_published_defaults_hold() {
        let resolved = resolve(CrawlFlags::default(), &[]).expect("nothing is wrong");
        let config = resolved.config;
        assert_eq!(
            (config.factor, config.window, config.action),
            (5.0, 8, CrawlAction::Ladder)
        );
        assert_eq!(resolved.origins, [const { ConfigOrigin::Default }; 3]);
        assert!(resolved.warnings.is_empty());
    }

    #[test]
    fn flags_come_before_variables_and_the_first_prefix_before_the_second() {
        let flags = CrawlFlags {
            factor: Some("7"),
            ..CrawlFlags::default()
        };
        let set = [
            ("HELIX_BFM_CRAWL_FACTOR", "6"),
            ("CYMATIX_BFM_CRAWL_FACTOR", "4"),
            ("HELIX_BFM_CRAWL_WINDOW", "12"),
            ("CYMATIX_BFM_CRAWL_WINDOW", "13"),
            ("CYMATIX_BFM_CRAWL_ACTION", " CPU "),
        ];
        let resolved = resolve(flags, &set).expect("nothing is wrong");
        let config = resolved.config;
        assert_eq!(
            (config.factor, config.window, config.action),
            (7.0, 12, CrawlAction::Cpu)
        );
        let from = |name: &str| ConfigOrigin::Environment(name.to_owned());
        assert_eq!(
            resolved.origins,
            [
                ConfigOrigin::Flag,
                from("HELIX_BFM_CRAWL_WINDOW"),
                from("CYMATIX_BFM_CRAWL_ACTION")
            ]
        );
    }

    #[test]
    fn an_invalid_variable_is_a_warning_and_the_default_applies() {
        for (name, value) in [
            ("HELIX_BFM_CRAWL_FACTOR", "five"),
            ("HELIX_BFM_CRAWL_FACTOR", "1"),
            ("HELIX_BFM_CRAWL_FACTOR", "-5"),
            ("HELIX_BFM_CRAWL_FACTOR", "NaN"),
            ("HELIX_BFM_CRAWL_FACTOR", "inf"),
            ("CYMATIX_BFM_CRAWL_WINDOW", "0"),
            ("CYMATIX_BFM_CRAWL_WINDOW", "8.5"),
            ("CYMATIX_BFM_CRAWL_WINDOW", "99999999999999999999"),
            ("HELIX_BFM_CRAWL_ACTION", "gpu"),
        ] {
            let resolved = resolve(CrawlFlags::default(), &[(name, value)]).expect("no error");
            assert_eq!(resolved.config, CrawlConfig::default(), "{name}={value}");
            let [warning] = resolved.warnings.as_slice() else {
                panic!("{name}={value}: {:?}", resolved.warnings);
            };
            assert!(
                warning.starts_with(&format!("{name}={value}: must be")),
                "{warning}"
            );
        }
        // An empty variable counts as not set.
        let set = [
            ("HELIX_BFM_CRAWL_WINDOW", " "),
            ("CYMATIX_BFM_CRAWL_WINDOW", "9"),
        ];
        let resolved = resolve(CrawlFlags::default(), &set).expect("no error");
        assert_eq!((resolved.config.window, resolved.warnings.len()), (9, 0));
        // The first variable that is set decides, even if it is invalid.
        let set = [
            ("HELIX_BFM_CRAWL_WINDOW", "x"),
            ("CYMATIX_BFM_CRAWL_WINDOW", "9"),
        ];
        let resolved = resolve(CrawlFlags::default(), &set).expect("no error");
        assert_eq!((resolved.config.window, resolved.warnings.len()), (8, 1));
    }

    #[test]
    fn an_invalid_flag_is_an_error_that_names_it() {
        let flags = CrawlFlags {
            window: Some("-1"),
            ..CrawlFlags::default()
        };
        let error = resolve(flags, &[]).expect_err("wrong").to_string();
        assert_eq!(
            error,
            "--crawl-window -1: must be a whole number from 1 to 1000"
        );
    }

    proptest! {
        #[test]
        fn no_environment_stops_a_build(factor: String, window: String, action: String) {
            let set = [
                ("HELIX_BFM_CRAWL_FACTOR", factor.as_str()),
                ("HELIX_BFM_CRAWL_WINDOW", window.as_str()),
                ("HELIX_BFM_CRAWL_ACTION", action.as_str()),
            ];
            let config = resolve(CrawlFlags::default(), &set).expect("never").config;
            prop_assert!(config.factor > 1.0 && config.factor <= MAX_FACTOR);
            prop_assert!((1..=MAX_WINDOW).contains(&config.window));
        }
    }
}
