//! Tables of text.

/// Prints rows, of which the first is the header, with columns as wide as they need to be: the
/// first to the left, the others to the right.
pub fn print(rows: &[Vec<String>]) {
    for row in lines(rows) {
        println!("{row}");
    }
}

fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    format!("  {}", cells.collect::<Vec<_>>().join("  "))
}

/// Owned cells of a row.
#[must_use]
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{lines, row};

    #[test]
    fn figures_stand_below_each_other() {
        let rows = [row(["subject", "us"]), row(["nginx", "26.70"])];
        assert_eq!(lines(&rows), ["  subject     us", "  nginx    26.70"]);
    }
}
