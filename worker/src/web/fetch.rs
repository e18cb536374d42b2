//! The host functions of `js/fetch.js`: what a script says to its supervisor about its requests, and
//! what it hears.
//!
//! Whether a script may make requests at all is looked up here at each call: a heap may hold a `fetch`
//! from an execution that was allowed to.

use deno_core::v8;
use mcp_v8_protocol::fetch::{
    CallStep, ExchangeId, FetchCall, FetchReply, Header, Redirect, ReplyStep, Request, RequestBody,
    Response,
};
use mcp_v8_protocol::limits::{
    BODY_CHUNK_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, URL_BYTES_MAX,
};

use crate::runtime::State;
use crate::web::op::{Op, bytes_of, throw_type_error, uint8_array};

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_fetch_open", open.map_fn_to()),
        ("op_fetch_send", send.map_fn_to()),
        ("op_fetch_send_end", send_end.map_fn_to()),
        ("op_fetch_pull", pull.map_fn_to()),
        ("op_fetch_abort", abort.map_fn_to()),
    ]
}

/// Why a request is not made.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("fetch is not allowed here")]
    NotGranted,
    #[error("{what} of the request has {size} {unit}, and at most {limit} are allowed")]
    TooLarge {
        what: &'static str,
        size: usize,
        unit: &'static str,
        limit: usize,
    },
    #[error("The request was made with wrong types")]
    WrongCall,
}

fn say(state: &State, exchange: ExchangeId, step: CallStep) {
    if let Some(host) = state.host.borrow_mut().as_mut() {
        host.fetch(FetchCall { exchange, step });
    }
}

fn exchange_of(
    scope: &v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
) -> ExchangeId {
    args.get(0).uint32_value(scope).unwrap_or(ExchangeId::MAX)
}

/// `op_fetch_open(method, url, headers, redirect, body)`: the number of the new exchange, or null when
/// another must end first. `headers` are names and values in turn. `body` is null, the bytes of all of
/// it, or the length of what follows, which is below 0 if it is not known.
fn open(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let request = if state.grants.get().fetch {
        request_of(scope, &args)
    } else {
        Err(Refusal::NotGranted)
    };
    match request {
        Ok(request) => {
            let begun = state.exchanges.borrow_mut().begin(&request.body);
            match begun {
                Some(id) => {
                    say(&state, id, CallStep::Open(request));
                    returned.set_uint32(id);
                }
                None => returned.set_null(),
            }
        }
        Err(refusal) => throw_type_error(scope, &refusal.to_string()),
    }
}

fn request_of(
    scope: &mut v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
) -> Result<Request, Refusal> {
    let method = args.get(0).to_rust_string_lossy(scope);
    at_most("The method", method.len(), "bytes", METHOD_BYTES_MAX)?;
    let url = args.get(1).to_rust_string_lossy(scope);
    at_most("The URL", url.len(), "bytes", URL_BYTES_MAX)?;
    let headers = headers_of(scope, args.get(2)).ok_or(Refusal::WrongCall)?;
    let lengths = headers.iter().map(|it| it.name.len() + it.value.len());
    let bytes = lengths.sum();
    at_most("The list of headers", headers.len(), "lines", HEADERS_MAX)?;
    at_most("The list of headers", bytes, "bytes", HEADERS_BYTES_MAX)?;
    let redirect = match args.get(3).to_rust_string_lossy(scope).as_str() {
        "follow" => Redirect::Follow,
        "manual" => Redirect::Manual,
        "error" => Redirect::Error,
        _ => return Err(Refusal::WrongCall),
    };
    Ok(Request {
        method,
        url,
        headers,
        redirect,
        body: body_of(scope, args.get(4))?,
    })
}

fn at_most(
    what: &'static str,
    size: usize,
    unit: &'static str,
    limit: usize,
) -> Result<(), Refusal> {
    if size > limit {
        return Err(Refusal::TooLarge {
            what,
            size,
            unit,
            limit,
        });
    }
    Ok(())
}

fn headers_of(
    scope: &mut v8::PinScope<'_, '_>,
    list: v8::Local<'_, v8::Value>,
) -> Option<Vec<Header>> {
    let list = v8::Local::<v8::Array>::try_from(list).ok()?;
    let mut headers = Vec::new();
    for index in (0..list.length()).step_by(2) {
        let name = list.get_index(scope, index)?.to_rust_string_lossy(scope);
        let value = list.get_index(scope, index + 1)?;
        let value = byte_string(scope, value)?;
        headers.push(Header { name, value });
    }
    Some(headers)
}

/// The bytes of a string of characters below 256.
fn byte_string(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
) -> Option<Vec<u8>> {
    let text = v8::Local::<v8::String>::try_from(value).ok()?;
    let mut bytes = vec![0; text.length()];
    text.write_one_byte_v2(scope, 0, &mut bytes, v8::WriteFlags::empty());
    Some(bytes)
}

fn body_of(
    scope: &mut v8::PinScope<'_, '_>,
    body: v8::Local<'_, v8::Value>,
) -> Result<RequestBody, Refusal> {
    if body.is_null() {
        return Ok(RequestBody::None);
    }
    if let Some(bytes) = bytes_of_view(body) {
        at_most("The body", bytes.len(), "bytes", BODY_CHUNK_BYTES_MAX)?;
        return Ok(RequestBody::Whole(bytes));
    }
    let length = body.integer_value(scope).ok_or(Refusal::WrongCall)?;
    let length = u64::try_from(length).ok();
    Ok(RequestBody::Stream { length })
}

fn bytes_of_view(value: v8::Local<'_, v8::Value>) -> Option<Vec<u8>> {
    if value.is_array_buffer_view() {
        bytes_of(value)
    } else {
        None
    }
}

/// `op_fetch_send(id, bytes)`: a piece of the request's body, after the supervisor has asked for one.
fn send(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let id = exchange_of(scope, &args);
    let Some(bytes) = bytes_of_view(args.get(1)) else {
        return throw_type_error(scope, &Refusal::WrongCall.to_string());
    };
    let is_piece = (1..=BODY_CHUNK_BYTES_MAX).contains(&bytes.len());
    if is_piece && state.exchanges.borrow().is_open(id) {
        say(&state, id, CallStep::Send(bytes));
    }
}

/// `op_fetch_send_end(id)`: the request's body has ended.
fn send_end(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let id = exchange_of(scope, &args);
    if state.exchanges.borrow().is_open(id) {
        say(&state, id, CallStep::SendEnd);
    }
}

/// `op_fetch_pull(id)`: there is room for a piece of the response.
fn pull(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let id = exchange_of(scope, &args);
    if state.exchanges.borrow_mut().pull(id) {
        say(&state, id, CallStep::Pull);
    }
}

/// `op_fetch_abort(id)`: nobody waits any more.
fn abort(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let id = exchange_of(scope, &args);
    if state.exchanges.borrow_mut().abort(id) {
        say(&state, id, CallStep::Abort);
    }
}

/// Hands a reply to the script's side: `take_reply(id, step, ...)`. `None` when that threw.
pub(crate) fn deliver(
    scope: &mut v8::PinScope<'_, '_>,
    take_reply: v8::Local<'_, v8::Function>,
    FetchReply { exchange, step }: &FetchReply,
) -> Option<()> {
    let mut arguments: Vec<v8::Local<'_, v8::Value>> =
        vec![v8::Integer::new_from_unsigned(scope, *exchange).into()];
    match step {
        ReplyStep::More => arguments.push(text(scope, "more")?),
        ReplyStep::Again => arguments.push(text(scope, "again")?),
        ReplyStep::End => arguments.push(text(scope, "end")?),
        ReplyStep::Failed(why) => {
            arguments.extend([text(scope, "failed")?, text(scope, why)?]);
        }
        ReplyStep::Data(bytes) => {
            let bytes = uint8_array(scope, bytes)?.into();
            arguments.extend([text(scope, "data")?, bytes]);
        }
        ReplyStep::Opened(response) => {
            arguments.push(text(scope, "opened")?);
            arguments.extend(head(scope, response)?);
        }
    }
    let undefined = v8::undefined(scope).into();
    take_reply.call(scope, undefined, &arguments).map(drop)
}

fn text<'s>(scope: &v8::PinScope<'s, '_>, text: &str) -> Option<v8::Local<'s, v8::Value>> {
    v8::String::new(scope, text).map(Into::into)
}

/// Status, reason, headers (names and values in turn), URL, and whether a redirect was followed.
fn head<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    response: &Response,
) -> Option<[v8::Local<'s, v8::Value>; 5]> {
    let mut lines = Vec::new();
    for Header { name, value } in &response.headers {
        let value = v8::String::new_from_one_byte(scope, value, v8::NewStringType::Normal)?;
        lines.extend([text(scope, name)?, value.into()]);
    }
    Some([
        v8::Integer::new_from_unsigned(scope, response.status.into()).into(),
        text(scope, &response.status_text)?,
        v8::Array::new_with_elements(scope, &lines).into(),
        text(scope, &response.url)?,
        v8::Boolean::new(scope, response.is_redirected).into(),
    ])
}
