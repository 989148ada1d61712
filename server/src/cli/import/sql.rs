//! The INSERT statements of a dump by mysqldump, `pg_dump --inserts` or a desktop tool. Everything else in it is passed over;
//! CREATE TABLE tells the columns where an INSERT does not.

use std::collections::HashMap;

use serde_json::Value;

use super::rows::Row;

/// Reads every row that the text inserts.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, String> {
    // There a backslash in a text is a backslash.
    let escapes = !text.contains("PostgreSQL database dump");
    let mut reader = Reader { text, at: 0, escapes };
    let (mut rows, mut columns) = (Vec::new(), HashMap::new());
    while let Some(token) = reader.next()? {
        match token {
            Token::Word(word) if word.eq_ignore_ascii_case("insert") => {
                insert(&mut reader, &columns, &mut rows)?;
            }
            Token::Word(word) if word.eq_ignore_ascii_case("create") => create(&mut reader, &mut columns)?,
            Token::Word(word) if word.eq_ignore_ascii_case("copy") && rows.is_empty() => {
                return Err(reader.wrong("has COPY instead of INSERT: dump it by `pg_dump --inserts`"));
            }
            _ => {}
        }
    }
    Ok(rows)
}

#[derive(PartialEq, Debug)]
enum Token {
    /// A name or a number, not quoted.
    Word(String),
    /// A name in quotes.
    Name(String),
    Text(String),
    Sign(char),
}

/// `INSERT INTO table [(columns)] VALUES (…), (…);`
fn insert(
    reader: &mut Reader<'_>,
    known: &HashMap<String, Vec<String>>,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let mut table = String::new();
    let mut columns: Option<Vec<String>> = None;
    loop {
        match reader.next()? {
            Some(Token::Sign('(')) => columns = Some(names(reader)?),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("values") => break,
            Some(Token::Word(word))
                if ["into", "ignore", "overriding", "system", "value"]
                    .iter()
                    .any(|of| word.eq_ignore_ascii_case(of)) => {}
            Some(Token::Word(name) | Token::Name(name)) => table = bare(&name),
            Some(Token::Sign(';')) | None => return Ok(()),
            Some(_) => {}
        }
    }
    let Some(columns) = columns.or_else(|| known.get(&table).cloned()) else {
        let message =
            format!("inserts into {table} without naming the columns, and has no CREATE TABLE of it");
        return Err(
            reader.wrong(&format!("{message}: dump with the schema, or by `mysqldump --complete-insert`"))
        );
    };
    loop {
        match reader.next()? {
            Some(Token::Sign('(')) => {
                let values = values(reader)?;
                if values.len() != columns.len() {
                    let counts = format!("{} values for {} columns of {table}", values.len(), columns.len());
                    return Err(reader.wrong(&format!("has {counts}: dump it anew")));
                }
                rows.push(Row::new(&table, columns.iter().cloned().zip(values)));
            }
            Some(Token::Sign(',')) => {}
            _ => return Ok(()),
        }
    }
}

/// A table's name without its schema.
fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase()
}

/// `CREATE TABLE name (column type …, …)`
fn create(reader: &mut Reader<'_>, columns: &mut HashMap<String, Vec<String>>) -> Result<(), String> {
    let Some(Token::Word(word)) = reader.next()? else { return Ok(()) };
    if !word.eq_ignore_ascii_case("table") {
        return Ok(());
    }
    let mut table = String::new();
    loop {
        match reader.next()? {
            Some(Token::Word(name) | Token::Name(name)) => table = bare(&name),
            Some(Token::Sign('(')) => break,
            Some(Token::Sign(';')) | None => return Ok(()),
            Some(_) => {}
        }
    }
    let (mut depth, mut is_first, mut found) = (1, true, Vec::new());
    const NO_COLUMN: [&str; 8] =
        ["primary", "key", "unique", "constraint", "foreign", "index", "check", "fulltext"];
    while depth > 0 {
        match reader.next()? {
            Some(Token::Sign('(')) => depth += 1,
            Some(Token::Sign(')')) => depth -= 1,
            Some(Token::Sign(',')) if depth == 1 => is_first = true,
            Some(Token::Name(name)) if is_first && depth == 1 => {
                found.push(name);
                is_first = false;
            }
            Some(Token::Word(name)) if is_first && depth == 1 => {
                if !NO_COLUMN.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                    found.push(name);
                }
                is_first = false;
            }
            Some(_) => is_first = false,
            None => return Ok(()),
        }
    }
    columns.insert(table, found);
    Ok(())
}

fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    loop {
        match reader.next()? {
            Some(Token::Word(name) | Token::Name(name)) => names.push(name),
            Some(Token::Sign(',')) => {}
            Some(Token::Sign(')')) => return Ok(names),
            _ => return Err(reader.wrong("has no end of a list of columns: dump it anew")),
        }
    }
}

/// The values of a row, up to its bracket.
fn values(reader: &mut Reader<'_>) -> Result<Vec<Value>, String> {
    let mut values = vec![Value::Null];
    let mut depth = 0;
    loop {
        let last = values.last_mut().expect("it begins with one");
        match reader.next()? {
            Some(Token::Sign(',')) if depth == 0 => values.push(Value::Null),
            Some(Token::Sign(')')) if depth == 0 => return Ok(values),
            Some(Token::Sign('(')) => depth += 1,
            Some(Token::Sign(')')) => depth -= 1,
            Some(Token::Text(text)) => *last = Value::String(text),
            // The first word is the value; what follows is a cast or a character set.
            Some(Token::Word(word)) if last.is_null() => *last = literal(&word),
            Some(_) => {}
            None => return Err(reader.wrong("ends within a row: dump it anew")),
        }
    }
}

/// NULL, a number, a truth value, or bytes in hexadecimal digits. A word before a text, as _binary, says nothing.
fn literal(word: &str) -> Value {
    let lower = word.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        return bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Value::Null, Value::String);
    }
    match &*lower {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => serde_json::from_str::<serde_json::Number>(word).map_or(Value::Null, Value::Number),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// A backslash in a text has a meaning.
    escapes: bool,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        let line = self.text[..self.at].matches('\n').count() + 1;
        format!("line {line}: {what}")
    }

    fn next(&mut self) -> Result<Option<Token>, String> {
        loop {
            let rest = &self.text[self.at..];
            let Some(first) = rest.chars().next() else { return Ok(None) };
            let is_comment = rest.starts_with("-- ") || rest.starts_with("--\n") || first == '#';
            if first.is_whitespace() {
                self.at += first.len_utf8();
            } else if is_comment {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else {
                return self.token(first).map(Some);
            }
        }
    }

    fn token(&mut self, first: char) -> Result<Token, String> {
        match first {
            '\'' => self.quoted('\'').map(Token::Text),
            '`' | '"' => self.quoted(first).map(Token::Name),
            _ if is_word(first) => {
                let rest = &self.text[self.at..];
                let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
                self.at += end;
                Ok(Token::Word(rest[..end].to_owned()))
            }
            _ => {
                self.at += first.len_utf8();
                Ok(Token::Sign(first))
            }
        }
    }

    /// A quote that is doubled stands for itself; so does what follows a backslash.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let begin = self.at;
        let mut text = String::new();
        let mut chars = self.text[self.at + quote.len_utf8()..].char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            if char == '\\' && quote == '\'' && self.escapes {
                text.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 'r')) => '\r',
                    Some((_, 't')) => '\t',
                    Some((_, '0')) => '\0',
                    Some((_, other)) => other,
                    None => break,
                });
            } else if char != quote {
                text.push(char);
            } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
                text.push(quote);
            } else {
                self.at = begin + quote.len_utf8() + at + char.len_utf8();
                return Ok(text);
            }
        }
        Err(self.wrong("has a quote without an end: dump it anew"))
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || "_.-+$@".contains(char)
}
