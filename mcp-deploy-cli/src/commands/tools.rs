//! `tools NAME`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{DeploymentName, Tool};
use serde_json::{Map, Value};

use super::{Context, completions};
use crate::error::Result;
use crate::output::{Show, header, or_dash, show, table};

#[derive(Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(add = ArgValueCandidates::new(completions::deployment_names))]
    name: DeploymentName,
}

pub(crate) fn run(Options { name }: &Options, context: &Context) -> Result<()> {
    let tools = context.wait_for(context.manager.tools(context.backend(), name))??;
    show(&tools, context.format)
}

impl Show for Vec<Tool> {
    fn table(&self, wide: bool) -> String {
        let mut first = header(["NAME", "DESCRIPTION"]);
        if wide {
            first.insert(1, "ARGUMENTS".to_owned());
        }
        let row = |tool: &Tool| {
            let mut row = vec![tool.name.clone(), or_dash(tool.description.as_ref())];
            if wide {
                row.insert(1, arguments(tool));
            }
            row
        };
        table(first, self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|tool| tool.name.as_str()).collect()
    }
}

fn arguments(tool: &Tool) -> String {
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    names.join(", ")
}
