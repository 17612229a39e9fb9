//! The best of many scores. Pure.

/// A chunk of a shard: its position in the order of ids.
pub type Position = u32;

/// Keeps the best `depth` of a stream of scores, best first; equal scores in the order of positions.
pub struct Top {
    depth: usize,
    kept: Vec<(f64, Position)>,
}

impl Top {
    pub fn new(depth: usize) -> Self {
        Self {
            depth,
            kept: Vec::new(),
        }
    }

    /// Return whether this one would be kept.
    pub fn may_take(&self, score: f64, position: Position) -> bool {
        match self.kept.last() {
            Some(worst) if self.kept.len() >= self.depth => is_before((score, position), *worst),
            _ => self.depth > 0,
        }
    }

    /// Keep a score that [`Self::may_take`] accepted.
    pub fn offer(&mut self, score: f64, position: Position) {
        let offered = (score, position);
        let at = self.kept.partition_point(|kept| is_before(*kept, offered));
        self.kept.insert(at, offered);
        self.kept.truncate(self.depth);
    }

    pub fn into_sorted(self) -> Vec<(f64, Position)> {
        self.kept
    }
}

fn is_before(a: (f64, Position), b: (f64, Position)) -> bool {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).is_lt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_of_a_stream_are_the_head_of_the_sorted_whole(
            scores in proptest::collection::vec(0u8..6, 0..40), depth in 0usize..8,
        ) {
            let mut all: Vec<(f64, Position)> =
                scores.iter().enumerate().map(|(at, s)| (f64::from(*s), (at * 7 % 41) as Position)).collect();
            let mut top = Top::new(depth);
            for (score, position) in &all {
                if top.may_take(*score, *position) {
                    top.offer(*score, *position);
                }
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(depth);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
