//! `cargo xtask measure -- PROGRAM ARGS` (hidden): one run of a program, its wall time and its peak memory.
//!
//! The kernel reports the peak over *all* ended children of a process. So `bench` starts this command anew for
//! each run, and the program is its only child.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result};

/// One run, written as `NANOSECONDS BYTES`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Measurement {
    pub(crate) wall: Duration,
    /// Largest resident set. A child starts in the memory of its parent, so this is never below the few
    /// megabytes of xtask itself.
    pub(crate) peak_memory_bytes: u64,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.wall.as_nanos(), self.peak_memory_bytes)
    }
}

impl FromStr for Measurement {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (nanoseconds, bytes) =
            line.split_once(' ').with_context(|| format!("no measurement: `{line}`"))?;
        Ok(Self { wall: Duration::from_nanos(nanoseconds.parse()?), peak_memory_bytes: bytes.parse()? })
    }
}

/// Runs the program with its standard output to nowhere and prints the [`Measurement`].
pub(crate) fn run(command_line: &[OsString]) -> Result<()> {
    println!("{}", measure(command_line)?);
    Ok(())
}

#[cfg(unix)]
fn measure(command_line: &[OsString]) -> Result<Measurement> {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use anyhow::{bail, ensure};
    use nix::sys::resource::{UsageWho, getrusage};

    let [program, arguments @ ..] = command_line else {
        bail!("no program given");
    };
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("starting `{}`", program.display()))?;
    let wall = started.elapsed();
    ensure!(status.success(), "`{}` ended with {status}", program.display());

    // `ru_maxrss` is in bytes on Apple's systems and in KiB elsewhere.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    let max_rss = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())?;
    Ok(Measurement { wall, peak_memory_bytes: max_rss * unit })
}

#[cfg(not(unix))]
fn measure(_command_line: &[OsString]) -> Result<Measurement> {
    anyhow::bail!("peak memory is measured only on Unix");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_read_back_as_it_was_written() {
        let measurement = Measurement { wall: Duration::from_micros(1500), peak_memory_bytes: 4096 };
        assert_eq!(measurement.to_string(), "1500000 4096");
        assert_eq!(measurement.to_string().parse::<Measurement>().unwrap(), measurement);
        assert!("1500000".parse::<Measurement>().is_err());
    }
}
