//! Gathers settings from their sources and hands them out by section, typed and bounded, with the place where each
//! stands, so that every complaint can name it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{ConfigError, ConfigErrors};

/// Where a configuration comes from. Later ones win: program, file, environment, flags.
#[derive(Clone, Default, Debug)]
pub struct Sources {
    /// Defaults of the program that is started, as `("database.url", …)`.
    pub program: Vec<(&'static str, String)>,
    /// A TOML file. Relative paths inside it are relative to the working directory.
    pub file: Option<PathBuf>,
    /// The environment's variables; those that are no setting of FastJob's are passed over.
    pub environment: Vec<(String, String)>,
    /// Command-line flags: the key, the value, and the flag's name.
    pub flags: Vec<(&'static str, String, &'static str)>,
}

const SECTIONS: [&str; 6] = ["rpc", "http", "database", "cluster", "defaults", "log"];
/// The largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// All settings that were given, until a section takes them.
pub(super) struct Settings {
    given: BTreeMap<String, Setting>,
    known: BTreeSet<String>,
    errors: Vec<ConfigError>,
}

struct Setting {
    value: Value,
    origin: String,
}

enum Value {
    Text(String),
    Integer(i64),
    Switch(bool),
    /// From the environment or a flag: what it is depends on who asks.
    Word(String),
    /// Anything that no key takes, by its name in TOML.
    Other(&'static str),
}

impl Settings {
    /// Reads every source.
    pub(super) fn gather(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut settings = Self { given: BTreeMap::new(), known: BTreeSet::new(), errors: Vec::new() };
        for (key, value) in &sources.program {
            settings.give(key, Value::Word(value.clone()), String::new());
        }
        if let Some(path) = &sources.file {
            settings.read_file(path)?;
        }
        for (name, value) in &sources.environment {
            settings.read_variable(name, value);
        }
        for (key, value, flag) in &sources.flags {
            settings.give(key, Value::Word(value.clone()), format!("flag {flag}"));
        }
        Ok(settings)
    }

    /// The settings of one section.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_> {
        Section { settings: self, name }
    }

    /// Refuses what no section asked for; and yields all errors there were.
    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        let unknown: Vec<_> = std::mem::take(&mut self.given).into_iter().collect();
        for (field, setting) in unknown {
            let remedy = match nearest(&field, self.known.iter().map(String::as_str)) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("remove it; the sections are {}", SECTIONS.join(", ")),
            };
            let message = "is not a known key".to_owned();
            self.errors.push(ConfigError { field, origin: setting.origin, message, remedy });
        }
        if self.errors.is_empty() { Ok(()) } else { Err(ConfigErrors(self.errors)) }
    }

    fn give(&mut self, key: &str, value: Value, origin: String) {
        self.given.insert(key.to_owned(), Setting { value, origin });
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let text = read_bounded(path).map_err(|message| ConfigError {
            field: String::new(),
            origin: String::new(),
            message: format!("cannot read the configuration file {}: {message}", path.display()),
            remedy: "give --config the path of a readable TOML file of at most 1 MiB".to_owned(),
        })?;
        let document = DeTable::parse(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError {
                field: String::new(),
                origin: place(path, &text, at),
                message: format!("is not TOML: {}", error.message()),
                remedy: "correct the line; texts stand in double quotes, one key a line".to_owned(),
            }
        })?;
        for (section, content) in document.get_ref().iter() {
            let origin = place(path, &text, section.span().start);
            let DeValue::Table(table) = content.get_ref() else {
                self.give(section.get_ref(), value_of(content.get_ref()), origin);
                continue;
            };
            if table.is_empty() && !SECTIONS.contains(&&**section.get_ref()) {
                self.give(section.get_ref(), Value::Other("table"), origin);
            }
            for (key, value) in table.iter() {
                let field = format!("{}.{}", section.get_ref(), key.get_ref());
                self.give(&field, value_of(value.get_ref()), place(path, &text, key.span().start));
            }
        }
        Ok(())
    }

    /// A variable is a setting if two underscores stand between section and key. One that names a section with a
    /// single underscore is a slip, and refused; all others (`FASTJOB_APP`, `FASTJOB_LOG`) are somebody else's.
    fn read_variable(&mut self, name: &str, value: &str) {
        let Some(rest) = name.strip_prefix("FASTJOB_") else { return };
        if let Some((section, key)) = rest.split_once("__") {
            let field = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
            self.give(&field, Value::Word(value.to_owned()), format!("variable {name}"));
            return;
        }
        let slip = rest.split_once('_').filter(|(section, _)| SECTIONS.contains(&&*section.to_lowercase()));
        if let Some((section, key)) = slip {
            self.errors.push(ConfigError {
                field: name.to_owned(),
                origin: format!("variable {name}"),
                message: "is not a known variable".to_owned(),
                remedy: format!("two underscores stand between section and key: FASTJOB_{section}__{key}"),
            });
        }
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it has {size} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn place(path: &Path, text: &str, at: usize) -> String {
    let line = text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("{}, line {line}", path.display())
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(switch) => Value::Switch(*switch),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("an integer out of range"),
        },
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(_) => Value::Other("an array"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

/// The known name that reads most like `given`, if one reads enough like it.
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Hands out one section's settings. A wrong value is noted and the default returned, so that reading goes on and
/// finds the other errors.
pub(super) struct Section<'a> {
    settings: &'a mut Settings,
    name: &'static str,
}

impl Section<'_> {
    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let (value, origin) = self.take(key)?;
        match value {
            Value::Text(text) | Value::Word(text) if !text.is_empty() => Some(text),
            Value::Text(_) | Value::Word(_) => {
                self.wrong(key, origin, "is empty", "give a value, or leave it out")
            }
            _ => self.wrong(key, origin, "is not a text", "write it in double quotes"),
        }
    }

    /// An integer within `bounds`.
    pub(super) fn integer(&mut self, key: &str, default: i64, bounds: RangeInclusive<i64>) -> i64 {
        let Some((value, origin)) = self.take(key) else { return default };
        let remedy =
            format!("give an integer from {} to {}; the default is {default}", bounds.start(), bounds.end());
        let number = match value {
            Value::Integer(number) => Some(number),
            Value::Word(word) => word.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if bounds.contains(&number) => number,
            Some(number) => {
                self.wrong(key, origin, &format!("is {number}: out of bounds"), &remedy).unwrap_or(default)
            }
            None => self.wrong(key, origin, "is not an integer", &remedy).unwrap_or(default),
        }
    }

    /// True or false; false by default.
    pub(super) fn switch(&mut self, key: &str) -> bool {
        let Some((value, origin)) = self.take(key) else { return false };
        let switch = match value {
            Value::Switch(switch) => Some(switch),
            Value::Word(word) => word.parse().ok(),
            _ => None,
        };
        switch
            .or_else(|| self.wrong(key, origin, "is neither true nor false", "give true or false"))
            .unwrap_or(false)
    }

    /// The address of a listener. A host name is refused: it could mean more than one.
    pub(super) fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let origin = self.origin(key);
        let Some(text) = self.text(key) else { return default };
        text.parse().unwrap_or_else(|_| {
            let message = format!("{text:?} is not an address");
            let remedy = format!("give IP:PORT, as {default}; port 0 picks a free one");
            self.wrong(key, origin, &message, &remedy).unwrap_or(default)
        })
    }

    /// Where a key stands, before it is taken.
    pub(super) fn origin(&self, key: &str) -> String {
        let setting = self.settings.given.get(&format!("{}.{key}", self.name));
        setting.map(|setting| setting.origin.clone()).unwrap_or_default()
    }

    /// Notes that a key must be given.
    pub(super) fn missing(&mut self, key: &str, message: &str, remedy: &str) {
        self.wrong::<()>(key, String::new(), message, remedy);
    }

    /// Notes that a key's value is wrong; always `None`.
    pub(super) fn wrong<T>(&mut self, key: &str, origin: String, message: &str, remedy: &str) -> Option<T> {
        let (message, remedy) = (message.to_owned(), remedy.to_owned());
        self.settings.errors.push(ConfigError {
            field: format!("{}.{key}", self.name),
            origin,
            message,
            remedy,
        });
        None
    }

    fn take(&mut self, key: &str) -> Option<(Value, String)> {
        let field = format!("{}.{key}", self.name);
        let setting = self.settings.given.remove(&field);
        self.settings.known.insert(field);
        let Setting { value, origin } = setting?;
        if let Value::Other(kind) = value {
            return self.wrong(key, origin, &format!("is {kind}"), "give a single text, integer or switch");
        }
        Some((value, origin))
    }
}
