//! A spinner on stderr, where a person waits for more than a second.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use mcp_deploy_core::{Phase, Progress};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::output::talk;

/// What takes no longer than this needs no spinner.
const UNNOTICED: Duration = Duration::from_secs(1);
pub(crate) const TICK: Duration = Duration::from_millis(100);

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

/// Begun ones count.
pub(crate) fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
