//! A check that believes no id: it counts executions per job and tick as the observer saw them, and nothing else.

use std::collections::HashMap;

use super::Found;
use super::history::History;
use super::ticks::Accounts;

/// Each tick that was not given up is executed, and no more often than its failures and losses explain.
pub(crate) fn every_tick_is_executed(history: &History, accounts: &Accounts, found: &mut Found) {
    let mut starts: HashMap<(&str, i64), Vec<usize>> = HashMap::new();
    for execution in &history.executions {
        if let Some(tick) = execution.tick_ms {
            starts.entry((&execution.job, tick)).or_default().push(execution.line);
        }
    }
    for ((job, tick), told) in accounts {
        let seen = starts.remove(&(job.as_str(), *tick)).unwrap_or_default();
        let least = told.iter().map(|account| account.least).max().unwrap_or(0);
        let most: u64 = told.iter().map(|account| account.most).sum();
        let times = seen.len() as u64;
        let lines = told.iter().map(|account| account.line).chain(seen);
        if times < least {
            found.add("blind", lines, format!("{job}: tick {tick} was never executed"));
        } else if times > most {
            found.add(
                "blind",
                lines,
                format!("{job}: tick {tick} was executed {times} times, explained are {most}"),
            );
        }
    }
    for ((job, tick), lines) in starts {
        found.add("blind", lines, format!("{job}: tick {tick} was executed and is in no ledger"));
    }
}
