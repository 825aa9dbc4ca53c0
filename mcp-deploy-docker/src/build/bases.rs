//! The images that a build begins with: those of the `FROM` lines that are no earlier stage; pure.

use std::collections::{BTreeMap, BTreeSet};

use mcp_deploy_core::{Dockerfile, ImageRef};

/// The images, as far as the Dockerfile and the build arguments say which.
pub(super) fn of(dockerfile: &Dockerfile, build_args: &BTreeMap<String, String>) -> BTreeSet<ImageRef> {
    let mut arguments: BTreeMap<&str, &str> = BTreeMap::new();
    let mut stages = BTreeSet::new();
    let mut images = BTreeSet::new();
    for instruction in dockerfile.instructions() {
        match instruction.keyword.as_str() {
            // Before the first `FROM`; the others are of no concern to it.
            "ARG" if stages.is_empty() && images.is_empty() => {
                for word in instruction.arguments.split_whitespace() {
                    let (name, default) = word.split_once('=').unwrap_or((word, ""));
                    let given = build_args.get(name).map(String::as_str);
                    arguments.insert(name, given.unwrap_or(default.trim_matches(['"', '\''])));
                }
            }
            "FROM" => {
                let mut words = instruction.arguments.split_whitespace();
                let image = filled_in(words.next().unwrap_or_default(), &arguments);
                if image != "scratch" && !stages.contains(&image.to_lowercase()) {
                    images.extend(image.parse::<ImageRef>());
                }
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
                    stages.extend(words.next().map(str::to_lowercase));
                }
            }
            _ => {}
        }
    }
    images
}

/// A text with `$NAME`, `${NAME}` and `${NAME:-default}` filled in.
fn filled_in(text: &str, arguments: &BTreeMap<&str, &str>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let (inner, after) = in_braces(after).unwrap_or_else(|| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
        });
        let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
        let value = arguments.get(name).copied().filter(|value| !value.is_empty());
        filled.push_str(value.unwrap_or(default));
        rest = after;
    }
    filled + rest
}

/// What stands between braces at the beginning, and what follows them.
fn in_braces(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?.split_once('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(text: &str, build_args: &[(&str, &str)]) -> Vec<String> {
        let build_args =
            build_args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let images = of(&Dockerfile::parse(text).unwrap(), &build_args);
        images.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn stages_and_nothing_are_no_images() {
        let text = "FROM one.example/a:1 AS Build\nRUN x\nFROM scratch AS empty\nFROM build\nFROM b\n";
        assert_eq!(bases(text, &[]), ["b", "one.example/a:1"]);
    }

    #[test]
    fn arguments_before_the_first_image_are_filled_in() {
        let text =
            "ARG HOST=\"one.example\"\nARG TAG\nFROM $HOST/a:${TAG:-7}\nARG HOST=other\nFROM ${HOST}/b\n";
        assert_eq!(bases(text, &[]), ["one.example/a:7", "one.example/b"]);
        assert_eq!(
            bases(text, &[("HOST", "two.example"), ("TAG", "9")]),
            ["two.example/a:9", "two.example/b"]
        );
    }
}
