//! Reads the fields of a mapping by the table that also makes the published schema. What is wrong is noted, and reading
//! goes on, so that a file is corrected in one go.

use std::collections::BTreeSet;

use super::fault::{Fault, Place, shortened};
use super::tree::{Key, Node, Value, is_nothing};
use super::words::Words;
use crate::cli::args;

/// A field that a mapping may have.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One line for people.
    pub(super) about: &'static str,
}

/// What stands in a field.
pub(super) enum Kind {
    Text,
    /// `500ms`, `5s`, `1h30m`.
    Duration,
    /// RFC 3339 with an offset.
    Instant,
    Instants,
    Whole {
        least: i64,
        most: i64,
    },
    /// 0 to 1.
    Fraction,
    Flag,
    /// One of these.
    Word(&'static Words),
    /// Whatever JSON can hold.
    Anything,
    Fields(&'static [Field]),
}

/// The mapping that is being read.
pub(super) struct Fields<'a> {
    at: Place,
    /// As `jobs[3].trigger`; empty at the top.
    path: String,
    entries: &'a [(Key, Node)],
    faults: &'a mut Vec<Fault>,
    /// Fields that are to be passed over: they were found wrong before.
    without: &'a BTreeSet<String>,
}

impl<'a> Fields<'a> {
    /// `None`, and noted, if the node is no mapping. Fields that the table does not have are noted.
    pub(super) fn of(
        node: &'a Node,
        path: String,
        table: &[Field],
        faults: &'a mut Vec<Fault>,
        without: &'a BTreeSet<String>,
    ) -> Option<Self> {
        let Value::Fields(entries) = &node.value else {
            let message = format!("is {}, and a mapping belongs here", node.kind());
            let names: Vec<&str> = table.iter().take(4).map(|field| field.name).collect();
            let remedy = format!("write `name: value` lines: {} …", names.join(", "));
            faults.push(Fault::at(node.at, message).of(&path).remedy(remedy));
            return None;
        };
        let fields = Self { at: node.at, path, entries, faults, without };
        for (key, _) in entries {
            let open = key.text.starts_with("x-") && fields.path.is_empty();
            if !open && !table.iter().any(|field| field.name == key.text) {
                let fault = unknown(key, table).of(&fields.within(&key.text));
                fields.faults.push(fault);
            }
        }
        Some(fields)
    }

    /// Where faults are noted.
    pub(super) fn faults(self) -> &'a mut Vec<Fault> {
        self.faults
    }

    pub(super) fn within(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether nothing is said that the table does not know.
    pub(super) fn knows_all(&self, table: &[Field]) -> bool {
        self.entries.iter().all(|(key, _)| table.iter().any(|field| field.name == key.text))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The field's node; none if it says nothing.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.text == name)?;
        let nothing = matches!(&node.value, Value::Scalar { text, quoted: false } if is_nothing(text));
        (!nothing && !self.without.contains(&self.within(name))).then_some(node)
    }

    /// The mapping in a field.
    pub(super) fn inner<'b>(&'b mut self, name: &str, table: &[Field]) -> Option<Fields<'b>>
    where
        'a: 'b,
    {
        let (node, path) = (self.get(name)?, self.within(name));
        Fields::of(node, path, table, self.faults, self.without)
    }

    pub(super) fn note(&mut self, name: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let at = self.entries.iter().find(|(key, _)| key.text == name).map_or(self.at, |(_, node)| node.at);
        let field = if name.is_empty() { self.path.clone() } else { self.within(name) };
        self.faults.push(Fault::at(at, message).of(&field).remedy(remedy));
    }

    pub(super) fn note_fault(&mut self, name: &str, fault: Fault) {
        let field = self.within(name);
        self.faults.push(fault.of(&field));
    }

    /// A text; a number or word is taken as it is written.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match &self.get(name)?.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.wrong(name, "a text");
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Option<String> {
        if self.get(name).is_none() && !self.without.contains(&self.within(name)) {
            self.note(name, "is missing", format!("give `{name}: …`"));
        }
        self.text(name)
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<i64> {
        self.parsed(name, "a duration, as 500ms, 5s or 1h30m", args::duration)
    }

    pub(super) fn instant(&mut self, name: &str) -> Option<i64> {
        self.parsed(name, "an instant, as 2026-01-31T12:00:00Z", args::instant)
    }

    /// One instant, or a list of them.
    pub(super) fn instants(&mut self, name: &str) -> Vec<i64> {
        let nodes = match self.get(name) {
            Some(Node { value: Value::List(nodes), .. }) => nodes.as_slice(),
            Some(node) => std::slice::from_ref(node),
            None => return Vec::new(),
        };
        let mut instants = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let read = match &node.value {
                Value::Scalar { text, .. } => args::instant(text),
                _ => Err(format!("{}: give RFC 3339 with an offset, as 2026-01-31T12:00:00Z", node.kind())),
            };
            match read {
                Ok(instant) => instants.push(instant),
                Err(why) => {
                    let (message, remedy) = split(&why);
                    let field = format!("{}[{index}]", self.within(name));
                    self.faults.push(Fault::at(node.at, format!("is {message}")).of(&field).remedy(remedy));
                }
            }
        }
        instants
    }

    pub(super) fn whole<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, "a whole number", |text| {
            text.parse().map_err(|_| "not a whole number within its bounds: write digits alone".to_owned())
        })
    }

    pub(super) fn fraction(&mut self, name: &str) -> Option<f64> {
        self.parsed(name, "a number from 0 to 1", |text| match text.parse::<f64>() {
            Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
            _ => Err("not a number from 0 to 1: write it as 0.5".to_owned()),
        })
    }

    /// Weekdays and ranges of them, as mon-fri,sun.
    pub(super) fn weekdays(&mut self, name: &str) -> Vec<String> {
        self.parsed(name, "weekdays, as mon-fri,sun", args::weekdays).map(|days| days.0).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "true or false", |text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err("neither true nor false: write one of them".to_owned()),
        })
    }

    /// One of the words that an enumeration of the protocol has.
    pub(super) fn word(&mut self, name: &str, words: &[String]) -> Option<String> {
        let given = self.text(name)?;
        if words.contains(&given) {
            return Some(given);
        }
        let message = format!("is {:?}, which is not known", shortened(&given, 40));
        let near = nearest(&given, words.iter().map(String::as_str));
        let meant = near.map(|word| format!("did you mean {word:?}? ")).unwrap_or_default();
        self.note(name, message, format!("{meant}give one of: {}", words.join(", ")));
        None
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::Scalar { text, .. } = &self.get(name)?.value else {
            self.wrong(name, what);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let (message, remedy) = split(&why);
                let shown = shortened(text, 40);
                self.note(name, format!("is {shown:?}, {message}"), remedy);
                None
            }
        }
    }

    fn wrong(&mut self, name: &str, what: &str) {
        let kind = self.get(name).map_or("empty", Node::kind);
        self.note(name, format!("is {kind}"), format!("give {what}"));
    }
}

/// The part before and the part after the last colon: what is wrong, and what to do.
fn split(why: &str) -> (&str, &str) {
    why.rsplit_once(": ").unwrap_or((why, ""))
}

fn unknown(key: &Key, table: &[Field]) -> Fault {
    let name = shortened(&key.text, 60);
    let near = nearest(&key.text, table.iter().map(|field| field.name));
    let remedy = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => {
            let names: Vec<&str> = table.iter().map(|field| field.name).collect();
            format!("these are known: {}", names.join(", "))
        }
    };
    Fault::at(key.at, format!("{name:?} is not known here")).remedy(remedy)
}

fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > 64 {
        return None;
    }
    let scored = known.map(|word| (strsim::jaro_winkler(given, word), word));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}
