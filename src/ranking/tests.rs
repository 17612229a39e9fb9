//! One test a rule: of two candidates alike in all else, the rule's comes first.

use super::*;
use proptest::prelude::*;

fn candidate(path: &str) -> Candidate {
    Candidate {
        arms: [Some(0.5), Some(0.5), Some(0.5)],
        file: (0, path.to_owned()),
        path: path.to_owned(),
        language: Some("rust".to_owned()),
        ..Candidate::default()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The path of the best of these for a question.
fn best(question: &str, candidates: &[Candidate]) -> String {
    let question = Question::of(question, |_| 1.0);
    candidates[rank(&question, candidates)[0].candidate]
        .path
        .clone()
}

#[test]
fn scores_are_scaled_between_the_last_and_the_best() {
    assert_eq!(scale(&[9.0, 6.0, 5.0]), [1.0, 0.25, 0.0]);
    assert_eq!(scale(&[2.0]), [1.0]);
    assert_eq!(scale(&[2.0, 2.0]), [1.0, 1.0]);
    assert!(scale(&[]).is_empty());
}

#[test]
fn every_arm_counts() {
    for arm in 0..3 {
        let mut better = candidate("b.rs");
        better.arms[arm] = Some(0.6);
        assert_eq!(best("anything", &[candidate("a.rs"), better]), "b.rs");
    }
}

#[test]
fn a_sure_arm_counts_more() {
    let of = |path: &str, lexical: f64, dense: f64| Candidate {
        arms: [Some(lexical), None, Some(dense)],
        ..candidate(path)
    };
    // Dense has one chunk that stands out, lexical has three that are alike.
    let lexical_is_flat = [
        of("a.rs", 1.0, 0.0),
        of("b.rs", 0.95, 0.1),
        of("c.rs", 0.95, 0.1),
        of("d.rs", 0.0, 1.0),
    ];
    assert_eq!(parts_of_arms(&lexical_is_flat)[1], 0.0);
    assert!((parts_of_arms(&lexical_is_flat).iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert_eq!(best("anything", &lexical_is_flat), "d.rs");
    let dense_is_flat = lexical_is_flat.map(|mut c| {
        c.arms.swap(0, 2);
        c
    });
    assert_eq!(best("anything", &dense_is_flat), "d.rs");
    assert_eq!(parts_of_arms(&[]), [0.0; 3]);
}

#[test]
fn a_name_that_a_long_question_has_by_chance_lifts_no_other_text() {
    let answer = Candidate {
        arms: [Some(1.0), Some(1.0), Some(1.0)],
        ..candidate("fetch.rs")
    };
    let namesake = Candidate {
        arms: [Some(0.05), None, None],
        ..candidate("value.rs")
    };
    let question = "Returns the value that a client sent before its connection was closed";
    assert_eq!(best(question, &[namesake, answer]), "fetch.rs");
}

#[test]
fn one_file_does_not_take_all_first_places() {
    let mut ours = vec![candidate("retry.rs"); 3];
    ours.push(Candidate {
        arms: [Some(0.8), Some(0.8), Some(0.8)],
        ..candidate("b.rs")
    });
    let question = Question::of("when are payments retried", |_| 1.0);
    let placed = rank(&question, &ours);
    let gains: Vec<f64> = placed.iter().map(|p| p.why.repeated).collect();
    assert_eq!(placed[0].candidate, 0);
    assert!(gains.contains(&weights::REPEATED_FILE), "{placed:?}");
    assert!(placed[1].why.score() > placed[2].why.score(), "{placed:?}");
}

#[test]
fn the_chunk_that_defines_the_name_comes_first() {
    let defining = Candidate {
        arms: [Some(0.1), None, None],
        defined: names(&["Router"]),
        ..candidate("b.rs")
    };
    let ours = [candidate("a.rs"), defining];
    assert_eq!(best("Router", &ours), "b.rs");
    let within = Candidate {
        defined: names(&["path_router"]),
        ..candidate("c.rs")
    };
    assert_eq!(
        best("how does path_router work", &[candidate("a.rs"), within]),
        "c.rs"
    );
}

#[test]
fn words_in_names_of_symbols_files_and_folders_count() {
    let symbol = Candidate {
        around: names(&["retry_payment"]),
        ..candidate("b.rs")
    };
    assert_eq!(
        best("paying again by retries", &[candidate("a.rs"), symbol]),
        "b.rs"
    );
    let file = [candidate("a.rs"), candidate("retry.rs")];
    assert_eq!(best("when are payments retried", &file), "retry.rs");
    let folder = [candidate("x/mod.rs"), candidate("payments/mod.rs")];
    assert_eq!(
        best("when is a payment retried", &folder),
        "payments/mod.rs"
    );
    // The shorter of two names that hold the word.
    let names = [candidate("retry_budget_of_hosts.rs"), candidate("retry.rs")];
    assert_eq!(best("when are payments retried", &names), "retry.rs");
}

#[test]
fn a_file_with_more_good_chunks_comes_first() {
    let two = [candidate("a.rs"), candidate("b.rs"), candidate("b.rs")];
    assert_eq!(best("anything", &two), "b.rs");
    let question = Question::of("anything", |_| 1.0);
    let order: Vec<usize> = rank(&question, &two).iter().map(|p| p.candidate).collect();
    // The second chunk of a file stands behind the first of another.
    assert_eq!(order, [1, 0, 2]);
}

#[test]
fn a_long_file_gains_little_by_chunks_that_answer_less() {
    let of = |path: &str, score: f64| Candidate {
        arms: [Some(score); 3],
        ..candidate(path)
    };
    let mut ours = vec![of("long.rs", 0.2); 8];
    ours.extend([of("long.rs", 0.9), of("a.rs", 1.0)]);
    assert_eq!(best("anything", &ours), "a.rs");
}

#[test]
fn tests_documents_and_data_come_last_unless_asked_for() {
    let test = [candidate("tests/a.rs"), candidate("b.rs")];
    assert_eq!(best("parse a header", &test), "b.rs");
    assert_eq!(best("test of header parsing", &test), "tests/a.rs");
    let document = [candidate("examples/a.rs"), candidate("b.rs")];
    assert_eq!(best("parse a header", &document), "b.rs");
    let data = Candidate {
        language: Some("json".to_owned()),
        ..candidate("a.json")
    };
    assert_eq!(best("parse a header", &[data, candidate("b.rs")]), "b.rs");
}

#[test]
fn tests_in_a_file_of_code_come_behind_it() {
    let within = |names_around: &[&str]| Candidate {
        around: names(names_around),
        ..candidate("a.rs")
    };
    let ours = [
        within(&["tests", "parses_a_header"]),
        within(&["parses_a_header"]),
    ];
    let first = |question: &str| rank(&Question::of(question, |_| 1.0), &ours)[0].candidate;
    assert_eq!(first("parse a header"), 1);
    assert_eq!(first("tests of header parsing"), 0);
}

#[test]
fn who_asks_how_finds_the_guide() {
    let guide = Candidate {
        language: Some("markdown".to_owned()),
        arms: [Some(0.6), Some(0.6), Some(0.6)],
        ..candidate("docs/a.md")
    };
    let ours = [guide, candidate("b.rs")];
    assert_eq!(best("how do I parse a header", &ours), "docs/a.md");
    assert_eq!(best("parse a header", &ours), "b.rs");
}

#[test]
fn a_prototype_comes_behind_the_definition() {
    let of = |path: &str, text: &str| Candidate {
        language: Some("c".to_owned()),
        defined: names(&["uv_read"]),
        text: text.to_owned(),
        ..candidate(path)
    };
    let ours = [
        of("a.h", "int uv_read(int fd);"),
        of("b.c", "int uv_read(int fd) {\n  return fd;\n}"),
    ];
    assert_eq!(best("uv_read", &ours), "b.c");
}

proptest! {
    #[test]
    fn every_candidate_is_placed_once_best_first(
        scores in proptest::collection::vec((0f64..1.0, 0u8..4), 0..20), question in "[a-z ]{0,20}",
    ) {
        let of = |(score, file): &(f64, u8)| Candidate {
            arms: [Some(*score), None, Some(*score)],
            ..candidate(&format!("{file}.rs"))
        };
        let candidates: Vec<Candidate> = scores.iter().map(of).collect();
        let placed = rank(&Question::of(&question, |_| 1.0), &candidates);
        let mut all: Vec<usize> = placed.iter().map(|p| p.candidate).collect();
        prop_assert!(placed.windows(2).all(|two| two[0].why.score() >= two[1].why.score()));
        all.sort_unstable();
        prop_assert_eq!(all, (0..candidates.len()).collect::<Vec<_>>());
    }
}

#[test]
fn words_with_signs_are_looked_for_as_they_are() {
    let written = |path: &str, text: &str| Candidate {
        text: text.to_owned(),
        ..candidate(path)
    };
    let candidates = [
        written("a.md", "strings of C#"),
        written("b.md", "strings of C++"),
        written("c.md", "strings of C"),
    ];
    assert_eq!(best("strings in C++", &candidates), "b.md");
    assert_eq!(best("strings in c#", &candidates), "a.md");
}
