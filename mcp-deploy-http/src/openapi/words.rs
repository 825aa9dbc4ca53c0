//! The words of the code's own documentation, for those who do not read Rust.

use utoipa::openapi::{RefOr, Schema};

/// Rewrites what a schema says; `none` is what a value that is not there is in JSON: null, or absent.
pub(super) fn tell(schema: &mut RefOr<Schema>, none: &str) {
    let description = match schema {
        RefOr::Ref(reference) => {
            reference.description = told(&reference.description, none);
            return;
        }
        RefOr::T(Schema::Object(object)) => &mut object.description,
        RefOr::T(Schema::Array(array)) => &mut array.description,
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.iter_mut().for_each(|item| tell(item, none));
            &mut one_of.description
        }
        RefOr::T(_) => return,
    };
    *description = description.take().map(|description| told(&description, none));
}

/// Without examples in Rust, links into its code and line breaks of its files.
fn told(description: &str, none: &str) -> String {
    let prose = description.split("\n\n```").next().unwrap_or_default();
    let paragraphs = prose.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    without_links(&text).replace("`None`", none)
}

/// ``[`name`](Type::name)`` as `` `name` ``.
fn without_links(text: &str) -> String {
    let Some((before, rest)) = text.split_once("[`") else { return text.to_owned() };
    let Some((name, rest)) = rest.split_once("`]") else { return text.to_owned() };
    let rest = match rest.strip_prefix('(').and_then(|link| link.split_once(')')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    let name = name.rsplit("::").next().unwrap_or(name);
    format!("{before}`{name}`{}", without_links(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_rust_understands_is_left_out() {
        let check = |written, expected: &str| assert_eq!(told(written, "null"), expected);
        check(
            "It does not\nwork; [`Deployment::failure`] says why.",
            "It does not work; `failure` says why.",
        );
        check("A name.\n\nIt is [`short`](Self::short).\n\n```\nlet x;\n```", "A name.\n\nIt is `short`.");
        check("`None` where it has none: `[a]`.", "null where it has none: `[a]`.");
    }
}
