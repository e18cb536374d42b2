//! From bytes to a message, or to the answer for bytes that are none. Pure.

use rmcp::RoleServer;
use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientJsonRpcMessage, ClientNotification,
    ErrorCode, ErrorData, JsonRpcMessage, RequestId,
};
use rmcp::service::TxJsonRpcMessage;
use serde_json::{Value, json};

use crate::api::{FAILED, hidden};

/// What a client sent.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message for the MCP library.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that may be answered: blanks, or a notification that means nothing to us.
    Nothing,
    /// Something wrong, and what to say about it.
    Refused(Refusal),
}

/// An error response made here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    id: Option<RequestId>,
    code: ErrorCode,
    message: String,
}

impl Refusal {
    /// It was not a message at all.
    fn unreadable(message: String) -> Self {
        Self {
            id: None,
            code: ErrorCode::PARSE_ERROR,
            message,
        }
    }

    /// It was no request that can be served.
    pub(super) fn invalid(id: Option<RequestId>, message: impl Into<String>) -> Self {
        Self {
            id,
            code: ErrorCode::INVALID_REQUEST,
            message: message.into(),
        }
    }

    /// Another request of that id has not been answered yet.
    pub(super) fn duplicate(id: RequestId) -> Self {
        let message = format!("the id {id} belongs to a request that has not been answered yet");
        Self::invalid(Some(id), message)
    }

    /// There is no such method in the era of a request.
    pub(super) fn no_method(id: RequestId, message: impl Into<String>) -> Self {
        Self {
            id: Some(id),
            code: ErrorCode::METHOD_NOT_FOUND,
            message: message.into(),
        }
    }

    /// The headers of a request do not say what it says itself.
    pub(super) fn header_mismatch(id: RequestId, message: impl Into<String>) -> Self {
        Self {
            id: Some(id),
            code: ErrorCode::HEADER_MISMATCH,
            message: message.into(),
        }
    }

    /// The server could not answer a request.
    pub(super) fn failed(id: RequestId, message: impl Into<String>) -> Self {
        Self {
            id: Some(id),
            code: ErrorCode::INTERNAL_ERROR,
            message: message.into(),
        }
    }

    /// The server cannot take it now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            id: None,
            code: ErrorCode::INTERNAL_ERROR,
            message: message.into(),
        }
    }

    /// The response. An id that could not be read is null, as JSON-RPC wants it.
    pub(super) fn json(&self) -> Value {
        let id = self
            .id
            .clone()
            .map_or(Value::Null, RequestId::into_json_value);
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": self.code.0, "message": self.message },
        })
    }
}

/// A message as JSON in one line. An answer that cannot be written becomes an error, so that nobody
/// waits for it forever.
pub(super) fn written(message: &TxJsonRpcMessage<RoleServer>) -> Result<String, serde_json::Error> {
    match (serde_json::to_string(message), answered(message)) {
        (Err(error), Some(id)) => {
            let error = ErrorData::internal_error(hidden(FAILED, &error), None);
            let instead: TxJsonRpcMessage<RoleServer> =
                JsonRpcMessage::error(error, Some(id.clone()));
            serde_json::to_string(&instead)
        }
        (written, _) => written,
    }
}

/// The request that a message of the server answers.
pub(super) fn answered(message: &TxJsonRpcMessage<RoleServer>) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}

/// The request that a message of the client cancels.
pub(super) fn unwanted(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    let JsonRpcMessage::Notification(notification) = message else {
        return None;
    };
    match &notification.notification {
        ClientNotification::CancelledNotification(cancelled) => {
            cancelled.params.request_id.as_ref()
        }
        _ => None,
    }
}

/// The message that cancels a request.
pub(super) fn cancelled(request: RequestId) -> ClientJsonRpcMessage {
    let params = CancelledNotificationParam::new(Some(request), None);
    let cancelled = CancelledNotification::new(params);
    ClientJsonRpcMessage::notification(ClientNotification::CancelledNotification(cancelled))
}

/// What is left without a byte order mark and blanks around it.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    bytes
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(bytes)
        .trim_ascii()
}

/// Reads a message.
pub(super) fn parse(bytes: &[u8]) -> Incoming {
    let bytes = trimmed(bytes);
    if bytes.is_empty() {
        return Incoming::Nothing;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return Incoming::Refused(Refusal::unreadable(format!(
                "the message is not UTF-8 from byte {} on",
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
                "the message is not JSON: {error}"
            )));
        }
    };
    let Value::Object(object) = value else {
        return Incoming::Refused(Refusal::invalid(
            None,
            if value.is_array() {
                "batches are not supported: send one message at a time"
            } else {
                "the message is JSON, but not an object"
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
        format!("the message is not a JSON-RPC 2.0 message: {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::JsonRpcMessage;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic_and_answered_in_one_line(
            line in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                r#"\{("(jsonrpc|id|method|params|result|error)":("2.0"|"ping"|1|1.5|null|\[\]|\{\}),?){0,6}\}?"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            if let Incoming::Refused(refusal) = parse(&line) {
                let answer = refusal.json();
                prop_assert!(!answer.to_string().contains('\n'));
                prop_assert!(answer["error"]["code"].is_i64());
                prop_assert!(answer.get("id").is_some());
            }
        }
    }

    fn refusal(line: &[u8]) -> Value {
        match parse(line) {
            Incoming::Refused(refusal) => refusal.json(),
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
