//! Arguments of a call, checked against the schema that the client was given.
//!
//! Every fault is named at once, with the parameter, what was given and what is allowed, so that a
//! model can mend its call in one go.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::clip;
use crate::app;

/// A JSON object.
pub type Object = Map<String, Value>;

/// The longest text that is shown back as it was given, in bytes.
const TEXT_SHOWN_BYTES_MAX: usize = 40;

/// The most faults of one call that are named.
const FAULTS_NAMED_MAX: usize = 10;

/// Arguments that do not fit the schema. The text names all that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadArguments {
    tool: &'static str,
    faults: Vec<Fault>,
}

impl fmt::Display for BadArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.tool)?;
        for (index, fault) in self.faults.iter().take(FAULTS_NAMED_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        match self.faults.len().saturating_sub(FAULTS_NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// What is wrong with one argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is required, and not there.
    #[error("the parameter {name} is missing; it is {expected}")]
    Missing {
        /// Which.
        name: String,
        /// What it would be.
        expected: String,
    },
    /// There is none of that name.
    #[error("there is no parameter {name}; valid parameters: {valid}")]
    Unknown {
        /// What was given.
        name: String,
        /// Those that there are.
        valid: String,
    },
    /// Servers with state have it.
    #[error("{0}")]
    Absent(app::Error),
    /// It is not what it has to be.
    #[error("{name} is {given}, but must be {expected}")]
    Unfit {
        /// Which.
        name: String,
        /// What was given, in words.
        given: String,
        /// What would fit.
        expected: String,
    },
    /// It stands in a URL twice.
    #[error("{name} is given more than once")]
    Repeated {
        /// Which.
        name: String,
    },
    /// It stands in a URL, and cannot be read.
    #[error("{name} is not percent-encoded UTF-8")]
    Garbled {
        /// Which, or what kind.
        name: String,
    },
    /// The checks above let something pass.
    #[error("the arguments do not fit: {0}")]
    Undecodable(String),
}

/// Checks `arguments` against `schema`, then reads them. `absent` are parameters that only servers
/// with state have, and this one does not.
///
/// # Errors
/// [`BadArguments`], with every fault.
pub fn read<T: DeserializeOwned>(
    tool: &'static str,
    schema: &Object,
    absent: &[&'static str],
    arguments: Option<Object>,
) -> Result<T, BadArguments> {
    let mut arguments = arguments.unwrap_or_default();
    normalise(&mut arguments);
    let faults = check(schema, absent, &arguments);
    decode(tool, arguments, faults)
}

/// Takes out parameters that are null, which count as absent, and makes a number such as `5.0` the
/// integer that it is.
pub fn normalise(arguments: &mut Object) {
    arguments.retain(|_, value| !value.is_null());
    for value in arguments.values_mut() {
        if let Some(whole) = whole_number(value) {
            *value = whole;
        }
    }
}

/// Reads arguments in which no fault was found.
///
/// # Errors
/// [`BadArguments`], with these faults.
pub fn decode<T: DeserializeOwned>(
    tool: &'static str,
    arguments: Object,
    faults: Vec<Fault>,
) -> Result<T, BadArguments> {
    if !faults.is_empty() {
        return Err(BadArguments { tool, faults });
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|error| BadArguments {
        tool,
        faults: vec![Fault::Undecodable(error.to_string())],
    })
}

/// Every fault of these arguments, held against the schema.
pub fn check(schema: &Object, absent: &[&'static str], arguments: &Object) -> Vec<Fault> {
    let none = Object::new();
    let properties = match schema.get("properties") {
        Some(Value::Object(properties)) => properties,
        _ => &none,
    };
    let required = schema.get("required").and_then(Value::as_array);
    let missing = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !arguments.contains_key(*name))
        .map(|name| Fault::Missing {
            name: name.to_owned(),
            expected: properties.get(name).map(expectation).unwrap_or_default(),
        });
    let valid = || match properties.keys().map(String::as_str).collect::<Vec<_>>() {
        none if none.is_empty() => "none".to_owned(),
        names => names.join(", "),
    };
    let given = arguments.iter().flat_map(|(name, value)| {
        let missed = absent.iter().find(|absent| *absent == name);
        match (properties.get(name), missed) {
            (Some(property), _) => unfit(name, property, value),
            (None, Some(what)) => vec![Fault::Absent(app::Error::Stateless { what })],
            (None, None) => vec![Fault::Unknown {
                name: clip(name).into_owned(),
                valid: valid(),
            }],
        }
    });
    missing.chain(given).collect()
}

/// What does not fit in a parameter: the whole, or values in it.
fn unfit(name: &str, property: &Value, value: &Value) -> Vec<Fault> {
    if !fits(property, value) {
        return vec![Fault::Unfit {
            name: name.to_owned(),
            given: describe(value),
            expected: expectation(property),
        }];
    }
    match (value.as_object(), property.get("additionalProperties")) {
        (Some(values), Some(property)) => values
            .iter()
            .flat_map(|(key, value)| unfit(&format!("{name}.{}", clip(key)), property, value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is what a property's schema asks for, in those words of JSON Schema that the
/// parameters use. Lengths count characters.
fn fits(property: &Value, value: &Value) -> bool {
    let bound = |word: &str| property.get(word).and_then(Value::as_u64);
    if let Some(allowed) = property.get("enum").and_then(Value::as_array) {
        return allowed.contains(value);
    }
    match property.get("type").and_then(Value::as_str) {
        Some("integer") => value.as_u64().is_some_and(|number| {
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
        }),
        Some("string") => value.as_str().is_some_and(|text| {
            let least = bound("minLength").unwrap_or(0);
            let most = bound("maxLength").unwrap_or(u64::MAX);
            // Bytes bound characters from above: long texts are counted only when it matters.
            let bytes = text.len() as u64;
            let chars = || text.chars().count() as u64;
            (bytes <= most || chars() <= most) && (least <= 1 || chars() >= least) && bytes >= least
        }),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.as_object().is_some_and(|object| {
            bound("maxProperties").is_none_or(|most| object.len() as u64 <= most)
        }),
        _ => true,
    }
}

/// What a property's schema asks for, in words.
fn expectation(property: &Value) -> String {
    let bound = |word: &str| property.get(word).and_then(Value::as_u64);
    if let Some(allowed) = property.get("enum").and_then(Value::as_array) {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", names.join(", "));
    }
    let kind = property.get("type").and_then(Value::as_str);
    let (name, range) = match kind {
        Some("integer") => ("an integer", (bound("minimum"), bound("maximum"))),
        Some("string") => ("a string", (bound("minLength"), bound("maxLength"))),
        Some("boolean") => ("true or false", (None, None)),
        Some("object") => ("an object", (None, bound("maxProperties"))),
        _ => ("a value", (None, None)),
    };
    let unit = match kind {
        Some("string") => " characters",
        Some("object") => " values",
        _ => "",
    };
    match range {
        (Some(least), Some(most)) => format!("{name} of {least} to {most}{unit}"),
        (Some(least), None) => format!("{name} of {least}{unit} or more"),
        (None, Some(most)) => format!("{name} of at most {most}{unit}"),
        (None, None) => name.to_owned(),
    }
}

/// What was given, in words, so short that no code ends up in an error.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) if text.len() > TEXT_SHOWN_BYTES_MAX => {
            format!("a string of {} characters", text.chars().count())
        }
        Value::String(text) => format!("the string {}", Value::from(text.as_str())),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(object) if object.len() > 1 => {
            format!("an object of {} values", object.len())
        }
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The integer that a number in float form stands for.
fn whole_number(value: &Value) -> Option<Value> {
    /// 2^53: up to here every integer has a float of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|_| value.is_f64())?;
    let whole = number.fract() == 0.0 && (0.0..EXACT_MAX).contains(&number);
    // In range and whole, as was just checked.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    whole.then(|| Value::from(number as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{self, ListArguments, OutputArguments, RunArguments};

    fn run(arguments: Value) -> Result<RunArguments, String> {
        let Value::Object(arguments) = arguments else {
            panic!("not an object");
        };
        let schema = api::schema::of_arguments::<RunArguments>();
        read("run_js", &schema, &[], Some(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn good_arguments_are_read() {
        let arguments = run(json!({"code": "1", "wait_ms": 5.0, "heap_memory_max_mb": null}));
        assert_eq!(
            arguments,
            Ok(RunArguments {
                code: "1".to_owned(),
                heap_memory_max_mb: None,
                execution_timeout_secs: None,
                wait_ms: 5,
                heap: None,
                session: None,
                tags: api::TagMap::new(),
            })
        );
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let error = run(json!({
            "heap_memory_max_mb": "8", "execution_timeout_secs": 301, "wait": 5, "wait_ms": -1,
        }))
        .unwrap_err();
        for part in [
            "run_js: the parameter code is missing; it is a string of 1 to 1048576 characters",
            "heap_memory_max_mb is the string \"8\", but must be an integer of 4 to 64",
            "execution_timeout_secs is 301, but must be an integer of 1 to 300",
            "wait_ms is -1, but must be an integer of 0 to 50000",
            "there is no parameter wait; valid parameters: code, heap_memory_max_mb, \
             execution_timeout_secs, wait_ms, heap, session, tags",
        ] {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }

    #[test]
    fn bounds_are_exact() {
        for (name, least, most) in [
            ("heap_memory_max_mb", 4, 64),
            ("execution_timeout_secs", 1, 300),
            ("wait_ms", 0, 50_000),
        ] {
            for (value, good) in [
                (least, true),
                (most, true),
                (least - 1, false),
                (most + 1, false),
            ] {
                let result = run(json!({"code": "1", name: value}));
                assert_eq!(result.is_ok(), good, "{name}: {value}: {result:?}");
            }
        }
        assert!(
            run(json!({"code": ""}))
                .unwrap_err()
                .contains("code is an empty string")
        );
        assert!(run(json!({"code": "x".repeat(1 << 20)})).is_ok());
        let long = run(json!({"code": "x".repeat((1 << 20) + 1)})).unwrap_err();
        assert!(
            long.contains("code is a string of 1048577 characters"),
            "{long}"
        );
    }

    #[test]
    fn wrong_types_are_named_without_their_content() {
        for (given, named) in [
            (json!(5), "code is 5, but must be a string"),
            (json!(["secret"]), "code is an array"),
            (json!({"secret": 1}), "code is an object"),
            (json!(true), "code is true"),
        ] {
            let error = run(json!({"code": given})).unwrap_err();
            assert!(
                error.contains(named) && !error.contains("secret"),
                "{error}"
            );
        }
        let error = run(json!({"code": "1", "wait_ms": 1.5})).unwrap_err();
        assert!(
            error.contains("wait_ms is 1.5, but must be an integer"),
            "{error}"
        );
    }

    #[test]
    fn an_enumeration_names_its_words() {
        let schema = api::schema::of_arguments::<ListArguments>();
        let arguments = json!({"status": "done"}).as_object().cloned();
        let error = read::<ListArguments>("list_executions", &schema, &[], arguments).unwrap_err();
        assert!(
            error.to_string().contains(
                "status is the string \"done\", but must be one of queued, running, completed, \
                 failed, cancelled, timed_out"
            ),
            "{error}"
        );
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        let schema = api::schema::of_arguments::<ListArguments>();
        assert!(read::<ListArguments>("list_executions", &schema, &[], None).is_ok());
        let schema = api::schema::of_arguments::<OutputArguments>();
        let error =
            read::<OutputArguments>("get_execution_output", &schema, &[], None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the parameter execution_id is missing")
        );
    }
}
