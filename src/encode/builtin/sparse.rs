//! The sparse encoder: a weight for each distinct token by how rare and how frequent it is, and for seven tokens near it.

use super::counts::Counts;
use super::tensors::Tensors;
use super::vocabulary::VOCABULARY;

/// Tokens that a token gives a weight to: itself and its neighbours.
const EXPANSIONS: usize = 8;

/// The tables of `helix-sparse-mini.onnx`, and the weights of the text in hand.
pub(in crate::encode) struct SparseTables {
    /// Square roots of inverse document frequencies (`[V]`), in steps of `rarity_step`.
    rarities: &'static [u8],
    rarity_step: f32,
    /// `k1 (1 - b)` and `k1 b / average length` of BM25.
    constant_norm: f32,
    norm_per_token: f32,
    /// `k1 + 1`.
    saturation: f32,
    /// Ids (`[V, 8]`, 16 bits) and weights (`[V, 8]`, in steps of `share_step`) of the tokens that each token expands to.
    neighbours: &'static [u8],
    shares: &'static [u8],
    share_step: f32,
    counts: Counts,
    /// Weights (`[V]`) of the text in hand.
    weights: Vec<f32>,
    /// Ids with a weight, each once.
    weighted: Vec<u16>,
}

impl SparseTables {
    /// Find the tables in the file. `None` if it is another file.
    pub fn new(file: &'static [u8]) -> Option<Self> {
        let tensors = Tensors::of(file)?;
        let n = VOCABULARY.len();
        Some(Self {
            rarities: tensors.bytes("u_q", n)?,
            rarity_step: tensors.float("u_scale")?,
            constant_norm: tensors.float("k1b")?,
            norm_per_token: tensors.float("kb")?,
            saturation: tensors.float("k1p1")?,
            neighbours: tensors.bytes("exp_idx", 2 * EXPANSIONS * n)?,
            shares: tensors.bytes("exp_val", EXPANSIONS * n)?,
            share_step: tensors.float("r_scale")?,
            counts: Counts::new(n),
            weights: vec![0.0; n],
            weighted: Vec::new(),
        })
    }

    /// Forget the text in hand.
    pub fn clear(&mut self) {
        for id in self.weighted.drain(..) {
            self.weights[usize::from(id)] = 0.0;
        }
    }

    /// Raise the weights of the text in hand to those of one more window of it. The operations and their order are those of
    /// the graph, so the weights are equal bit for bit.
    pub fn add_window(&mut self, ids: &[i64]) {
        let norm = ids.len() as f32 * self.norm_per_token + self.constant_norm;
        for (id, count) in self.counts.of(ids) {
            let (id, count) = (usize::from(*id), f32::from(*count));
            let rarity = f32::from(self.rarities[id]) * self.rarity_step;
            let weight = rarity * (count * self.saturation / (count + norm));
            if weight <= 0.0 {
                continue;
            }
            let row = EXPANSIONS * id..EXPANSIONS * (id + 1);
            let neighbours = self.neighbours[2 * row.start..2 * row.end].chunks_exact(2);
            for (share, neighbour) in self.shares[row].iter().zip(neighbours) {
                let neighbour = u16::from_le_bytes([neighbour[0], neighbour[1]]);
                let weight = f32::from(*share) * self.share_step * weight;
                let known = &mut self.weights[usize::from(neighbour)];
                if weight > *known {
                    if *known == 0.0 {
                        self.weighted.push(neighbour);
                    }
                    *known = weight;
                }
            }
        }
    }

    /// The weights (`[V]`) of the text in hand, and the ids whose weight is not 0, in no order.
    pub fn weights(&self) -> (&[f32], &[u16]) {
        (&self.weights, &self.weighted)
    }
}
