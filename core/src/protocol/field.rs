//! Reads single fields of a request: what is out of bounds is refused by the name of the field, with what to do.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::v1;
use crate::clock::Millis;
use crate::domain::{Encoding, Name, Payload, Refusal};
use crate::id::Id;

/// The last instant that is read: the end of the year 9999.
pub const MAX_INSTANT: i64 = 253_402_300_799_999;

/// The name of an app, job or handler.
pub fn name(field: &'static str, text: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|bad| {
        let (message, remedy) = match bad {
            crate::domain::name::BadName::Empty => ("is empty".to_owned(), "give 1 to 128 characters"),
            crate::domain::name::BadName::TooLong(chars) => {
                (format!("has {chars} characters"), "give at most 128 characters")
            }
            crate::domain::name::BadName::Control(at) => {
                (format!("has a control character at position {at}"), "remove it")
            }
            crate::domain::name::BadName::Padded => {
                ("begins or ends with white space".to_owned(), "remove the white space")
            }
        };
        Refusal::invalid("bad_name", field, message).remedy(remedy)
    })
}

/// An id of 16 bytes.
pub fn id<Kind>(field: &'static str, bytes: &[u8]) -> Result<Id<Kind>, Refusal> {
    Id::from_slice(bytes).ok_or_else(|| {
        let message =
            if bytes.is_empty() { "is missing".into() } else { format!("has {} bytes", bytes.len()) };
        Refusal::invalid("bad_id", field, message).remedy("give the 16 bytes of a UUID")
    })
}

/// An id for the wire.
pub fn id_to<Kind>(id: &Id<Kind>) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(id.as_bytes())
}

/// An id of 16 bytes, or nothing.
pub fn optional_id<Kind>(field: &'static str, bytes: &[u8]) -> Result<Option<Id<Kind>>, Refusal> {
    if bytes.is_empty() { Ok(None) } else { id(field, bytes).map(Some) }
}

/// A number within bounds.
pub fn number(field: &'static str, value: i64, bounds: RangeInclusive<i64>) -> Result<i64, Refusal> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(Refusal::invalid("out_of_bounds", field, format!("is {value}")).remedy(format!(
        "give {} to {}",
        bounds.start(),
        bounds.end()
    )))
}

/// A number within bounds, or nothing.
pub fn optional_number(
    field: &'static str,
    value: Option<i64>,
    bounds: RangeInclusive<i64>,
) -> Result<Option<i64>, Refusal> {
    value.map(|value| number(field, value, bounds)).transpose()
}

/// An instant from 1970 to 9999.
pub fn instant(field: &'static str, ms: i64) -> Result<Millis, Refusal> {
    if (0..=MAX_INSTANT).contains(&ms) {
        return Ok(Millis::new(ms));
    }
    Err(Refusal::invalid("out_of_bounds", field, format!("is {ms}"))
        .remedy("give milliseconds since 1970-01-01T00:00:00Z, up to the year 9999"))
}

/// The number of items asked for: `default` for 0, else 1 to `most`.
pub fn limit(field: &'static str, value: u32, default: u32, most: u32) -> Result<u32, Refusal> {
    match value {
        0 => Ok(default),
        _ if value <= most => Ok(value),
        _ => Err(Refusal::invalid("out_of_bounds", field, format!("is {value}"))
            .remedy(format!("give at most {most} and ask for the next page"))),
    }
}

/// A number of items that a request may hold.
pub fn items(field: &'static str, len: usize, bounds: RangeInclusive<usize>) -> Result<(), Refusal> {
    if bounds.contains(&len) {
        return Ok(());
    }
    Err(Refusal::invalid("out_of_bounds", field, format!("has {len} items")).remedy(format!(
        "give {} to {}",
        bounds.start(),
        bounds.end()
    )))
}

/// A text of at most this many characters.
pub fn text<'a>(field: &'static str, text: &'a str, max_chars: usize) -> Result<&'a str, Refusal> {
    let chars = text.chars().count();
    if chars <= max_chars {
        return Ok(text);
    }
    Err(Refusal::invalid("too_long", field, format!("has {chars} characters"))
        .remedy(format!("give at most {max_chars} characters")))
}

/// As [`text`], to keep.
pub fn shared_text(field: &'static str, value: &str, max_chars: usize) -> Result<Arc<str>, Refusal> {
    text(field, value, max_chars).map(Arc::from)
}

/// A value of an enum of the protocol.
pub fn word<Word: TryFrom<i32>>(field: &'static str, value: i32) -> Result<Word, Refusal> {
    Word::try_from(value).map_err(|_| {
        Refusal::invalid("unknown_value", field, format!("is {value}, which this server does not know"))
            .remedy("use a value of its protocol version, or a newer server")
    })
}

/// Parameters or a result: within its bound, and what its encoding says.
pub fn payload(field: &'static str, payload: v1::Payload) -> Result<Payload, Refusal> {
    let at = |inner: Refusal| inner.within(field);
    let encoding = match word("encoding", payload.encoding).map_err(at)? {
        v1::Encoding::Json => Encoding::Json,
        v1::Encoding::Text => Encoding::Text,
        v1::Encoding::Binary => Encoding::Binary,
    };
    let data = payload.data;
    if data.len() > Payload::MAX_BYTES {
        let message = format!("has {} bytes", data.len());
        return Err(Refusal::invalid("payload_too_large", field, message)
            .remedy("give at most 65536 bytes; keep large data elsewhere and pass its address"));
    }
    match encoding {
        Encoding::Json if !data.is_empty() => {
            if let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(&data) {
                return Err(Refusal::invalid("payload_not_json", field, format!("is not JSON: {error}"))
                    .remedy("correct it, or name the encoding text or binary"));
            }
        }
        Encoding::Text if std::str::from_utf8(&data).is_err() => {
            return Err(Refusal::invalid("payload_not_text", field, "is not UTF-8")
                .remedy("correct it, or name the encoding binary"));
        }
        _ => {}
    }
    Ok(Payload { encoding, data })
}

/// A payload for the wire.
pub fn payload_to(payload: &Payload) -> v1::Payload {
    let encoding = match payload.encoding {
        Encoding::Json => v1::Encoding::Json,
        Encoding::Text => v1::Encoding::Text,
        Encoding::Binary => v1::Encoding::Binary,
    };
    v1::Payload { encoding: encoding.into(), data: payload.data.clone() }
}
