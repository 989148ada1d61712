//! Weekdays by name: their numbers mean other days in other dialects.

const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A day-of-week field with Sunday as 1, with names for its numbers. What has a step is written out.
pub(super) fn as_names(field: &str) -> String {
    let parts: Vec<String> = field.split(',').map(part).collect();
    parts.join(",")
}

fn part(text: &str) -> String {
    if let Some((day, n)) = text.split_once('#') {
        return format!("{}#{n}", name(day));
    }
    if let Some(day) = text.strip_suffix(['L', 'l']).filter(|day| !day.is_empty()) {
        return format!("{}L", name(day));
    }
    let (range, step) =
        text.split_once('/').map_or((text, 1), |(range, step)| (range, step.parse().unwrap_or(1).max(1)));
    if step == 1 && !text.contains('/') {
        return match range.split_once('-') {
            Some((first, last)) => format!("{}-{}", name(first), name(last)),
            None => name(range),
        };
    }
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None if range == "*" => (1, 7),
        None => (number(range), 7),
    };
    let last = if last < first { last + 7 } else { last };
    let days: Vec<&str> = (first..=last).step_by(step).map(|day| NAMES[(day - 1) % 7]).collect();
    days.join(",")
}

fn number(text: &str) -> usize {
    let upper = text.to_ascii_uppercase();
    let named = NAMES.iter().position(|name| *name == upper).map(|at| at + 1);
    named.or_else(|| text.parse().ok()).unwrap_or(1).clamp(1, 7)
}

/// The name of a number of 1 to 7; anything else as it is.
fn name(text: &str) -> String {
    match text.parse::<usize>() {
        Ok(day @ 1..=7) => NAMES[day - 1].to_owned(),
        _ => text.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::as_names;

    #[test]
    fn numbers_become_the_names_of_the_same_days() {
        for (numbers, names) in [
            ("1", "SUN"),
            ("2-6", "MON-FRI"),
            ("6L", "FRIL"),
            ("6#3", "FRI#3"),
            ("3/2", "TUE,THU,SAT"),
            ("*/3", "SUN,WED,SAT"),
            ("mon,7", "MON,SAT"),
            ("6-2/2", "FRI,SUN"),
        ] {
            assert_eq!(as_names(numbers), names, "{numbers}");
        }
    }
}
