//! Crontabs: of a user, or of the system with a user in each line.

use fastjob_core::protocol::v1;
use jiff::tz::TimeZone;
use serde_json::json;

use super::Zone;
use super::job::{Import, Imported};
use super::rival::Rival;

/// How the lines are read, and who runs their commands.
pub(super) struct Crontab<'a> {
    /// The sixth word of a line is a user, as in /etc/crontab.
    pub(super) has_user: bool,
    /// The handler that runs a command.
    pub(super) handler: &'a str,
}

/// The variables that hold for the lines below them.
#[derive(Clone, Default)]
struct Surroundings {
    variables: serde_json::Map<String, serde_json::Value>,
    zone: Option<Zone>,
}

impl Crontab<'_> {
    /// Reads every line.
    pub(super) fn read(&self, text: &str, zone: &Zone) -> Import {
        let mut import = Import::default();
        let mut around = Surroundings::default();
        for (number, line) in text.lines().enumerate() {
            let (from, line) = (format!("line {}", number + 1), line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match variable(line) {
                Some((name, value)) => around.set(name, value, &from, &mut import),
                None => self.line(line, from, &around, zone, &mut import),
            }
        }
        import
    }

    fn line(&self, line: &str, from: String, around: &Surroundings, zone: &Zone, import: &mut Import) {
        let fields = if line.starts_with('@') { 1 } else { 5 };
        let words = fields + usize::from(self.has_user);
        let Some((words, command)) = leading(line, words) else {
            return import.refuse(from, format!("it has fewer than {words} words and a command"));
        };
        let time = words[..fields].join(" ");
        if time == "@reboot" {
            return import.refuse(from, "@reboot is no time: let the service run the command at its start");
        }
        let zone = around.zone.as_ref().unwrap_or(zone);
        let (command, stdin) = split_command(command);
        let mut job = Imported::new(from, &name(&command), self.handler);
        let mut params = json!({ "command": command });
        if let Some(stdin) = stdin {
            params["stdin"] = stdin.into();
        }
        if !around.variables.is_empty() {
            params["env"] = around.variables.clone().into();
        }
        if self.has_user {
            params["user"] = words[fields].into();
        }
        job.spec.params =
            Some(v1::Payload { encoding: v1::Encoding::Json.into(), data: params.to_string().into() });
        job.map(format!("command -> params of handler {}", self.handler));
        job.overlap("allow_all", "cron starts a command beside one that still runs");
        job.catch_up("none", "cron does not make up for what it missed");
        let lower = time.to_ascii_lowercase();
        job.cron(&lower, "unix", &zone.name, Rival::crontab(&lower, zone.zone.clone()));
        import.jobs.push(job);
    }
}

impl Surroundings {
    fn set(&mut self, name: &str, value: &str, from: &str, import: &mut Import) {
        match name {
            "CRON_TZ" => match TimeZone::get(value) {
                Ok(zone) => self.zone = Some(Zone { name: value.to_owned(), zone }),
                Err(_) => {
                    import.refuse(from, format!("CRON_TZ {value} is not a zone: the lines below keep theirs"))
                }
            },
            "MAILTO" | "MAILFROM" => {
                import.notes.push(format!("{from}: {name}: a job's output is not sent by mail"))
            }
            "RANDOM_DELAY" => import
                .notes
                .push(format!("{from}: RANDOM_DELAY: is not carried over: give its jobs a jitter")),
            _ => {
                self.variables.insert(name.to_owned(), value.into());
            }
        }
    }
}

/// `NAME = value`, perhaps in quotes. Neither a time nor a macro begins so.
fn variable(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    is_name.then_some((name, bare.unwrap_or(value)))
}

/// The first words, and what follows them.
fn leading(line: &str, count: usize) -> Option<(Vec<&str>, &str)> {
    let (mut words, mut rest) = (Vec::with_capacity(count), line);
    for _ in 0..count {
        let (word, more) = rest.split_once(char::is_whitespace)?;
        words.push(word);
        rest = more.trim_start();
    }
    (!rest.is_empty()).then_some((words, rest))
}

/// What stands behind a percent sign is the command's input, its other percent signs the ends of lines.
fn split_command(text: &str) -> (String, Option<String>) {
    let (mut command, mut stdin) = (String::new(), None::<String>);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let to = stdin.as_mut().unwrap_or(&mut command);
        match char {
            '\\' if chars.peek() == Some(&'%') => {
                to.push('%');
                chars.next();
            }
            '%' => match &mut stdin {
                Some(stdin) => stdin.push('\n'),
                None => stdin = Some(String::new()),
            },
            other => to.push(other),
        }
    }
    (command.trim_end().to_owned(), stdin)
}

/// The program of a command, without its folder.
fn name(command: &str) -> String {
    let is_setting = |word: &&str| word.split_once('=').is_some_and(|(name, _)| !name.contains('/'));
    let quiet = ["cd", "nice", "ionice", "flock", "timeout", "exec", "sudo", "test", "["];
    let program = command.split_whitespace().find(|word| !is_setting(word));
    let program = program.unwrap_or(command).rsplit('/').next().unwrap_or_default();
    if program.is_empty() || quiet.contains(&program) {
        command.chars().take(60).collect()
    } else {
        program.to_owned()
    }
}
