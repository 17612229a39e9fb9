//! What the comparison is made over: code, prose, and everything that text can be.

use crate::world::{World, count, files_below};
use std::fs;
use std::path::Path;

/// How much to compare over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    All,
    /// Code, prose and long lines, for another setting of a model that is compared over all as well. In long form all.
    Some,
}

/// Code and prose of this repository, and what Unicode and careless programs make of text.
pub fn write(world: &World, amount: Amount) {
    write_all(world);
    if amount == Amount::Some && count(0, 1) == 0 {
        for name in files_below(&world.path("texts")) {
            if !SOME.iter().any(|kept| name.ends_with(kept)) {
                fs::remove_file(world.path("texts").join(name)).expect("removed");
            }
        }
    }
}

const SOME: [&str; 6] = [
    "mount_check.py",
    "format.md",
    "marks.md",
    "long_line.txt",
    "ends.txt",
    "special.txt",
];

fn write_all(world: &World) {
    const OURS: [(&str, usize); 4] = [
        ("src/encode/text/mod.rs", 3_000),
        ("tools/mount_check.py", 2_000),
        ("docs/format.md", 3_000),
        ("profiles/demo.toml", 1_000),
    ];
    for (name, most) in OURS {
        let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("reads");
        // Half of it fills several windows too.
        let most = most * count(1, 2) as usize / 2;
        world.write(&format!("texts/{name}"), &text[..text.len().min(most)]);
    }
    let sentence = "The quick brown fox jumps over 13 lazy dogs; then it sleeps. ";
    let add = |name: &str, text: &str| world.write(&format!("texts/odd/{name}"), text);
    add(
        "marks.md",
        "Combining: e\u{301}clair, Vie\u{323}\u{302}t, a\u{30a}ngstro\u{308}m, \
         t\u{335}e\u{336}x\u{337}t, Z\u{351}\u{36b}\u{343}\u{32a}a\u{302}lgo \u{301}alone \u{1e9b}\u{323} \u{130}stanbul \u{df}.\n",
    );
    add(
        "scripts.txt",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{5e2}\u{5d5}\u{5dc}\u{5dd} \u{202b}\u{645}\u{631}\u{62d}\u{628}\u{627} \u{628}\u{627}\u{644}\u{639}\u{627}\u{644}\u{645}\u{202c} \
         \u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947} \u{9ac}\u{9be}\u{982}\u{9b2}\u{9be} \u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd} \u{e44}\u{e17}\u{e22} \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{395}\u{3bb}\u{3bb}\u{3ac}\u{3b4}\u{3b1}\n",
    );
    add(
        "emoji.txt",
        "Family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466} coder \u{1f469}\u{1f3fd}\u{200d}\u{1f4bb} flag \u{1f1e9}\u{1f1ea} heart \u{2764}\u{fe0f} \
         keycap 1\u{fe0f}\u{20e3} and a word-\u{1f600}-word. Invisible: a\u{200b}b\u{2060}c\u{feff}d\u{ad}e.\n",
    );
    let cjk = "\u{65e5}\u{672c}\u{8a9e}\u{306e}\u{6587}\u{7ae0}\u{3002}\u{4e2d}\u{6587}\u{548c}\u{d55c}\u{ad6d}\u{c5b4} \u{ff26}\u{ff55}\u{ff4c}\u{ff4c}\u{3000}\u{ff57}\u{ff49}\u{ff44}\u{ff54}\u{ff48} \u{ff8a}\u{ff9d}\u{ff76}\u{ff78} \u{20000}\u{2a6d6}. ";
    add("cjk.txt", &cjk.repeat(14));
    add(
        "private.txt",
        "Private use \u{e000}\u{f8ff}\u{f0000}\u{10fffd}, noncharacters \u{ffff}\u{1fffe}, replacement \u{fffd}\u{fffd} and ordinary words behind them.\n",
    );
    add(
        "control.txt",
        "tab\tvertical\u{b}feed\u{c}bell\u{7}escape\u{1b}[31mred\u{1b}[0m del\u{7f} nel\u{85} separators\u{1c}\u{1d}\u{1e}\u{1f} line\u{2028}paragraph\u{2029}end.\n",
    );
    add(
        "long_word.txt",
        &format!(
            "before {} between {} after\n",
            "x".repeat(1_500),
            "\u{4e16}x".repeat(600)
        ),
    );
    add("long_line.txt", &sentence.repeat(40));
    add(
        "ends.txt",
        &format!("{sentence}\r\n{sentence}\r{sentence}\n\r\n\r\r{sentence}\n"),
    );
    add(
        "special.txt",
        "Tokens in running text: [CLS] and [SEP], [MASK]ed, [UNK], [PAD][PAD], [unused12], ## and ##ing, \u{2581}piece.\n",
    );
    add(
        "symbols.txt",
        &"!? ... --- $%& /**/ \u{2200}\u{2203}\u{221e} ".repeat(4),
    );
    // The tokenizer makes nothing of it: no vector.
    add("void.txt", &"\u{fffd}\u{1}\u{2}\u{200b}".repeat(20));
    // Behind the first 8 KiB a NUL is taken as it comes. Most of them are spaces, which are quick to encode.
    let far_apart = format!("{}{sentence}", " ".repeat(200));
    add(
        "nul.txt",
        &format!("{}{}", far_apart.repeat(32), "nul\0in\0the middle of words"),
    );
    // Half of a surrogate pair, as UTF-8 and as UTF-16, and bytes that are nothing.
    let mut broken = sentence.as_bytes().to_vec();
    broken.extend(b"lone \xed\xa0\x80 surrogate, \xff\xfe stray, cut off \xe6\x97");
    world.write("texts/odd/broken.txt", broken);
    let mut wide = vec![0xff, 0xfe];
    let after = format!(" {sentence}");
    let units = "A lone surrogate between words:".encode_utf16();
    let units = units.chain([0xd83d]).chain(after.encode_utf16());
    wide.extend(units.flat_map(u16::to_le_bytes));
    world.write("texts/odd/wide.txt", wide);
}
