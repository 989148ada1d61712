//! YAML as a tree whose nodes know where they stand. Bounded whatever the text: an alias costs what it stands for.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::fault::{Fault, Place, shortened};

/// The most bytes of a file.
pub(in crate::cli) const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;
/// The most nodes of a file, with what its aliases stand for.
const MAX_NODES: usize = 2_000_000;
/// The most bytes of its texts, with what its aliases stand for.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// A value and where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::cli) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    /// A text; one that was not quoted may mean a number, a truth value or nothing.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Fields(Vec<(Key, Node)>),
}

/// A name in front of a value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) text: String,
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { at: Place::NOWHERE, value: Value::Scalar { text: text.into(), quoted: true } }
    }

    /// A number, a truth value or nothing.
    pub(super) fn plain(text: impl ToString) -> Self {
        Self { at: Place::NOWHERE, value: Value::Scalar { text: text.to_string(), quoted: false } }
    }

    pub(super) fn list(nodes: Vec<Self>) -> Self {
        Self { at: Place::NOWHERE, value: Value::List(nodes) }
    }

    pub(super) fn fields(fields: Vec<(&str, Self)>) -> Self {
        let key = |text: &str| Key { at: Place::NOWHERE, text: text.to_owned() };
        let fields = fields.into_iter().map(|(name, node)| (key(name), node)).collect();
        Self { at: Place::NOWHERE, value: Value::Fields(fields) }
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { text, quoted: false } if is_nothing(text) => "empty",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Fields(_) => "a mapping",
        }
    }

    fn size(&self) -> (usize, usize) {
        let sum = |(nodes, bytes): (usize, usize), (more, longer)| (nodes + more, bytes + longer);
        match &self.value {
            Value::Scalar { text, .. } => (1, text.len()),
            Value::List(nodes) => nodes.iter().map(Self::size).fold((1, 0), sum),
            Value::Fields(fields) => {
                let sizes = fields.iter().map(|(key, node)| sum(node.size(), (1, key.text.len())));
                sizes.fold((1, 0), sum)
            }
        }
    }
}

/// What an unquoted text says if it says nothing.
pub(super) fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Reads the one document of a text.
///
/// # Errors
/// The first thing that is no YAML, or more than the bounds allow.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    let mut builder = Builder::default();
    let mut documents = 0;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| no_yaml(text, &error))?;
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                return Err(Fault::at(place(&span), "is a second document")
                    .remedy("put every job under the `jobs` of one document, or into a file of its own"));
            }
        }
        builder.take(event, &span)?;
    }
    builder
        .root
        .ok_or_else(|| Fault::at(Place { line: 1, column: 1 }, "is empty").remedy(super::VERSION_REMEDY))
}

fn no_yaml(text: &str, error: &granit_parser::ScanError) -> Fault {
    let at = Place { line: error.marker().line().max(1), column: error.marker().col() + 1 };
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let remedy = if indent.contains('\t') {
        "indent by spaces: YAML allows no tab there"
    } else {
        "look at this place and the line above: indentation, quotes, a colon within a text"
    };
    Fault::at(at, format!("is not YAML: {}", shortened(error.info().trim(), 120))).remedy(remedy)
}

fn place(span: &Span) -> Place {
    place_of(span.start)
}

fn place_of(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// Makes the tree of events.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    bytes: usize,
    root: Option<Node>,
}

/// A list or mapping whose end has not come.
struct Open {
    at: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Fields { fields: Vec<(Key, Node)>, seen: HashSet<String>, key: Option<Key>, merged: Vec<Node> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        let at = place(span);
        if let Some(tag) = event.tag() {
            let at = span.tag_start().map_or(at, place_of);
            let tag = shortened(&tag.to_string(), 40);
            return Err(Fault::at(at, format!("has the tag {tag}")).remedy("remove it: tags are not read"));
        }
        match event {
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| {
                    Fault::at(at, "is an alias of what it stands in").remedy("write the value itself")
                })?;
                self.spend(node.size(), at)?;
                self.place(node)
            }
            Event::Scalar(text, style, anchor, _) => {
                self.spend((1, text.len()), at)?;
                let quoted = style != ScalarStyle::Plain;
                let node = Node { at, value: Value::Scalar { text: text.into_owned(), quoted } };
                self.finish(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                let (fields, seen, merged) = (Vec::new(), HashSet::new(), Vec::new());
                self.begin(at, anchor, Content::Fields { fields, seen, key: None, merged })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, content }) = self.open.pop() else { return Ok(()) };
                let value = match content {
                    Content::List(nodes) => Value::List(nodes),
                    Content::Fields { fields, seen, merged, .. } => {
                        Value::Fields(merge(fields, seen, merged)?)
                    }
                };
                self.finish(Node { at, value }, anchor)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, anchor: usize, content: Content) -> Result<(), Fault> {
        self.spend((1, 0), at)?;
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor > 0 {
            self.spend(node.size(), node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node)
    }

    /// Puts a whole node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(nodes)) => nodes.push(node),
            Some(Content::Fields { fields, seen, key, merged }) => match key.take() {
                None => *key = Some(as_key(node, seen)?),
                Some(at) if at.text == "<<" => merged.push(node),
                Some(at) => fields.push((at, node)),
            },
        }
        Ok(())
    }

    fn spend(&mut self, (nodes, bytes): (usize, usize), at: Place) -> Result<(), Fault> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > MAX_TEXT_BYTES {
            let message = format!(
                "is more than a file may hold with its aliases written out: {MAX_NODES} values or {} MiB",
                MAX_TEXT_BYTES >> 20
            );
            return Err(Fault::at(at, message).remedy("use fewer aliases of large values, or several files"));
        }
        Ok(())
    }
}

fn as_key(node: Node, seen: &mut HashSet<String>) -> Result<Key, Fault> {
    let Value::Scalar { text, .. } = node.value else {
        return Err(Fault::at(node.at, format!("is {} where a name belongs", node.kind()))
            .remedy("quote a text that begins with a bracket or brace"));
    };
    if !seen.insert(text.clone()) {
        return Err(Fault::at(node.at, format!("{:?} stands twice in this mapping", shortened(&text, 60)))
            .remedy("keep one of them"));
    }
    Ok(Key { at: node.at, text })
}

/// Adds what `<<` names, where nothing of that name stands.
fn merge(
    mut fields: Vec<(Key, Node)>,
    mut seen: HashSet<String>,
    merged: Vec<Node>,
) -> Result<Vec<(Key, Node)>, Fault> {
    let mut sources = Vec::new();
    for node in merged {
        match node.value {
            Value::List(nodes) => sources.extend(nodes),
            _ => sources.push(node),
        }
    }
    for node in sources {
        let Value::Fields(given) = node.value else {
            return Err(Fault::at(node.at, format!("is {}, and `<<` merges mappings", node.kind()))
                .remedy("give an alias of a mapping"));
        };
        fields.extend(given.into_iter().filter(|(key, _)| seen.insert(key.text.clone())));
    }
    Ok(fields)
}
