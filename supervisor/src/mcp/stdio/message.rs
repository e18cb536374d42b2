//! From a line to a message, or to the answer for a line that is none. Pure.

use rmcp::model::{ClientJsonRpcMessage, ErrorCode, RequestId};
use serde_json::{Value, json};

/// What a line holds.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message for the MCP library.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that may be answered: a blank line, or a notification that means nothing to us.
    Nothing,
    /// Something wrong, and what to say about it.
    Refused(Refusal),
}

/// An error response made here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    id: Option<RequestId>,
    code: ErrorCode,
    message: String,
}

impl Refusal {
    /// The line was not a message at all.
    fn unreadable(message: String) -> Self {
        Self {
            id: None,
            code: ErrorCode::PARSE_ERROR,
            message,
        }
    }

    /// The line was JSON, but no request.
    fn invalid(id: Option<RequestId>, message: impl Into<String>) -> Self {
        Self {
            id,
            code: ErrorCode::INVALID_REQUEST,
            message: message.into(),
        }
    }

    /// The line was longer than allowed.
    pub(super) fn too_long(line_bytes_max: usize) -> Self {
        Self::invalid(
            None,
            format!("the line is longer than {line_bytes_max} bytes and was not read"),
        )
    }

    /// Another request of that id has not been answered yet.
    pub(super) fn duplicate(id: RequestId) -> Self {
        let message = format!("the id {id} belongs to a request that has not been answered yet");
        Self::invalid(Some(id), message)
    }

    /// The line to send. An id that could not be read is null, as JSON-RPC wants it.
    pub(super) fn line(&self) -> Vec<u8> {
        let id = self
            .id
            .clone()
            .map_or(Value::Null, RequestId::into_json_value);
        let response = json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": self.code.0, "message": self.message },
        });
        format!("{response}\n").into_bytes()
    }
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Incoming {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    let line = line
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(line)
        .trim_ascii();
    if line.is_empty() {
        return Incoming::Nothing;
    }
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            return Incoming::Refused(Refusal::unreadable(format!(
                "the line is not UTF-8 from byte {} on",
                error.valid_up_to()
            )));
        }
    };
    match serde_json::from_str(text) {
        Ok(message) => Incoming::Message(Box::new(message)),
        Err(_) => no_message(text),
    }
}

/// Why a text is no message.
fn no_message(text: &str) -> Incoming {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            return Incoming::Refused(Refusal::unreadable(format!(
                "the line is not JSON: {error}"
            )));
        }
    };
    let Value::Object(object) = value else {
        return Incoming::Refused(Refusal::invalid(
            None,
            if value.is_array() {
                "batches are not supported: send one message a line"
            } else {
                "the line is JSON, but not an object"
            },
        ));
    };
    let is_method = object.get("method").is_some_and(Value::is_string);
    let is_version_2 = object.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    if is_method && is_version_2 && !object.contains_key("id") {
        return Incoming::Nothing;
    }
    let id = match object.get("id") {
        Some(Value::String(id)) => Some(RequestId::String(id.as_str().into())),
        Some(Value::Number(id)) => id.as_i64().map(RequestId::Number),
        _ => None,
    };
    let problem = if !is_version_2 {
        "it has no \"jsonrpc\": \"2.0\""
    } else if object.contains_key("id") && id.is_none() {
        "its id is neither a string nor an integer"
    } else if !is_method {
        "it has no method"
    } else {
        "its parts do not fit together"
    };
    Incoming::Refused(Refusal::invalid(
        id,
        format!("the line is not a JSON-RPC 2.0 message: {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::JsonRpcMessage;

    use super::*;

    proptest! {
        #[test]
        fn any_line_is_taken_without_a_panic_and_answered_in_one_line(
            line in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                r#"\{("(jsonrpc|id|method|params|result|error)":("2.0"|"ping"|1|1.5|null|\[\]|\{\}),?){0,6}\}?"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            if let Incoming::Refused(refusal) = parse(&line) {
                let answer = refusal.line();
                prop_assert_eq!(answer.iter().filter(|&&byte| byte == b'\n').count(), 1);
                let answer: Value = serde_json::from_slice(&answer).unwrap();
                prop_assert!(answer["error"]["code"].is_i64());
                prop_assert!(answer.get("id").is_some());
            }
        }
    }

    fn refusal(line: &[u8]) -> Value {
        match parse(line) {
            Incoming::Refused(refusal) => {
                let line = refusal.line();
                assert_eq!(line.last(), Some(&b'\n'));
                serde_json::from_slice(&line).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines_that_are_no_message_are_answered_with_their_reason() {
        for (line, id, code, part) in [
            (b"{".as_slice(), Value::Null, -32700, "is not JSON"),
            (b"nonsense", Value::Null, -32700, "is not JSON"),
            (
                b"{\"a\": \"\xff\"}",
                Value::Null,
                -32700,
                "not UTF-8 from byte 7",
            ),
            (b"[]", Value::Null, -32600, "batches"),
            (b"5", Value::Null, -32600, "not an object"),
            (
                b"{\"id\": 3, \"method\": \"ping\"}",
                json!(3),
                -32600,
                "jsonrpc",
            ),
            (
                b"{\"jsonrpc\": \"2.0\", \"id\": \"a\"}",
                json!("a"),
                -32600,
                "no method",
            ),
            (
                b"{\"jsonrpc\": \"2.0\", \"id\": 1.5, \"method\": \"ping\"}",
                Value::Null,
                -32600,
                "neither a string nor an integer",
            ),
            (
                b"{\"jsonrpc\": \"2.0\", \"id\": null, \"method\": \"ping\"}",
                Value::Null,
                -32600,
                "neither a string nor an integer",
            ),
        ] {
            let answer = refusal(line);
            assert_eq!(answer["id"], id, "{answer}");
            assert!(answer.as_object().unwrap().contains_key("id"), "{answer}");
            assert_eq!(answer["error"]["code"], code, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(part), "{answer}");
        }
    }

    #[test]
    fn too_deep_nesting_is_refused_and_does_not_overflow() {
        let deep = "[".repeat(1 << 20);
        assert_eq!(refusal(deep.as_bytes())["error"]["code"], -32700);
        let params = "{\"a\":".repeat(100_000);
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{params}");
        assert_eq!(refusal(line.as_bytes())["error"]["code"], -32700);
    }

    #[test]
    fn blank_lines_and_broken_notifications_are_not_answered() {
        for line in [
            b"".as_slice(),
            b" \r\n",
            b"\xef\xbb\xbf\n",
            b"{\"jsonrpc\": \"2.0\", \"method\": \"notifications/cancelled\", \"params\": 5}\n",
        ] {
            assert!(
                matches!(parse(line), Incoming::Nothing | Incoming::Message(_)),
                "{line:?}: {:?}",
                parse(line)
            );
        }
    }

    #[test]
    fn messages_pass_with_any_line_end() {
        for line in [
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n",
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n",
        ] {
            let Incoming::Message(message) = parse(line.as_bytes()) else {
                panic!("{line:?}");
            };
            assert!(matches!(*message, JsonRpcMessage::Request(_)));
        }
    }
}
