//! `genes.chromatin`, the format's number for a chunk's visibility.

use crate::tag::Visibility;

/// Return 0 (open), 1 (euchromatin) or 2 (heterochromatin).
pub fn of(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Open => 0,
        Visibility::Demoted => 1,
        Visibility::Hidden => 2,
    }
}

/// Read back what [`of`] gave; `None` for any other number.
pub fn parse(number: u8) -> Option<Visibility> {
    Visibility::ALL.into_iter().find(|v| of(*v) == number)
}
