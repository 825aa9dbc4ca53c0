//! Words with quotes and variables, as the builder reads them.

use std::collections::BTreeMap;

/// The words of a text, quotes and escapes kept: what stands in quotes belongs together.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
        // Between single quotes nothing is escaped.
        if c == escape && quote != Some('\'') {
            word.extend(characters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The names of `ENV`, `ARG` and `LABEL` with their values as written: `A=1 B="2 3"`, `A` alone, and the older
/// `ENV A all the rest`.
pub(super) fn pairs(arguments: &str, escape: char) -> Vec<(String, Option<String>)> {
    let words = split(arguments, escape);
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word.clone(), None),
    };
    match words.first() {
        Some(name) if words.len() > 1 && !name.contains('=') && !words[1].contains('=') => {
            let rest = arguments.trim_start()[name.len()..].trim();
            vec![(name.clone(), Some(rest.to_owned()))]
        }
        _ => words.iter().map(pair).collect(),
    }
}

/// A word without its quotes, its variables filled in; `None` where one of them is not known.
pub(super) fn expand(word: &str, variables: &BTreeMap<String, String>, escape: char) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = word;
    let mut quote = None;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match quote {
            Some('\'') if c != '\'' => expanded.push(c),
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ if c == escape => {
                let next = rest.chars().next();
                expanded.extend(next);
                rest = &rest[next.map_or(0, char::len_utf8)..];
            }
            _ if c == '$' => {
                let (value, after) = variable(rest, variables, escape)?;
                expanded.push_str(&value);
                rest = after;
            }
            _ => expanded.push(c),
        }
    }
    Some(expanded)
}

/// The value of the variable whose name follows a `$`, and what stands behind it.
fn variable<'a>(
    text: &'a str,
    variables: &BTreeMap<String, String>,
    escape: char,
) -> Option<(String, &'a str)> {
    let name_length =
        |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(inside) = text.strip_prefix('{') else {
        let (name, after) = text.split_at(name_length(text));
        return if name.is_empty() {
            Some(("$".to_owned(), text))
        } else {
            Some((variables.get(name)?.clone(), after))
        };
    };
    let (inside, after) = inside.split_at_checked(closing(inside)?)?;
    let (name, modifier) = inside.split_at(name_length(inside));
    let value = variables.get(name);
    let given = value.filter(|value| !value.is_empty());
    let or_else = |word: &str| expand(word, variables, escape);
    let value = match modifier.split_at_checked(2) {
        _ if modifier.is_empty() => value?.clone(),
        Some((":-", word)) => given.cloned().or_else(|| or_else(word))?,
        Some((":+", word)) => given.map_or(Some(String::new()), |_| or_else(word))?,
        _ if modifier.starts_with('-') => value.cloned().or_else(|| or_else(&modifier[1..]))?,
        _ if modifier.starts_with('+') => value.map_or(Some(String::new()), |_| or_else(&modifier[1..]))?,
        _ => return None,
    };
    Some((value, &after[1..]))
}

/// Where the brace that is open at the beginning is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

/// The names of the variables that a text uses.
pub(super) fn used(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}
