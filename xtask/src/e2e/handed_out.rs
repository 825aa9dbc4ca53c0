//! The program as it is handed out, with the feature `docker` alone: built otherwise than any that is tested, so that it is
//! seen to be small and to do what a person does with it.

use std::fs;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::dist::{self, DOCKER_ONLY_MEGABYTES};

const NAME: &str = "handed-out";

/// Needs the image of `demo`.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let program = dist::run(sh, Some("docker"))?;
    let bytes = fs::metadata(&program)?.len();
    ensure!(
        bytes <= DOCKER_ONLY_MEGABYTES * 1_000_000 || !dist::packs_relocations(sh)?,
        "`{}` has {bytes} bytes instead of at most {DOCKER_ONLY_MEGABYTES} MB: what did it get that a machine \
         which only deploys does not need?",
        program.display()
    );
    let steps = [
        &["deploy", "demo", "--name", NAME][..],
        &["call", NAME, "say_hello", "--arg", "name=you"],
        &["restart", NAME],
        &["logs", NAME],
        &["status", NAME, "--output", "json"],
    ];
    let outcome =
        steps.into_iter().try_for_each(|step| cmd!(sh, "{program} --backend docker {step...}").run());
    // Where nothing was deployed, why is what counts.
    cmd!(sh, "{program} --backend docker delete {NAME}").ignore_status().run()?;
    outcome?;
    let refused = cmd!(sh, "{program} --backend docker status {NAME}").ignore_status().output()?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        refused.status.code() == Some(4) && told.starts_with("error: "),
        "it should say that `{NAME}` is gone: {told}"
    );
    Ok(())
}
