//! Lists of numbers as schedulers write them: `1,3,7-9`.
//!
//! Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A set of numbers from 0, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(pub BTreeSet<u32>);

/// A text that is not a list of numbers.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a list of numbers like 1,3,7-9")]
pub struct NotNumbers(pub String);

/// Most numbers of a list that is typed: a typo in a range must not take all memory.
const MOST: u32 = 10_000_000;

impl FromStr for Numbers {
    type Err = NotNumbers;

    fn from_str(text: &str) -> Result<Self, NotNumbers> {
        let wrong = || NotNumbers(text.to_owned());
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
            let (first, last) = (number(first)?, number(last)?);
            if last < first || last - first >= MOST {
                return Err(wrong());
            }
            numbers.extend(first..=last);
        }
        Ok(Self(numbers))
    }
}

/// With ranges for two and more.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while numbers.next_if(|next| *next == last + 1).is_some() {
                last += 1;
            }
            match last == first {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "a",
            "1,",
            "3-1",
            "-1",
            "1-2-3",
            "0-4294967295",
            "4294967296",
        ] {
            assert_eq!(text.parse::<Numbers>(), Err(NotNumbers(text.to_owned())));
        }
        let numbers: Numbers = "7-9, 3,1,8".parse().expect("a list");
        assert_eq!(numbers.to_string(), "1,3,7-9");
    }

    proptest! {
        #[test]
        fn lists_parse_what_they_print(numbers in proptest::collection::btree_set(0u32..60, 1..40)) {
            let numbers = Numbers(numbers);
            prop_assert_eq!(numbers.to_string().parse::<Numbers>(), Ok(numbers));
        }
    }
}
