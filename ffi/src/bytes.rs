//! Bytes that cross the border to C: inputs are borrowed and checked, outputs are copied into the caller's buffers.
//! Everything here is `unsafe` for one reason: a pointer that is not null must be as long as the caller says.

use std::ffi::{CStr, c_char, c_void};
use std::slice;

use crate::status::{Error, Result, Status};

/// The longest text taken from C, without its end: far above each field's own bound.
const MAX_TEXT: usize = 1024 * 1024;

/// A text that must be there.
///
/// # Safety
/// `text` is null or ends with a NUL, and stays as it is for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: as the caller promised.
    unsafe { optional_text(text, name) }?.ok_or_else(|| Error::argument(name, "is NULL"))
}

/// A text that may be null.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promised.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    if bytes.len() > MAX_TEXT {
        return Err(Error::argument(
            name,
            format_args!("has {} bytes: at most {MAX_TEXT} are allowed", bytes.len()),
        ));
    }
    std::str::from_utf8(bytes)
        .map(Some)
        .map_err(|error| Error::argument(name, format_args!("is not UTF-8 at byte {}", error.valid_up_to())))
}

/// Bytes with a length; null is allowed with a length of 0.
///
/// # Safety
/// `data` is null or has `size` bytes, which stay as they are for `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, size: usize, name: &str) -> Result<&'a [u8]> {
    match (data.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::argument(name, format_args!("is NULL, but its size is {size}"))),
        (false, size) if size > isize::MAX as usize => {
            Err(Error::argument(name, format_args!("cannot have {size} bytes")))
        }
        // SAFETY: as the caller promised; the length was checked.
        (false, size) => Ok(unsafe { slice::from_raw_parts(data.cast(), size) }),
    }
}

/// Writes a value through a pointer that must not be null.
///
/// # Safety
/// `target` is null or may be written.
pub(crate) unsafe fn put<T>(value: T, target: *mut T, name: &str) -> Result<()> {
    if target.is_null() {
        return Err(Error::argument(name, "is NULL"));
    }
    // SAFETY: as the caller promised.
    unsafe { target.write(value) };
    Ok(())
}

/// As [`put`], where the caller may give null because the value does not matter to him.
///
/// # Safety
/// As [`put`].
pub(crate) unsafe fn put_if_wanted<T>(value: T, target: *mut T) {
    if !target.is_null() {
        // SAFETY: as the caller promised.
        unsafe { target.write(value) };
    }
}

/// Copies a text and a NUL into a buffer of `capacity` bytes. See [`put_bytes`].
///
/// # Safety
/// As [`put_bytes`].
pub(crate) unsafe fn put_text(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { copy_out(text.as_bytes(), Ending::Nul, buffer.cast(), capacity, size) }
}

/// Copies bytes into a buffer, and a NUL behind them if there is room. A null buffer of no capacity asks for the size
/// alone. If the buffer is too small nothing is written into it. The size is written in each of these cases.
///
/// # Safety
/// `buffer` is null or has `capacity` bytes to write; `size` is null or may be written.
pub(crate) unsafe fn put_bytes(
    data: &[u8],
    buffer: *mut c_void,
    capacity: usize,
    size: *mut usize,
) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { copy_out(data, Ending::NulIfRoom, buffer.cast(), capacity, size) }
}

/// Copies as much of a text as fits, cut at a character, and a NUL. Returns the size of the whole text.
///
/// # Safety
/// `buffer` is null or has `capacity` bytes to write.
pub(crate) unsafe fn put_cut_text(text: &str, buffer: *mut c_char, capacity: usize) -> usize {
    if !buffer.is_null() && capacity > 0 {
        let fits = text.floor_char_boundary(capacity - 1);
        // SAFETY: `fits` is below `capacity`, which the caller promised to be there.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), fits);
            buffer.add(fits).write(0);
        }
    }
    text.len()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Nul,
    NulIfRoom,
}

unsafe fn copy_out(
    data: &[u8],
    ending: Ending,
    buffer: *mut u8,
    capacity: usize,
    size: *mut usize,
) -> Result<()> {
    // SAFETY: as the callers of the callers promised.
    unsafe { put_if_wanted(data.len(), size) };
    let needed = data.len() + usize::from(ending == Ending::Nul);
    match (buffer.is_null(), capacity) {
        (true, 0) => return Ok(()),
        (true, _) => {
            return Err(Error::argument("buffer", format_args!("is NULL, but its capacity is {capacity}")));
        }
        (false, capacity) if capacity < needed => {
            let text = format!("the buffer has {capacity} bytes: {needed} are needed");
            return Err(Error::new(Status::TOO_SMALL, text));
        }
        (false, _) => {}
    }
    // SAFETY: `needed` bytes fit, and the NUL is written only where one more does.
    unsafe {
        buffer.copy_from_nonoverlapping(data.as_ptr(), data.len());
        if data.len() < capacity {
            buffer.add(data.len()).write(0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_needs_room_for_its_end_and_bytes_do_not() {
        let (mut buffer, mut size) = ([7u8; 4], 0);
        // SAFETY: the capacities are those of the array or less.
        unsafe {
            let error = put_text("abcd", buffer.as_mut_ptr().cast(), 4, &mut size).unwrap_err();
            assert_eq!((error.status, size, buffer), (Status::TOO_SMALL, 4, [7; 4]));
            put_bytes(b"abcd", buffer.as_mut_ptr().cast(), 4, &mut size).unwrap();
            assert_eq!(&buffer, b"abcd");
            put_text("abc", buffer.as_mut_ptr().cast(), 4, &mut size).unwrap();
            assert_eq!((&buffer, size), (b"abc\0", 3));
        }
    }

    #[test]
    fn a_null_buffer_asks_for_the_size_alone() {
        let mut size = 0;
        // SAFETY: null with no capacity.
        unsafe { put_text("four", std::ptr::null_mut(), 0, &mut size) }.unwrap();
        assert_eq!(size, 4);
    }

    #[test]
    fn an_error_text_is_cut_at_a_character() {
        let mut buffer = [7u8; 4];
        // SAFETY: the capacity is that of the array.
        let whole = unsafe { put_cut_text("aéé", buffer.as_mut_ptr().cast(), 4) };
        assert_eq!((whole, &buffer), (5, b"a\xC3\xA9\0"));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_position() {
        // SAFETY: the literal ends with a NUL.
        let error = unsafe { text(c"ab\xFF".as_ptr(), "job.name") }.unwrap_err();
        assert_eq!(error.text, "job.name is not UTF-8 at byte 2");
    }
}
