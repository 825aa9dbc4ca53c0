//! `test TEMPLATE...`: trials of templates, each told as soon as it has ended, and all in one report.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use futures_util::FutureExt;
use futures_util::future::Shared;
use mcp_deploy_core::{Error as CoreError, Request, Template, TestReport, Trial};
use tokio::sync::mpsc;

use super::AuthoringError;
use super::error::NotPassed;
use super::junit::ReportFile;
use crate::commands::deploy::SpecOptions;
use crate::commands::{Context, completions, read_template};
use crate::error::{Error, Result};
use crate::output::{Format, Show, print, show, talk};
use crate::{progress, prompt, values};

#[derive(Args)]
#[command(after_help = "\
The calls are those of `tests.json` beside the template: a list of `{\"tool\", \"arguments\", \"contains\" or \"equals\" \
or \"fails\"}`. What a trial has made is removed whatever happens, also after Ctrl-C and SIGTERM; a second Ctrl-C gives \
up on that.

Later sources of a value win: the schema's default, the template's own, --config, --env-file, --env, --set.")]
pub(crate) struct Options {
    /// The templates: each an id, a directory or a file
    #[arg(required = true, value_name = "TEMPLATE", add = ArgValueCandidates::new(completions::template_ids))]
    templates: Vec<String>,
    /// How long to wait until the server answers over MCP, and then for each call, as in `30s` or `2m`
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = values::duration)]
    timeout: Duration,
    /// Write the report to a file too, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Leave the deployments there, for a look at them
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    spec: SpecOptions,
}

/// A template as it was named, and what came of its trial.
pub(super) struct Outcome {
    pub(super) named: String,
    pub(super) tried: Result<TestReport, CoreError>,
}

/// Tries every template, and tells of every one that does not pass.
pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    let Options { templates, timeout, junit, keep, spec } = options;
    let request = spec.request(None)?;
    // A report that could not be written is told before anything is deployed.
    let file = junit.map(ReportFile::at).transpose()?;
    let subjects: Vec<Subject> =
        templates.into_iter().map(|named| Subject::read(named, &request, context)).collect::<Result<_>>()?;
    context.say_if_simulated()?;

    let trial = Trial {
        backend: context.backend().map(str::to_owned),
        wait: timeout,
        call: timeout,
        keep,
        ..Trial::default()
    };
    let (outcomes, interrupted) = context.run(try_all(subjects, &trial, context))?;
    if context.format != Format::Table {
        let reports: Vec<&TestReport> =
            outcomes.iter().filter_map(|outcome| outcome.tried.as_ref().ok()).collect();
        show(&reports, context.format)?;
    }
    if let Some(file) = file {
        file.write(&outcomes)?;
    }
    let failed: Vec<NotPassed> = outcomes.into_iter().filter_map(NotPassed::of).collect();
    match (interrupted, failed.is_empty()) {
        (false, true) => Ok(()),
        (false, false) => Err(AuthoringError::NotPassed(failed).into()),
        (true, is_empty) => {
            if !is_empty {
                Error::from(AuthoringError::NotPassed(failed)).tell(context.format);
            }
            Err(Error::Interrupted)
        }
    }
}

/// A template to try, or why it cannot be.
struct Subject {
    named: String,
    ready: Result<(Arc<Template>, Request), CoreError>,
}

impl Subject {
    /// Reads the template, with answers asked for on a terminal.
    fn read(named: String, request: &Request, context: &Context) -> Result<Self> {
        let ready = match read_template(&named, context.manager.catalog()) {
            Ok(template) => {
                let mut request = request.clone();
                prompt::for_missing(&template, &mut request)?;
                Ok((template, request))
            }
            Err(error) => Err(error),
        };
        Ok(Self { named, ready })
    }
}

/// One after another, until somebody stops it; whether somebody did.
async fn try_all(subjects: Vec<Subject>, trial: &Trial, context: &Context) -> Result<(Vec<Outcome>, bool)> {
    let listen =
        |count| signals(count).map_err(|source| Error::Io { operation: "listen to signals", source });
    let (stopped, given_up) = (listen(1)?, listen(2)?);
    let stop = async {
        stopped.await;
        talk("interrupted: what was deployed is removed; Ctrl-C again leaves it there");
    };
    let stop = stop.shared();
    let trials = async {
        let mut outcomes = Vec::new();
        for Subject { named, ready } in subjects {
            if stop.clone().now_or_never().is_some() {
                break;
            }
            let tried = match ready {
                Ok((template, request)) => try_one(&template, &request, trial, stop.clone(), context).await,
                Err(error) => Err(error),
            };
            if let Ok(report) = &tried
                && context.format == Format::Table
            {
                print(&report.table(false))?;
            }
            outcomes.push(Outcome { named, tried });
        }
        Ok((outcomes, stop.clone().now_or_never().is_some()))
    };
    tokio::select! {
        outcome = Box::pin(trials) => outcome,
        () = given_up => {
            talk("warning: given up; `mcp-deploy list` shows what is left, with a name that begins with `test-`");
            Err(Error::Interrupted)
        }
    }
}

async fn try_one(
    template: &Template,
    request: &Request,
    trial: &Trial,
    stop: Shared<impl Future<Output = ()>>,
    context: &Context,
) -> Result<TestReport, CoreError> {
    let (progress, steps) = mpsc::unbounded_channel();
    let trial = Trial { progress: Some(progress), ..trial.clone() };
    progress::spin(steps, context.manager.test(template, request, &trial, stop)).await
}

/// Comes with the Ctrl-C or SIGTERM of this number from now on.
#[cfg(unix)]
fn signals(number: usize) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..number {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        }
    })
}

/// Comes with the Ctrl-C of this number from now on.
#[cfg(not(unix))]
fn signals(number: usize) -> io::Result<impl Future<Output = ()>> {
    Ok(async move {
        for _ in 0..number {
            drop(tokio::signal::ctrl_c().await);
        }
    })
}
