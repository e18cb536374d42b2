//! The trace that a caller has begun (W3C Trace Context), and that what it asks for is a part of.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header, and the key in MCP's `_meta`, that names a caller's span.
const TRACEPARENT: &str = "traceparent";

/// The one that goes with it, of what vendors add.
const TRACESTATE: &str = "tracestate";

/// The longest of either that is read, in bytes. The standard asks for 512 at least.
const TEXT_BYTES_MAX: usize = 512;

/// A span that others hang below: one of a caller, or one of this server that their request began.
#[derive(Debug, Clone)]
pub struct TraceParent(Context);

impl TraceParent {
    /// What a caller said; `None` where that is nothing, or not what the standard says. `said` finds the
    /// text of a name.
    pub fn read<'a>(said: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        if !said(TRACEPARENT).is_some_and(has_form) {
            return None;
        }
        let mut carrier = HashMap::new();
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(text) = said(name).filter(|text| text.len() <= TEXT_BYTES_MAX) {
                carrier.insert(name.to_owned(), text.to_owned());
            }
        }
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        let is_valid = context.span().span_context().is_valid();
        is_valid.then_some(Self(context))
    }

    /// A span of this server; `None` where nobody traces.
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let is_valid = context.span().span_context().is_valid();
        is_valid.then_some(Self(context))
    }

    /// Hangs a span below this one.
    pub fn adopt(self, span: &Span) {
        // Refused only where nobody traces.
        let _untraced = span.set_parent(self.0);
    }
}

/// Whether a text has the lengths and letters that the standard asks for; the library takes shorter ids
/// too. What they are is for it to judge.
fn has_form(text: &str) -> bool {
    let is_hex = |part: &str, length| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == length && part.bytes().all(is_digit)
    };
    let mut parts = text.splitn(5, '-');
    let mut next_is = |length| parts.next().is_some_and(|part| is_hex(part, length));
    next_is(2) && next_is(32) && next_is(16) && next_is(2)
}

/// The id of the trace that a span is a part of, as others write it; `None` where nobody traces.
pub fn trace_id(span: &Span) -> Option<String> {
    let TraceParent(context) = TraceParent::of(span)?;
    let id = context.span().span_context().trace_id();
    Some(id.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(traceparent: &str) -> Option<String> {
        let said = |name| (name == TRACEPARENT).then_some(traceparent);
        let TraceParent(context) = TraceParent::read(said)?;
        Some(context.span().span_context().trace_id().to_string())
    }

    #[test]
    fn only_what_the_standard_says_is_a_parent() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            read(good).as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("{good}-{}", "x".repeat(600))), None);
    }

    #[test]
    fn without_traces_no_span_is_a_parent() {
        assert!(TraceParent::of(&Span::none()).is_none());
        assert_eq!(trace_id(&Span::none()), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in ".{0,600}") {
            let _either = read(&text);
        }
    }
}
