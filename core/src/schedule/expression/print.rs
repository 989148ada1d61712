//! The one way to write an expression: what is read from the print is the rule that was printed, and rules that say the
//! same in the same dialect print the same.

use super::{Expression, TimeField};
use crate::domain::Dialect;
use crate::schedule::days::{ALL_MONTH_DAYS, ALL_WEEKDAYS, FIRST_YEAR, LAST_YEAR, MonthDays, Weekdays, bits};

const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field must look like, besides its values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Any,
    /// Numbers only.
    List,
    /// With a `*`, a range or a step.
    Pattern,
    /// Begins with `*`.
    Starred,
    /// Does not begin with `*`.
    Unstarred,
}

impl Expression {
    /// The expression in its own dialect.
    pub(in crate::schedule) fn print(&self) -> String {
        let days = &self.days;
        let (month_look, week_look) = self.day_looks();
        let month_days = match self.dialect {
            Dialect::Quartz if days.month_days.plain == ALL_MONTH_DAYS && days.weekdays != Weekdays::ALL => {
                "?".to_owned()
            }
            _ => month_days(days.month_days, month_look),
        };
        let weekdays = match self.dialect {
            Dialect::Quartz if days.weekdays == Weekdays::ALL => "?".to_owned(),
            _ => weekdays(days.weekdays, self.dialect, week_look),
        };
        let months: Vec<u32> = bits(days.months.into()).collect();
        let mut fields = vec![
            time(self.minutes, 59),
            time(self.hours, 23),
            month_days,
            spell(&months, (1, 12), Look::Any, &u32::to_string),
            weekdays,
        ];
        if self.dialect != Dialect::Unix {
            fields.insert(0, time(self.seconds, 59));
        }
        if let Some(years) = &days.years {
            let years: Vec<u32> = years.iter().map(|year| year.unsigned_abs().into()).collect();
            let bounds = (FIRST_YEAR.unsigned_abs().into(), LAST_YEAR.unsigned_abs().into());
            fields.push(spell(&years, bounds, Look::Any, &u32::to_string));
        }
        fields.join(" ")
    }

    /// In unix, a leading `*` says whether one or both of two restricted day fields must match.
    fn day_looks(&self) -> (Look, Look) {
        let days = &self.days;
        let (all_month_days, all_weekdays) =
            (days.month_days.plain == ALL_MONTH_DAYS, days.weekdays.plain == ALL_WEEKDAYS);
        match self.dialect {
            Dialect::Unix if days.either => (Look::Unstarred, Look::Unstarred),
            Dialect::Unix if !all_month_days && !all_weekdays => {
                // Only a field with the first of its values can begin with `*`.
                if days.month_days.plain & 1 << 1 != 0 {
                    (Look::Starred, Look::Any)
                } else {
                    (Look::Unstarred, Look::Starred)
                }
            }
            _ => (Look::Any, Look::Any),
        }
    }
}

fn time(field: TimeField, max: u32) -> String {
    let values: Vec<u32> = bits(field.values).collect();
    let look = if field.pattern { Look::Pattern } else { Look::List };
    spell(&values, (0, max), look, &u32::to_string)
}

fn month_days(days: MonthDays, look: Look) -> String {
    let plain: Vec<u32> = bits(days.plain.into()).collect();
    let mut items = Vec::new();
    if !plain.is_empty() {
        items.push(spell(&plain, (1, 31), look, &u32::to_string));
    }
    let last = |before| if before == 0 { "L".to_owned() } else { format!("L-{before}") };
    items.extend(bits(days.near.into()).map(|day| format!("{day}W")));
    items.extend(bits(days.before_last.into()).map(last));
    items.extend(bits(days.near_before_last.into()).map(|before| last(before) + "W"));
    items.join(",")
}

fn weekdays(days: Weekdays, dialect: Dialect, look: Look) -> String {
    let first = match dialect {
        Dialect::Quartz => 1,
        Dialect::Unix => 0,
        Dialect::Spring => 7,
    };
    let number = |day: u32| match dialect {
        Dialect::Quartz => day + 1,
        Dialect::Unix => day,
        Dialect::Spring => (day + 6) % 7 + 1,
    };
    let name = |number: &u32| NAMES[((number + 7 - first) % 7) as usize].to_owned();
    let bounds = if dialect == Dialect::Unix { (0, 6) } else { (1, 7) };
    let mut plain: Vec<u32> = bits(days.plain.into()).map(number).collect();
    plain.sort_unstable();
    let mut items = Vec::new();
    if !plain.is_empty() {
        items.push(spell(&plain, bounds, look, &name));
    }
    items.extend(bits(days.nth).map(|bit| format!("{}#{}", NAMES[(bit % 7) as usize], bit / 7 + 1)));
    items.extend(bits(days.last.into()).map(|day| format!("{}L", NAMES[day as usize])));
    items.join(",")
}

/// Values within their bounds, at least one, rising.
fn spell(values: &[u32], (min, max): (u32, u32), look: Look, name: &dyn Fn(&u32) -> String) -> String {
    let (first, last) = (values[0], values[values.len() - 1]);
    if look == Look::List {
        return values.iter().map(name).collect::<Vec<_>>().join(",");
    }
    if values.len() as u32 == max - min + 1 {
        return if look == Look::Unstarred {
            format!("{}-{}", name(&min), name(&max))
        } else {
            "*".to_owned()
        };
    }
    if look == Look::Starred {
        return starred(values, (min, max), name);
    }
    let enough = if look == Look::Pattern { 2 } else { 3 };
    if let Some(step) = even_step(values).filter(|_| values.len() >= enough) {
        let open = last + step > max;
        return match (step, open) {
            (1, _) => format!("{}-{}", name(&first), name(&last)),
            (_, true) if first == min && look != Look::Unstarred => format!("*/{step}"),
            (_, true) => format!("{}/{step}", name(&first)),
            (_, false) => format!("{}-{}/{step}", name(&first), name(&last)),
        };
    }
    let spelled = runs(values, name);
    if look == Look::Pattern && !spelled.contains('-') {
        let rest: String = values[1..].iter().map(|value| format!(",{}", name(value))).collect();
        return format!("{0}-{0}{rest}", name(&first));
    }
    spelled
}

/// With the smallest step whose values are all there, and the rest beside it.
fn starred(values: &[u32], (min, max): (u32, u32), name: &dyn Fn(&u32) -> String) -> String {
    let stepped = |step: u32| (min..=max).step_by(step as usize);
    let step = (1..=max - min + 1).find(|step| stepped(*step).all(|value| values.contains(&value)));
    let step = step.expect("the first value is there, and the largest step names it alone");
    let rest: Vec<u32> = values.iter().copied().filter(|value| !(value - min).is_multiple_of(step)).collect();
    let separator = if rest.is_empty() { "" } else { "," };
    format!("*/{step}{separator}{}", runs(&rest, name))
}

fn even_step(values: &[u32]) -> Option<u32> {
    let step = values.get(1)? - values[0];
    values.windows(2).all(|pair| pair[1] - pair[0] == step).then_some(step)
}

/// Three neighbours or more as a range.
fn runs(values: &[u32], name: &dyn Fn(&u32) -> String) -> String {
    let spell = |run: &[u32]| match run {
        [first, .., last] if run.len() > 2 => format!("{}-{}", name(first), name(last)),
        _ => run.iter().map(name).collect::<Vec<_>>().join(","),
    };
    values.chunk_by(|one, next| one + 1 == *next).map(spell).collect::<Vec<_>>().join(",")
}
