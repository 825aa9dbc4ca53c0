//! The program as it is handed out: small.

use std::env::consts;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// The tables for unwinding are left out: the profile `dist` aborts on a panic, and nothing else reads them. No
/// option of the compiler removes them, as the standard library is built with them.
const WITHOUT_UNWIND_TABLES: &str = "\
SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } }
INSERT BEFORE .text;
";

/// Builds it, with some features alone or with the default ones, and says where it is.
pub(crate) fn run(sh: &Shell, features: Option<&str>) -> Result<PathBuf> {
    let target = Workspace::load(sh)?.target_directory;
    let mut build = cmd!(sh, "cargo rustc --profile dist --package mcp-deploy-cli --bin mcp-deploy");
    if let Some(features) = features {
        build = build.args(["--no-default-features", "--features", features]);
    }
    // Rust's own linker is the default there, and folds functions that are the same.
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        let script = target.join("without-unwind-tables.ld");
        fs::write(&script, WITHOUT_UNWIND_TABLES)?;
        let options = ["--icf=all", "--no-eh-frame-hdr", &format!("-T,{}", script.display())];
        build = build.arg("--").args(options.map(|option| format!("-Clink-arg=-Wl,{option}")));
    }
    build.run()?;
    Ok(target.join("dist").join(format!("mcp-deploy{}", consts::EXE_SUFFIX)))
}
