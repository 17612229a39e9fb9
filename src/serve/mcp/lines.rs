//! Messages as lines of JSON on standard input and output.
//!
//! A line that is no message gets an error, so that its sender does not wait for an answer that never comes.

use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;
use std::thread;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

/// Bytes of a line: more than any tool takes.
const MOST_BYTES: usize = 16 << 20;

/// Messages that wait until the service takes them. Further ones wait in the pipe.
const MOST_WAITING: usize = 16;

/// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

type Message = RxJsonRpcMessage<RoleServer>;
type Output = Arc<Mutex<tokio::fs::File>>;

/// The two streams of a conversation.
pub struct Lines {
    messages: mpsc::Receiver<Message>,
    output: Output,
}

impl Lines {
    /// Start the thread that reads `input`; only the end of the input or of the process ends it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn open(input: impl BufRead + Send + 'static, output: File) -> io::Result<Self> {
        let output = Arc::new(Mutex::new(tokio::fs::File::from_std(output)));
        let (sender, messages) = mpsc::channel(MOST_WAITING);
        let (runtime, answers) = (Handle::current(), Arc::clone(&output));
        let read = move || read(input, &sender, &answers, &runtime);
        thread::Builder::new().spawn(read)?;
        Ok(Self { messages, output })
    }
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let output = Arc::clone(&self.output);
        async move { write(&output, serde_json::to_vec(&message)?).await }
    }

    async fn receive(&mut self) -> Option<Message> {
        self.messages.recv().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.messages.close();
        Ok(())
    }
}

async fn write(output: &Output, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let mut output = output.lock().await;
    output.write_all(&line).await?;
    output.flush().await
}

/// Pass on every message, and answer every other line.
fn read(
    mut input: impl BufRead,
    messages: &mpsc::Sender<Message>,
    output: &Output,
    runtime: &Handle,
) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = next_line(&mut input, &mut line, MOST_BYTES).unwrap_or_else(|error| {
            tracing::error!("reading standard input: {error}");
            Line::End
        });
        let parsed = match read {
            Line::End => return,
            Line::Whole => parse(&line),
            Line::TooLong => {
                let text = format!("a message has at most {MOST_BYTES} bytes");
                Err(refusal(&Value::Null, PARSE_ERROR, &text))
            }
        };
        let is_over = match parsed {
            Ok(None) => false,
            Ok(Some(message)) => messages.blocking_send(message).is_err(),
            Err(refusal) => {
                let line = refusal.to_string().into_bytes();
                runtime.block_on(write(output, line)).is_err()
            }
        };
        if is_over {
            return;
        }
    }
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole,
    TooLong,
    End,
}

/// Append the next line to `line`, or skip one of more than `most` bytes.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> io::Result<Line> {
    let limit = most as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.len() <= most || line.ends_with(b"\n") {
        return Ok(Line::Whole);
    }
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

/// Return the message of a line; `None` for a blank line and for a notification that is not of this protocol.
///
/// # Errors
/// The answer to a line that is no message.
fn parse(line: &[u8]) -> Result<Option<Message>, Value> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        let text = format!("parse error: {error}");
        refusal(&Value::Null, PARSE_ERROR, &text)
    })?;
    let id = value.get("id").cloned();
    let is_notification = id.is_none() && value.get("method").is_some_and(Value::is_string);
    match serde_json::from_value(value) {
        Ok(message) => Ok(Some(message)),
        Err(_) if is_notification => Ok(None),
        Err(error) => {
            let id = id.filter(|id| id.is_string() || id.is_number());
            let text = format!("not a request of the protocol: {error}");
            Err(refusal(&id.unwrap_or_default(), INVALID_REQUEST, &text))
        }
    }
}

fn refusal(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_long_are_skipped() {
        let mut input = &b"1234\n12345\n123\n123456789"[..];
        let mut next = || {
            let mut line = Vec::new();
            let read = next_line(&mut input, &mut line, 4).expect("reads");
            (read, line)
        };
        assert_eq!(next(), (Line::Whole, b"1234\n".to_vec()));
        assert_eq!(next().0, Line::TooLong);
        assert_eq!(next(), (Line::Whole, b"123\n".to_vec()));
        assert_eq!(next().0, Line::TooLong);
        assert_eq!(next().0, Line::End);
    }

    #[test]
    fn what_is_no_message_is_answered() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for (line, id, code) in [
            ("{", json!(null), PARSE_ERROR),
            ("hello", json!(null), PARSE_ERROR),
            (&deep, json!(null), PARSE_ERROR),
            ("[]", json!(null), INVALID_REQUEST),
            (
                r#"{"jsonrpc": "1", "id": 4, "method": "ping"}"#,
                json!(4),
                INVALID_REQUEST,
            ),
            (r#"{"id": "a"}"#, json!("a"), INVALID_REQUEST),
        ] {
            let answer = parse(line.as_bytes()).expect_err(line);
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&id, &json!(code)),
                "{line}"
            );
            assert!(answer.as_object().expect("an object").contains_key("id"));
        }
        for line in [
            "",
            " \r\n",
            r#"{"jsonrpc": "2.0", "method": "$/other", "params": 1}"#,
        ] {
            assert!(parse(line.as_bytes()).is_ok(), "{line}");
        }
        let ping = "\u{feff}{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}\r\n";
        assert!(parse(ping.as_bytes()).expect("a message").is_some());
    }
}
