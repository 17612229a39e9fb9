//! Measures answers against judged questions.
//!
//! Pure: the caller asks an index and passes the answers in. [`question`] and [`trec`] read judged questions, [`measures`]
//! scores the answers to one of them, [`interval`] says how far a mean can be trusted, and [`known_items`] finds questions in
//! the documentation of a text.

pub mod interval;
pub mod known_items;
pub mod measures;
pub mod question;
pub mod trec;

pub use measures::{Answer, Place, Score, score};
pub use question::{JudgedQuestion, QuestionError, Relevant, Target, Unit, is_at};
