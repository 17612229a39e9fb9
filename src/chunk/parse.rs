//! Parses a text within a fixed amount of work. Work is counted, never timed, so that the result is the
//! same on every machine.
//!
//! tree-sitter is linear on programs, but not on every text. While it recovers from errors it may keep
//! many alternatives alive, and a grammar's own scanner may read to the end of the text at each token
//! (4 KB of `<!--` as C took 1.8 s, 200 KB of `)` as Bash 99 s). Its own count of operations stays
//! small meanwhile, so we also count its [allocations](counting_allocator) and the pieces of text that it
//! reads.

use super::counting_allocator;
use std::cell::Cell;
use std::ops::ControlFlow;
use tree_sitter::{Language, ParseOptions, ParseState, Parser, Tree};

/// The work allowed is a base and so much for each byte. 12,000 real files needed 1 per byte on average and 11 at
/// most, beside the base. Twice as much doubles the time that a hostile text can take.
const BASE_WORK: u64 = 100_000;
const WORK_PER_BYTE: u64 = 16;

/// The lexer gets the text in pieces of so many bytes. Reading one takes about as long as so many operations.
const PIECE: usize = 256;
const WORK_PER_PIECE: u64 = 16;

/// tree-sitter reports after so many operations.
const WORK_PER_REPORT: u64 = 100;

/// The stack that a parse may need is a base and so much for each byte. tree-sitter frees dropped alternatives
/// by recursion, one level of 112 bytes (optimised) for each token: 1 MB of `%w(` as C overflowed 8 MiB.
const BASE_STACK: usize = 256 * 1024;
const STACK_PER_BYTE: usize = 256;

/// Return the syntax tree of `text`; `None` when the allowed work is used up.
///
/// Allocates a new stack (10 us) when the thread's own is too small for a text of this length.
pub fn parse(language: &Language, text: &str) -> Option<Tree> {
    let stack = BASE_STACK + STACK_PER_BYTE * text.len();
    stacker::maybe_grow(stack, stack, || parse_here(language, text))
}

/// Creates a parser for each text (0.2 us): one that keeps memory from the text before would allocate less for
/// this one, and the work would depend on what came before.
fn parse_here(language: &Language, text: &str) -> Option<Tree> {
    counting_allocator::install();
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let bytes = text.as_bytes();
    let allowed = BASE_WORK + WORK_PER_BYTE * bytes.len() as u64;
    let reading = Cell::new(0);
    let before = counting_allocator::work();
    let work = |reporting: u64| reading.get() + reporting + counting_allocator::work() - before;

    let mut read = |at: usize, _| {
        reading.set(reading.get() + WORK_PER_PIECE);
        if reading.get() > allowed {
            // Ends a scan that would read to the end. The report that follows ends the parse.
            return &[][..];
        }
        &bytes[at.min(bytes.len())..bytes.len().min(at + PIECE)]
    };
    let mut reporting = 0;
    let mut report = |_: &ParseState| {
        reporting += WORK_PER_REPORT;
        if work(reporting) > allowed {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let options = ParseOptions::new().progress_callback(&mut report);
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    tree.filter(|_| work(reporting) <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_parsed_and_texts_made_to_hang_are_given_up() {
        let c = tree_sitter_c::LANGUAGE.into();
        assert!(parse(&c, &"int f(int a) { return a + 1; }\n".repeat(1_000)).is_some());
        // Each spends its work on something else: reading, operations and allocations, large allocations.
        assert!(parse(&tree_sitter_bash::LANGUAGE.into(), &")".repeat(30_000)).is_none());
        assert!(parse(&c, &"<!--".repeat(8_000)).is_none());
        assert!(parse(&c, &"%w(".repeat(10_000)).is_none());
    }
}
