//! `build [TEMPLATE...]`: images of templates, made by the Docker daemon and held against the contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::ArgValueCandidates;
use futures_util::{StreamExt, stream};
use mcp_deploy_core::{
    DeploymentName, DeploymentSpec, Error as CoreError, ImageRef, Memory, Request, Template, Templates,
    missing, one_line,
};
use mcp_deploy_docker::{
    Build, BuildOptions, BuildProgress, Built, ClauseReport, ContractReport, DockerBackend, Verdict,
};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;

use super::spinners::Spinners;
use crate::commands::{Context, completions, freshen, read_template, warn_of_broken, warn_of_sources};
use crate::error::{Error, Result};
use crate::output::{Show, header, or_dash, show, table};
use crate::{backends, values};

#[derive(Args)]
pub(crate) struct Options {
    /// The templates: ids, directories or files; where none is named, all of the catalog that have a Dockerfile
    #[arg(value_name = "TEMPLATE", add = ArgValueCandidates::new(completions::template_ids))]
    templates: Vec<String>,
    /// Push each image that keeps the contract, with your own login for its registry
    #[arg(long)]
    push: bool,
    /// Another platform than the daemon's, as in `linux/arm64`
    #[arg(long)]
    platform: Option<String>,
    /// Run every step again
    #[arg(long)]
    no_cache: bool,
    /// Set an `ARG` of the Dockerfile; without a value it takes the one of this environment. No place for a secret: it
    /// stays in the image
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = values::variable)]
    build_arg: Vec<(String, String)>,
    /// Do not start the image
    #[arg(long)]
    no_check: bool,
    /// Set a value of the configuration with which the image is started
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::key_value, conflicts_with = "no_check")]
    set: Vec<(String, String)>,
    /// How many images are built at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// How large the directory may be that is sent to the daemon
    #[arg(long, value_name = "QUANTITY", default_value = "1G")]
    max_context: Memory,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if let Some(other) = context.backend().filter(|name| *name != "docker") {
        // Unknown names are told as everywhere.
        let backend = context.manager.backends().get(Some(other))?.name();
        let feature = "build: a Docker daemon builds images, for every backend".to_owned();
        return Err(CoreError::Unsupported { backend, feature }.into());
    }
    let templates = chosen(options, context)?;
    let docker = backends::docker(&context.settings);
    let (interrupt, interrupted) = watch::channel(false);
    let builder = Builder { options, context, docker, spinners: Spinners::new(), interrupted };
    let builds = stream::iter(templates).map(|template| builder.one(template));
    let all = builds.buffered(options.jobs.into()).collect::<Vec<_>>();
    // Ctrl-C does not drop the work: each build ends what it has begun.
    let outcomes = context.run(async {
        let signal = async {
            if tokio::signal::ctrl_c().await.is_ok() {
                let _ = interrupt.send(true);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { outcomes = all => outcomes, () = signal => Vec::new() }
    });
    let mut summaries = Vec::new();
    let mut errors = Vec::new();
    for Outcome { summary, error } in outcomes {
        let Some(summary) = summary else { return Err(Error::Interrupted) };
        summaries.push(summary);
        errors.extend(error);
    }
    show(&summaries, context.format)?;
    if errors.is_empty() { Ok(()) } else { Err(Error::Verbs(errors)) }
}

/// The templates that are named, or all that can be built; each directory once.
fn chosen(options: &Options, context: &Context) -> Result<Vec<Arc<Template>>> {
    let catalog = context.manager.catalog();
    let named = &options.templates;
    if !options.set.is_empty() && named.len() != 1 {
        let problem = "`--set` is for one template: name it, and build the others without";
        return Err(CoreError::invalid("", problem).into());
    }
    let mut templates = if named.is_empty() {
        freshen(catalog);
        let Templates { templates, broken, hidden: _, sources, .. } = catalog.list();
        warn_of_sources(&sources);
        warn_of_broken(&broken);
        let has_dockerfile = |template: &Arc<Template>| {
            template.directory.as_ref().is_some_and(|directory| directory.join("Dockerfile").is_file())
        };
        templates.into_values().filter(has_dockerfile).collect::<Vec<_>>()
    } else {
        named.iter().map(|named| read_template(named, catalog)).collect::<Result<Vec<_>, _>>()?
    };
    if templates.is_empty() {
        let problem = "no template of the catalog has a directory with a Dockerfile; name one, as in `mcp-deploy build \
                       ./my-template`, or name directories of templates by `MCP_TEMPLATES_DIR`";
        return Err(CoreError::invalid("", problem).into());
    }
    let mut directories = Vec::new();
    templates.retain(|template| {
        let directory = (template.id.clone(), template.directory.clone());
        let is_new = !directories.contains(&directory);
        directories.push(directory);
        is_new
    });
    Ok(templates)
}

/// What came of one template; no summary where it was interrupted.
struct Outcome {
    summary: Option<Summary>,
    error: Option<CoreError>,
}

/// A line of the summary.
#[derive(Serialize)]
struct Summary {
    template: String,
    result: Ended,
    #[serde(flatten)]
    built: Option<Built>,
    seconds: f64,
    /// What the image was seen to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<ContractReport>,
    /// Why the image was not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_checked: Option<String>,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Built,
    Pushed,
    ContractBroken,
    Failed,
}

/// What came of an image, step by step.
#[derive(Default)]
struct Made {
    built: Option<Built>,
    contract: Option<ContractReport>,
    not_checked: Option<String>,
}

/// What ends the work on an image early.
enum Stopped {
    Interrupted,
    Failed(CoreError),
}

impl From<CoreError> for Stopped {
    fn from(error: CoreError) -> Self {
        Self::Failed(error)
    }
}

struct Builder<'a> {
    options: &'a Options,
    context: &'a Context,
    docker: DockerBackend,
    spinners: Spinners,
    interrupted: watch::Receiver<bool>,
}

impl Builder<'_> {
    async fn one(&self, template: Arc<Template>) -> Outcome {
        let started = Instant::now();
        let mut made = Made::default();
        let (progress, steps) = mpsc::unbounded_channel();
        let work = Box::pin(self.make(&template, &progress, &mut made));
        let ended = self.spinners.follow(template.id.as_str(), steps, work).await;
        let Made { built, contract, not_checked } = made;
        let (result, error) = match ended {
            Ok(()) if self.options.push => (Ended::Pushed, None),
            Ok(()) => (Ended::Built, None),
            Err(Stopped::Interrupted) => return Outcome { summary: None, error: None },
            Err(Stopped::Failed(error)) => {
                let is_broken = contract.as_ref().is_some_and(|contract| !contract.is_kept());
                (if is_broken { Ended::ContractBroken } else { Ended::Failed }, Some(error))
            }
        };
        let seconds = rounded(started.elapsed());
        let template = template.id.to_string();
        let told = error.as_ref().map(|error| one_line(error));
        let summary = Summary { template, result, built, seconds, contract, not_checked, error: told };
        Outcome { summary: Some(summary), error }
    }

    /// Builds, checks and pushes. What was made is kept in `made` also where a later step fails.
    async fn make(
        &self,
        template: &Template,
        progress: &UnboundedSender<BuildProgress>,
        made: &mut Made,
    ) -> Result<(), Stopped> {
        let options = self.options;
        let asked =
            Build::of_template(template, &self.context.settings.image_registry, self.build_options())?;
        // What is wrong with the configuration is told before a long build.
        let checked = self.checked(template)?;
        let image = tokio::select! {
            biased;
            () = self.stop() => return Err(Stopped::Interrupted),
            image = self.docker.build(&asked, Some(progress.clone())) => image?,
        };
        let Built { tags, platform, runs_here, .. } = image.clone();
        made.built = Some(image);
        match checked {
            Err(reason) => made.not_checked = Some(reason),
            Ok(_) if !runs_here => {
                made.not_checked = Some(format!("the daemon's machine does not run {platform}"));
            }
            Ok(spec) => {
                let _ = progress.send(BuildProgress::Checking);
                match self.docker.check_contract(&spec, self.stop()).await {
                    Ok(None) => return Err(Stopped::Interrupted),
                    Ok(Some(report)) => {
                        let failure = report.failure();
                        made.contract = Some(report);
                        if let Some(failure) = failure {
                            let name = DeploymentName::try_from(template.id.to_string()).unwrap_or(spec.name);
                            let failure = Box::new(failure);
                            return Err(CoreError::Failed { name, failure, recovery: None }.into());
                        }
                    }
                    Err(error @ CoreError::Unsupported { .. }) => made.not_checked = Some(error.to_string()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if options.push {
            for tag in &tags {
                self.push(tag, progress).await?;
            }
        }
        Ok(())
    }

    async fn push(&self, tag: &ImageRef, progress: &UnboundedSender<BuildProgress>) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.stop() => Err(Stopped::Interrupted),
            pushed = self.docker.push(tag, Some(progress.clone())) => Ok(pushed?),
        }
    }

    /// What the image is started with, or why it is not.
    fn checked(&self, template: &Template) -> Result<Result<DeploymentSpec, String>, CoreError> {
        let Options { no_check, set, .. } = self.options;
        if *no_check {
            return Ok(Err("--no-check".to_owned()));
        }
        let request = Request { set: set.clone(), ..Request::default() };
        let missing = missing(template, &request);
        // Who has given some values is told what is wrong with all.
        if set.is_empty() && !missing.is_empty() {
            return Ok(Err(format!("it needs `{}`; --set gives it values", missing.join("`, `"))));
        }
        self.context.manager.resolve(template, &request).map(Ok)
    }

    fn build_options(&self) -> BuildOptions {
        let Options { platform, no_cache, build_arg, max_context, .. } = self.options;
        BuildOptions {
            platform: platform.clone(),
            no_cache: *no_cache,
            build_args: build_arg.iter().cloned().collect::<BTreeMap<_, _>>(),
            max_context_bytes: max_context.bytes(),
        }
    }

    /// Resolves when somebody presses Ctrl-C.
    async fn stop(&self) {
        let mut interrupted = self.interrupted.clone();
        // While this waits, the other end is there.
        let _ = interrupted.wait_for(|interrupted| *interrupted).await;
    }
}

impl Show for Vec<Summary> {
    fn table(&self, wide: bool) -> String {
        let row = |summary: &Summary| {
            let Summary { template, result, built, seconds, contract, not_checked, error: _ } = summary;
            let image = built.as_ref().map(|built| {
                let tags: Vec<&str> = built.tags.iter().map(ImageRef::as_str).collect();
                if wide { tags.join(", ") } else { tags.last().copied().unwrap_or_default().to_owned() }
            });
            vec![
                template.clone(),
                or_dash(image),
                or_dash(built.as_ref().map(|built| megabytes(built.size_bytes))),
                format!("{seconds:.1} s"),
                words(*result, contract.as_ref(), not_checked.as_ref()),
            ]
        };
        let summary = table(header(["TEMPLATE", "IMAGE", "SIZE", "TIME", "RESULT"]), self.iter().map(row));
        let clauses: Vec<Vec<String>> = self.iter().flat_map(clauses).collect();
        if clauses.is_empty() {
            return summary;
        }
        format!("{summary}\n{}", table(header(["TEMPLATE", "CLAUSE", "VERDICT", "SEEN"]), clauses))
    }

    fn names(&self) -> Vec<&str> {
        let images = self.iter().flat_map(|summary| &summary.built);
        images.flat_map(|built| built.tags.iter().map(ImageRef::as_str)).collect()
    }
}

fn words(result: Ended, contract: Option<&ContractReport>, not_checked: Option<&String>) -> String {
    let result = match result {
        Ended::Built => "built",
        Ended::Pushed => "built and pushed",
        Ended::ContractBroken => return "built; it breaks the contract".to_owned(),
        Ended::Failed => return "failed".to_owned(),
    };
    match (contract, not_checked) {
        (Some(_), _) => format!("{result}; it keeps the contract"),
        (None, Some(reason)) => format!("{result}; not checked: {reason}"),
        (None, None) => result.to_owned(),
    }
}

/// A row for each clause of the contract.
fn clauses(summary: &Summary) -> Vec<Vec<String>> {
    let row = |report: &ClauseReport| {
        let ClauseReport { clause, verdict, detail } = report;
        let verdict = match verdict {
            Verdict::Kept => "kept",
            Verdict::Broken => "broken",
            Verdict::NotPromised => "not promised",
            Verdict::NotSeen => "not seen",
        };
        vec![summary.template.clone(), clause.to_string(), verdict.to_owned(), or_dash(detail.as_ref())]
    };
    summary.contract.iter().flat_map(|contract| &contract.clauses).map(row).collect()
}

/// 1 MB is a million bytes; rounded up to a tenth.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// Seconds with one digit.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
