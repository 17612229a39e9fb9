//! `eval`: measures over judged questions.

use crate::world::World;
use serde_json::Value;

/// Animals, each with a file that says what it eats.
const ANIMALS: [&str; 6] = ["zebra", "lion", "otter", "heron", "badger", "lynx"];

fn zoo() -> World {
    let world = World::new();
    for animal in ANIMALS {
        let text = format!(
            "# About the {animal}\n\nThe {animal} eats {animal}fodder twice a day, never after sunset, and sleeps well.\n"
        );
        world.write(&format!("zoo/{animal}.md"), text);
    }
    world.profile(&["zoo"]);
    world
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn every_mode_is_measured_on_judged_questions() {
    let world = zoo();
    world.encoded_build("o").run().summary();
    let line = |animal: &str| format!("when does the {animal} eat\tzoo/{animal}.md\n");
    world.write("q.tsv", ANIMALS.map(line).concat());
    let ran = world.run(&["eval", "o-sharded/p", "q.tsv", "--json", "--each"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.lines();
    let settings = of_kind(&lines, "setting");
    let modes: Vec<_> = settings.iter().map(|line| line["mode"].clone()).collect();
    assert_eq!(modes, ["lexical", "sparse", "dense", "hybrid"]);
    for setting in &settings {
        assert_eq!(setting["questions"], 6);
        for measure in ["mrr", "recall", "ndcg"] {
            let of = |end: &str| setting[measure][end].as_f64().expect("a number");
            assert!(
                of("low") <= of("mean") && of("mean") <= of("high"),
                "{setting}"
            );
        }
    }
    assert_eq!(settings[3]["mrr"]["mean"], 1.0, "{:?}", settings[3]);
    let each = of_kind(&lines, "question");
    assert_eq!(each.len(), 6 * 4);
    assert!(
        each.iter().all(|line| line["first_rank"].is_u64()),
        "{each:?}"
    );
    let again = world.run(&["eval", "o-sharded/p", "q.tsv", "--json", "--each"]);
    assert_eq!(again.stdout, ran.stdout);
}

#[test]
fn json_and_trec_say_the_same_as_tabs() {
    let world = zoo();
    world.build("o", &[]);
    let [mut tabs, mut json, mut topics, mut qrels] = [(); 4].map(|()| String::new());
    for (n, animal) in ANIMALS.iter().enumerate() {
        // Every second judgment is wrong.
        let file = ANIMALS[n - n % 2];
        tabs += &format!("the {animal}\t{file}.md\n");
        json += &format!(
            "{{\"question\": \"the {animal}\", \"relevant\": [{{\"path\": \"{file}.md\"}}]}}\n"
        );
        topics += &format!("<top>\n<num> Number: {n}\n<title> the {animal}\n</top>\n");
        qrels += &format!("{n} 0 {file}.md 1\n{n} 0 none.md 0\n");
    }
    world.write("q.tsv", tabs);
    world.write("q.jsonl", json);
    world.write("topics.txt", topics);
    world.write("qrels.txt", qrels);
    let measured = |more: &[&str]| {
        let ran = world.run(
            &[
                &[
                    "eval",
                    "o-sharded/p",
                    "--json",
                    "--mode",
                    "lexical",
                    "-k",
                    "1",
                ],
                more,
            ]
            .concat(),
        );
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.last_line()
    };
    let tabs = measured(&["q.tsv"]);
    assert_eq!(tabs["recall"]["mean"], 0.5, "{tabs}");
    assert_eq!(measured(&["q.jsonl"]), tabs);
    assert_eq!(measured(&["topics.txt", "--qrels", "qrels.txt"]), tabs);
}

#[test]
fn two_indexes_and_two_settings_are_compared() {
    let world = zoo();
    world.encoded_build("o").run().summary();
    world.write("zoo/lion.md", "Nothing about it.\n");
    world.encoded_build("n").run().summary();
    let line = |animal: &str| format!("{animal}fodder\t{animal}.md\n");
    world.write("q.tsv", ANIMALS.map(line).concat());
    let ran = world.run(&[
        "eval",
        "o-sharded/p",
        "q.tsv",
        "--against",
        "n-sharded/p",
        "--mode",
        "lexical",
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let difference = ran.last_line();
    assert_eq!(difference["type"], "difference");
    assert_eq!(difference["second"]["index"], "n-sharded/p");
    assert_eq!(
        (&difference["better"], &difference["worse"]),
        (&1.into(), &0.into()),
        "{difference}"
    );
    assert!(difference["mrr"]["mean"].as_f64() > Some(0.0));

    let ran = world.run(&[
        "eval",
        "o-sharded/p",
        "q.tsv",
        "--against-no-ranking",
        "--json",
    ]);
    let lines = ran.lines();
    let differences = of_kind(&lines, "difference");
    assert_eq!(differences.len(), 1, "only hybrid has a ranking: {ran:?}");
    assert_eq!(
        (
            &differences[0]["first"]["ranking"],
            &differences[0]["second"]["ranking"]
        ),
        (&true.into(), &false.into())
    );
    let text = world.run(&["eval", "o-sharded/p", "q.tsv", "--against-mode", "lexical"]);
    assert!(text.stdout.contains("dense against lexical"), "{text:?}");
    assert!(!text.stdout.contains("lexical against lexical"), "{text:?}");
}

#[test]
fn what_cannot_be_judged_is_named() {
    let world = zoo();
    world.build("o", &[]);
    world.write(
        "q.tsv",
        "the zebra\tzebra.md\nno judgment\nthe yak\tyak.md\n",
    );
    let ran = world.run(&["eval", "o-sharded/p", "q.tsv", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr.contains("line 2") && ran.stderr.contains("yak.md"),
        "{ran:?}"
    );
    assert_eq!(ran.last_line()["questions"], 2);
    world.write("empty.tsv", "no judgment\n");
    for (arguments, code, said) in [
        (
            vec!["o-sharded/p", "empty.tsv"],
            2,
            "has no judged question",
        ),
        (vec!["o-sharded/p", "none.tsv"], 2, "none.tsv"),
        (
            vec!["o-sharded/p", "q.tsv", "--mode", "dense"],
            2,
            "no dense vectors",
        ),
        (vec!["nowhere", "q.tsv"], 10, "nowhere"),
        (vec!["o-sharded/p"], 2, "QUESTIONS"),
        (
            vec!["o-sharded/p", "q.tsv", "--qrels", "q.tsv"],
            2,
            "--qrels q.tsv",
        ),
    ] {
        let ran = world.run(&[vec!["eval"], arguments].concat());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
}

#[test]
fn questions_are_made_of_docstrings_and_headings() {
    let world = World::new();
    for (n, animal) in ANIMALS.iter().enumerate() {
        let text = format!(
            "fn other{n}() {{}}\n\n/// Feeds the {animal} twice before the sun has set.\n///\n/// Panics at night.\npub fn feed{n}(animal: &Animal) {{\n    \
             let food = store.take({n});\n    animal.eat(food);\n    {animal}_is_fed();\n}}\n"
        );
        world.write(&format!("zoo/a{n}.rs"), text);
        let body =
            format!("One {animal} needs much more room than most visitors believe. ").repeat(4);
        world.write(
            &format!("zoo/{n}.md"),
            format!("# Zoo\n\nText.\n\n## Where does the {animal} live\n\n{body}\n"),
        );
    }
    // Two functions with one sentence: it asks for neither.
    for n in 0..2 {
        let text = format!(
            "/// Weighs the twin of an animal.\nfn weigh() {{\n    one({n});\n    two({n});\n}}\n"
        );
        world.write(&format!("zoo/twin{n}.rs"), text);
    }
    world.profile(&["zoo"]);
    world.build("o", &["--mode", "blob"]);
    let ran = world.run(&[
        "eval",
        "o/p.db",
        "--generate",
        "9",
        "--keep",
        "kept",
        "--json",
        "--each",
        "-q",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.lines();
    let settings = of_kind(&lines, "setting");
    assert_eq!(settings[0]["questions"], 9, "{ran:?}");
    let groups = of_kind(&lines, "group");
    assert!(
        groups.iter().any(|line| line["group"] == "docstring"),
        "{groups:?}"
    );
    assert!(
        groups.iter().any(|line| line["group"] == "heading"),
        "{groups:?}"
    );
    // The animal's name is in the answer as well.
    assert!(
        settings[0]["recall"]["mean"].as_f64() > Some(0.9),
        "{settings:?}"
    );
    // What was kept gives the same again, and nothing of the question is left in the copy.
    let again = world.run(&[
        "eval",
        "kept/index/known-items.db",
        "kept/questions.jsonl",
        "--json",
        "--each",
    ]);
    let without_index = |line: &Value| {
        let mut line = line.clone();
        line["index"] = Value::Null;
        line
    };
    let of = |lines: &[Value]| lines.iter().map(without_index).collect::<Vec<_>>();
    assert_eq!(of(&again.lines()), of(&lines));
    for line in of_kind(&lines, "question") {
        let question = line["question"].as_str().expect("text");
        for entry in std::fs::read_dir(world.path("kept/texts/zoo"))
            .expect("lists")
            .flatten()
        {
            let text = std::fs::read_to_string(entry.path()).expect("text");
            assert!(!text.contains(question.trim_end_matches('.')), "{question}");
        }
    }
    let other = world.run(&[
        "eval",
        "o/p.db",
        "--generate",
        "99",
        "--seed",
        "2",
        "--json",
        "--each",
        "-q",
    ]);
    let asked = |lines: &[Value]| {
        of_kind(lines, "question")
            .iter()
            .map(|l| l["question"].clone())
            .collect::<Vec<_>>()
    };
    assert_ne!(asked(&other.lines()), asked(&lines));
    let distinct: std::collections::BTreeSet<String> =
        asked(&other.lines()).iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 2 * ANIMALS.len());
    let refused = world.run(&["eval", "o/p.db", "--generate", "9", "--keep", "kept"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}
