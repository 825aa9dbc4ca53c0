//! From text to instructions: what is a line, a comment, a directive, a here-document.

use super::words::split;
use super::{Dockerfile, DockerfileError, Finding, Flag, Instruction};
use crate::nearest;

/// All that there are.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Those that can take a here-document.
const WITH_HEREDOC: [&str; 3] = ["ADD", "COPY", "RUN"];

const DEFAULT_ESCAPE: char = '\\';

pub(super) fn dockerfile(text: &str) -> Result<Dockerfile, DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let Directives { escape, syntax } = directives(&lines);
    let mut reader = Reader { lines: &lines, next: 0, escape, findings: Vec::new() };
    let mut instructions = Vec::new();
    while let Some((line, text)) = reader.logical_line() {
        let instruction = instruction(line, &text);
        reader.check(&instruction, &instructions);
        instructions.push(reader.with_heredocs(instruction));
    }
    if !instructions.iter().any(|instruction| instruction.keyword == "FROM") && reader.findings.is_empty() {
        reader.findings.push(
            Finding::new(lines.len().max(1), "there is no `FROM`").expected("the image that it is built on"),
        );
    }
    match reader.findings {
        findings if findings.is_empty() => Ok(Dockerfile { escape, syntax, instructions }),
        findings => Err(DockerfileError { findings }),
    }
}

/// What the comments at the very top tell the builder.
struct Directives {
    escape: char,
    syntax: Option<(usize, String)>,
}

/// They end with the first line that is none.
fn directives(lines: &[&str]) -> Directives {
    let mut directives = Directives { escape: DEFAULT_ESCAPE, syntax: None };
    for (index, line) in lines.iter().enumerate() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|line| line.split_once('=')) else {
            break;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" if value == "`" => directives.escape = '`',
            "syntax" => directives.syntax = Some((index + 1, value.to_owned())),
            "escape" | "check" => {}
            _ => break,
        }
    }
    directives
}

/// The instruction in a text whose lines are joined.
pub(super) fn instruction(line: usize, text: &str) -> Instruction {
    let (keyword, mut rest) = first_word(text);
    let mut flags = Vec::new();
    while rest.starts_with("--") {
        let (word, after) = first_word(rest);
        rest = after;
        match word.trim_start_matches("--").split_once('=') {
            _ if word == "--" => break,
            Some((name, value)) => flags.push(Flag { name: name.to_owned(), value: value.to_owned() }),
            None => flags.push(Flag { name: word.trim_start_matches("--").to_owned(), value: String::new() }),
        }
    }
    Instruction {
        line,
        keyword: keyword.to_ascii_uppercase(),
        flags,
        arguments: rest.to_owned(),
        heredoc: false,
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

struct Reader<'a> {
    lines: &'a [&'a str],
    next: usize,
    escape: char,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    /// The next line with all that continues it, and the number of its first.
    fn logical_line(&mut self) -> Option<(usize, String)> {
        let mut joined = String::new();
        let mut first = None;
        while let Some(line) = self.lines.get(self.next) {
            self.next += 1;
            let is_comment = line.trim_start().starts_with('#');
            if is_comment || line.trim().is_empty() {
                // Also between continued lines.
                continue;
            }
            let number = *first.get_or_insert(self.next);
            let Some(part) = self.continued(line) else {
                joined.push_str(line);
                return Some((number, joined));
            };
            joined.push_str(part);
        }
        first.map(|number| (number, joined))
    }

    /// What stands before the escape at the end of a line; one that is escaped itself does not count.
    fn continued<'b>(&self, line: &'b str) -> Option<&'b str> {
        let part = line.trim_end_matches([' ', '\t']).strip_suffix(self.escape)?;
        (!part.ends_with(self.escape)).then_some(part)
    }

    fn check(&mut self, instruction: &Instruction, before: &[Instruction]) {
        let Instruction { line, keyword, arguments, .. } = instruction;
        if !KEYWORDS.contains(&keyword.as_str()) {
            let finding = Finding::new(*line, format!("`{keyword}` is no instruction"));
            self.findings.push(match nearest(keyword, KEYWORDS) {
                Some(nearest) => finding.expected(format!("did you mean `{nearest}`?")),
                None => finding,
            });
            return;
        }
        let has_from = before.iter().any(|instruction| instruction.keyword == "FROM");
        if !has_from && keyword != "FROM" && keyword != "ARG" {
            let finding = Finding::new(*line, format!("`{keyword}` stands before the first `FROM`"));
            self.findings.push(finding.expected("only `ARG` may"));
        }
        if arguments.is_empty() {
            self.findings.push(Finding::new(*line, format!("`{keyword}` says nothing")));
        }
        if keyword == "FROM" {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            if !matches!(words.as_slice(), [] | [_]) && !is_named_stage(&words) {
                let finding = Finding::new(*line, format!("`FROM {arguments}` has too many words"));
                self.findings.push(finding.expected("`FROM image` or `FROM image AS name`"));
            }
        }
    }

    /// Passes over the here-documents that an instruction begins.
    fn with_heredocs(&mut self, mut instruction: Instruction) -> Instruction {
        if !WITH_HEREDOC.contains(&instruction.keyword.as_str()) || instruction.exec_form().is_some() {
            return instruction;
        }
        for word in split(&instruction.arguments, self.escape) {
            let Some(heredoc) = heredoc(&word) else {
                continue;
            };
            instruction.heredoc = true;
            let body = &self.lines[self.next..];
            let is_end = |line: &&str| heredoc.is_end(line);
            let Some(end) = body.iter().position(is_end) else {
                self.next = self.lines.len();
                let finding = Finding::new(instruction.line, format!("`{word}` has no end"));
                self.findings.push(finding.expected(format!("a line that says `{}`", heredoc.end)));
                break;
            };
            self.next += end + 1;
        }
        instruction
    }
}

fn is_named_stage(words: &[&str]) -> bool {
    matches!(words, [_, word, _] if word.eq_ignore_ascii_case("as"))
}

/// The beginning of a here-document.
struct Heredoc {
    end: String,
    /// Whether tabs before the lines do not count (`<<-`).
    indented: bool,
}

impl Heredoc {
    fn is_end(&self, line: &str) -> bool {
        let line = if self.indented { line.trim_start_matches('\t') } else { line };
        line == self.end
    }
}

/// `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`; not `<<<`, which is a shell's.
fn heredoc(word: &str) -> Option<Heredoc> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (word, indented) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
    let end = word.trim_matches(['"', '\'']);
    (!end.is_empty() && !end.contains('<')).then(|| Heredoc { end: end.to_owned(), indented })
}
