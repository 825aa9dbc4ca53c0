//! The commands: one file each, and what they work with.

#[cfg(feature = "authoring")]
pub(crate) mod authoring;
pub(crate) mod backends;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod deploy;
#[cfg(feature = "docker")]
pub(crate) mod gc;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod logs;
#[cfg(feature = "kubernetes")]
pub(crate) mod render;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "kubernetes")]
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod templates;
#[cfg(feature = "serve")]
pub(crate) mod token;
pub(crate) mod tools;

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use mcp_deploy_core::{
    Broken, Catalog, DeploymentManager, Error as CoreError, Settings, Source, SourceReport, Template,
};
use tokio::runtime::{self, Runtime};

use crate::args::{Command, GlobalOptions};
use crate::error::{Error, Result};
use crate::output::{Format, age, talk};
use crate::settings;

/// Runs a command. Only those that need a backend start the runtime.
pub(crate) fn run(command: Command, global: &GlobalOptions) -> Result<()> {
    let context = || Context::new(global);
    match command {
        Command::Deploy(options) => deploy::run(*options, &context()?),
        Command::List(options) => list::run(options, &context()?),
        Command::Status(options) => status::run(&options, &context()?),
        Command::Logs(options) => logs::run(&options, &context()?),
        Command::Delete(options) => delete::run(&options, &context()?),
        Command::Start(options) => lifecycle::start(&options, &context()?),
        Command::Stop(options) => lifecycle::stop(&options, &context()?),
        Command::Restart(options) => lifecycle::restart(&options, &context()?),
        Command::Scale(options) => lifecycle::scale(&options, &context()?),
        Command::Tools(options) => tools::run(&options, &context()?),
        Command::Call(options) => call::run(options, &context()?),
        #[cfg(feature = "authoring")]
        Command::Authoring(command) => authoring::run(command, &context()?),
        Command::Templates(command) => {
            let settings = settings::load(global)?;
            templates::run(&command, &Catalog::from_settings(&settings)?, global.output)
        }
        #[cfg(feature = "docker")]
        Command::Gc(options) => gc::run(&options, &context()?),
        #[cfg(feature = "kubernetes")]
        Command::Render(options) => render::run(*options, &context()?),
        #[cfg(feature = "kubernetes")]
        Command::Setup(command) => setup::run(&command, &context()?),
        #[cfg(feature = "serve")]
        Command::Serve(options) => serve::run(options, &context()?),
        #[cfg(feature = "serve")]
        Command::Token(command) => token::run(&command, global.output),
        Command::Backends => backends::run(&context()?),
        Command::Completions(options) => completions::run(&options),
    }
}

/// What the commands on deployments work with.
pub(crate) struct Context {
    pub(crate) manager: DeploymentManager,
    pub(crate) format: Format,
    #[cfg_attr(
        not(any(feature = "docker", feature = "kubernetes", feature = "serve")),
        expect(dead_code, reason = "only some verbs need more of it than the manager")
    )]
    pub(crate) settings: Settings,
    backend: Option<String>,
    runtime: Runtime,
}

impl Context {
    fn new(global: &GlobalOptions) -> Result<Self> {
        let settings = settings::load(global)?;
        let backends = crate::backends::join(&settings);
        let catalog = Catalog::from_settings(&settings)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Io { operation: "start the runtime", source })?;
        Ok(Self {
            manager: DeploymentManager::new(catalog, backends, &settings),
            format: global.output,
            settings,
            backend: global.backend.clone(),
            runtime,
        })
    }

    /// The backend that is named, if one is.
    pub(crate) fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// Waits for some work. Ctrl-C drops it, which ends its own waiting.
    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.runtime.block_on(async {
            tokio::select! {
                // First, so that the signal is heeded before the work can print.
                biased;
                Ok(()) = tokio::signal::ctrl_c() => Err(Error::Interrupted),
                answer = work => Ok(answer),
            }
        })
    }

    /// Does some work that ends by itself.
    #[cfg(any(feature = "authoring", feature = "serve"))]
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Says that the mock simulates, where it is what a verb acts on.
    pub(crate) fn say_if_simulated(&self) -> Result<()> {
        if self.manager.backends().get(self.backend())?.name() == "mock" {
            talk(
                "note: the mock backend only simulates; choose another with --backend or MCP_DEPLOYMENT_BACKEND",
            );
        }
        Ok(())
    }
}

/// The template that a person names: a path where it holds a separator or a dot, which no id does.
fn read_template(named: &str, catalog: &Catalog) -> Result<Arc<Template>, CoreError> {
    find_template(named, catalog).map(|(template, _)| template)
}

/// The same, with where an id was found.
fn find_template(named: &str, catalog: &Catalog) -> Result<(Arc<Template>, Option<Arc<Source>>), CoreError> {
    let is_path = named.contains(|c: char| c == '.' || std::path::is_separator(c));
    let found = if is_path {
        (Arc::new(Catalog::load(named.as_ref())?), None)
    } else {
        freshen(catalog);
        warn_of_sources(&catalog.overview().sources);
        let (template, source) = catalog.find(named)?;
        (template, Some(source))
    };
    warn(&found.0);
    Ok(found)
}

/// Fetches the templates that are missing or old; a person who has to wait for them is told why.
fn freshen(catalog: &Catalog) {
    catalog.freshen(|repository| talk(&format!("fetching the templates of `{repository}`")));
}

/// Tells of sources that are not as new as they should be.
fn warn_of_sources(sources: &[SourceReport]) {
    for SourceReport { source, fetched_at, problem, .. } in sources {
        let Some(problem) = problem else { continue };
        let state = fetched_at.map_or_else(
            || "missing".to_owned(),
            |fetched_at| format!("{} old", age(Timestamp::now().duration_since(fetched_at))),
        );
        talk(&format!("warning: the templates of `{source}` are {state}: {problem}"));
    }
}

/// Tells of templates that cannot be used.
fn warn_of_broken(broken: &[Broken]) {
    for Broken { place, error, .. } in broken {
        talk(&format!("warning: {place} is left out: {error}"));
    }
}

/// Tells of what nobody reads in a template.
fn warn(template: &Template) {
    for warning in &template.warnings {
        talk(&format!("warning: {warning}"));
    }
}
