//! stdout is data, in the format that is asked for; stderr is talk.

mod deployments;

use std::io::{self, ErrorKind, Write};
use std::iter;

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::deployments::age;
use crate::error::{Error, Result};

/// How to print what is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// The whole as JSON; errors are JSON too
    Json,
    /// The whole as YAML
    Yaml,
    /// Only the names
    Name,
}

/// What can be printed in every [`Format`].
pub(crate) trait Show: Serialize {
    /// For people; `wide` shows more.
    fn table(&self, wide: bool) -> String;

    /// The names, and nothing else.
    fn names(&self) -> Vec<&str>;
}

/// Prints something in a format.
pub(crate) fn show(shown: &impl Show, format: Format) -> Result<()> {
    let text = match format {
        Format::Table => shown.table(false),
        Format::Wide => shown.table(true),
        Format::Json => json(shown)? + "\n",
        Format::Yaml => yaml(shown)?,
        Format::Name => lines(shown.names()),
    };
    print(&text)
}

/// Writes to stdout, at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|source| match source.kind() {
        ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Io { operation: "write to stdout", source },
    })
}

/// Says something on stderr. Where that is closed, nobody wants to know.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| unwritable(error.into()))
}

pub(crate) fn yaml(value: &impl Serialize) -> Result<String> {
    serde_saphyr::to_string(value).map_err(|error| unwritable(io::Error::other(error)))
}

/// Prints each as a document of one YAML stream, as `kubectl` takes it.
#[cfg(feature = "kubernetes")]
pub(crate) fn print_documents(values: &[impl Serialize]) -> Result<()> {
    values.iter().try_for_each(|value| print(&format!("---\n{}", yaml(value)?)))
}

fn unwritable(source: io::Error) -> Error {
    Error::Io { operation: "write the output", source }
}

/// Each text on a line of its own.
pub(crate) fn lines<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut lines = String::new();
    for text in texts {
        lines.push_str(text.as_ref());
        lines.push('\n');
    }
    lines
}

/// A table: its header, then its rows.
pub(crate) fn table(header: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    columns(&iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// Names and values, one pair a line.
pub(crate) fn details(pairs: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let rows: Vec<Vec<String>> =
        pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    columns(&rows)
}

/// The first row of a table.
pub(crate) fn header<const N: usize>(titles: [&str; N]) -> Vec<String> {
    titles.map(str::to_owned).into()
}

/// A value, or `-` where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Rows as aligned columns, two spaces between them. What would move the cursor becomes a space.
fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let cell = cell.replace(char::is_control, " ");
            format!("{cell:<width$}  ")
        });
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_hold_no_control_characters() {
        let rows = [
            header(["NAME", "MEANING"]),
            vec!["été".to_owned(), "a\u{1b}[2Jb\nc".to_owned()],
            vec!["demo-one".to_owned(), String::new()],
        ];
        assert_eq!(columns(&rows), "NAME      MEANING\nété       a [2Jb c\ndemo-one\n");
    }
}
