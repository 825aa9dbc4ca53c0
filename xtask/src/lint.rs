//! `cargo xtask lint`: everything that can be said about the code without running it.

use anyhow::{Result, bail};
use clap::ValueEnum;
use xshell::{Cmd, Shell, cmd};

use crate::invariants;
use crate::report::Report;
use crate::workspace::Workspace;

/// The steps, in the order in which they run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Step {
    /// `cargo fmt --check`
    Fmt,
    /// clippy with all features
    Clippy,
    /// clippy with the default features, where other code is dead
    ClippyDefault,
    /// `cargo check` of each crate alone, without the features that its neighbours switch on
    Alone,
    /// `cargo check` of the programs without features, with each of them, and with each two
    FeaturePowerset,
    /// The boundaries between the crates: who may depend on what
    Invariants,
    /// rustdoc without warnings
    Doc,
    /// Licences, banned crates and sources (`deny.toml`)
    Deny,
}

/// Runs the steps in `only`, or all of them when it is empty.
pub(crate) fn run(sh: &Shell, only: &[Step]) -> Result<()> {
    let steps = if only.is_empty() { Step::value_variants() } else { only };
    let workspace = Workspace::load(sh)?;
    let mut report = Report::default();
    for step in steps {
        match step {
            Step::Fmt => report.step("fmt", || run_command(&cmd!(sh, "cargo fmt --all --check"))),
            Step::Clippy => report.step("clippy", || {
                run_command(&cmd!(sh, "cargo clippy --workspace --all-targets --all-features -- -D warnings"))
            }),
            Step::ClippyDefault => report.step("clippy-default", || {
                run_command(&cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings"))
            }),
            Step::Alone => {
                for package in &workspace.packages {
                    let name = &package.name;
                    report.step(format!("alone {name}"), || run_command(&cmd!(sh, "cargo check -p {name}")));
                }
            }
            Step::FeaturePowerset => {
                for program in invariants::PROGRAMS {
                    report.step(format!("feature-powerset {program}"), || feature_powerset(sh, program));
                }
            }
            Step::Invariants => report.step("invariants", || invariants::check(sh, &workspace)),
            Step::Doc => report.step("doc", || {
                let doc = cmd!(sh, "cargo doc --workspace --no-deps --all-features");
                run_command(&doc.env("RUSTDOCFLAGS", "-D warnings"))
            }),
            Step::Deny => report.step("deny", || deny(sh)),
        }
    }
    report.finish()
}

fn feature_powerset(sh: &Shell, program: &str) -> Result<()> {
    require_subcommand(sh, "hack")?;
    run_command(&cmd!(sh, "cargo hack check --feature-powerset --depth 2 -p {program}"))
}

fn deny(sh: &Shell) -> Result<()> {
    require_subcommand(sh, "deny")?;
    run_command(&cmd!(sh, "cargo deny check licenses bans sources"))
}

fn require_subcommand(sh: &Shell, subcommand: &str) -> Result<()> {
    let version = cmd!(sh, "cargo {subcommand} --version");
    if version.quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("`cargo {subcommand}` is missing: run `cargo install --locked cargo-hack cargo-deny`");
    }
    Ok(())
}

fn run_command(command: &Cmd<'_>) -> Result<()> {
    Ok(command.run()?)
}
