//! Writes a tree as YAML: block style, two spaces, quotes only where they are needed.

use super::params::looks_like_a_number;
use super::tree::{Node, Value, is_nothing};

/// The tree as a text that [`super::tree::read`] reads as the same tree.
pub(super) fn text(node: &Node) -> String {
    let mut text = String::new();
    block(node, 0, &mut text);
    text
}

/// A single value, as it stands behind its name.
pub(super) fn scalar(text: &str, quoted: bool) -> String {
    if !quoted || is_plain(text) { text.to_owned() } else { in_quotes(text) }
}

fn block(node: &Node, depth: usize, to: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::List(nodes) if !nodes.is_empty() => {
            for node in nodes {
                to.push_str(&indent);
                to.push('-');
                item(node, depth, to);
            }
        }
        Value::Fields(fields) if !fields.is_empty() => {
            for (key, node) in fields {
                to.push_str(&format!("{indent}{}:", scalar(&key.text, true)));
                value(node, depth, to);
            }
        }
        _ => to.push_str(&format!("{indent}{}\n", inline(node))),
    }
}

/// What follows a dash: the first field of a mapping stands on its line.
fn item(node: &Node, depth: usize, to: &mut String) {
    let nested = match &node.value {
        Value::List(nodes) => !nodes.is_empty(),
        Value::Fields(fields) => !fields.is_empty(),
        Value::Scalar { .. } => false,
    };
    if !nested {
        to.push_str(&format!(" {}\n", inline(node)));
        return;
    }
    let mut inner = String::new();
    block(node, depth + 1, &mut inner);
    to.push(' ');
    to.push_str(inner.trim_start_matches(' '));
}

/// What follows a name and its colon.
fn value(node: &Node, depth: usize, to: &mut String) {
    match &node.value {
        Value::List(nodes) if !nodes.is_empty() => {
            to.push('\n');
            block(node, depth + 1, to);
        }
        Value::Fields(fields) if !fields.is_empty() => {
            to.push('\n');
            block(node, depth + 1, to);
        }
        _ => to.push_str(&format!(" {}\n", inline(node))),
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, quoted } => scalar(text, *quoted),
        Value::List(_) => "[]".to_owned(),
        Value::Fields(_) => "{}".to_owned(),
    }
}

/// The text can stand without quotes, and still is a text.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.len() <= 200
        && text.chars().all(|char| char.is_ascii_alphanumeric() || " _./*?,+-@:=()$;".contains(char))
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && !is_nothing(text)
        && !words.contains(&&*text.to_ascii_lowercase())
        && !looks_like_a_number(text)
        && serde_json::from_str::<serde_json::Number>(text).is_err()
}

/// As JSON writes it; what YAML calls not printable is escaped too.
fn in_quotes(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is JSON");
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                shown.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            _ => shown.push(char),
        }
    }
    shown
}
