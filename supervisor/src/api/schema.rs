//! JSON Schemas as clients like them: plain, self-contained, no `$ref`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::{Map, Value};

/// The schema of arguments: a field that may be absent is not required.
pub fn of_arguments<T: JsonSchema>() -> Map<String, Value> {
    plain::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of a result: every field is there, absent ones as null.
pub fn of_result<T: JsonSchema>() -> Map<String, Value> {
    plain::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// The schema of both results of run_js: the id alone, or everything. One object with one required
/// property says so, and unlike a choice of two it is understood by every client.
pub fn of_run_result<T: JsonSchema>() -> Map<String, Value> {
    let mut shape = of_result::<T>();
    let required = Value::from(["execution_id"].as_slice());
    shape.insert("required".to_owned(), required);
    shape
}

/// Takes a parameter out of a schema. None that is required is ever taken out.
pub fn remove(schema: &mut Map<String, Value>, parameter: &str) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties {
        properties.shift_remove(parameter);
    }
}

/// Puts a parameter into a schema that need not be given.
pub fn add(schema: &mut Map<String, Value>, parameter: &str, property: Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties {
        properties.insert(parameter.to_owned(), property);
    }
}

/// The schema of `T`, an object, with everything in place.
///
/// Formats are left out: `uint64` means nothing outside of Rust, and validators that do not know a
/// format complain or refuse. So are defaults of null: absent is absent.
fn plain<T: JsonSchema>(mut settings: SchemaSettings) -> Map<String, Value> {
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(simplify).transform(&mut schema);
    for noise in ["$schema", "title", "description"] {
        schema.remove(noise);
    }
    match schema.to_value() {
        Value::Object(object) => object,
        // `true`: anything goes. No shape of ours is that.
        _ => Map::new(),
    }
}

fn simplify(schema: &mut schemars::Schema) {
    schema.remove("format");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // The line breaks are those of our source.
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// The schema of a text that is one of `names`, or null where `nullable`.
pub(super) fn one_of<'a>(names: impl Iterator<Item = &'a str>, nullable: bool) -> schemars::Schema {
    let mut values: Vec<Value> = names.map(Value::from).collect();
    if nullable {
        values.push(Value::Null);
        schemars::json_schema!({ "type": ["string", "null"], "enum": values })
    } else {
        schemars::json_schema!({ "type": "string", "enum": values })
    }
}
