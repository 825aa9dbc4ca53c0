//! Asking a person at a terminal for what is missing.

use std::io::{self, IsTerminal};

use dialoguer::{Input, Password};
use mcp_deploy_core::{Property, Request, Template, missing};

use crate::error::{Error, Result};

/// Asks for the required values that nothing gives. Where nobody sits at a terminal it asks for none: then the
/// validation lists them.
pub(crate) fn for_missing(template: &Template, request: &mut Request) -> Result<()> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    for key in missing(template, request) {
        let answer = ask(key, &template.config_schema.property(key))
            .map_err(|error| Error::Io { operation: "ask for a value", source: error.into() })?;
        request.set.push((key.to_owned(), answer));
    }
    Ok(())
}

fn ask(key: &str, property: &Property) -> dialoguer::Result<String> {
    let question = match &property.description {
        Some(description) => format!("{key} ({})", description.trim_end_matches('.')),
        None => key.to_owned(),
    };
    if property.sensitive {
        Password::new().with_prompt(question).interact()
    } else {
        Input::new().with_prompt(question).interact_text()
    }
}
