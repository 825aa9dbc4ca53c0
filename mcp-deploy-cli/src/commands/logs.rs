//! `logs NAME`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use futures_util::StreamExt;
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, LogLine, LogOptions};

use super::{Context, completions};
use crate::error::Result;
use crate::output::{Format, print, yaml};
use crate::values;

#[derive(Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(add = ArgValueCandidates::new(completions::deployment_names))]
    name: DeploymentName,
    /// Wait for more
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each instance
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Only lines since then: `10m` ago, or a time as in `2026-11-23T02:00:00Z`
    #[arg(long, value_name = "WHEN", value_parser = values::moment)]
    since: Option<Timestamp>,
    /// Only lines of the run before the current one, where the platform keeps the runs apart
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Begin each line with its time
    #[arg(long)]
    timestamps: bool,
}

pub(crate) fn run(options: &Options, context: &Context) -> Result<()> {
    let Options { name, follow, tail, since, previous, timestamps } = options;
    let log_options = LogOptions { tail: *tail, since: *since, follow: *follow, previous: *previous };
    context.wait_for(async {
        let mut lines = context.manager.logs(context.backend(), name, log_options).await?;
        while let Some(line) = lines.next().await {
            print(&text(&line?, *timestamps, context.format)?)?;
        }
        Ok(())
    })?
}

/// A line of the log; of JSON one object a line, of YAML one document.
fn text(line: &LogLine, timestamps: bool, format: Format) -> Result<String> {
    match format {
        Format::Json => return Ok(format!("{}\n", serde_json::json!(line))),
        Format::Yaml => return Ok(format!("---\n{}", yaml(line)?)),
        Format::Table | Format::Wide | Format::Name => {}
    }
    let timestamp = line.timestamp.filter(|_| timestamps);
    let timestamp = timestamp.map_or_else(String::new, |timestamp| format!("{timestamp:.3} "));
    let instance = match format {
        Format::Wide => format!("{} ", line.instance),
        _ => String::new(),
    };
    Ok(format!("{timestamp}{instance}{}\n", line.message))
}
