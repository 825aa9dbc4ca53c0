//! Env files: a way to hand over values, secrets too, that stand in no argument.

use std::path::Path;

use mcp_deploy_core::{Result, Violation, Violations, read_text};

/// Reads the variables of a file: `NAME=value` lines, which may begin with `export`. Empty lines and those that
/// begin with `#` are passed over; quotes round a whole value are taken off.
///
/// # Errors
///
/// [`Error::Invalid`](mcp_deploy_core::Error::Invalid) with every line that is wrong. A message never shows a value: it may be a secret.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, String)>> {
    let file_name = file.display().to_string();
    Ok(parse(&read_text(file)?, &file_name)?)
}

fn parse(text: &str, file_name: &str) -> Result<Vec<(String, String)>, Violations> {
    let mut variables = Vec::new();
    let mut violations = Violations::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Ok(variable) => variables.push(variable),
            Err(problem) => {
                let problem = format!("{file_name}:{number}: {problem}");
                violations.push(Violation::new("", problem).expected("write `NAME=value`"));
            }
        }
    }
    violations.into_result(variables)
}

fn variable(line: &str) -> Result<(String, String), &'static str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("there is no `=`")?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("what stands before the `=` is no name");
    }
    Ok((name.to_owned(), unquoted(value.trim())?.to_owned()))
}

fn unquoted(value: &str) -> Result<&str, &'static str> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Ok(value);
    };
    value[1..].strip_suffix(quote).ok_or("a quote is opened and not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_export_and_quotes_are_taken_off_and_the_rest_is_kept() {
        let text = "\u{feff}# who\n\nA=1\r\nexport B = two words \nC=\"a # b\"\nD='it''s'\nE=x=y\nF=\n";
        let variables = parse(text, ".env").unwrap();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "a # b"), ("D", "it''s"), ("E", "x=y"), ("F", "")];
        assert_eq!(variables, expected);
    }

    #[test]
    fn every_wrong_line_is_named_and_no_value_is_shown() {
        let message = parse("s3cret\nOK=1\nA='s3cret\n=s3cret\nTWO WORDS=s3cret\nQ=\"\n", ".env")
            .unwrap_err()
            .to_string();
        for place in [".env:1: ", ".env:3: ", ".env:4: ", ".env:5: ", ".env:6: "] {
            assert!(message.contains(place), "{place} in {message}");
        }
        assert!(!message.contains("s3cret"), "{message}");
    }
}
