//! Scores the answers to one question.

use super::question::{JudgedQuestion, Relevant};
use serde::Serialize;

/// A place at which an answer lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As the index has it, with `/` between folders.
    pub path: String,
    /// First and last line, from 1; `None` if the index has none.
    pub lines: Option<(u32, u32)>,
}

/// One answer: a file, or a chunk with all its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `None` for a file.
    pub chunk_id: Option<String>,
    pub places: Vec<Place>,
}

/// How well one question was answered, by the first `k` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Rank of the first relevant answer, from 1.
    pub first_rank: Option<u32>,
    /// 1 / `first_rank`; 0 without one.
    pub mrr: f64,
    /// Share of what is relevant that was found.
    pub recall: f64,
    /// Gain of each relevant answer / log2(rank + 1), added up, divided by the most that is possible. The gain is the
    /// grade, as in trec_eval.
    pub ndcg: f64,
}

/// Score the first `k` answers. Each relevant item counts once, where it is found first.
pub fn score(question: &JudgedQuestion, answers: &[Answer], k: usize) -> Score {
    let mut wanted: Vec<&Relevant> = question.relevant.iter().collect();
    let mut score = Score::default();
    let mut gain = 0.0;
    for (answer, rank) in answers.iter().take(k).zip(1u32..) {
        let (found, left): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|relevant| relevant.is_met_by(answer));
        wanted = left;
        if let Some(best) = found.iter().map(|relevant| relevant.grade).max() {
            score.first_rank.get_or_insert(rank);
            gain += discounted(best, rank);
        }
    }
    let mut grades: Vec<u32> = question.relevant.iter().map(|item| item.grade).collect();
    grades.sort_unstable_by(|a, b| b.cmp(a));
    let most: f64 = (1..)
        .zip(grades.iter().take(k))
        .map(|(rank, grade)| discounted(*grade, rank))
        .sum();
    let n_found = question.relevant.len() - wanted.len();
    score.mrr = score.first_rank.map_or(0.0, |rank| 1.0 / f64::from(rank));
    score.recall = n_found as f64 / question.relevant.len().max(1) as f64;
    score.ndcg = if most > 0.0 { gain / most } else { 0.0 };
    score
}

fn discounted(grade: u32, rank: u32) -> f64 {
    f64::from(grade) / (f64::from(rank) + 1.0).log2()
}

#[cfg(test)]
mod tests {
    use super::super::question::Target;
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str) -> Answer {
        Answer {
            chunk_id: None,
            places: vec![Place {
                path: path.to_owned(),
                lines: None,
            }],
        }
    }

    fn asked(targets: &[(&str, u32)]) -> JudgedQuestion {
        let relevant = targets.iter().map(|(path, grade)| Relevant {
            target: Target::File((*path).to_owned()),
            grade: *grade,
        });
        JudgedQuestion {
            relevant: relevant.collect(),
            ..JudgedQuestion::default()
        }
    }

    /// Computed by hand: gains 1 at rank 2 and 3 at rank 4, of 3 at rank 1 and 1 at rank 2.
    #[test]
    fn measures_are_those_of_the_textbook() {
        let question = asked(&[("a.rs", 3), ("b.rs", 1), ("c.rs", 0)]);
        let question = JudgedQuestion {
            relevant: question.relevant[..2].to_vec(),
            ..question
        };
        let answers = ["x.rs", "b.rs", "y.rs", "a.rs"].map(file);
        let scored = score(&question, &answers, 10);
        let wanted = (1.0 / 3f64.log2() + 3.0 / 5f64.log2()) / (3.0 + 1.0 / 3f64.log2());
        assert_eq!(scored.first_rank, Some(2));
        assert_eq!((scored.mrr, scored.recall), (0.5, 1.0));
        assert!((scored.ndcg - wanted).abs() < 1e-12);
        let first = score(&question, &answers, 2);
        assert_eq!((first.recall, first.first_rank), (0.5, Some(2)));
        assert_eq!(score(&question, &answers, 1), Score::default());
    }

    #[test]
    fn an_item_counts_where_it_is_found_first() {
        let question = asked(&[("src/a.rs", 1)]);
        let answers = ["/r/src/a.rs", "/q/src/a.rs", "/r/src/ba.rs"].map(file);
        let scored = score(&question, &answers, 10);
        assert_eq!((scored.mrr, scored.recall, scored.ndcg), (1.0, 1.0, 1.0));
        assert_eq!(score(&question, &answers[2..], 10).mrr, 0.0);
    }

    proptest! {
        #[test]
        fn no_measure_exceeds_one(
            answers in proptest::collection::vec("[a-d]", 0..8),
            targets in proptest::collection::btree_map("[a-d]", 1u32..4, 1..4),
            k in 1usize..8,
        ) {
            let targets: Vec<(&str, u32)> = targets.iter().map(|(path, grade)| (&**path, *grade)).collect();
            let question = asked(&targets);
            let answers: Vec<Answer> = answers.iter().map(|path| file(path)).collect();
            let scored = score(&question, &answers, k);
            for value in [scored.mrr, scored.recall, scored.ndcg] {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&value), "{scored:?}");
            }
            let found = targets.iter().filter(|(path, _)| answers.iter().take(k).any(|a| a.places[0].path == *path));
            prop_assert!((scored.recall - found.count() as f64 / targets.len() as f64).abs() < 1e-9);
        }
    }
}
