//! Spinners on stderr for several builds at once, a line for each.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use mcp_deploy_docker::BuildProgress;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::output::talk;
use crate::progress::{TICK, megabytes};

/// Spinners for several works at once.
pub(super) struct Spinners(MultiProgress);

impl Spinners {
    /// They are seen at a terminal alone.
    pub(super) fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// Does one of the works, and tells each of its steps; warnings to everybody.
    pub(super) async fn follow<T>(
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
            step => spinner.set_message(format!("{name}: {}", words(step))),
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

fn words(step: &BuildProgress) -> String {
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
