//! A tokenized text, cut into windows.

/// The windows of one text, each with its special and prefix tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::encode) struct Windows {
    /// All windows, one after the other.
    ids: Vec<i64>,
    /// Ids of a full window.
    stride: usize,
    /// Ids before those of the text in each window.
    lead: usize,
    /// Ids of the text in a full window.
    room: usize,
    /// Tokens of the text in all windows.
    pub n_tokens: usize,
}

impl Windows {
    /// Cut `text_ids` into windows of at most `room` ids. `around` are the ids before and after those in each window.
    pub(super) fn new(text_ids: &[i64], around: (&[i64], &[i64]), room: usize) -> Self {
        let (lead, tail) = around;
        let n_around = lead.len() + tail.len();
        let n_windows = text_ids.len().div_ceil(room);
        let mut ids = Vec::with_capacity(text_ids.len() + n_windows * n_around);
        for part in text_ids.chunks(room) {
            ids.extend_from_slice(lead);
            ids.extend_from_slice(part);
            ids.extend_from_slice(tail);
        }
        Self {
            ids,
            stride: room + n_around,
            lead: lead.len(),
            room,
            n_tokens: text_ids.len(),
        }
    }

    /// Return the ids of each window and how many of them are the text's. Empty for an empty text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[i64], usize)> {
        let n_around = self.stride - self.room;
        self.ids
            .chunks(self.stride)
            .map(move |window| (window, window.len() - n_around))
    }

    /// Ids in all windows.
    pub fn n_slots(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Return the id of the text's token at `position`.
    pub fn text_id(&self, position: usize) -> Option<i64> {
        let window = position / self.room;
        let at = window * self.stride + self.lead + position % self.room;
        self.ids.get(at).copied()
    }
}
