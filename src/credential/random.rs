//! Recognises random text: keys, hashes, encoded bytes.
//!
//! Judges single words and runs of words; ignores their context.

use super::found::Found;

/// From this length on a word can be told from a name. Keys of 64 bits or more, written in base64 or
/// in hexadecimal, are longer or equal.
const WORD_BYTES: usize = 16;

/// Shorter words count only when nearly every character changes its kind: `xKfP2q9LmZb`.
const SHORT_BYTES: usize = 10;

/// How frequent each pair of letters is in names: 4.5 plus the binary logarithm of its frequency over that of
/// an even distribution, rounded, 0 to 9. Counted over the words of 85 MB of published Rust, C, JavaScript and
/// Markdown files, whatever their case.
const PAIRS: [&[u8; 26]; 26] = [
    b"56763363625767264778544542",
    b"52325130521620522444512040",
    b"72426236416542743546432131",
    b"53357342610432532443432230",
    b"74775552403667355877354650",
    b"52235520600522521554411010",
    b"42527134512435331443400010",
    b"61126020500121411423402020",
    b"65665560212668751567151405",
    b"20003000101000101020100000",
    b"42226121400212221142211000",
    b"73357321703622731245523141",
    b"74337111601442561143501020",
    b"62676572514524631467551031",
    b"44652541414667561755645210",
    b"72326224502531641646521020",
    b"31413010300430001011500030",
    b"72558441703345741566432150",
    b"52527235704442555368513161",
    b"72558426701443641765522360",
    b"44445430400556251566100300",
    b"61216221500241201111000100",
    b"51424002501213511421000000",
    b"31323202300110151025000200",
    b"41102100200263151144004000",
    b"31016000100000101040000011",
];

/// Mean frequency of pairs, in tenths, below which letters make no name. Of 46,000 names of 16 letters or more
/// in the same files 300 lie below, most of them encoded bytes; of random letters, 94 % (16 letters) to 99.8 %
/// (32).
const RARE_PAIRS: u32 = 40;
/// The same, when upper and lower case change at every second or third letter as well.
const RARE_MIXED_PAIRS: u32 = 48;
/// The same, with digits mixed in.
const RARE_DIGIT_PAIRS: u32 = 44;
/// Fewer pairs prove nothing.
const MIN_PAIRS: u32 = 6;

/// What a word's characters are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mix {
    pub len: usize,
    pub digits: usize,
    pub upper: usize,
    pub lower: usize,
    pub other: usize,
    /// Steps between letters and digits, and from capitals to lower case and back.
    pub steps: usize,
    pairs: u32,
    frequency: u32,
    has_underscore: bool,
    is_hex: bool,
}

impl Mix {
    pub fn of(word: &str) -> Self {
        let mut mix = Self {
            len: word.len(),
            is_hex: true,
            ..Self::default()
        };
        let (mut last, mut letter): (u8, Option<usize>) = (b'a', None);
        for byte in word.bytes() {
            let class = match byte {
                b'0'..=b'9' => b'0',
                b'A'..=b'Z' => b'A',
                b'a'..=b'z' => b'a',
                _ => last,
            };
            mix.digits += usize::from(byte.is_ascii_digit());
            mix.upper += usize::from(byte.is_ascii_uppercase());
            mix.lower += usize::from(byte.is_ascii_lowercase());
            mix.other += usize::from(!byte.is_ascii_alphanumeric());
            mix.is_hex &= byte.is_ascii_hexdigit();
            mix.has_underscore |= byte == b'_';
            mix.steps += usize::from(class != last);
            last = class;
            let next = byte
                .is_ascii_alphabetic()
                .then(|| usize::from(byte.to_ascii_lowercase() - b'a'));
            if let (Some(a), Some(b)) = (letter, next) {
                mix.pairs += 1;
                mix.frequency += u32::from(PAIRS[a][b] - b'0');
            }
            letter = next;
        }
        mix
    }

    /// Return whether letters that are next to each other are so less often in names than `limit` says.
    pub fn has_rare_pairs(&self, limit: u32) -> bool {
        self.pairs >= MIN_PAIRS && self.frequency * 10 < limit * self.pairs
    }

    pub fn is_mixed(&self) -> bool {
        self.upper > 0 && self.lower > 0
    }

    /// A hash changes its class at every second or third character, a CamelCase name at every fifth; letters of
    /// names with numbers are those of names: `Xoshiro256PlusPlus`.
    fn is_hash(&self) -> bool {
        let odd = self.pairs < 8 || self.is_hex || self.has_rare_pairs(RARE_DIGIT_PAIRS);
        self.digits >= 3 && self.steps * 5 >= self.len && odd || self.digits * 4 >= self.len * 3
    }

    /// Return whether the letters do not look like a name. Names with underscores are, however odd their parts: `nl_cfg_cmd`.
    pub fn is_no_name(&self) -> bool {
        if self.has_underscore && !self.is_mixed() {
            return false;
        }
        self.has_rare_pairs(RARE_PAIRS)
            || self.is_mixed()
                && self.steps * 5 >= self.len * 2
                && self.has_rare_pairs(RARE_MIXED_PAIRS)
    }

    fn is_short_and_strewn(&self) -> bool {
        let odd = self.pairs < 4 || self.frequency * 10 < RARE_MIXED_PAIRS * self.pairs;
        self.is_mixed()
            && self.digits >= 1
            && self.other == 0
            && self.steps * 5 >= self.len * 3
            && odd
    }
}

/// Return whether `word` looks random: a long one with digits strewn among letters, with hardly a letter, or with
/// letters that make no name; a shorter one where all changes all the time.
pub fn is_random(word: &str) -> bool {
    if word.len() < SHORT_BYTES {
        return false;
    }
    let mix = Mix::of(word);
    if mix.len < WORD_BYTES {
        return mix.is_short_and_strewn();
    }
    if !mix.has_underscore {
        return mix.is_hash() || mix.is_no_name() || is_marked_digest(word);
    }
    // Names of registers, formats and versions: `_mm256_permute2x128_si256`.
    let mut parts = word.split('_').filter(|part| part.len() >= PART_BYTES);
    parts.any(|part| Mix::of(part).is_hash())
        || mix.is_no_name()
        || mix.is_mixed() && is_random_run(word)
}

/// From this length on a part of a name with underscores is judged by itself.
const PART_BYTES: usize = 14;

/// Return whether this is a run of letters, digits and base64's other characters, taken as one value.
pub(super) fn is_random_run(run: &str) -> bool {
    let mix = Mix::of(run);
    // Targets, versions and advisories: `i686-w64-mingw32`, `GHSA-r7qv-8r2h-pg27`.
    let mut parts = run.split(|c: char| !c.is_ascii_alphanumeric());
    let is_pieced = mix.other > 0 && (!mix.is_mixed() || parts.all(|part| part.len() < RUN_BYTES));
    if run.len() < WORD_BYTES || mix.other * 3 > mix.len || is_pieced {
        return false;
    }
    let odd = mix.has_rare_pairs(RARE_MIXED_PAIRS) || mix.pairs < MIN_PAIRS;
    let changes = mix.steps * 4 >= mix.len;
    mix.digits >= 3 && changes && mix.digits < mix.len && odd
        || mix.is_mixed() && mix.digits >= 1 && mix.steps * 3 >= mix.len && odd
        || mix.is_mixed() && changes && mix.has_rare_pairs(RARE_PAIRS)
}

/// What is encoded as one value has a piece of this length at least.
const RUN_BYTES: usize = 8;

/// Add what looks random and is not a digest of something (see [`is_digest`]), wherever it stands.
pub(super) fn runs(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let mut kinds = 0;
        while let Some(kind) = bytes.get(at).map(|byte| KINDS[usize::from(*byte)])
            && kind != 0
        {
            kinds |= kind;
            at += 1;
        }
        if may_be_random(at - start, kinds) {
            // What base64 is filled up with.
            let filled = bytes[at..]
                .iter()
                .take(2)
                .take_while(|byte| **byte == b'=')
                .count();
            if filled > 0
                && bytes
                    .get(at + filled)
                    .is_none_or(|byte| KINDS[usize::from(*byte)] == 0)
            {
                at += filled;
            }
            run(text, start, at, found);
        }
        at += 1;
    }
}

const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const UNDERSCORE: u8 = 8;
const OTHER: u8 = 16;

/// Which kind of character a byte is; 0 for those that end a run.
const KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'_' => UNDERSCORE,
            b'-' | b'+' | b'/' => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Return whether the length and the kinds of characters allow a secret: a few runs in a hundred pass.
fn may_be_random(length: usize, kinds: u8) -> bool {
    let is_mixed = kinds & (UPPER | LOWER) == UPPER | LOWER;
    match length {
        ..SHORT_BYTES => false,
        SHORT_BYTES..WORD_BYTES => is_mixed && kinds & DIGIT != 0,
        // `some_name`, `SOME_NAME`, `some-name`, `some/path`.
        _ => is_mixed || kinds & DIGIT != 0 || kinds & (UNDERSCORE | OTHER) == 0,
    }
}

fn run(text: &str, start: usize, end: usize, found: &mut Vec<Found>) {
    let run = &text[start..end];
    if is_digest(text, start, end) || is_number(run) {
        return;
    }
    // The way to a commit: `org/name/commit/9398de8a...`.
    if run.split('/').any(is_digest_word) {
        words(run, start, found);
        return;
    }
    if is_random_run(run) {
        found.push(Found::doubtful(start..end));
        return;
    }
    words(run, start, found);
}

fn words(run: &str, start: usize, found: &mut Vec<Found>) {
    let mut at = start;
    for word in run.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
        if is_random(word) && !is_digest_word(word) && !is_number(word) {
            found.push(Found::doubtful(at..at + word.len()));
        }
        at += word.len() + 1;
    }
}

/// Names of hash functions before a digest: `sha512-...`, `sha256:...`, Go's `h1:...`.
const HASHES: [&str; 8] = [
    "sha1", "sha224", "sha256", "sha384", "sha512", "md5", "blake3", "h1",
];

/// Return whether the run is the digest of something or a UUID: commits, checksums and ids are quoted everywhere, and no
/// secrets. Keys of these forms are known by what stands before them.
pub(super) fn is_digest(text: &str, start: usize, end: usize) -> bool {
    let run = &text[start..end];
    if is_digest_word(run) || is_uuid(run) {
        return true;
    }
    // Within the run (`sha512-`) or before it (`sha256:`).
    let inside = HASHES.iter().any(|hash| {
        run.len() > hash.len()
            && run.is_char_boundary(hash.len())
            && run[..hash.len()].eq_ignore_ascii_case(hash)
            && run.as_bytes()[hash.len()] == b'-'
    });
    let before = text[..start].strip_suffix([':', '=']).unwrap_or_default();
    inside
        || HASHES.iter().any(|hash| {
            before
                .len()
                .checked_sub(hash.len())
                .and_then(|at| before.get(at..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(hash))
        })
}

/// Hexadecimal digits in the number of a common digest's: MD5, SHA-1, SHA-224 to SHA-512.
pub(super) fn is_digest_word(word: &str) -> bool {
    matches!(word.len(), 32 | 40 | 56 | 64 | 96 | 128)
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !(word.bytes().any(|b| b.is_ascii_lowercase())
            && word.bytes().any(|b| b.is_ascii_uppercase()))
}

/// Return whether this is a few letters and then as many hexadecimal digits as a digest has, as in `SK9f86...`.
fn is_marked_digest(word: &str) -> bool {
    let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
    word.is_ascii() && (1..=letters.min(MARK_BYTES)).any(|mark| is_digest_word(&word[mark..]))
}

/// The longest mark of an issuer.
const MARK_BYTES: usize = 6;

/// Return whether this is a number, in decimal or hexadecimal digits.
pub(super) fn is_number(word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => {
            hex.len() <= 36
                && hex
                    .trim_end_matches("ULul")
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || b"_uUlL".contains(&b))
        }
        None => digits(word.trim_end_matches(|c: char| c.is_ascii_alphabetic())),
    }
}

/// `8-4-4-4-12` hexadecimal digits.
pub(super) fn is_uuid(run: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = run.split('-');
    run.len() == 36
        && lengths.iter().all(|length| {
            parts.next().is_some_and(|part| {
                part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    #[test]
    fn names_are_not_random() {
        for name in [
            "InternationalizationProvider2",
            "all_minilm_l6_v2_quantized",
            "XMLHttpRequestEventTarget",
            "x86_64_unknown_linux_gnu",
            "GetDisjointMutError",
            "NL80211_CMD_TDLS_MGMT",
            "maybe_sgl_pln_blk",
            "base64url",
            "sha256_of_the_text",
            "_mm256_permute2x128_si256",
            "f16x4_to_f32x4_x86_f16c",
            "NonZeroI16",
            "i686-w64-mingw32",
            "GHSA-r7qv-8r2h-pg27",
            "Xoshiro256PlusPlus",
            "HUFv07_decompress4X4_usingDTable",
        ] {
            let mut found = Vec::new();
            runs(name, &mut found);
            assert_eq!(found, [], "{name}");
            assert!(name.contains('-') || !is_random(name), "{name}");
        }
    }

    #[test]
    fn digests_are_left_alone_in_texts() {
        for text in [
            "commit 9398de8a1f0c2b3d4e5f60718293a4b5c6d7e8f9",
            "id 550e8400-e29b-41d4-a716-446655440000",
            "integrity sha512-oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4dXgA7sE6mKpWzN0hGvJqYtI2bOaFlMcD8iSxVeQ==",
            "v1.2.3 h1:oHp7Zk2xkT8j0VwQn5L1rR3y9BfUuC4dXgA7sE6mKpU=",
            "sha256:0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829",
        ] {
            let mut found = Vec::new();
            runs(text, &mut found);
            assert_eq!(found, [], "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_behind_a_mark_are_random() {
        for mark in ["SK", "AC", "dapi", "x", "KEYKEY"] {
            for digits in [
                "9f86d081884c7d659a2feaa0c55ad015",
                "00000000000000000000000000000001",
            ] {
                assert!(is_random(&format!("{mark}{digits}")), "{mark}{digits}");
            }
        }
    }

    /// Letters and digits random are found; names of the same length are not, see above.
    #[test]
    fn what_is_drawn_is_random() {
        let mut numbers = SplitMix64::new(1);
        for (length, least) in [(16, 970), (20, 985), (32, 995), (40, 995)] {
            let mut found = 0;
            for _ in 0..1000 {
                let draw = std::iter::repeat_with(|| char::from(*numbers.pick(LETTERS)));
                found += usize::from(is_random(&draw.take(length).collect::<String>()));
            }
            println!("{found} of 1000 of {length} letters");
            assert!(found >= least, "{found} of 1000 of {length} letters");
        }
    }

    proptest! {
        #[test]
        fn any_text_will_do(text in "\\PC{0,80}|[A-Za-z0-9/+=_-]{0,80}") {
            let mut found = Vec::new();
            runs(&text, &mut found);
            for one in found {
                prop_assert!(text.get(one.range).is_some());
            }
        }
    }
}
