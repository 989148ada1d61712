//! Random expressions of each dialect, zones, and instants that like to lie where the clocks change.

use crate::instants::{Gap, Overlap, stretch};
use crate::text::Dialect;
use jiff::tz::TimeZone;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use std::sync::LazyLock;

/// Every zone of the database, but for the file that only says what POSIX names without rules mean.
pub(crate) static ZONES: LazyLock<Vec<String>> = LazyLock::new(|| {
    jiff::tz::db().available().map(|name| name.to_string()).filter(|name| name != "posixrules").collect()
});

pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone of the database")
}

/// What a random case is made of.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) dialect: Dialect,
    pub(crate) expression: String,
    pub(crate) zone: String,
    /// Milliseconds since the epoch.
    pub(crate) from: i64,
    pub(crate) gap: Option<Gap>,
    pub(crate) overlap: Option<Overlap>,
}

/// Cases of all dialects, zones and years; half of them start within a few hours of a change of the clocks.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let dialects = select(Dialect::ALL.as_slice());
    let rules = (
        option::weighted(0.3, select(&[Gap::Next, Gap::Skip][..])),
        option::weighted(0.3, select(&[Overlap::First, Overlap::Both][..])),
    );
    let zones = select(ZONES.as_slice());
    (dialects.prop_flat_map(|dialect| (Just(dialect), expressions(dialect))), zones, rules)
        .prop_flat_map(|((dialect, expression), zone, (gap, overlap))| {
            let from = starts(&zone);
            (Just(dialect), Just(expression), Just(zone), from, Just(gap), Just(overlap))
        })
        .prop_map(|(dialect, expression, zone, from, gap, overlap)| Case {
            dialect,
            expression,
            zone,
            from,
            gap,
            overlap,
        })
}

const START: i64 = 0;
const END: i64 = 7_258_118_400; // 2200-01-01

/// Instants of 1970 to 2199: anywhere, around a change of the clocks, or exactly at one.
pub(crate) fn starts(zone_name: &str) -> impl Strategy<Value = i64> + use<> {
    let here = zone(zone_name);
    let near = prop_oneof![
        2 => Just(None),
        1 => (-10_800..10_800_i64).prop_map(Some),
        1 => (-2..3_i64).prop_map(Some),
    ];
    // The years of wild changes, and those that the present rules rule.
    let second = prop_oneof![START..2_200_000_000, START..END];
    (second, near, select(&[0_i64, 0, 1, 500, 999][..])).prop_map(move |(second, near, millis)| {
        let second = match near.map(|shift| (shift, stretch(&here, second).end)) {
            Some((shift, change)) if change < END => change + shift,
            _ => second,
        };
        second.max(START) * 1000 + millis
    })
}

fn item(first: u32, last: u32, largest_step: u32, wraps: bool) -> impl Strategy<Value = String> {
    let value = first..=last;
    let step = prop_oneof![4 => 1..=largest_step.min(6), 1 => 1..=largest_step];
    let range =
        (value.clone(), value.clone()).prop_map(move |(a, b)| if wraps || a <= b { (a, b) } else { (b, a) });
    prop_oneof![
        6 => value.clone().prop_map(|a| a.to_string()),
        2 => range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (range, step.clone()).prop_map(|((a, b), n)| format!("{a}-{b}/{n}")),
        1 => (value, step.clone()).prop_map(|(a, n)| format!("{a}/{n}")),
        1 => step.prop_map(|n| format!("*/{n}")),
    ]
}

fn list(item: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop::collection::vec(item, 1..4).prop_map(|items| items.join(",")).boxed()
}

/// `*` as often as `star` of ten times, else a list of one to three.
fn field(star: u32, item: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    Union::new_weighted(vec![(star.max(1), Just("*".to_owned()).boxed()), (10 - star, list(item))]).boxed()
}

const MONTHS: [&str; 12] =
    ["jan", "Feb", "MAR", "Apr", "may", "JUN", "jul", "AUG", "Sep", "oct", "NOV", "Dec"];
const WEEK_DAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "THU", "Fri", "SAT"];

fn months(wraps: bool) -> BoxedStrategy<String> {
    let names = (0..12_usize, 0..12_usize)
        .prop_map(move |(a, b)| if wraps || a <= b { (a, b) } else { (b, a) })
        .prop_map(|(a, b)| format!("{}-{}", MONTHS[a], MONTHS[b]));
    field(
        6,
        prop_oneof![4 => item(1, 12, 12, wraps), 1 => names, 1 => select(&MONTHS[..]).prop_map(str::to_owned)],
    )
}

/// Day numbers, and in Quartz and Spring what is counted from the month's end or moved to a weekday.
fn month_day(dialect: Dialect) -> BoxedStrategy<String> {
    let plain = item(1, 31, 31, dialect == Dialect::Quartz);
    let nearest = (1..=31_u32).prop_map(|day| format!("{day}W"));
    let last = prop_oneof![2 => 0..=6_u32, 1 => 0..=30_u32].prop_map(|back| match back {
        0 => "L".to_owned(),
        back => format!("L-{back}"),
    });
    let last_weekday = last.clone().prop_map(|last| format!("{last}W"));
    match dialect {
        Dialect::Unix => plain.boxed(),
        Dialect::Spring => {
            prop_oneof![6 => plain, 1 => nearest, 1 => last, 1 => Just("LW".to_owned())].boxed()
        }
        Dialect::Quartz => prop_oneof![6 => plain, 1 => nearest, 1 => last, 1 => last_weekday].boxed(),
    }
}

fn week_day(dialect: Dialect) -> BoxedStrategy<String> {
    let (first, last) = if dialect == Dialect::Quartz { (1_u32, 7) } else { (0, 7) };
    // A range that starts with 7 where Sunday is also 0, and a step from there, are matters of taste: left out.
    let number = if dialect == Dialect::Quartz { first..=last } else { first..=6 };
    let range = (number.clone(), first..=last)
        .prop_map(move |(a, b)| if dialect == Dialect::Quartz || a <= b { (a, b) } else { (b, a) });
    let name = select(&WEEK_DAYS[..]).prop_map(str::to_owned);
    let names = (0..7_usize, 0..7_usize).prop_map(move |(a, b)| match dialect {
        Dialect::Quartz => (a, b),
        _ => (a.min(b), if a == b { (a + 1) % 7 } else { a.max(b) }),
    });
    let step = prop_oneof![4 => 1..=3_u32, 1 => 1..=7_u32];
    let one = prop_oneof![(first..=last).prop_map(|day| day.to_string()), name];
    let plain = prop_oneof![
        6 => one.clone(),
        2 => range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => names.prop_map(|(a, b)| format!("{}-{}", WEEK_DAYS[a], WEEK_DAYS[b])),
        1 => (range, step.clone()).prop_map(|((a, b), n)| format!("{a}-{b}/{n}")),
        1 => (number, step.clone()).prop_map(|(a, n)| format!("{a}/{n}")),
        1 => step.prop_map(|n| format!("*/{n}")),
    ];
    let of_month = prop_oneof![
        one.clone().prop_map(|day| format!("{day}L")),
        (one, 1..=5_u32).prop_map(|(day, nth)| format!("{day}#{nth}")),
    ];
    if dialect == Dialect::Unix { plain.boxed() } else { prop_oneof![5 => plain, 1 => of_month].boxed() }
}

/// The two day fields, as the dialect lets them stand together.
fn days(dialect: Dialect) -> BoxedStrategy<(String, String)> {
    let open = || select(&["*", "?"][..]).prop_map(str::to_owned);
    let (by_month, by_week) = (list(month_day(dialect)), list(week_day(dialect)));
    let both = (by_month.clone(), by_week.clone());
    let free =
        select(&[("*", "*"), ("*", "?"), ("?", "*")][..]).prop_map(|(a, b)| (a.to_owned(), b.to_owned()));
    match dialect {
        Dialect::Quartz => {
            let by_week = prop_oneof![9 => by_week, 1 => Just("L".to_owned())];
            prop_oneof![4 => free, 3 => (by_month, open()), 3 => (open(), by_week)].boxed()
        }
        _ => prop_oneof![4 => free, 2 => (by_month, open()), 2 => (open(), by_week), 2 => both].boxed(),
    }
}

fn macros() -> impl Strategy<Value = String> {
    select(&["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"][..])
        .prop_map(str::to_owned)
}

/// Expressions that the dialect allows; not all of them have a tick.
pub(crate) fn expressions(dialect: Dialect) -> BoxedStrategy<String> {
    let wraps = dialect == Dialect::Quartz;
    let seconds = prop_oneof![6 => Just("0".to_owned()), 2 => field(3, item(0, 59, 60, wraps))];
    let minutes = field(3, item(0, 59, 60, wraps));
    // Most changes of the clocks happen in the first hours of a day.
    let hours = field(3, prop_oneof![item(0, 23, 24, wraps), (0..4_u32).prop_map(|hour| hour.to_string())]);
    let years = item(1970, 2199, 10, false);
    let years =
        prop_oneof![8 => Just(None), 1 => Just(Some("*".to_owned())), 1 => list(years).prop_map(Some)];
    let whole = (seconds, minutes, hours, days(dialect), months(wraps), years).prop_map(
        move |(seconds, minutes, hours, (month_days, week_days), months, years)| match (dialect, years) {
            (Dialect::Unix, _) => format!("{minutes} {hours} {month_days} {months} {week_days}"),
            (Dialect::Quartz, Some(years)) => {
                format!("{seconds} {minutes} {hours} {month_days} {months} {week_days} {years}")
            }
            _ => format!("{seconds} {minutes} {hours} {month_days} {months} {week_days}"),
        },
    );
    if dialect == Dialect::Quartz { whole.boxed() } else { prop_oneof![19 => whole, 1 => macros()].boxed() }
}

/// Cases that other programs understand as well: their years, zones of which all have the same data, no rules of our own.
pub(crate) fn differential_cases(dialect: Dialect) -> impl Strategy<Value = Case> {
    const SHARED_ZONES: [&str; 12] = [
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Los_Angeles",
        "America/St_Johns",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Asia/Shanghai",
        "Asia/Kolkata",
        "Pacific/Auckland",
        "Pacific/Chatham",
    ];
    let zones = prop_oneof![1 => Just("UTC"), 1 => select(&SHARED_ZONES[..])];
    let near = prop_oneof![3 => Just(None), 1 => (-10_800..3_600_i64).prop_map(Some)];
    (expressions(dialect), zones, 946_684_800..2_145_916_800_i64, near).prop_map(
        move |(expression, zone_name, second, near)| {
            let second = match near.map(|shift| (shift, stretch(&zone(zone_name), second).end)) {
                Some((shift, change)) if change < 2_145_916_800 => change + shift,
                _ => second,
            };
            Case {
                dialect,
                expression,
                zone: zone_name.to_owned(),
                from: second * 1000,
                gap: None,
                overlap: None,
            }
        },
    )
}
