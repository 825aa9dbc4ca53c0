//! `token new`: what a client of the HTTP API shows, and what its server keeps of it.

use clap::{Args, Subcommand};
use mcp_deploy_http::{Role, TokenEntry};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::output::{Format, Show, details, show};

/// What a token begins with, so that it is known where it leaks.
const PREFIX: &str = "mcpd_";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token, and the line of the tokens file that lets it in
    ///
    /// The token is shown this once; the line holds only its SHA-256.
    New(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    /// Whose it is, for people
    #[arg(value_parser = word)]
    name: String,
    /// What it allows: `reader` looks, `operator` deploys and changes, `admin` deletes too
    #[arg(long, default_value = "reader")]
    role: Role,
}

/// A name stands in a line of words.
fn word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('#') || text.contains(char::is_whitespace) {
        return Err("a name is one word".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn run(command: &Command, format: Format) -> Result<()> {
    let Command::New(Options { name, role }) = command;
    show(&Made::of(name, *role)?, format)
}

/// A token, and what a server keeps of it.
#[derive(Serialize)]
pub(crate) struct Made {
    pub(crate) token: String,
    pub(crate) line: String,
}

impl Made {
    /// A new one.
    pub(crate) fn of(name: &str, role: Role) -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::Io { operation: "make a random token", source: error.into() })?;
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = format!("{PREFIX}{}", digits.concat());
        let line = TokenEntry::new(name, role, &token).line();
        Ok(Self { token, line })
    }
}

impl Show for Made {
    fn table(&self, _wide: bool) -> String {
        details([("TOKEN", self.token.clone()), ("LINE", self.line.clone())])
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.token]
    }
}
