//! Reads the docs in unit tests, which compare their tables with the enums of the code.

/// The words in backticks.
pub fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of each row of the table with this header line.
pub fn rows<'a>(page: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let rows = page.lines().skip_while(|line| *line != header).skip(2);
    let rows: Vec<_> = rows
        .map_while(|line| line.strip_prefix('|'))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "no table below {header}");
    rows
}

/// The words in backticks in the first column of the table with this header line.
pub fn first_column<'a>(page: &'a str, header: &str) -> Vec<&'a str> {
    rows(page, header).into_iter().flat_map(|row| code_spans(row[0])).collect()
}
