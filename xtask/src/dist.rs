//! The program as it is handed out: small.

use std::env::consts;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// The tables for unwinding are left out: the profile `dist` aborts on a panic, and nothing else reads them. No
/// option of the compiler removes them, as the standard library is built with them.
const WITHOUT_UNWIND_TABLES: &str = "\
SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } }
INSERT BEFORE .text;
";

/// The first glibc that reads packed relocations (RELR); an older one refuses to start the program, and says so. The
/// usual ones are a twentieth of the program, packed they are next to nothing.
const READS_PACKED_RELOCATIONS: [u32; 2] = [2, 36];

/// The most megabytes of the program with the feature `docker` alone, where its relocations are packed.
pub(crate) const DOCKER_ONLY_MEGABYTES: u64 = 8;

/// Rust's own linker is the default there.
const IS_RUSTS_OWN_LINKER: bool = cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"));

/// Builds it, with some features alone or with the default ones, and says where it is.
pub(crate) fn run(sh: &Shell, features: Option<&str>) -> Result<PathBuf> {
    let target = Workspace::load(sh)?.target_directory;
    let mut build = cmd!(sh, "cargo rustc --profile dist --package mcp-deploy-cli --bin mcp-deploy");
    if let Some(features) = features {
        build = build.args(["--no-default-features", "--features", features]);
    }
    // It folds functions that are the same.
    if IS_RUSTS_OWN_LINKER {
        let script = target.join("without-unwind-tables.ld");
        fs::write(&script, WITHOUT_UNWIND_TABLES)?;
        let options = ["--icf=all", "--no-eh-frame-hdr", &format!("-T,{}", script.display())];
        build = build.arg("--").args(options.map(|option| format!("-Clink-arg=-Wl,{option}")));
        if packs_relocations(sh)? {
            build = build.arg("-Clink-arg=-Wl,-z,pack-relative-relocs");
        }
    }
    build.run()?;
    Ok(target.join("dist").join(format!("mcp-deploy{}", consts::EXE_SUFFIX)))
}

/// Whether the program is built with packed relocations here.
pub(crate) fn packs_relocations(sh: &Shell) -> Result<bool> {
    Ok(IS_RUSTS_OWN_LINKER && glibc(sh)? >= READS_PACKED_RELOCATIONS)
}

/// The version of this machine's glibc; whoever starts the program needs one that is no older.
fn glibc(sh: &Shell) -> Result<[u32; 2]> {
    let told = cmd!(sh, "getconf GNU_LIBC_VERSION").read()?;
    let version = told.strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let numbers = version.and_then(|(major, minor)| Some([major.parse().ok()?, minor.parse().ok()?]));
    numbers.with_context(|| format!("`{told}` is no version of glibc"))
}
