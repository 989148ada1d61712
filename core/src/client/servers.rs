//! The servers that a client knows: those it was given, and those it has learned of. Which one to ask next is drawn, so
//! that many clients spread over all; one that failed rests for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Chance;

pub(super) struct Servers {
    /// Never forgotten: a cluster may be replaced behind its names.
    seeds: Vec<String>,
    /// As of the last Locate.
    learned: Vec<String>,
    failed: BTreeMap<String, Failed>,
}

struct Failed {
    why: String,
    until: Duration,
    wait: Duration,
}

/// Learned servers at most, and failures remembered.
const MAX_LEARNED: usize = 256;
const FIRST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(5);

impl Servers {
    pub(super) fn new(seeds: Vec<String>) -> Self {
        Self { seeds, learned: Vec::new(), failed: BTreeMap::new() }
    }

    /// Those that are up, as a server says. An address that cannot be one is passed over.
    pub(super) fn learn(&mut self, servers: &[String]) {
        let usable = servers.iter().filter(|server| super::channels::endpoint(server).is_ok());
        self.learned =
            usable.filter(|server| !self.seeds.contains(server)).take(MAX_LEARNED).cloned().collect();
        self.learned.sort();
        self.learned.dedup();
        let (seeds, learned) = (&self.seeds, &self.learned);
        self.failed.retain(|server, _| seeds.contains(server) || learned.contains(server));
    }

    /// One of those that do not rest, by chance; if all do, the one whose rest ends first. Never one of `but`; `None`: no
    /// other is known.
    pub(super) fn draw(&self, but: &[String], now: Duration, chance: &mut Chance) -> Option<String> {
        let known = || self.seeds.iter().chain(&self.learned).filter(|server| !but.contains(server));
        let rested = |server: &&String| self.failed.get(*server).is_none_or(|failed| failed.until <= now);
        let count = known().filter(rested).count() as u64;
        let drawn = match chance.next_u64().checked_rem(count) {
            Some(at) => known().filter(rested).nth(usize::try_from(at).ok()?),
            None => known().min_by_key(|server| self.failed.get(*server).map(|failed| failed.until)),
        };
        drawn.cloned()
    }

    /// A server has answered, whatever it said.
    pub(super) fn answered(&mut self, server: &str) {
        self.failed.remove(server);
    }

    /// A server could not be reached: it rests, each time longer.
    pub(super) fn failed(&mut self, server: &str, why: String, now: Duration) {
        if self.failed.len() >= MAX_LEARNED && !self.failed.contains_key(server) {
            return;
        }
        let wait = self.failed.get(server).map_or(FIRST_REST, |failed| (failed.wait * 2).min(LONGEST_REST));
        self.failed.insert(server.to_owned(), Failed { why, until: now + wait, wait });
    }

    /// Whether it is resting after a failure.
    pub(super) fn rests(&self, server: &str, now: Duration) -> bool {
        self.failed.get(server).is_some_and(|failed| failed.until > now)
    }

    /// The servers that failed last time they were asked, each with its reason.
    pub(super) fn failures(&self) -> String {
        let each = self.failed.iter().map(|(server, failed)| format!("{server} ({})", failed.why));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn servers(seeds: &[&str]) -> Servers {
        Servers::new(seeds.iter().map(|seed| (*seed).to_owned()).collect())
    }

    fn drawn(servers: &Servers, but: &[String], now: Duration) -> BTreeSet<String> {
        let mut chance = Chance::from_seed(7);
        (0..200).filter_map(|_| servers.draw(but, now, &mut chance)).collect()
    }

    fn set(servers: &[&str]) -> BTreeSet<String> {
        servers.iter().map(|server| (*server).to_owned()).collect()
    }

    #[test]
    fn learned_servers_are_drawn_beside_the_seeds_and_the_seeds_are_never_forgotten() {
        let mut servers = servers(&["a:1", "b:1"]);
        assert_eq!(drawn(&servers, &[], NOW), set(&["a:1", "b:1"]));
        servers.learn(&["b:1".into(), "c:1".into(), "no address".into(), "c:1".into()]);
        assert_eq!(drawn(&servers, &[], NOW), set(&["a:1", "b:1", "c:1"]));
        servers.learn(&["d:1".into()]);
        assert_eq!(drawn(&servers, &[], NOW), set(&["a:1", "b:1", "d:1"]));
        assert_eq!(drawn(&servers, &["a:1".into()], NOW), set(&["b:1", "d:1"]));
    }

    #[test]
    fn however_many_servers_are_told_the_list_stays_bounded() {
        let mut servers = servers(&["a:1"]);
        servers.learn(&(0..10_000).map(|n| format!("h{n}:1")).collect::<Vec<_>>());
        assert_eq!(servers.learned.len(), MAX_LEARNED);
        for n in 0..10_000 {
            servers.failed(&format!("h{n}:1"), String::new(), NOW);
        }
        assert_eq!(servers.failed.len(), MAX_LEARNED);
    }

    #[test]
    fn a_server_that_failed_rests_longer_each_time_and_is_asked_all_the_same_if_there_is_no_other() {
        let mut servers = servers(&["a:1", "b:1"]);
        servers.failed("a:1", "refused".into(), NOW);
        assert_eq!(drawn(&servers, &[], NOW), set(&["b:1"]));
        assert_eq!(drawn(&servers, &[], NOW + FIRST_REST), set(&["a:1", "b:1"]));
        servers.failed("a:1", "refused".into(), NOW);
        assert_eq!(drawn(&servers, &[], NOW + FIRST_REST), set(&["b:1"]));
        servers.failed("b:1", "timed out".into(), NOW);
        assert_eq!(drawn(&servers, &[], NOW), set(&["b:1"]), "its rest ends first");
        assert_eq!(servers.failures(), "a:1 (refused), b:1 (timed out)");
        servers.answered("a:1");
        assert_eq!(drawn(&servers, &[], NOW), set(&["a:1"]));
    }
}
