//! The words that C and Java use for what the domain has types for.

use bytes::Bytes;
use fastjob_core::domain::{Backoff, CatchUpPolicy, Encoding, ManagedBy, Overlap, Payload, Routing};

use crate::status::{Error, Result};

/// The word for an encoding.
pub const fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Text => "text",
        Encoding::Binary => "binary",
    }
}

/// A payload of these bytes, checked: its size, and that a text is one. `None` means JSON. `field` names it in errors.
pub fn payload(encoding: Option<&str>, data: &[u8], field: &str) -> Result<Payload> {
    let words = [("json", Encoding::Json), ("text", Encoding::Text), ("binary", Encoding::Binary)];
    let encoding = word(encoding, &words, "encoding")?;
    if data.len() > Payload::MAX_BYTES {
        let fault = format!("has {} bytes: at most {} are allowed", data.len(), Payload::MAX_BYTES);
        return Err(Error::argument(field, fault));
    }
    if encoding != Encoding::Binary
        && let Err(error) = std::str::from_utf8(data)
    {
        let at = error.valid_up_to();
        return Err(Error::argument(field, format_args!("is not UTF-8 at byte {at}: use \"binary\"")));
    }
    Ok(Payload { encoding, data: Bytes::copy_from_slice(data) })
}

/// The overlap of this word.
pub(super) fn overlap(text: Option<&str>, field: &str) -> Result<Overlap> {
    word(text, &Overlap::ALL.map(|policy| (policy.as_str(), policy)), field)
}

/// The catch-up policy of this word.
pub(super) fn catch_up(text: Option<&str>, field: &str) -> Result<CatchUpPolicy> {
    let all = CatchUpPolicy::All(CatchUpPolicy::DEFAULT_RUNS);
    word(text, &[("latest", CatchUpPolicy::Latest), ("none", CatchUpPolicy::None), ("all", all)], field)
}

/// The backoff of this word.
pub(super) fn backoff(text: Option<&str>, field: &str) -> Result<Backoff> {
    word(text, &[("fixed", Backoff::Fixed), ("exponential", Backoff::Exponential)], field)
}

/// The routing of this word.
pub(super) fn routing(text: Option<&str>, field: &str) -> Result<Routing> {
    word(text, &[("least_busy", Routing::LeastBusy), ("round_robin", Routing::RoundRobin)], field)
}

/// The manager of this word.
pub(super) fn managed_by(text: Option<&str>, field: &str) -> Result<ManagedBy> {
    word(text, &[("code", ManagedBy::Code), ("console", ManagedBy::Console)], field)
}

/// What `text` means among `words`; nothing means the first of them.
fn word<T: Copy>(text: Option<&str>, words: &[(&str, T)], field: &str) -> Result<T> {
    let text = text.unwrap_or(words[0].0);
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        Error::argument(field, format_args!("is {text:?}, not one of {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_refused_with_the_known_ones() {
        let error = overlap(Some("often"), "job.overlap").unwrap_err();
        assert_eq!(
            error.text,
            r#"job.overlap is "often", not one of "skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all""#
        );
    }

    #[test]
    fn a_payload_is_json_unless_told_and_its_text_is_checked() {
        assert_eq!(payload(None, b"1", "data").unwrap().encoding, Encoding::Json);
        assert!(payload(Some("text"), b"\xFF", "data").unwrap_err().text.contains("byte 0"));
        assert!(payload(Some("binary"), b"\xFF", "data").is_ok());
        assert!(payload(None, &[b'1'; Payload::MAX_BYTES + 1], "data").unwrap_err().text.contains("65537"));
    }
}
