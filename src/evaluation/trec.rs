//! Topics and judgments as TREC and BEIR write them.

use super::question::{JsonId, JudgedQuestion, QuestionError, Relevant, Target};
use serde::Deserialize;
use std::collections::HashMap;

/// A question without its judgments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: String,
    pub text: String,
}

/// Judgments by topic.
pub type Judgments = HashMap<String, Vec<Relevant>>;

#[derive(Deserialize)]
struct JsonTopic {
    #[serde(alias = "_id", alias = "num")]
    id: JsonId,
    #[serde(alias = "query", alias = "question", alias = "title")]
    text: String,
}

impl Topic {
    /// Read topics: `<top>` elements, lines `id TAB text`, or an object a line. Return them with the numbers of the lines
    /// that are none.
    pub fn read(text: &str) -> (Vec<Self>, Vec<(usize, QuestionError)>) {
        if text.trim_start().starts_with("<top>") {
            return (of_elements(text), Vec::new());
        }
        let (mut topics, mut unread) = (Vec::new(), Vec::new());
        for (line, number) in text.lines().zip(1..) {
            if line.trim().is_empty() {
                continue;
            }
            match Self::of_line(line) {
                Ok(topic) => topics.push(topic),
                Err(error) => unread.push((number, error)),
            }
        }
        (topics, unread)
    }

    fn of_line(line: &str) -> Result<Self, QuestionError> {
        if line.trim_start().starts_with('{') {
            let read: JsonTopic = serde_json::from_str(line)
                .map_err(|error| QuestionError::Json(error.to_string()))?;
            return Ok(Self {
                id: read.id.text(),
                text: read.text,
            });
        }
        let (id, text) = line.split_once('\t').ok_or(QuestionError::NoTab)?;
        if text.trim().is_empty() {
            return Err(QuestionError::NoText);
        }
        Ok(Self {
            id: id.trim().to_owned(),
            text: text.trim().to_owned(),
        })
    }

    /// Return the question with its judgments; `None` if nothing is relevant to it.
    pub fn judged(&self, judgments: &Judgments) -> Option<JudgedQuestion> {
        Some(JudgedQuestion {
            id: self.id.clone(),
            text: self.text.clone(),
            group: None,
            relevant: judgments.get(&self.id)?.clone(),
        })
    }
}

/// Read `<top>` elements: `<num> Number: 301` and `<title> words`, each up to the next element.
fn of_elements(text: &str) -> Vec<Topic> {
    let field = |topic: &str, name: &str| {
        let (_, rest) = topic.split_once(name)?;
        let words = rest.split('<').next().unwrap_or(rest).split_whitespace();
        Some(words.collect::<Vec<_>>().join(" "))
    };
    let topics = text.split("<top>").skip(1);
    topics
        .filter_map(|topic| {
            let id = field(topic, "<num>")?;
            let id = id.trim_start_matches("Number:").trim().to_owned();
            let title = field(topic, "<title>")?;
            let text = title.trim_start_matches("Topic:").trim().to_owned();
            (!text.is_empty()).then_some(Topic { id, text })
        })
        .collect()
}

/// Read judgments: `topic iteration document grade` as trec_eval reads them, or `topic document grade` as BEIR writes them,
/// with a line of names. A document is a path, the end of one, or a chunk id. Grades of 0 and less are left out. Return
/// them with the numbers of the lines that are none.
pub fn judgments(text: &str) -> (Judgments, Vec<usize>) {
    let mut judgments = Judgments::new();
    let mut unread = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        let Some((topic, document, grade)) = judgment(line) else {
            let is_header = number == 1 && !line.contains(|c: char| c.is_ascii_digit());
            if !is_header {
                unread.push(number);
            }
            continue;
        };
        if let Ok(grade @ 1..) = u32::try_from(grade) {
            let target = Target::parse(document);
            judgments
                .entry(topic.to_owned())
                .or_default()
                .push(Relevant { target, grade });
        }
    }
    (judgments, unread)
}

fn judgment(line: &str) -> Option<(&str, &str, i64)> {
    // Tabs separate if there are any: then paths may have blanks.
    let fields: Vec<&str> = match line.contains('\t') {
        true => line.split('\t').map(str::trim).collect(),
        false => line.split_whitespace().collect(),
    };
    let (topic, document, grade) = match fields[..] {
        [topic, _, document, grade] | [topic, document, grade] => (topic, document, grade),
        _ => return None,
    };
    Some((topic, document, grade.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_every_form_are_read() {
        let wanted = [("301", "Organized Crime"), ("302", "Polio")];
        for text in [
            "<top>\n<num> Number: 301\n<title> Organized\n Crime\n<desc> Description:\n</top>\n\n<top>\n<num> Number: 302\n<title>Topic: Polio</title>\n</top>",
            "301\tOrganized Crime\n\n302\tPolio\n",
            "{\"_id\": \"301\", \"text\": \"Organized Crime\", \"metadata\": {}}\n{\"num\": 302, \"title\": \"Polio\"}\n",
        ] {
            let (topics, unread) = Topic::read(text);
            let read: Vec<_> = topics
                .iter()
                .map(|t| (t.id.as_str(), t.text.as_str()))
                .collect();
            assert_eq!((read, unread), (wanted.to_vec(), Vec::new()));
        }
        assert_eq!(Topic::read("1 a").1, [(1, QuestionError::NoTab)]);
    }

    #[test]
    fn judgments_of_both_forms_are_read() {
        let text = "query-id\tcorpus-id\tscore\n1\ta b.rs\t2\n1\tc.rs\t0\n2\td.rs\t-1\n";
        let (read, unread) = judgments(text);
        assert_eq!((read.len(), read["1"].len(), unread.len()), (1, 1, 0));
        assert_eq!(read["1"][0].target, Target::File("a b.rs".into()));
        let (read, unread) = judgments("301 0 src/a.rs 1\n301 0 src/b.rs 2\nwrong\n");
        assert_eq!((read["301"].len(), read["301"][1].grade), (2, 2));
        assert_eq!(unread, [3]);
        let topic = Topic {
            id: "9".into(),
            text: "t".into(),
        };
        assert_eq!(topic.judged(&read), None);
    }
}
