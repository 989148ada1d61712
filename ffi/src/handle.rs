//! What a handle of C or Java names. A handle is a number, never an address: it is drawn from a counter and never given
//! again, so a stale one finds nothing, whatever the caller did with it. Nothing of the product's logic is here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use crate::status::{Error, Result, Status};

/// The living objects of one kind. Using one borrows it by an [`Arc`], so that a free in another thread is never felt in
/// the middle of a call.
pub struct Registry<T> {
    kind: Kind,
    living: LazyLock<RwLock<Living<T>>>,
}

/// What a handle may name. It is part of the number, so that one kind is never taken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A connection to the servers of one app.
    Client = 1,
    /// A worker process.
    Worker = 2,
    /// An attempt that a worker has taken.
    Attempt = 3,
    /// A run as it was when it was asked for.
    Run = 4,
    /// A connection of Java.
    Connection = 5,
}

struct Living<T> {
    drawn: u64,
    objects: HashMap<u64, Arc<T>>,
}

impl<T> Registry<T> {
    /// The bits below the kind: 2^56 handles are enough for two million a second over a thousand years.
    const NUMBER_BITS: u32 = 56;

    /// A registry without objects.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, living: LazyLock::new(|| RwLock::new(Living { drawn: 0, objects: HashMap::new() })) }
    }

    /// Gives the object its handle, which is never 0.
    pub fn insert(&self, object: Arc<T>) -> u64 {
        let mut living = self.living.write();
        living.drawn += 1;
        let id = (u64::from(self.kind as u8) << Self::NUMBER_BITS) | living.drawn;
        living.objects.insert(id, object);
        id
    }

    /// The object of a handle; refused with [`Status::ARGUMENT`] for 0 or another kind, [`Status::CLOSED`] once it is freed.
    pub fn get(&self, id: u64) -> Result<Arc<T>> {
        self.check(id)?;
        self.living.read().objects.get(&id).cloned().ok_or_else(|| self.freed())
    }

    /// Ends the handle and gives back what it named; errors as [`Registry::get`].
    pub fn remove(&self, id: u64) -> Result<Arc<T>> {
        self.check(id)?;
        let mut living = self.living.write();
        let object = living.objects.remove(&id).ok_or_else(|| self.freed())?;
        if living.objects.is_empty() {
            living.objects.shrink_to_fit();
        }
        Ok(object)
    }

    fn check(&self, id: u64) -> Result<()> {
        let kind = id >> Self::NUMBER_BITS;
        if id == 0 {
            Err(Error::new(Status::ARGUMENT, format!("the {} handle is null", self.kind.name())))
        } else if kind != u64::from(self.kind as u8) {
            Err(Error::new(Status::ARGUMENT, format!("the handle is not one of a {}", self.kind.name())))
        } else {
            Ok(())
        }
    }

    fn freed(&self) -> Error {
        Error::new(Status::CLOSED, format!("the {} handle was freed", self.kind.name()))
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Worker => "worker",
            Self::Attempt => "attempt",
            Self::Run => "run",
            Self::Connection => "connection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_handle_stays_closed_although_others_come_after_it() {
        let registry = Registry::new(Kind::Run);
        let first = registry.insert(Arc::new(1));
        assert_eq!(registry.remove(first).map(|object| *object).ok(), Some(1));
        let second = registry.insert(Arc::new(2));
        assert_eq!(registry.get(first).err().map(|error| error.status), Some(Status::CLOSED));
        assert_eq!(registry.remove(first).err().map(|error| error.status), Some(Status::CLOSED));
        assert_eq!(registry.get(second).map(|object| *object).ok(), Some(2));
    }

    #[test]
    fn a_null_handle_and_one_of_another_kind_are_wrong_arguments() {
        let runs = Registry::new(Kind::Run);
        let workers = Registry::<i32>::new(Kind::Worker);
        let run = runs.insert(Arc::new(1));
        assert_eq!(runs.get(0).err().map(|error| error.status), Some(Status::ARGUMENT));
        assert_eq!(workers.get(run).err().map(|error| error.status), Some(Status::ARGUMENT));
    }

    #[test]
    fn freeing_while_another_thread_uses_the_object_is_not_felt_by_it() {
        let registry = Registry::new(Kind::Attempt);
        let id = registry.insert(Arc::new(String::from("alive")));
        let used = registry.get(id).unwrap();
        drop(registry.remove(id).unwrap());
        assert_eq!(*used, "alive");
    }
}
