//! Plans batches: which windows run together on a device, and in which shape.
//!
//! Pure: token counts in, batches out. Shapes are fixed: a few lengths, and for each length one number of rows. Every distinct
//! shape makes a device's arena grow, and a GPU chooses its kernels by shape. So a window's shape depends only on its own
//! length, and its vector does not depend on its neighbours.

/// Lengths to which windows are padded: multiples of 8, as tensor cores need. More lengths would save padding and cost a shape
/// each.
const LENGTHS: [usize; 10] = [64, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192];

/// Tokens in a run, padding included: 16 windows of 512. So many keep a GPU busy with a model of BERT's size: on an H200,
/// SPLADE in 16 bits is 9 % slower with half as many and 4 % faster with twice as many, which would double the memory for
/// activations.
const TOKENS: usize = 8192;

/// Most bytes of output in one run, which the bus has to copy. Logits over BERT's vocabulary are 62 MB for one window of 512
/// tokens.
const OUTPUT_BYTES: usize = 256 << 20;

/// Rows and the tokens in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub rows: usize,
    pub len: usize,
}

impl Shape {
    pub fn tokens(self) -> usize {
        self.rows * self.len
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.rows, self.len)
    }
}

/// What limits the rows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Tokens of the longest window.
    pub max_len: usize,
    /// Most rows, as the user sets them; 0: no limit.
    pub max_rows: usize,
    /// Bytes of output for each token of a run, or for each row if the graph pools.
    pub output: OutputBytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputBytes {
    PerToken(usize),
    PerRow(usize),
}

/// The fixed shapes, one for each length, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shapes(Vec<Shape>);

/// Windows that run together, as positions in the argument of [`Shapes::plan`]. The other rows of the shape stay empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchPlan {
    pub shape: Shape,
    pub windows: Vec<usize>,
}

impl Shapes {
    pub fn new(bounds: Bounds) -> Self {
        let longest = bounds.max_len.max(1);
        let lengths = LENGTHS.iter().copied().filter(|len| *len < longest);
        let shape = |len| Shape {
            rows: rows(&bounds, len),
            len,
        };
        Self(lengths.chain([longest]).map(shape).collect())
    }

    /// Return the shape with the most tokens; of several, the longest.
    pub fn largest(&self) -> Shape {
        let largest = self.0.iter().max_by_key(|shape| shape.tokens());
        *largest.expect("there is a shape for the longest window")
    }

    /// Halve the rows of the runs of this length. `false` if there is only one row.
    pub fn halve(&mut self, len: usize) -> bool {
        let found = self.0.iter_mut().find(|shape| shape.len == len);
        match found {
            Some(shape) if shape.rows > 1 => {
                shape.rows /= 2;
                true
            }
            _ => false,
        }
    }

    /// Put each window, given as its position and its tokens, into one batch. The shortest come first, those of one length in
    /// their order.
    pub fn plan(&self, windows: impl IntoIterator<Item = (usize, usize)>) -> Vec<BatchPlan> {
        let mut by_length = vec![Vec::new(); self.0.len()];
        for (position, n_tokens) in windows {
            let fits = self.0.partition_point(|shape| shape.len < n_tokens);
            // Windows are cut to the longest length.
            by_length[fits.min(self.0.len() - 1)].push(position);
        }
        let mut batches = Vec::new();
        for (shape, members) in self.0.iter().zip(by_length) {
            batches.extend(members.chunks(shape.rows).map(|windows| BatchPlan {
                shape: *shape,
                windows: windows.to_vec(),
            }));
        }
        batches
    }
}

fn rows(bounds: &Bounds, len: usize) -> usize {
    let by_tokens = TOKENS / len;
    let row_bytes = match bounds.output {
        OutputBytes::PerToken(bytes) => bytes * len,
        OutputBytes::PerRow(bytes) => bytes,
    };
    let by_output = OUTPUT_BYTES / row_bytes.max(1);
    let asked = match bounds.max_rows {
        0 => usize::MAX,
        asked => asked,
    };
    by_tokens.min(by_output).min(asked).max(1)
}

/// Whether the size of the output limits the rows of a run. Then a graph that pools would be faster.
pub(super) fn is_limited_by_output(bounds: &Bounds) -> bool {
    let free = Bounds {
        output: OutputBytes::PerRow(1),
        ..*bounds
    };
    rows(bounds, bounds.max_len) < rows(&free, bounds.max_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VOCABULARY_BYTES: usize = 30_522 * 4;

    fn bert(output: OutputBytes) -> Bounds {
        Bounds {
            max_len: 512,
            max_rows: 0,
            output,
        }
    }

    fn shapes(bounds: Bounds) -> Vec<(usize, usize)> {
        let Shapes(shapes) = Shapes::new(bounds);
        shapes.iter().map(|shape| (shape.rows, shape.len)).collect()
    }

    #[test]
    fn a_graph_that_pools_runs_8192_tokens_at_a_time() {
        let pooled = bert(OutputBytes::PerRow(VOCABULARY_BYTES));
        let expected = [
            (128, 64),
            (64, 128),
            (42, 192),
            (32, 256),
            (21, 384),
            (16, 512),
        ];
        assert_eq!(shapes(pooled), expected);
        assert!(!is_limited_by_output(&pooled));
    }

    #[test]
    fn logits_stay_below_256_mib() {
        let logits = bert(OutputBytes::PerToken(VOCABULARY_BYTES));
        let shapes = shapes(logits);
        assert_eq!(shapes.last(), Some(&(4, 512)));
        let bytes = |(rows, len): &(usize, usize)| rows * len * VOCABULARY_BYTES;
        assert!(shapes.iter().all(|shape| bytes(shape) <= OUTPUT_BYTES));
        assert!(is_limited_by_output(&logits));
    }

    #[test]
    fn the_longest_length_is_the_models() {
        let short = Bounds {
            max_len: 200,
            max_rows: 8,
            output: OutputBytes::PerRow(4),
        };
        assert_eq!(shapes(short), [(8, 64), (8, 128), (8, 192), (8, 200)]);
        assert_eq!(Shapes::new(short).largest(), Shape { rows: 8, len: 200 });
    }

    #[test]
    fn one_row_cannot_be_halved() {
        let mut shapes = Shapes::new(Bounds {
            max_rows: 3,
            ..bert(OutputBytes::PerRow(4))
        });
        assert!(shapes.halve(512));
        assert!(!shapes.halve(512));
        assert!(!shapes.halve(100), "no such length");
        let Shapes(list) = shapes;
        assert_eq!(list[5].rows, 1);
        assert_eq!(list[4].rows, 3, "others stay as they are");
    }

    proptest! {
        #[test]
        fn every_window_runs_once_in_a_shape_of_its_own_length(
            lengths in proptest::collection::vec(1usize..=700, 0..300),
            max_len in 1usize..=700,
            max_rows in 0usize..40,
            halvings in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let lengths: Vec<_> = lengths.into_iter().map(|n| n.min(max_len)).collect();
            let bounds = Bounds { max_len, max_rows, output: OutputBytes::PerToken(100_000) };
            let mut shapes = Shapes::new(bounds);
            for halving in halvings {
                let len = shapes.0[halving.index(shapes.0.len())].len;
                shapes.halve(len);
            }
            let batches = shapes.plan(lengths.iter().copied().enumerate());
            let mut seen: Vec<usize> = batches.iter().flat_map(|b| b.windows.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(shapes.0.contains(&batch.shape));
                prop_assert!(!batch.windows.is_empty() && batch.windows.len() <= batch.shape.rows);
                prop_assert!(batch.windows.is_sorted());
                for window in &batch.windows {
                    prop_assert!(lengths[*window] <= batch.shape.len);
                    // Alone it gets the same shape.
                    let alone = shapes.plan([(0, lengths[*window])]);
                    prop_assert_eq!(alone[0].shape, batch.shape);
                }
            }
        }
    }
}
