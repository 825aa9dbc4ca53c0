//! `deploy TEMPLATE`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::ArgValueCandidates;
use mcp_deploy_core::{
    Change, Deploy, Deployed, DeploymentSpec, Error as CoreError, Overrides, Request, read_document,
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{Context, completions, read_template};
use crate::args::WaitOptions;
use crate::error::Result;
use crate::output::{show, talk};
use crate::{env_file, progress, prompt, values};

#[derive(Args)]
#[command(after_help = "\
Later sources of a value win: the schema's default, the template's own, --config, --env-file, --env, --set.

A secret belongs in a file (--config, --env-file), in the environment (--env NAME), or in the answer to the \
question that is asked on a terminal: arguments can be seen by others on the same machine.")]
pub(crate) struct Options {
    /// The template: its id, its directory or its file
    #[arg(add = ArgValueCandidates::new(completions::template_ids))]
    template: String,
    /// Check everything and touch nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: WaitOptions,
    #[command(flatten)]
    request: RequestOptions,
}

/// What a deployment is to be.
#[derive(Args)]
pub(crate) struct RequestOptions {
    /// The deployment's name; a new one is made where none is given
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    spec: SpecOptions,
}

/// What a deployment is to be, whatever its name.
#[derive(Args)]
pub(crate) struct SpecOptions {
    #[command(flatten)]
    configuration: ConfigurationOptions,
    #[command(flatten)]
    overrides: OverrideOptions,
}

#[derive(Args)]
#[command(next_help_heading = "Configuration")]
struct ConfigurationOptions {
    /// A file of configuration, JSON or YAML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a value of the configuration; `a.b=c` reaches into an object
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::key_value)]
    set: Vec<(String, String)>,
    /// Set an environment variable; without a value it takes the one of this environment
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = values::variable)]
    env: Vec<(String, String)>,
    /// A file of environment variables, one `NAME=value` a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Overrides")]
struct OverrideOptions {
    /// Another image
    #[arg(long)]
    image: Option<String>,
    /// When to pull the image: `always`, `missing` or `never`
    #[arg(long, value_name = "POLICY")]
    pull: Option<String>,
    /// The port of the host, where the backend publishes at one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The number of instances
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    replicas: Option<u32>,
    /// The memory limit, as in `512Mi`
    #[arg(long, value_name = "QUANTITY", allow_negative_numbers = true)]
    memory: Option<String>,
    /// The CPU limit, as in `0.5` or `500m`
    #[arg(long, value_name = "QUANTITY", allow_negative_numbers = true)]
    cpus: Option<String>,
}

pub(crate) fn run(options: Options, context: &Context) -> Result<()> {
    let Options { template, dry_run, waiting, request } = options;
    let spec = request.resolve(&template, context)?;

    let (progress, steps) = mpsc::unbounded_channel();
    let deploy = Deploy {
        backend: context.backend().map(str::to_owned),
        dry_run,
        wait: waiting.patience(),
        progress: Some(progress),
    };
    context.say_if_simulated()?;
    let deployed = context.wait_for(progress::spin(steps, context.manager.deploy(&spec, &deploy)))??;
    talk(&told(&deployed, dry_run));
    show(&deployed.deployment, context.format)
}

impl RequestOptions {
    /// The spec of a template, with answers asked for on a terminal.
    pub(crate) fn resolve(self, template: &str, context: &Context) -> Result<DeploymentSpec> {
        let template = read_template(template, context.manager.catalog())?;
        let mut request = self.spec.request(self.name)?;
        prompt::for_missing(&template, &mut request)?;
        Ok(context.manager.resolve(&template, &request)?)
    }
}

impl SpecOptions {
    /// What the command line asks for.
    pub(crate) fn request(self, name: Option<String>) -> Result<Request, CoreError> {
        let Self { configuration, overrides } = self;
        let ConfigurationOptions { config, set, env, env_file } = configuration;
        let OverrideOptions { image, pull: pull_policy, port: host_port, replicas, memory, cpus } = overrides;
        let overrides = Overrides { image, pull_policy, host_port, replicas, memory, cpus };
        let mut request = Request { name, set, overrides, ..Request::default() };
        if let Some(file) = config {
            request.file = read_configuration(&file)?;
        }
        for file in env_file {
            request.environment.extend(env_file::read(&file)?);
        }
        request.environment.extend(env);
        Ok(request)
    }
}

fn read_configuration(file: &Path) -> Result<Map<String, Value>, CoreError> {
    let found = match read_document(file)? {
        Value::Object(configuration) => return Ok(configuration),
        Value::Array(_) => "a list",
        _ => "a single value",
    };
    let problem =
        format!("`{}` holds {found}; a configuration is an object: keys with values", file.display());
    Err(CoreError::invalid("", problem))
}

fn told(deployed: &Deployed, dry_run: bool) -> String {
    let name = &deployed.deployment.name;
    match (deployed.change, dry_run) {
        (Change::Created, false) => format!("created `{name}`"),
        (Change::Created, true) => format!("would create `{name}`"),
        (Change::Updated, false) => format!("updated `{name}`"),
        (Change::Updated, true) => format!("would update `{name}`"),
        (Change::Unchanged, false) => format!("`{name}` is unchanged"),
        (Change::Unchanged, true) => format!("`{name}` would stay unchanged"),
    }
}
