//! `[log]`: how a server logs.

use super::settings::Settings;

/// How a server logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// For people (`text`) or for programs (`json`, one object a line). Default `text`.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Log {
    pub(super) fn read(settings: &mut Settings) -> Self {
        let mut section = settings.section("log");
        let origin = section.origin("format");
        let format = match section.text("format").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let message = format!("{other:?} is not a format");
                section.wrong("format", origin, &message, "give text or json").unwrap_or_default()
            }
        };
        Self { format }
    }

    pub(super) fn table(&self) -> toml::Table {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        toml::Table::from_iter([("format".to_owned(), format.into())])
    }
}
