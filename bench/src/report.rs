//! What a scenario found: a table for people, and the same as JSON in `bench/results/`.

use std::path::Path;

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::figures::Figure;
use crate::machine;

/// One scenario's figures.
pub(crate) struct Report {
    /// Of the scenario; also its file's.
    pub(crate) name: String,
    /// What was done, in a line.
    pub(crate) about: String,
    /// What the figures depend on: durability, sizes, counts.
    pub(crate) settings: Value,
    /// In the order in which they are shown.
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// Prints the table and writes `<results>/<name>.json`.
    pub(crate) fn publish(&self, results: &Path) -> anyhow::Result<()> {
        println!("\n{}: {}", self.name, self.about);
        println!("settings: {}", self.settings);
        println!("{}", self.table());
        let path = results.join(format!("{}.json", self.name));
        std::fs::create_dir_all(results).with_context(|| format!("failed to make {}", results.display()))?;
        let text = format!("{:#}\n", self.json());
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["what", "median", "lowest", "highest", "unit", "beside"]);
        for figure in &self.figures {
            let (low, high) = figure.spread();
            table.add_row([
                figure.name.clone(),
                shown(figure.median()),
                shown(low),
                shown(high),
                figure.unit.to_owned(),
                figure.beside.clone(),
            ]);
        }
        for column in 1..=3 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    fn json(&self) -> Value {
        let figures = self.figures.iter().map(|figure| {
            let (low, high) = figure.spread();
            json!({
                "name": figure.name, "unit": figure.unit, "median": figure.median(), "lowest": low,
                "highest": high, "rounds": figure.rounds, "beside": figure.beside,
            })
        });
        json!({
            "scenario": self.name, "about": self.about, "taken_at": jiff::Timestamp::now().to_string(),
            "machine": machine::described(), "settings": self.settings, "figures": figures.collect::<Vec<_>>(),
        })
    }
}

/// A few digits or all before the point, with commas between thousands.
fn shown(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((&*text, ""), |(whole, _)| (whole, &text[whole.len()..]));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}{grouped}{rest}", if value < 0.0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_a_few_digits_or_all_before_the_point() {
        assert_eq!(shown(114_000.4), "114,000");
        assert_eq!(shown(999.6), "1,000");
        assert_eq!(shown(14.62), "14.6");
        assert_eq!(shown(0.527), "0.53");
        assert_eq!(shown(0.00213), "0.0021");
        assert_eq!(shown(-1_234.0), "-1,234");
        assert_eq!(shown(f64::NAN), "-");
    }
}
