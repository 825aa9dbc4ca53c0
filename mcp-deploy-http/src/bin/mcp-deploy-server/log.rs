//! The log on stderr: what `RUST_LOG` asks for, as text, or as JSON where `MCP_LOG_FORMAT` is `json`.

use std::env;
use std::io;

use tracing::Level;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged where `RUST_LOG` does not say.
const USUAL: &str = "warn,rmcp=off,mcp_deploy_http=info,mcp_deploy_server=info";

pub(crate) fn to_stderr() {
    let wanted = env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted: Result<Targets, _> = wanted.as_deref().unwrap_or(USUAL).parse();
    let wrong = wanted.as_ref().err().map(ToString::to_string);
    let wanted = wanted.unwrap_or_else(|_| USUAL.parse().expect("it is a filter"));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(io::stderr);
    let discreet = filter_fn(|metadata| is_discreet(metadata.target(), *metadata.level()));
    let log = tracing_subscriber::registry().with(wanted).with(discreet);
    if env::var("MCP_LOG_FORMAT").is_ok_and(|format| format == "json") {
        log.with(lines.json()).init();
    } else {
        log.with(lines).init();
    }
    if let Some(wrong) = wrong {
        tracing::warn!("`RUST_LOG` is not heeded: {wrong}");
    }
}

/// Whether a line of the log can hold no secret. Below info the client of Docker writes whole requests and answers, and
/// the client of MCP what tools are called with.
fn is_discreet(target: &str, level: Level) -> bool {
    !["bollard", "rmcp"].iter().any(|talkative| target.starts_with(talkative)) || level <= Level::INFO
}
