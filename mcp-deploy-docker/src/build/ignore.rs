//! `.dockerignore`: which files of a directory stay out of the context; pure.
//!
//! The rules are those of <https://github.com/moby/patternmatcher>, with the oddities that people rely on: the last
//! pattern that matches decides, a directory that is left out takes all below it along, and an exception brings
//! something back from there only where it names the directory itself.

use regex::Regex;

/// The name of the file, in the directory of the context.
pub(super) const FILE: &str = ".dockerignore";

/// The patterns of a `.dockerignore`, in their order.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

/// Which patterns match a directory: what lies below it is matched by them too.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched(Vec<bool>);

/// What becomes of an entry of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    /// It is left out, and if it is a directory all below it is too.
    LeftOut,
    /// The directory is left out, and an exception may bring back something below it.
    LookedInto,
}

#[derive(Debug)]
struct Pattern {
    /// `!`: what matches comes back.
    is_exception: bool,
    text: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Exact,
    /// `text/**`
    Prefix,
    /// `**/text`
    Suffix,
    Regex(Regex),
}

/// A line that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{FILE}:{line}: `{text}` is no pattern: {reason}")]
pub(super) struct PatternError {
    line: usize,
    text: String,
    reason: &'static str,
}

impl Ignore {
    /// The patterns of a text. The Dockerfile and the file itself are always sent: the daemon reads both.
    pub(super) fn parse(text: &str, dockerfile: &str) -> Result<Self, PatternError> {
        let mut ignore = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let wrong = |reason| PatternError { line: index + 1, text: line.trim().to_owned(), reason };
            ignore.patterns.push(Pattern::parse(line.trim()).map_err(wrong)?);
        }
        for kept in [FILE, dockerfile] {
            if ignore.matches(kept, None).0 {
                let text = clean(kept);
                ignore.patterns.push(Pattern { is_exception: true, text, matcher: Matcher::Exact });
            }
        }
        Ok(ignore)
    }

    /// What becomes of a path, relative to the context and with slashes; `parent` is what its directory matched,
    /// and none for what lies in the context itself.
    pub(super) fn fate(&self, path: &str, is_directory: bool, parent: Option<&Matched>) -> (Fate, Matched) {
        let (is_left_out, matched) = self.matches(path, parent);
        let inside = format!("{path}/");
        let is_named_by_an_exception =
            |pattern: &Pattern| pattern.is_exception && format!("{}/", pattern.text).starts_with(&inside);
        let fate = match is_left_out {
            false => Fate::Sent,
            true if is_directory && self.patterns.iter().any(is_named_by_an_exception) => Fate::LookedInto,
            true => Fate::LeftOut,
        };
        (fate, matched)
    }

    fn matches(&self, path: &str, parent: Option<&Matched>) -> (bool, Matched) {
        let mut is_left_out = false;
        let mut matched = Vec::with_capacity(self.patterns.len());
        for (index, pattern) in self.patterns.iter().enumerate() {
            let by_parent = parent.is_some_and(|Matched(parent)| parent[index]);
            // An exception to nothing needs no look, and what is left out cannot be left out once more.
            let is_hit = by_parent || (pattern.is_exception == is_left_out && pattern.matches(path));
            matched.push(is_hit);
            if is_hit {
                is_left_out = !pattern.is_exception;
            }
        }
        (is_left_out, Matched(matched))
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (is_exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if text.is_empty() {
            return Err("nothing follows the `!`");
        }
        let text = clean(text);
        // A pattern that begins at the root means the root of the context.
        let text = match text.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ => text,
        };
        let matcher = matcher(&text)?;
        Ok(Self { is_exception, text, matcher })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Matcher::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix('/').is_some_and(|name| name == path)
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }
}

/// A path without `.`, `..` and doubled slashes, as Go's `path.Clean` makes it.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

/// The matcher of a pattern; only one with a wild card within needs a regular expression.
fn matcher(text: &str) -> Result<Matcher, &'static str> {
    const NO_CLASS: &str = "a `[` has no `]`, or the range between them is none";
    let mut regex = String::from("^");
    let mut matcher = Matcher::Exact;
    let mut is_wild = false;
    let mut characters = text.chars().peekable();
    let mut is_first = true;
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => {
                characters.next_if_eq(&'/');
                if characters.peek().is_some() {
                    regex.push_str("(.*/)?");
                    is_wild = true;
                } else if is_wild || !matches!(matcher, Matcher::Exact) {
                    regex.push_str(".*");
                    is_wild = true;
                } else {
                    matcher = Matcher::Prefix;
                }
                if is_first {
                    (matcher, is_wild) = (Matcher::Suffix, false);
                }
            }
            '*' => {
                regex.push_str("[^/]*");
                is_wild = true;
            }
            '?' => {
                regex.push_str("[^/]");
                is_wild = true;
            }
            '\\' => {
                let escaped = characters.next().ok_or("it ends with `\\`, which escapes what follows")?;
                regex.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
                is_wild = true;
            }
            '[' | ']' => {
                regex.push(character);
                is_wild = true;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                regex.push('\\');
                regex.push(character);
            }
            character => regex.push(character),
        }
        is_first = false;
    }
    if !is_wild {
        return Ok(matcher);
    }
    regex.push('$');
    Regex::new(&regex).map(Matcher::Regex).map_err(|_| NO_CLASS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a path is sent, as a walk through its directories finds it.
    fn is_sent(patterns: &str, path: &str) -> bool {
        let ignore = Ignore::parse(patterns, "Dockerfile").unwrap();
        let mut parent = None;
        for (end, _) in path.match_indices('/') {
            let (fate, matched) = ignore.fate(&path[..end], true, parent.as_ref());
            if fate == Fate::LeftOut {
                return false;
            }
            parent = Some(matched);
        }
        ignore.fate(path, false, parent.as_ref()).0 == Fate::Sent
    }

    fn check(patterns: &str, sent: &[&str], left_out: &[&str]) {
        for path in sent {
            assert!(is_sent(patterns, path), "`{path}` is left out by {patterns:?}");
        }
        for path in left_out {
            assert!(!is_sent(patterns, path), "`{path}` is sent in spite of {patterns:?}");
        }
    }

    #[test]
    fn a_pattern_begins_at_the_root_and_takes_all_below_along() {
        check("target\n", &["src/target", "targets"], &["target", "target/debug/x"]);
        check("/target/\n./other/../logs", &["src/logs/x"], &["target/x", "logs/x"]);
    }

    #[test]
    fn wild_cards_do_not_cross_directories_but_for_two_stars() {
        check("*.md", &["doc/a.md", "md"], &["a.md", ".md"]);
        check("*/temp?", &["temp1", "a/b/temp1", "a/temp", "a/temp12"], &["a/temp1", "a/temp1/x"]);
        check("**/node_modules", &["node_modules2"], &["node_modules/x", "a/b/node_modules/c"]);
        check("**/*.go", &["a.rs"], &["a.go", "a/b/c.go"]);
        check("a/**/z", &["a/b", "z"], &["a/z", "a/b/c/z"]);
        check("cache/**", &["cached"], &["cache/a", "cache/a/b"]);
        check("[a-c].txt", &["d.txt"], &["a.txt"]);
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        check("*.md\n!README.md", &["README.md"], &["a.md"]);
        check("*.md\n!README*.md\nREADME-secret.md", &["README.md"], &["README-secret.md", "a.md"]);
        check("*\n!src\n!src/**", &["src/a/b"], &["other"]);
        check("dir\n!dir/kept", &["dir/kept"], &["dir/other", "dir/sub/kept"]);
        // The exception does not name the directory, so nobody looks into it.
        check("dir\n!**/kept", &[], &["dir/kept"]);
    }

    #[test]
    fn comments_and_empty_lines_are_no_patterns_and_characters_stand_for_themselves() {
        check("\u{feff}# target\n\n  \n#\n a+b(1).txt ", &["target", "aab(1).txt"], &["a+b(1).txt"]);
        check("a\\*b", &["axb"], &["a*b"]);
        check(" # not a comment", &["x"], &["# not a comment"]);
    }

    #[test]
    fn what_the_daemon_reads_is_always_sent() {
        check("*", &["Dockerfile", ".dockerignore"], &["x", "sub/Dockerfile"]);
        check("**/Docker*\n.*", &["Dockerfile", ".dockerignore"], &[".git/x"]);
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let wrong = |text| Ignore::parse(text, "Dockerfile").unwrap_err().to_string();
        assert_eq!(wrong("ok\n!"), ".dockerignore:2: `!` is no pattern: nothing follows the `!`");
        assert!(wrong("[a").contains("has no `]`"));
        assert!(wrong("a\\").contains("ends with `\\`"));
    }
}
