//! The files that a new template begins with, one set for each language.

use clap::ValueEnum;
use mcp_deploy_core::TemplateId;

/// A language with an SDK of MCP, and a server in it to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// With rmcp and axum
    Rust,
    /// With the package `mcp`
    Python,
    /// With the package `@modelcontextprotocol/server`
    #[value(name = "typescript")]
    TypeScript,
}

/// The files of a directory of `scaffold/`, by path.
macro_rules! scaffold {
    ($directory:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../scaffold/", $directory, "/", $file)))),+]
    };
}

const RUST: &[(&str, &str)] = scaffold!("rust":
    "template.json",
    "tests.json",
    "README.md",
    "Dockerfile",
    ".dockerignore",
    "server/Cargo.toml.in",
    "server/src/main.rs",
    "server/src/serve.rs",
    "server/src/tools.rs",
    "server/src/settings.rs",
    "server/src/check.rs",
);

const PYTHON: &[(&str, &str)] = scaffold!("python":
    "template.json",
    "tests.json",
    "README.md",
    "Dockerfile",
    ".dockerignore",
    "server/requirements.txt",
    "server/main.py",
    "server/serve.py",
    "server/tools.py",
    "server/settings.py",
    "server/check.py",
);

const TYPESCRIPT: &[(&str, &str)] = scaffold!("typescript":
    "template.json",
    "tests.json",
    "README.md",
    "Dockerfile",
    ".dockerignore",
    "server/package.json.in",
    "server/tsconfig.json",
    "server/src/main.ts",
    "server/src/serve.ts",
    "server/src/tools.ts",
    "server/src/settings.ts",
    "server/src/check.ts",
);

/// Paths and texts, the names of a new template filled in. A manifest is kept as `….in`: tools would take the
/// directory that it is in for a package.
pub(super) fn files(language: Language, id: &TemplateId, version: &str) -> Vec<(String, String)> {
    let files = match language {
        Language::Rust => RUST,
        Language::Python => PYTHON,
        Language::TypeScript => TYPESCRIPT,
    };
    let fill = |text: &str| {
        text.replace("{{id}}", id.as_str()).replace("{{name}}", &title(id)).replace("{{version}}", version)
    };
    files.iter().map(|(path, text)| (path.trim_end_matches(".in").to_owned(), fill(text))).collect()
}

/// `my-server` as people write it: `My server`.
fn title(id: &TemplateId) -> String {
    let (first, rest) = id.as_str().split_at(1);
    first.to_ascii_uppercase() + &rest.replace('-', " ")
}
