//! Tables of plain text.

/// Lines of cells under a heading: the first column to the left, the others to the right.
pub(crate) fn table(heading: &[&str], lines: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&heading).chain(lines).filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for line in std::iter::once(&heading).chain(lines) {
        let mut shown = String::new();
        for (i, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell = if i == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            shown.push_str(&cell);
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let lines =
            [vec!["a".to_owned(), "1.5".to_owned()], vec!["bcd".to_owned(), "10".to_owned()]];
        assert_eq!(table(&["way", "ms"], &lines), "way   ms\na    1.5\nbcd   10\n");
    }
}
