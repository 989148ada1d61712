//! Every invariant that the tables show. What each promises stands beside its statement, in `store::scans`; the one
//! that SQL cannot see is here: an idempotency key and the fire key that is made of it.

use fastjob_core::domain::FireKey;

use super::{Finding, untold};
use crate::store::{ErrorKind, KeyedRun, SCANS, Store, StoreError, Violations};

/// Runs with a key that are read at a time.
const PAGE: u32 = 5_000;
const KEY_IS_HASHED: (&str, &str) =
    ("key_makes_fire_key", "a run with an idempotency key has the fire key that is made of it");

/// Looks at all of them. Errors: the database is gone.
pub(super) async fn check(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::with_capacity(SCANS.len() + 1);
    for scan in &SCANS {
        found.push(judged(scan.name, scan.promise, store.inspect_scan(scan).await)?);
    }
    found.push(judged(KEY_IS_HASHED.0, KEY_IS_HASHED.1, wrong_keys(store).await)?);
    Ok(found)
}

fn judged(name: &str, promise: &str, answer: Result<Violations, StoreError>) -> Result<Finding, StoreError> {
    let check = format!("invariant.{name}");
    let violations = match answer {
        Ok(violations) => violations,
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        Err(error) => return Ok(untold(&check, &error)),
    };
    let Violations { count, examples } = violations;
    let finding = if count == 0 {
        Finding::ok(check, promise)
    } else {
        let shown = examples.join(", ");
        let detail = format!("{count} times it does not hold that {promise}: {shown}");
        Finding::fail(check, detail, "keep the database as it is and report this: no server writes such rows")
    };
    Ok(Finding { count: Some(count), examples, ..finding })
}

async fn wrong_keys(store: &Store) -> Result<Violations, StoreError> {
    let (mut wrong, mut after) = (Violations::default(), None);
    loop {
        let page = store.inspect_keys(after, PAGE).await?;
        count_wrong(&page, &mut wrong);
        after = page.last().map(|run| run.id);
        if page.len() < PAGE as usize {
            return Ok(wrong);
        }
    }
}

pub(super) fn count_wrong(page: &[KeyedRun], wrong: &mut Violations) {
    let of_key =
        |run: &&KeyedRun| FireKey::of_idempotency_key(&run.idempotency_key).to_string() != run.fire_key;
    for run in page.iter().filter(of_key) {
        wrong.count += 1;
        if wrong.examples.len() < Violations::MAX_EXAMPLES {
            wrong.examples.push(run.id.to_string());
        }
    }
}
