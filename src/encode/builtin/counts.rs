//! How often each token stands in a window.

/// Counts the ids of one window at a time. Memory is that of the vocabulary, and a window costs only its own ids.
pub(super) struct Counts {
    /// By id (`[V]`); zeros between windows.
    counts: Vec<u16>,
    distinct: Vec<(u16, u16)>,
}

impl Counts {
    pub fn new(vocabulary: usize) -> Self {
        Self {
            counts: vec![0; vocabulary],
            distinct: Vec::new(),
        }
    }

    /// Return the distinct ids of a window with their counts, in the order of their first places. Ids beyond the vocabulary
    /// are left out. A window has at most 65,535 ids.
    pub fn of(&mut self, ids: &[i64]) -> &[(u16, u16)] {
        self.distinct.clear();
        for id in ids {
            let Some(id) = u16::try_from(*id).ok() else {
                continue;
            };
            let Some(count) = self.counts.get_mut(usize::from(id)) else {
                continue;
            };
            if *count == 0 {
                self.distinct.push((id, 0));
            }
            *count = count.saturating_add(1);
        }
        for (id, count) in &mut self.distinct {
            *count = std::mem::take(&mut self.counts[usize::from(*id)]);
        }
        &self.distinct
    }
}
