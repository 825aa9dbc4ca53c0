//! `gc`: what only a backend of real objects has.

use clap::Args;
use mcp_deploy_core::Error as CoreError;
use mcp_deploy_docker::Garbage;

use super::Context;
use crate::backends;
use crate::error::Result;
use crate::output::{Show, header, show, table, talk};

#[derive(Args)]
pub(crate) struct Options {
    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options, context: &Context) -> Result<()> {
    let docker = backends::docker(&context.settings);
    if let Some(other) = context.backend().filter(|name| *name != "docker") {
        // Unknown names are told as everywhere.
        let backend = context.manager.backends().get(Some(other))?.name();
        let feature = "gc: it leaves nothing behind that could be collected".to_owned();
        return Err(CoreError::Unsupported { backend, feature }.into());
    }
    let garbage = context.wait_for(docker.gc(options.dry_run))??;
    if garbage.is_empty() {
        talk("nothing is left over");
    }
    show(&garbage, context.format)
}

impl Show for Vec<Garbage> {
    fn table(&self, _wide: bool) -> String {
        if self.is_empty() {
            return String::new();
        }
        let row = |garbage: &Garbage| {
            let Garbage { kind, name, reason } = garbage;
            vec![kind.to_string(), name.clone(), (*reason).to_owned()]
        };
        table(header(["KIND", "NAME", "REASON"]), self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|garbage| garbage.name.as_str()).collect()
    }
}
