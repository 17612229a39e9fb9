//! Repeatable random numbers: a sample of chunks to check, and inputs of tests. Not for secrets.

/// The SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Equal seeds
/// give equal numbers on all systems.
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Return a number of 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Return a number from 0 to `end` - 1; `end` is not 0. Small numbers are more likely by less than `end` / 2^64.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Return one of `items`, which are not empty.
    #[cfg(test)]
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the reference implementation for this seed.
    #[test]
    fn numbers_are_those_of_the_reference() {
        let mut numbers = SplitMix64::new(1_234_567);
        let drawn = [(); 3].map(|()| numbers.draw());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
