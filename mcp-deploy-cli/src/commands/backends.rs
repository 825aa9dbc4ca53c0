//! `backends`.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_deploy_core::{BackendHealth, DeploymentBackend, one_line};
use serde::Serialize;
use tokio::time::timeout;

use super::Context;
use crate::error::Result;
use crate::output::{Show, header, or_dash, show, table, talk};

/// How long a platform may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a backend.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    built_in: bool,
    default: bool,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<BackendHealth>,
    /// Why it cannot be reached, or which feature builds it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context) -> Result<()> {
    let backends = context.manager.backends();
    let default = backends.default_name();
    let asked = backends.iter().map(|backend| ask(&**backend, default));
    let mut rows = context.wait_for(join_all(asked))?;
    rows.extend(backends.left_out().map(|(name, feature)| Row {
        name,
        built_in: false,
        default: default == Some(name),
        reachable: false,
        health: None,
        reason: Some(format!("build with `--features {feature}`")),
    }));
    if let Err(error) = backends.get(None) {
        talk(&format!("warning: the default is of no use: {}", one_line(&error)));
    }
    show(&rows, context.format)
}

async fn ask(backend: &dyn DeploymentBackend, default: Option<&str>) -> Row {
    let (health, reason) = match timeout(PATIENCE, backend.check()).await {
        Ok(Ok(health)) => (Some(health), None),
        Ok(Err(error)) => (None, Some(one_line(&error))),
        Err(_) => (None, Some(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    Row {
        name: backend.name(),
        built_in: true,
        default: default == Some(backend.name()),
        reachable: health.is_some(),
        health,
        reason,
    }
}

impl Show for Vec<Row> {
    fn table(&self, _wide: bool) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let row = |row: &Row| {
            let health = row.health.as_ref();
            vec![
                row.name.to_owned(),
                yes(row.built_in),
                yes(row.reachable),
                yes(row.default),
                or_dash(health.map(|health| &health.version)),
                or_dash(health.map(|health| &health.scope).or(row.reason.as_ref())),
            ]
        };
        let first = header(["NAME", "BUILT IN", "REACHABLE", "DEFAULT", "VERSION", "SCOPE"]);
        table(first, self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|row| row.name).collect()
    }
}
