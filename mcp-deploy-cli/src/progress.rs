//! A spinner on stderr, where a person waits for more than a second.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

#[cfg(feature = "docker")]
use indicatif::MultiProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use mcp_deploy_core::{Phase, Progress};
#[cfg(feature = "docker")]
use mcp_deploy_docker::BuildProgress;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::output::talk;

/// What takes no longer than this needs no spinner.
const UNNOTICED: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Does the work, and tells each of its steps to a person at a terminal; warnings to everybody.
pub(crate) async fn spin<T>(mut steps: UnboundedReceiver<Progress>, work: impl Future<Output = T>) -> T {
    let is_seen = io::stderr().is_terminal();
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        .with_style(ProgressStyle::default_spinner())
        .with_message("waiting")
        .with_finish(ProgressFinish::AndClear);
    let mut work = pin!(work);
    let mut unnoticed = pin!(sleep(UNNOTICED));
    let mut shown = false;
    let tell = |step: &Progress| match step {
        Progress::Warning(warning) => spinner.suspend(|| talk(&format!("warning: {warning}"))),
        step => spinner.set_message(words(step)),
    };
    loop {
        tokio::select! {
            Some(step) = steps.recv() => tell(&step),
            answer = &mut work => {
                // It may have said something with its last breath.
                while let Ok(step) = steps.try_recv() {
                    tell(&step);
                }
                return answer;
            }
            () = &mut unnoticed, if is_seen && !shown => {
                shown = true;
                spinner.set_draw_target(ProgressDrawTarget::stderr());
                spinner.enable_steady_tick(TICK);
            }
        }
    }
}

/// Spinners for several works at once, a line for each.
#[cfg(feature = "docker")]
pub(crate) struct Spinners(MultiProgress);

#[cfg(feature = "docker")]
impl Spinners {
    /// They are seen at a terminal alone.
    pub(crate) fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// Does one of the works, and tells each of its steps; warnings to everybody.
    pub(crate) async fn follow<T>(
        &self,
        name: &str,
        mut steps: UnboundedReceiver<BuildProgress>,
        work: impl Future<Output = T>,
    ) -> T {
        let spinner = ProgressBar::no_length()
            .with_style(ProgressStyle::default_spinner())
            .with_message(format!("{name}: waiting"))
            .with_finish(ProgressFinish::AndClear);
        let spinner = self.0.add(spinner);
        spinner.enable_steady_tick(TICK);
        let tell = |step: &BuildProgress| match step {
            BuildProgress::Warning(warning) => {
                self.0.suspend(|| talk(&format!("warning: {name}: {warning}")));
            }
            step => spinner.set_message(format!("{name}: {}", build_words(step))),
        };
        let mut work = pin!(work);
        loop {
            tokio::select! {
                Some(step) = steps.recv() => tell(&step),
                answer = &mut work => {
                    while let Ok(step) = steps.try_recv() {
                        tell(&step);
                    }
                    return answer;
                }
            }
        }
    }
}

#[cfg(feature = "docker")]
fn build_words(step: &BuildProgress) -> String {
    match step {
        BuildProgress::Sending { sent, total } => {
            format!("sending {} of {} MB", megabytes(*sent), megabytes(*total))
        }
        BuildProgress::Step { number, steps, line, instruction } => {
            // A step may have a name like any other text: it is cut where it would not fit, and cannot steer.
            let instruction: String = instruction.chars().take(60).filter(|c| !c.is_control()).collect();
            format!("step {number} of {steps}, Dockerfile:{line}: {instruction}")
        }
        BuildProgress::Checking => "checking that it keeps the contract".to_owned(),
        BuildProgress::Pushing { image, pushed, layers } => {
            format!("pushing {image}: {pushed} of {layers} layers")
        }
        _ => "waiting".to_owned(),
    }
}

fn words(step: &Progress) -> String {
    match step {
        Progress::Pull { image, received, total, layers_received, layers } => {
            let received = megabytes(*received);
            let bytes = match total {
                Some(total) => format!("{received} of {} MB", megabytes(*total)),
                None => format!("{received} MB"),
            };
            format!("pulling {image}: {bytes}, {layers_received} of {layers} layers")
        }
        Progress::Phase(Phase::Deploying) => "telling the platform".to_owned(),
        Progress::Phase(Phase::Starting) => "waiting for the server to start".to_owned(),
        Progress::Phase(Phase::Verifying) => "waiting for the server to answer over MCP".to_owned(),
        Progress::Phase(Phase::GoingBack) => "going back to the revision before".to_owned(),
        _ => "waiting".to_owned(),
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
