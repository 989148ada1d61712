//! How a call ended: a number for the program, a text for the person. Also the guard that every entry stands behind, so
//! that no panic crosses the border. Nothing here knows C's pointers or Java's objects.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::CStr;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastjob_core::client::{self, ErrorKind};

/// What a refused call is refused with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The sort, for the program.
    pub status: Status,
    /// A stable word in snake_case, as `job_not_found`.
    pub code: Cow<'static, str>,
    /// What is wrong, where, and what to do about it.
    pub text: String,
}

/// What every call of the bridge answers.
pub type Result<T> = std::result::Result<T, Error>;

/// The number of an ending. Numbers are never given a second meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(pub i32);

impl Status {
    /// Done.
    pub const OK: Self = Self(0);
    /// A null pointer or handle, text that is not UTF-8, a number out of its bounds, a bad structure size.
    pub const ARGUMENT: Self = Self(1);
    /// The handle was freed, or its client or worker closed.
    pub const CLOSED: Self = Self(2);
    /// The call does not fit the object's present state, as a second start.
    pub const STATE: Self = Self(3);
    /// The call would wait for the handler that makes it.
    pub const DEADLOCK: Self = Self(4);
    /// The caller's buffer is too small; the size that is needed was written.
    pub const TOO_SMALL: Self = Self(5);
    /// It did not come about within the time given.
    pub const TIMEOUT: Self = Self(6);
    /// There is no such value, as the tick of a run that no schedule made.
    pub const NONE: Self = Self(7);
    /// A poll was woken by a wake.
    pub const WOKEN: Self = Self(8);
    /// The server found the request wrong: the same call will be refused again.
    pub const INVALID: Self = Self(9);
    /// What the request names does not exist.
    pub const NOT_FOUND: Self = Self(10);
    /// The request contradicts what is stored.
    pub const CONFLICT: Self = Self(11);
    /// The token is not known.
    pub const UNAUTHENTICATED: Self = Self(12);
    /// The token does not allow it.
    pub const NOT_PERMITTED: Self = Self(13);
    /// No server answered or none was ready: the same call may succeed later.
    pub const UNAVAILABLE: Self = Self(14);
    /// A defect in the library or the server.
    pub const INTERNAL: Self = Self(15);
    /// For handlers: the attempt failed. The library itself never answers it.
    pub const FAILED: Self = Self(16);

    /// A short sentence fragment, the same for ever.
    pub const fn text(self) -> &'static CStr {
        match self {
            Self::OK => c"ok",
            Self::ARGUMENT => c"wrong argument",
            Self::CLOSED => c"handle freed or closed",
            Self::STATE => c"not possible in this state",
            Self::DEADLOCK => c"would wait for the calling handler itself",
            Self::TOO_SMALL => c"buffer too small",
            Self::TIMEOUT => c"not within the time given",
            Self::NONE => c"no such value",
            Self::WOKEN => c"woken",
            Self::INVALID => c"refused as invalid",
            Self::NOT_FOUND => c"not found",
            Self::CONFLICT => c"conflict with what is stored",
            Self::UNAUTHENTICATED => c"token not known",
            Self::NOT_PERMITTED => c"not permitted",
            Self::UNAVAILABLE => c"no server available",
            Self::INTERNAL => c"internal defect",
            Self::FAILED => c"failed",
            _ => c"unknown status",
        }
    }

    /// The code of an error that has no finer one.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::OK => "ok",
            Self::ARGUMENT => "argument",
            Self::CLOSED => "closed",
            Self::STATE => "state",
            Self::DEADLOCK => "deadlock",
            Self::TOO_SMALL => "too_small",
            Self::TIMEOUT => "timeout",
            Self::NONE => "none",
            Self::WOKEN => "woken",
            Self::INVALID => "invalid",
            Self::NOT_FOUND => "not_found",
            Self::CONFLICT => "conflict",
            Self::UNAUTHENTICATED => "unauthenticated",
            Self::NOT_PERMITTED => "not_permitted",
            Self::UNAVAILABLE => "unavailable",
            Self::FAILED => "failed",
            _ => "internal",
        }
    }
}

impl Error {
    /// An error whose code is that of its status.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, code: status.code().into(), text: text.into() }
    }

    /// A wrong argument: which, and what is wrong with it.
    pub fn argument(name: &str, fault: impl fmt::Display) -> Self {
        Self::new(Status::ARGUMENT, format!("{name} {fault}"))
    }
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        let status = match error.kind {
            ErrorKind::Invalid => Status::INVALID,
            ErrorKind::NotFound => Status::NOT_FOUND,
            ErrorKind::Conflict => Status::CONFLICT,
            ErrorKind::Unauthenticated => Status::UNAUTHENTICATED,
            ErrorKind::NotPermitted => Status::NOT_PERMITTED,
            ErrorKind::Unavailable => Status::UNAVAILABLE,
            ErrorKind::Timeout => Status::TIMEOUT,
            ErrorKind::Internal => Status::INTERNAL,
        };
        let text = error.to_string();
        Self { status, code: error.code, text }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Runs an entry's body: a panic becomes [`Status::INTERNAL`], and the text of an error is kept for [`last_error`].
pub fn guard(body: impl FnOnce() -> Result<()>) -> i32 {
    match attempt(body) {
        Ok(()) => Status::OK.0,
        Err(error) => {
            let status = error.status;
            // Once the thread's own storage is gone there is nobody left who could ask for the text.
            let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = error.text);
            status.0
        }
    }
}

/// As [`guard`], for callers who want the value or the error itself.
pub fn attempt<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(Error::new(Status::INTERNAL, what(&*panic))))
}

/// Shows the text of this thread's last failed call; empty before the first, and while the thread's own storage is torn down.
pub fn last_error<T>(show: impl Fn(&str) -> T) -> T {
    LAST_ERROR.try_with(|text| show(&text.borrow())).unwrap_or_else(|_| show(""))
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

fn what(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a defect in the library was caught: {}", text.unwrap_or("a panic without text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_an_entry_becomes_an_internal_error_with_its_text() {
        assert_eq!(guard(|| panic!("the reason")), Status::INTERNAL.0);
        assert!(last_error(|text| text.contains("the reason")));
    }

    #[test]
    fn a_success_leaves_the_text_of_the_failure_before_it() {
        assert_eq!(guard(|| Err(Error::argument("slots", "is 0: give 1 or more"))), 1);
        assert_eq!(guard(|| Ok(())), 0);
        assert_eq!(last_error(str::to_owned), "slots is 0: give 1 or more");
    }
}
