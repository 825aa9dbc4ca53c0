//! `render TEMPLATE`: what a deploy would apply to a cluster.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::deploy::RequestOptions;
use super::{Context, completions};
use crate::backends;
use crate::error::Result;
use crate::output::{Format, json, print, print_documents};

#[derive(Args)]
pub(crate) struct Options {
    /// The template: its id, its directory or its file
    #[arg(add = ArgValueCandidates::new(completions::template_ids))]
    template: String,
    /// Print the values of secrets, which else are `***`
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    request: RequestOptions,
}

pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let Options { template, show_secrets, request } = options;
    let spec = request.resolve(&template, context)?;
    let objects = backends::kubernetes(&context.settings).render(&spec, show_secrets)?;
    if context.format == Format::Json {
        return print(
            &(json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}))? + "\n"),
        );
    }
    print_documents(&objects)
}
