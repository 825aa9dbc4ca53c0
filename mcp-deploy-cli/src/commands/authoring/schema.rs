//! `templates schema`: what editors check a template against while it is written.

use mcp_deploy_core::TEMPLATE_SCHEMA;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::output::{Format, print, yaml};

pub(super) fn run(format: Format) -> Result<()> {
    match format {
        Format::Yaml => {
            let schema: Value = serde_json::from_str(TEMPLATE_SCHEMA)
                .map_err(|source| Error::Io { operation: "read the schema", source: source.into() })?;
            print(&yaml(&schema)?)
        }
        _ => print(TEMPLATE_SCHEMA),
    }
}
