//! V8's REPL mode, which is reached through an inspector session inside this process.
//!
//! `Runtime.evaluate` with `replMode` gives three things together that a plain script does not have:
//! `let`, `const` and `class` can be declared again by a later script, `await` works at the top level,
//! and the completion value is that of the last statement all the same.
//!
//! The session speaks JSON. Primitive values come back in it. For an object it gives an id; to get at
//! the object itself, the session is asked to call a function on it whose argument is a host function,
//! which the session knows by an id too: the one that it gave when that function was logged to the
//! engine's own console. So nothing is ever put where a script could see it.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::v8;
use deno_core::v8::inspector::{
    Channel, ChannelImpl, StringBuffer, StringView, V8Inspector, V8InspectorClient,
    V8InspectorClientImpl, V8InspectorClientTrustLevel, V8InspectorSession,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runtime::errors::{self, Thrown, ThrownValue};
use crate::runtime::position::Position;
use crate::runtime::state::State;
use crate::web::ops;

const CONTEXT_GROUP: i32 = 1;

struct Client;
impl V8InspectorClientImpl for Client {}

/// What the session said and nobody has read yet.
#[derive(Clone, Default)]
struct Inbox(Rc<RefCell<Messages>>);

#[derive(Default)]
struct Messages {
    responses: Vec<(i32, String)>,
    console_calls: Vec<String>,
}

impl ChannelImpl for Inbox {
    fn send_response(&self, call_id: i32, message: v8::UniquePtr<StringBuffer>) {
        if let Some(message) = message.as_ref() {
            self.0
                .borrow_mut()
                .responses
                .push((call_id, text_of(message)));
        }
    }
    fn send_notification(&self, message: v8::UniquePtr<StringBuffer>) {
        if let Some(message) = message.as_ref() {
            let text = text_of(message);
            if text.contains("\"Runtime.consoleAPICalled\"") {
                self.0.borrow_mut().console_calls.push(text);
            }
        }
    }
    fn flush_protocol_notifications(&self) {}
}

/// The session's texts are UTF-16 when they hold more than Latin-1; a lone surrogate in a value
/// becomes U+FFFD, as anywhere else that a string leaves V8.
fn text_of(message: &StringBuffer) -> String {
    let view = message.string();
    let text = match (view.characters8(), view.characters16()) {
        (Some(bytes), _) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        (None, Some(units)) => String::from_utf16_lossy(units),
        (None, None) => String::new(),
    };
    replace_lone_surrogates(text)
}

/// Replaces the escapes of lone surrogates, which V8 writes and JSON readers refuse, by those of
/// U+FFFD.
fn replace_lone_surrogates(mut json: String) -> String {
    let unit_at = |json: &str, at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        at += found;
        at += match unit_at(&json, at) {
            None => 2,
            Some(0xd800..=0xdbff) if matches!(unit_at(&json, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                json.replace_range(at..at + 6, "\\ufffd");
                6
            }
            Some(_) => 6,
        };
    }
    json
}

/// The session's description of a value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RemoteObject {
    #[serde(rename = "type")]
    kind: String,
    value: Option<Value>,
    unserializable_value: Option<String>,
    description: Option<String>,
    object_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExceptionDetails {
    line_number: i64,
    column_number: i64,
    stack_trace: Option<Value>,
    exception: Option<RemoteObject>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EvaluateResult {
    result: RemoteObject,
    exception_details: Option<ExceptionDetails>,
}

/// What became of an evaluation.
pub(crate) enum Evaluation<'s> {
    /// A primitive value: as `String(value)` gives it, and as a developer would write it.
    Primitive { text: String, preview: String },
    /// An object or function.
    Object(v8::Local<'s, v8::Value>),
    /// An exception.
    Thrown(Thrown<'s>),
}

/// An inspector session that evaluates scripts.
pub(crate) struct Repl {
    session: V8InspectorSession,
    inspector: V8Inspector,
    inbox: Inbox,
    sink_id: String,
    last_id: i32,
}

impl Repl {
    pub(crate) fn connect(isolate: &mut v8::Isolate, context: &v8::Global<v8::Context>) -> Self {
        let inspector = V8Inspector::create(isolate, V8InspectorClient::new(Box::new(Client)));
        v8::scope!(let scope, isolate);
        let context = v8::Local::new(scope, context);
        let scope = &mut v8::ContextScope::new(scope, context);
        let empty = || StringView::from(&b""[..]);
        inspector.context_created(context, CONTEXT_GROUP, empty(), empty());
        let inbox = Inbox::default();
        let session = inspector.connect(
            CONTEXT_GROUP,
            Channel::new(Box::new(inbox.clone())),
            StringView::from(&b"{}"[..]),
            V8InspectorClientTrustLevel::FullyTrusted,
        );
        let mut repl = Self {
            session,
            inspector,
            inbox,
            sink_id: String::new(),
            last_id: 0,
        };
        repl.send("Runtime.enable", &json!({}));
        repl.sink_id = repl.id_of_sink(scope);
        remove_inspector_console(scope);
        repl.inbox.0.borrow_mut().responses.clear();
        repl
    }

    /// Lets go of the context, as a snapshot needs it.
    pub(crate) fn disconnect(self, scope: &mut v8::PinScope<'_, '_>) {
        let context = scope.get_current_context();
        let Self {
            session, inspector, ..
        } = self;
        drop(session);
        inspector.context_destroyed(context);
        drop(inspector);
    }

    /// Starts an evaluation; its number is given back.
    pub(crate) fn evaluate(&mut self, source: &str) -> i32 {
        self.send(
            "Runtime.evaluate",
            &json!({
                "expression": source,
                "contextId": 1,
                "replMode": true,
                "awaitPromise": true,
            }),
        )
    }

    /// The end of an evaluation, once it is there.
    pub(crate) fn take_evaluation<'s>(
        &mut self,
        scope: &mut v8::PinScope<'s, '_>,
        id: i32,
    ) -> Option<Evaluation<'s>> {
        let answer: EvaluateResult = serde_json::from_value(self.take_result(id)?).ok()?;
        let Some(details) = answer.exception_details else {
            return Some(self.value_of(scope, answer.result));
        };
        let at = Position {
            line: u32::try_from(details.line_number + 1).unwrap_or(1),
            column: u32::try_from(details.column_number + 1).unwrap_or(1),
        };
        let compiled = details.stack_trace.is_some() || State::of(scope).web_assembly.has_run();
        let thrown = details.exception.unwrap_or(answer.result);
        let value = match self.hand_over(scope, &thrown) {
            Some(object) => ThrownValue::Object(object),
            None => ThrownValue::Primitive(primitive_texts(thrown).1),
        };
        Some(Evaluation::Thrown(Thrown {
            value,
            at,
            compiled,
        }))
    }

    fn value_of<'s>(
        &mut self,
        scope: &mut v8::PinScope<'s, '_>,
        remote: RemoteObject,
    ) -> Evaluation<'s> {
        if let Some(value) = self.hand_over(scope, &remote) {
            return Evaluation::Object(value);
        }
        let (text, preview) = primitive_texts(remote);
        Evaluation::Primitive { text, preview }
    }

    /// Gets an object itself; `None` for a primitive value.
    fn hand_over<'s>(
        &mut self,
        scope: &mut v8::PinScope<'s, '_>,
        remote: &RemoteObject,
    ) -> Option<v8::Local<'s, v8::Value>> {
        let object_id = remote
            .object_id
            .as_ref()
            .filter(|_| remote.kind != "symbol")?;
        let id = self.send(
            "Runtime.callFunctionOn",
            &json!({
                "objectId": object_id,
                "functionDeclaration": "function (sink) { 'use strict'; sink(this); }",
                "arguments": [{ "objectId": self.sink_id }],
                "silent": true,
            }),
        );
        let _answer = self.take_result(id);
        let value = State::of(scope).handed_over.borrow_mut().take()?;
        Some(v8::Local::new(scope, value))
    }

    fn id_of_sink(&mut self, scope: &mut v8::PinScope<'_, '_>) -> String {
        let found = (|| {
            let sink = ops::sink_function(scope)?;
            let console = engine_console(scope)?;
            let log = v8::String::new(scope, "log")?;
            let log = v8::Local::<v8::Function>::try_from(console.get(scope, log.into())?).ok()?;
            log.call(scope, console.into(), &[sink.into()])?;
            let note = self.inbox.0.borrow_mut().console_calls.pop()?;
            let note: Value = serde_json::from_str(&note).ok()?;
            let id = &note["params"]["args"][0]["objectId"];
            Some(id.as_str()?.to_owned())
        })();
        match found {
            Some(id) => id,
            None => panic!("the inspector gives an id to a function"),
        }
    }

    fn send(&mut self, method: &str, params: &Value) -> i32 {
        self.last_id += 1;
        let message = json!({ "id": self.last_id, "method": method, "params": params }).to_string();
        // An ASCII text can go as it is; anything else must be UTF-16, the session's other encoding.
        if message.is_ascii() {
            self.session
                .dispatch_protocol_message(StringView::from(message.as_bytes()));
        } else {
            let units: Vec<u16> = message.encode_utf16().collect();
            self.session
                .dispatch_protocol_message(StringView::from(&units[..]));
        }
        self.last_id
    }

    fn take_result(&mut self, id: i32) -> Option<Value> {
        let mut messages = self.inbox.0.borrow_mut();
        let index = messages
            .responses
            .iter()
            .position(|(known, _)| *known == id)?;
        let (_, text) = messages.responses.swap_remove(index);
        drop(messages);
        let mut response: Value = serde_json::from_str(&text).ok()?;
        Some(response["result"].take())
    }
}

/// `String(value)` and a preview of a primitive value.
fn primitive_texts(remote: RemoteObject) -> (String, String) {
    let RemoteObject {
        kind,
        value,
        unserializable_value,
        description,
        ..
    } = remote;
    match (kind.as_str(), value, unserializable_value, description) {
        ("string", Some(Value::String(text)), _, _) => {
            let preview = errors::quote(&text);
            (text, preview)
        }
        ("bigint", _, Some(text), _) => (text.trim_end_matches('n').to_owned(), text),
        (_, _, Some(text), _) if text == "-0" => ("0".to_owned(), text),
        (_, _, Some(text), _) | (_, None, None, Some(text)) => (text.clone(), text),
        (_, Some(value), None, description) => {
            let text = description.unwrap_or_else(|| value.to_string());
            (text.clone(), text)
        }
        // An object without an id is null; undefined has nothing but its type.
        ("object", None, None, None) => ("null".to_owned(), "null".to_owned()),
        (_, None, None, None) => (kind.clone(), kind),
    }
}

/// The inspector adds two members to the console that it finds; they are native accessors that no
/// snapshot can hold, and no business of a script.
fn remove_inspector_console(scope: &mut v8::PinScope<'_, '_>) {
    let removed = (|| {
        let name = v8::String::new(scope, "console")?;
        let global = scope.get_current_context().global(scope);
        let console = v8::Local::<v8::Object>::try_from(global.get(scope, name.into())?).ok()?;
        for member in ["memory", "createTask"] {
            let name = v8::String::new(scope, member)?;
            console.delete(scope, name.into())?;
        }
        Some(())
    })();
    let _a_script_may_have_removed_it = removed;
}

/// V8's own console, which talks to the inspector.
fn engine_console<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Object>> {
    let name = v8::String::new(scope, "console")?;
    let extras = scope.get_current_context().get_extras_binding_object(scope);
    v8::Local::<v8::Object>::try_from(extras.get(scope, name.into())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_nothing_else() {
        for (given, mended) in [
            (r#""a\ud800b""#, r#""a\ufffdb""#),
            (
                r#""\udc00\ud83d\ude00\ud83d""#,
                r#""\ufffd\ud83d\ude00\ufffd""#,
            ),
            (r#""\\ud800 \n\u00e9 ü""#, r#""\\ud800 \n\u00e9 ü""#),
            (r#""\\\ud800""#, r#""\\\ufffd""#),
        ] {
            assert_eq!(replace_lone_surrogates(given.to_owned()), mended);
            serde_json::from_str::<Value>(mended).expect("it is JSON now");
        }
    }
}
