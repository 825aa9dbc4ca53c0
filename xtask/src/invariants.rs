//! The boundaries between the crates, as tables, and their proof by `cargo metadata` and `cargo tree`.
//!
//! A new backend is one line in [`BACKENDS`], a platform's client library one line in [`NAMED_ONLY_BY`], a new
//! program one line in [`PROGRAMS`].

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// The packages whose binaries join the backends. No backend depends on them.
pub(crate) const PROGRAMS: &[&str] = &["mcp-deploy-cli", "mcp-deploy-http"];

/// The packages that implement `DeploymentBackend`. They know neither each other nor the programs.
const BACKENDS: &[&str] = &["mcp-deploy-docker", "mcp-deploy-k8s", "mcp-deploy-mock"];

/// A dependency, and the only members whose manifests may name it, dev-dependencies included.
const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("actix-web", &["mcp-deploy-http"]),
    ("bollard", &["mcp-deploy-docker"]),
    ("clap", &["mcp-deploy-cli", "xtask"]),
    ("kube", &["mcp-deploy-k8s"]),
];

/// What a build must not contain, directly or not.
const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        package: "mcp-deploy-core",
        features: ALL_FEATURES,
        crates: &["actix-web", "aws-lc-rs", "bollard", "kube", "native-tls", "openssl-sys"],
    },
    // Only the conformance suite may bring clap: its runner, libtest-mimic, is made of it.
    Forbidden { package: "mcp-deploy-core", features: "--features=mockall,probe", crates: &["clap"] },
    Forbidden {
        package: "mcp-deploy-cli",
        features: "--no-default-features",
        crates: &["bollard", "kube", "mcp-deploy-docker", "mcp-deploy-k8s", "mcp-deploy-mock"],
    },
    Forbidden {
        package: "mcp-deploy-cli",
        features: "--no-default-features --features=docker",
        crates: &["actix-web", "kube", "mcp-deploy-mock", "quick-junit", "utoipa"],
    },
    Forbidden {
        package: "mcp-deploy-cli",
        features: "--no-default-features --features=kubernetes",
        crates: &["actix-web", "bollard", "mcp-deploy-docker", "mcp-deploy-mock", "utoipa"],
    },
    // The library, for a host that has backends of its own.
    Forbidden {
        package: "mcp-deploy-http",
        features: "--no-default-features",
        crates: &["bollard", "clap", "kube", "mcp-deploy-docker", "mcp-deploy-k8s", "mcp-deploy-mock"],
    },
    Forbidden {
        package: "mcp-deploy-http",
        features: "--features=kubernetes",
        crates: &["bollard", "clap", "mcp-deploy-docker", "mcp-deploy-mock"],
    },
    Forbidden {
        package: "mcp-deploy-http",
        features: ALL_FEATURES,
        crates: &["aws-lc-rs", "clap", "openssl-sys"],
    },
    Forbidden { package: "mcp-deploy-cli", features: ALL_FEATURES, crates: &["aws-lc-rs", "openssl-sys"] },
];

const ALL_FEATURES: &str = "--all-features";

#[derive(Debug)]
struct Forbidden {
    package: &'static str,
    /// The arguments to cargo that choose the features.
    features: &'static str,
    crates: &'static [&'static str],
}

/// Checks every table and reports all violations at once.
pub(crate) fn check(sh: &Shell, workspace: &Workspace) -> Result<()> {
    let mut violations = naming_violations(workspace, NAMED_ONLY_BY);
    for Forbidden { package, features, crates } in FORBIDDEN {
        violations.extend(tree_violations(package, features, crates, &tree(sh, package, features)?));
    }
    for backend in BACKENDS {
        let tree = tree(sh, backend, ALL_FEATURES)?;
        violations.extend(tree_violations(backend, ALL_FEATURES, &strangers_of(backend), &tree));
    }

    if violations.is_empty() {
        return Ok(());
    }
    bail!("a boundary between the crates is broken:\n  {}", violations.join("\n  "));
}

/// Everything that a build of `package` contains, on whatever platform, as `cargo tree` prints it.
fn tree(sh: &Shell, package: &str, features: &str) -> Result<String> {
    let format = "{p}";
    let features = features.split(' ');
    let tree = cmd!(
        sh,
        "cargo tree -p {package} {features...} -e normal --target all --prefix none --format {format}"
    );
    Ok(tree.read()?)
}

fn naming_violations(workspace: &Workspace, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let named: BTreeSet<&str> = package.dependencies.iter().map(|it| it.name.as_str()).collect();
        for (dependency, allowed) in table {
            if named.contains(dependency) && !allowed.contains(&package.name.as_str()) {
                let allowed = allowed.join(", ");
                violations.push(format!(
                    "`{}` names `{dependency}` in its manifest; only {allowed} may",
                    package.name
                ));
            }
        }
    }
    violations
}

fn tree_violations(package: &str, features: &str, forbidden: &[&str], tree: &str) -> Vec<String> {
    let contained = packages_in(tree);
    let found = forbidden.iter().filter(|name| contained.contains(*name));
    found
        .map(|name| {
            format!(
                "`{package} {features}` contains `{name}`; \
                 see `cargo tree -p {package} {features} -e normal --target all -i {name}`"
            )
        })
        .collect()
}

/// The names in the output of `cargo tree --prefix none --format {p}`.
fn packages_in(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

/// What `backend` must not know: every other backend, and the programs.
fn strangers_of(backend: &str) -> Vec<&'static str> {
    BACKENDS.iter().chain(PROGRAMS).copied().filter(|package| *package != backend).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
mcp-deploy-core v0.1.0 (/src/mcp-deploy-core)
async-trait v0.1.90 (proc-macro)
clap_lex v1.1.0

tokio v1.54.0
pin-project-lite v0.2.17
tokio v1.54.0 (*)
";

    #[test]
    fn a_tree_is_read_as_the_names_of_its_packages() {
        let names: Vec<&str> = packages_in(TREE).into_iter().collect();
        assert_eq!(names, ["async-trait", "clap_lex", "mcp-deploy-core", "pin-project-lite", "tokio"]);
    }

    #[test]
    fn a_forbidden_crate_is_found_by_its_whole_name_only() {
        let check = |forbidden: &[&str]| tree_violations("mcp-deploy-core", ALL_FEATURES, forbidden, TREE);
        assert_eq!(check(&["clap", "kube"]), Vec::<String>::new());
        assert_eq!(
            check(&["clap", "tokio"]),
            ["`mcp-deploy-core --all-features` contains `tokio`; \
              see `cargo tree -p mcp-deploy-core --all-features -e normal --target all -i tokio`"]
        );
    }

    #[test]
    fn a_dependency_may_be_named_only_by_the_packages_of_its_row() {
        let metadata = r#"{
            "target_directory": "/src/target",
            "packages": [
                {"name": "program", "dependencies": [{"name": "clap", "kind": null}]},
                {"name": "library", "dependencies": [{"name": "clap", "kind": "dev", "rename": "other"}]},
                {"name": "completion", "dependencies": [{"name": "clap_complete", "kind": null}]}
            ]
        }"#;
        let workspace = Workspace::parse(metadata).unwrap();
        assert_eq!(
            naming_violations(&workspace, &[("clap", &["program"])]),
            ["`library` names `clap` in its manifest; only program may"]
        );
    }

    #[test]
    fn a_backend_is_no_stranger_to_itself() {
        for backend in BACKENDS {
            let strangers = strangers_of(backend);
            assert!(!strangers.contains(backend));
            assert_eq!(strangers.len(), BACKENDS.len() - 1 + PROGRAMS.len());
        }
    }
}
