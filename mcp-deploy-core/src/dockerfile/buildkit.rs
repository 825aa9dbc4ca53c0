//! What only BuildKit can build.

use super::stages::global_variables;
use super::words::{pairs, split, used};
use super::{Dockerfile, Instruction, read};

/// Build arguments that only BuildKit gives a value.
const PLATFORM_VARIABLES: [&str; 8] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
];

/// The flags of `COPY` and `ADD` that the classic builder knows.
const CLASSIC_FLAGS: [&str; 2] = ["chown", "from"];

pub(super) fn needs(dockerfile: &Dockerfile) -> Vec<(usize, String)> {
    let syntax = dockerfile.syntax.iter().filter(|(_, frontend)| !is_usual(frontend));
    let mut needs: Vec<(usize, String)> =
        syntax.map(|(line, frontend)| (*line, format!("the frontend `{frontend}`"))).collect();
    for instruction in dockerfile.instructions() {
        let reasons = reasons(instruction, dockerfile);
        needs.extend(reasons.into_iter().map(|reason| (instruction.line, reason)));
    }
    needs
}

/// The usual frontend says nothing about what the file uses of it: the classic builder passes over the line.
fn is_usual(frontend: &str) -> bool {
    let frontend = frontend.trim_start_matches("docker.io/");
    let tag = frontend.strip_prefix("docker/dockerfile");
    tag.is_some_and(|tag| tag.is_empty() || (tag.starts_with([':', '@']) && !tag.contains("labs")))
}

fn reasons(instruction: &Instruction, dockerfile: &Dockerfile) -> Vec<String> {
    let Instruction { line, keyword, flags, arguments, heredoc } = instruction;
    let mut reasons = Vec::new();
    let flag = |name: &str| format!("`{keyword} --{name}`");
    match keyword.as_str() {
        "ONBUILD" => return self::reasons(&read::instruction(*line, arguments), dockerfile),
        "RUN" => reasons.extend(flags.iter().map(|it| flag(&it.name))),
        "COPY" | "ADD" => {
            let unknown = flags.iter().filter(|it| !CLASSIC_FLAGS.contains(&it.name.as_str()));
            reasons.extend(unknown.map(|it| flag(&it.name)));
            if keyword == "ADD" && split(arguments, dockerfile.escape).iter().any(|word| is_git_url(word)) {
                reasons.push("`ADD` of a git repository".to_owned());
            }
        }
        "FROM" => {
            let global = global_variables(dockerfile);
            let platform = instruction.flag("platform").unwrap_or_default();
            let variables = used(platform).chain(used(arguments));
            let unset = variables.filter(|name| is_platform(name) && !global.contains_key(*name));
            reasons.extend(unset.map(|name| format!("the value of `{name}`")));
        }
        "ARG" => {
            let unset = pairs(arguments, dockerfile.escape).into_iter().filter(|(_, value)| value.is_none());
            let unset = unset.filter(|(name, _)| is_platform(name));
            reasons.extend(unset.map(|(name, _)| format!("the value of `{name}`")));
        }
        _ => {}
    }
    if *heredoc {
        reasons.push(format!("the here-document of `{keyword}`"));
    }
    reasons
}

fn is_platform(name: &str) -> bool {
    PLATFORM_VARIABLES.contains(&name)
}

/// As BuildKit tells them from a file to download.
fn is_git_url(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'']);
    let place = word.split(['#', '?']).next().unwrap_or_default();
    word.starts_with("git@")
        || word.starts_with("git://")
        || word.starts_with("ssh://")
        || word.starts_with("github.com/")
        || (word.contains("://") && place.strip_suffix(".git").is_some())
}
