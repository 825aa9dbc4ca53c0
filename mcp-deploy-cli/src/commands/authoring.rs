//! What authors of templates need, and whoever only deploys does not: to write, check, build and try them.

#[cfg(feature = "docker")]
mod build;
mod error;
mod junit;
mod new;
mod scaffold;
mod schema;
#[cfg(feature = "docker")]
mod spinners;
mod test;
mod trials;
mod validate;

use clap::Subcommand;

pub(crate) use self::error::Error as AuthoringError;
use super::Context;
use crate::error::Result;
use crate::output::Format;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Try templates: deploy each under a throw-away name, call its tools, and remove it
    ///
    /// Exits with 8 where a step of a trial fails.
    Test(Box<test::Options>),
    /// Build the images of templates, and see that each keeps the contract
    ///
    /// The Docker daemon builds each from its template's Dockerfile. Then the image is started as a deployment would be,
    /// and has to stay up, listen on `PORT`, answer its health paths and MCP, end at SIGTERM, and run hardened; an image
    /// that breaks the contract is not pushed, and ends the command with 8.
    #[cfg(feature = "docker")]
    Build(Box<build::Options>),
}

pub(super) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Test(options) => test::run(*options, context),
        #[cfg(feature = "docker")]
        Command::Build(options) => build::run(&options, context),
    }
}

/// Those on the files of templates.
#[derive(Subcommand)]
pub(crate) enum TemplatesCommand {
    /// Check templates, and the Dockerfiles beside them; everything that is wrong is listed
    Validate(validate::Options),
    /// Write a new template: a server that runs, its Dockerfile and its tests
    New(new::Options),
    /// Print the JSON Schema of a template's file, for editors
    Schema,
}

pub(super) fn run_on_files(command: &TemplatesCommand, format: Format) -> Result<()> {
    match command {
        TemplatesCommand::Validate(options) => validate::run(options, format),
        TemplatesCommand::New(options) => new::run(options, format),
        TemplatesCommand::Schema => schema::run(format),
    }
}
