//! Parameters in YAML: JSON as YAML if that loses nothing, else the text or bytes as they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastjob_core::protocol::v1;

use super::fault::{Fault, shortened};
use super::fields::Fields;
use super::tree::{self, Node, Value, is_nothing};
use super::write::text as as_text;

/// The fields of a job that give parameters.
const FIELDS: [&str; 4] = ["params", "params_json", "params_text", "params_base64"];

/// Reads the parameters of a job.
pub(super) fn read(of: &mut Fields<'_>) -> Option<v1::Payload> {
    let mut given = FIELDS.iter().filter(|name| of.has(name));
    let name = *given.next()?;
    if let Some(second) = given.next() {
        let second = *second;
        of.note(second, format!("stands beside `{name}`"), "keep one of them");
    }
    let (encoding, data) = match name {
        "params" => {
            let read = json(of.get(name)?).map(String::into_bytes);
            (v1::Encoding::Json, read.map_err(|fault| of.note_fault(name, fault)).ok()?)
        }
        "params_json" => {
            let text = of.text(name)?;
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                of.note(name, format!("is not JSON: {error}"), "give JSON, or use `params` or `params_text`");
            }
            (v1::Encoding::Json, text.into_bytes())
        }
        "params_text" => (v1::Encoding::Text, of.text(name)?.into_bytes()),
        _ => match STANDARD.decode(of.text(name)?) {
            Ok(bytes) => (v1::Encoding::Binary, bytes),
            Err(error) => {
                of.note(name, format!("is not base64: {error}"), "give base64 with its padding");
                return None;
            }
        },
    };
    Some(v1::Payload { encoding: encoding.into(), data: data.into() })
}

/// The field's name, and what stands in it; nothing for no parameters.
pub(super) fn write(given: &v1::Payload) -> (&'static str, Option<Node>) {
    if given.data.is_empty() && given.encoding() == v1::Encoding::Json {
        return ("params", None);
    }
    let text = std::str::from_utf8(&given.data);
    match (given.encoding(), text) {
        (v1::Encoding::Json, Ok(text)) => match as_yaml(text) {
            Some(node) => ("params", Some(node)),
            None => ("params_json", Some(Node::text(text))),
        },
        (v1::Encoding::Text, Ok(text)) => ("params_text", Some(Node::text(text))),
        _ => ("params_base64", Some(Node::text(STANDARD.encode(&given.data)))),
    }
}

/// JSON as YAML, if reading that gives the same text again. JSON is YAML, but for its spaces and escapes.
fn as_yaml(text: &str) -> Option<Node> {
    let node = tree::read(text).ok().filter(|node| json(node).is_ok_and(|again| again == text))?;
    let shown = as_text(&Node::fields(vec![("params", node.clone())]));
    let Value::Fields(fields) = tree::read(&shown).ok()?.value else { return None };
    let (_, read) = fields.first()?;
    // `params: null` would mean none.
    let nothing = matches!(&node.value, Value::Scalar { text, quoted: false } if is_nothing(text));
    (!nothing && json(read).is_ok_and(|again| again == text)).then_some(node)
}

/// A tree as compact JSON, its fields in their order.
fn json(node: &Node) -> Result<String, Fault> {
    let mut text = String::new();
    append(node, &mut text)?;
    Ok(text)
}

fn append(node: &Node, to: &mut String) -> Result<(), Fault> {
    match &node.value {
        Value::Scalar { text, quoted: true } => to.push_str(&quoted(text)),
        Value::Scalar { text, quoted: false } => to.push_str(&plain(text).map_err(|why| {
            Fault::at(node.at, format!("has {:?}, {why}", shortened(text, 40)))
                .remedy("quote it if it is a text")
        })?),
        Value::List(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                to.push(if index == 0 { '[' } else { ',' });
                append(node, to)?;
            }
            to.push_str(if nodes.is_empty() { "[]" } else { "]" });
        }
        Value::Fields(fields) => {
            for (index, (key, node)) in fields.iter().enumerate() {
                to.push(if index == 0 { '{' } else { ',' });
                to.push_str(&quoted(&key.text));
                to.push(':');
                append(node, to)?;
            }
            to.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// What an unquoted text means.
fn plain(text: &str) -> Result<String, &'static str> {
    match text {
        _ if is_nothing(text) => Ok("null".to_owned()),
        "true" | "True" | "TRUE" => Ok("true".to_owned()),
        "false" | "False" | "FALSE" => Ok("false".to_owned()),
        _ if serde_json::from_str::<serde_json::Number>(text).is_ok() => Ok(text.to_owned()),
        _ if looks_like_a_number(text) => Err("which is a number in YAML, but not in JSON"),
        _ => Ok(quoted(text)),
    }
}

/// Numbers of YAML that JSON writes otherwise, or cannot hold.
pub(super) fn looks_like_a_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = body.to_ascii_lowercase();
    if matches!(&*lower, ".inf" | ".nan") || lower.starts_with("0x") || lower.starts_with("0o") {
        return true;
    }
    body.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && body.chars().all(|char| char.is_ascii_digit() || ".eE+-_".contains(char))
        && body.replace('_', "").parse::<f64>().is_ok()
}
