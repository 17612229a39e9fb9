//! Judged questions: what is asked, and which files or chunks answer it. From lines of tab-separated values or JSON.

use super::measures::{Answer, Place};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Columns of a first line that only names what follows.
const HEADERS: [&str; 5] = ["question", "query", "text", "topic", "title"];

/// A question with what is relevant to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgedQuestion {
    /// As the file names it, else its number from 1.
    pub id: String,
    pub text: String,
    /// A group of its own in the report, for example a category or a language.
    pub group: Option<String>,
    /// With grades above 0.
    pub relevant: Vec<Relevant>,
}

/// What the answers to a question are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Files,
    Chunks,
}

/// Something relevant to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relevant {
    pub target: Target,
    /// How relevant, from 1.
    pub grade: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file by its path or the end of it.
    File(String),
    /// The chunks of a file that hold one of these lines, from 1, both included.
    Lines { path: String, first: u32, last: u32 },
    /// A chunk by its id.
    Chunk(String),
}

/// Why a line is no judged question; names what is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    #[error("it has no tab: a line is a question, a tab and a path or a chunk id")]
    NoTab,
    #[error("it has no question")]
    NoText,
    #[error("it names nothing that is relevant: add a path or a chunk id")]
    NothingRelevant,
    #[error("{0}: lines are counted from 1, the first before the last, as in {1}:40-80")]
    Lines(String, String),
    #[error("it is not a judged question in JSON: {0}")]
    Json(String),
}

impl Relevant {
    fn of(text: &str, grade: u32) -> Self {
        Self {
            target: Target::parse(text),
            grade,
        }
    }

    pub fn is_met_by(&self, answer: &Answer) -> bool {
        match &self.target {
            Target::Chunk(id) => answer.chunk_id.as_ref() == Some(id),
            target => answer.places.iter().any(|place| target.holds(place)),
        }
    }
}

impl Target {
    /// Read `path`, `path:12`, `path:12-20` or the 16 hexadecimal digits of a chunk id.
    pub fn parse(text: &str) -> Self {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 16 && text.chars().all(is_digit) {
            return Self::Chunk(text.to_owned());
        }
        if let Some((path, lines)) = text.rsplit_once(':') {
            let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse())
                && !path.is_empty()
            {
                let path = spelled(path);
                return Self::Lines { path, first, last };
            }
        }
        Self::File(spelled(text))
    }

    /// Return whether a path and lines of the index are those of this target, which is no chunk id.
    pub fn holds(&self, place: &Place) -> bool {
        match self {
            Self::File(path) => is_at(path, &place.path),
            Self::Lines { path, first, last } => {
                let overlaps = |(from, to): (u32, u32)| from <= *last && *first <= to;
                is_at(path, &place.path) && place.lines.is_none_or(overlaps)
            }
            Self::Chunk(_) => false,
        }
    }
}

fn spelled(path: &str) -> String {
    path.trim().trim_start_matches("./").to_owned()
}

/// Return whether `end` is a path or its last components.
pub fn is_at(end: &str, path: &str) -> bool {
    let Some(before) = path.strip_suffix(end) else {
        return false;
    };
    before.is_empty() || before.ends_with(['/', '\\']) || end.starts_with('/')
}

impl JudgedQuestion {
    /// Return what the answers are compared as: files if every target is one.
    pub fn unit(&self) -> Unit {
        let is_file = |item: &Relevant| matches!(item.target, Target::File(_));
        match self.relevant.iter().all(is_file) {
            true => Unit::Files,
            false => Unit::Chunks,
        }
    }

    /// Judge the files of the targets. Chunk ids stay.
    pub fn by_files(mut self) -> Self {
        for item in &mut self.relevant {
            if let Target::Lines { path, .. } = &item.target {
                item.target = Target::File(path.clone());
            }
        }
        self
    }

    /// Read a line of either form. A question may begin with a brace, as in `{@link Foo} gives`: what is no JSON and has a tab
    /// is of tab-separated values.
    ///
    /// # Errors
    /// See [`QuestionError`].
    pub fn of_line(line: &str, number: usize) -> Result<Option<Self>, QuestionError> {
        let is_object = || serde_json::from_str::<IgnoredAny>(line).is_ok();
        if line.trim_start().starts_with('{') && (!line.contains('\t') || is_object()) {
            return Self::of_json(line, number).map(Some);
        }
        Self::of_tabs(line, number)
    }

    /// Read `question TAB relevant [TAB relevant ...]`. `None` for an empty line, a comment that begins with `# `, and, as line
    /// 1, names of columns.
    ///
    /// # Errors
    /// See [`QuestionError`].
    fn of_tabs(line: &str, number: usize) -> Result<Option<Self>, QuestionError> {
        if line.trim().is_empty() || line.starts_with("# ") {
            return Ok(None);
        }
        let (text, rest) = line.split_once('\t').ok_or(QuestionError::NoTab)?;
        if number == 1 && HEADERS.contains(&text.trim().to_lowercase().as_str()) {
            return Ok(None);
        }
        let relevant = rest.split('\t').filter(|item| !item.trim().is_empty());
        let question = Self {
            id: number.to_string(),
            text: text.trim().to_owned(),
            group: None,
            relevant: relevant.map(|item| Relevant::of(item.trim(), 1)).collect(),
        };
        question.checked().map(Some)
    }

    /// Read an object: `question` (or `query`, `text`), `relevant` (paths, chunk ids, or objects with `path` or `chunk`, `lines`
    /// and `grade`), and if wanted `id` and `group` (or `category`).
    ///
    /// # Errors
    /// See [`QuestionError`].
    fn of_json(line: &str, number: usize) -> Result<Self, QuestionError> {
        let read: JsonQuestion =
            serde_json::from_str(line).map_err(|error| QuestionError::Json(error.to_string()))?;
        let relevant = read.relevant.into_iter().chain(read.secondary);
        let relevant = relevant
            .map(JsonRelevant::relevant)
            .collect::<Result<Vec<_>, _>>()?;
        let question = Self {
            id: read.id.map_or(number.to_string(), JsonId::text),
            text: read.question.trim().to_owned(),
            group: read.group,
            relevant: relevant.into_iter().filter(|item| item.grade > 0).collect(),
        };
        question.checked()
    }

    fn checked(self) -> Result<Self, QuestionError> {
        for item in &self.relevant {
            if let Target::Lines { path, first, last } = &item.target
                && !(1..=*last).contains(first)
            {
                let found = format!("{path}:{first}-{last}");
                return Err(QuestionError::Lines(found, path.clone()));
            }
        }
        match () {
            () if self.text.is_empty() => Err(QuestionError::NoText),
            () if self.relevant.is_empty() => Err(QuestionError::NothingRelevant),
            () => Ok(self),
        }
    }
}

#[derive(Deserialize)]
struct JsonQuestion {
    #[serde(default, alias = "_id")]
    id: Option<JsonId>,
    #[serde(alias = "query", alias = "text")]
    question: String,
    #[serde(default, alias = "category")]
    group: Option<String>,
    #[serde(default)]
    relevant: Vec<JsonRelevant>,
    #[serde(default)]
    secondary: Vec<JsonRelevant>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum JsonId {
    Text(String),
    Number(u64),
}

impl JsonId {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonRelevant {
    Text(String),
    Object {
        #[serde(default)]
        path: Option<String>,
        #[serde(default, alias = "gene_id")]
        chunk: Option<String>,
        #[serde(default)]
        lines: Option<(u32, u32)>,
        #[serde(default = "one")]
        grade: u32,
    },
}

fn one() -> u32 {
    1
}

impl JsonRelevant {
    fn relevant(self) -> Result<Relevant, QuestionError> {
        let (path, chunk, lines, grade) = match self {
            Self::Text(text) => return Ok(Relevant::of(&text, 1)),
            Self::Object {
                path,
                chunk,
                lines,
                grade,
            } => (path, chunk, lines, grade),
        };
        let target = match (chunk, path, lines) {
            (Some(id), _, _) => Target::Chunk(id),
            (None, Some(path), Some((first, last))) => Target::Lines {
                path: spelled(&path),
                first,
                last,
            },
            (None, Some(path), None) => Target::File(spelled(&path)),
            (None, None, _) => {
                let text = "an item of `relevant` has neither `path` nor `chunk`";
                return Err(QuestionError::Json(text.to_owned()));
            }
        };
        Ok(Relevant { target, grade })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tabs_are_read() {
        let of = |line: &str| JudgedQuestion::of_tabs(line, 2).map(|read| read.expect("one"));
        let read = of("how are routes matched\tsrc/router.rs\t0123456789abcdef\t./a.rs:3-5")
            .expect("read");
        let targets: Vec<_> = read.relevant.into_iter().map(|item| item.target).collect();
        let lines = Target::Lines {
            path: "a.rs".into(),
            first: 3,
            last: 5,
        };
        let (file, chunk) = ("src/router.rs".into(), "0123456789abcdef".into());
        assert_eq!(targets, [Target::File(file), Target::Chunk(chunk), lines]);
        assert_eq!(of("no tab"), Err(QuestionError::NoTab));
        assert_eq!(of("\ta.rs"), Err(QuestionError::NoText));
        assert_eq!(of("text\t "), Err(QuestionError::NothingRelevant));
        for wrong in ["text\ta.rs:0", "text\ta.rs:5-2"] {
            assert!(
                matches!(of(wrong), Err(QuestionError::Lines(..))),
                "{wrong}"
            );
        }
        assert_eq!(JudgedQuestion::of_tabs("question\tpath", 1), Ok(None));
        assert_eq!(JudgedQuestion::of_tabs("", 3), Ok(None));
    }

    #[test]
    fn a_question_may_begin_with_a_brace() {
        let read = |line: &str| JudgedQuestion::of_line(line, 1);
        let question = read("{@link Foo#bar} gives\tsrc/foo.js").expect("read");
        assert_eq!(question.expect("a question").text, "{@link Foo#bar} gives");
        let spaced = "{\t\"question\": \"q\",\t\"relevant\": [\"a.rs\"]}";
        assert_eq!(read(spaced).expect("read").expect("a question").text, "q");
        // An object with a fault is not taken for tab-separated values.
        assert!(matches!(
            read("{\t\"question\": \"q\"}"),
            Err(QuestionError::Json(_) | QuestionError::NothingRelevant)
        ));
        assert!(matches!(read("{\"question"), Err(QuestionError::Json(_))));
    }

    #[test]
    fn objects_are_read() {
        let line = r#"{"query": "q", "category": "symbol", "id": 7, "relevant": ["a.rs", {"path": "b.rs", "grade": 2},
            {"path": "c.rs", "lines": [1, 2]}, {"path": "d.rs", "grade": 0}], "secondary": [{"path": "e.rs"}]}"#;
        let read = JudgedQuestion::of_json(line, 1).expect("read");
        assert_eq!(
            (read.id.as_str(), read.group.as_deref()),
            ("7", Some("symbol"))
        );
        let grades: Vec<u32> = read.relevant.iter().map(|item| item.grade).collect();
        assert_eq!(grades, [1, 2, 1, 1]);
        assert_eq!(read.unit(), Unit::Chunks);
        assert_eq!(read.by_files().unit(), Unit::Files);
        let error = JudgedQuestion::of_json(r#"{"question": "q", "relevant": [{}]}"#, 1);
        assert!(error.is_err_and(|error| error.to_string().contains("neither `path`")));
    }

    #[test]
    fn a_path_is_met_by_its_end() {
        assert!(
            is_at("a.rs", "/r/a.rs") && is_at("/r/a.rs", "/r/a.rs") && is_at("r/a.rs", "/r/a.rs")
        );
        assert!(!is_at("a.rs", "/r/ba.rs") && !is_at("a.rs", "/r/a.rs.txt"));
        let lines = Target::parse("a.rs:5");
        let at = |lines| Place {
            path: "/r/a.rs".into(),
            lines,
        };
        assert!(lines.holds(&at(Some((1, 5)))) && lines.holds(&at(None)));
        assert!(!lines.holds(&at(Some((6, 9)))));
    }
}
