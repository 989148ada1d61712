//! The form of the files as a JSON schema, made from the tables that files are read by.

use serde_json::{Map, Value, json};

use super::fields::{Field, Kind};
use super::{FILE, MAX_JOBS};

/// The published schema, as its file holds it.
pub(in crate::cli) fn schema() -> String {
    let mut file = object(FILE, &["fastjob", "jobs"]);
    let of_jobs = file["properties"]["jobs"].take();
    file["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    file["title"] = json!("FastJob jobs");
    file["patternProperties"] = json!({ "^x-": { "description": "Anything: a place for anchors." } });
    file["properties"]["fastjob"] = json!({ "description": "The version of this form.", "const": 1 });
    file["properties"]["jobs"] = json!({
        "description": of_jobs["description"], "type": ["array", "null"], "maxItems": MAX_JOBS,
        "items": { "$ref": "#/$defs/job" },
    });
    let mut job = of_jobs;
    job.as_object_mut().map(|job| job.remove("description"));
    job["required"] = json!(["name", "handler"]);
    let kinds: Vec<Value> =
        super::shape::KINDS.iter().map(|(kind, _)| json!({ "required": [kind] })).collect();
    job["properties"]["trigger"]["oneOf"] = json!(kinds);
    file["$defs"] = json!({ "job": job });
    serde_json::to_string_pretty(&file).expect("it is JSON") + "\n"
}

fn object(table: &[Field], required: &[&str]) -> Value {
    let properties: Map<String, Value> = table.iter().map(|of| (of.name.to_owned(), field(of))).collect();
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn field(field: &Field) -> Value {
    let duration = r"^([0-9]+ ?[A-Za-z]+ ?)+$";
    let mut schema = match &field.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Duration => {
            json!({ "type": "string", "pattern": duration, "examples": ["500ms", "5s", "1h30m"] })
        }
        Kind::Instant => json!({ "type": "string", "format": "date-time" }),
        Kind::Instants => json!({ "oneOf": [
            { "type": "string", "format": "date-time" },
            { "type": "array", "minItems": 1, "maxItems": 1000, "items": { "type": "string", "format": "date-time" } },
        ] }),
        Kind::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Fraction => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "enum": words.all() }),
        Kind::Anything => json!({}),
        Kind::Fields(table) => object(table, &[]),
    };
    schema["description"] = json!(field.about);
    schema
}
