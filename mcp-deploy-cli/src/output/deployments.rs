//! Deployments, as people read them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mcp_deploy_core::{Deployment, McpReport};

use super::{Show, details, header, or_dash, table};

impl Show for Deployment {
    fn table(&self, wide: bool) -> String {
        let mut pairs = vec![
            ("NAME", self.name.to_string()),
            ("STATUS", self.status.to_string()),
            ("BACKEND", self.backend.clone()),
            ("ENDPOINT", or_dash(self.endpoint.as_ref())),
        ];
        if let Some(mcp) = &self.mcp {
            pairs.push(("MCP", summary(mcp)));
            pairs.push(("TOOLS", list(&mcp.tools)));
        }
        if !self.relaxations.is_empty() {
            let relaxed: Vec<&str> = self.relaxations.iter().map(|relaxation| relaxation.as_str()).collect();
            pairs.push(("RELAXED", relaxed.join(", ")));
        }
        if let Some(failure) = &self.failure {
            pairs.push(("FAILURE", failure.to_string()));
            pairs.extend(failure.hint.clone().map(|hint| ("HINT", hint)));
        }
        if wide {
            pairs.push(("TEMPLATE", format!("{} {}", self.template_id, self.template_version)));
            pairs.push(("IMAGE", self.image.to_string()));
            pairs.push(("REPLICAS", replicas(self)));
            pairs.push(("REVISION", self.revision.to_string()));
            pairs.push(("CREATED", format!("{:.0}", self.created_at)));
            pairs.push(("UPDATED", format!("{:.0}", self.updated_at)));
            let instances = self.instances.iter().map(|instance| ("INSTANCE", instance.id.clone()));
            pairs.extend(instances);
            let configuration = self.configuration.iter();
            pairs.extend(configuration.map(|(key, value)| ("CONFIGURATION", format!("{key}: {value}"))));
        }
        details(pairs)
    }

    fn names(&self) -> Vec<&str> {
        vec![self.name.as_str()]
    }
}

impl Show for Vec<Arc<Deployment>> {
    fn table(&self, wide: bool) -> String {
        let asked = wide || self.iter().any(|deployment| deployment.mcp.is_some());
        let now = Timestamp::now();
        let mut first = header(["NAME", "TEMPLATE", "STATUS", "READY", "BACKEND", "ENDPOINT", "AGE"]);
        if asked {
            first.push("MCP".to_owned());
        }
        if wide {
            first.extend(header(["REVISION", "IMAGE"]));
        }
        let row = |deployment: &Arc<Deployment>| {
            let mut row = vec![
                deployment.name.to_string(),
                deployment.template_id.to_string(),
                deployment.status.to_string(),
                replicas(deployment),
                deployment.backend.clone(),
                or_dash(deployment.endpoint.as_ref()),
                age(now.duration_since(deployment.created_at)),
            ];
            if asked {
                row.push(or_dash(deployment.mcp.as_ref().map(summary)));
            }
            if wide {
                row.extend([deployment.revision.to_string(), deployment.image.to_string()]);
            }
            row
        };
        table(first, self.iter().map(row))
    }

    fn names(&self) -> Vec<&str> {
        self.iter().map(|deployment| deployment.name.as_str()).collect()
    }
}

/// `2026-07-28 (modern), demo 1.0.0`
fn summary(mcp: &McpReport) -> String {
    if mcp.authorization_required {
        return "reachable, needs authorization".to_owned();
    }
    let McpReport { era, protocol_version, server, capabilities: _, tools: _, authorization_required: _ } =
        mcp;
    let version = or_dash(protocol_version.as_ref());
    let era = era.map_or_else(String::new, |era| format!(" ({})", era.as_str()));
    let server = server.as_ref();
    let server = server.map_or_else(String::new, |server| format!(", {} {}", server.name, server.version));
    format!("{version}{era}{server}")
}

fn list(names: &[String]) -> String {
    or_dash(Some(names.join(", ")).filter(|list| !list.is_empty()))
}

fn replicas(deployment: &Deployment) -> String {
    let replicas = deployment.replicas;
    format!("{}/{}", replicas.ready, replicas.desired)
}

/// In the largest unit of which there are at least two.
pub(crate) fn age(age: SignedDuration) -> String {
    match age.as_secs().max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7_200 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_short() {
        let of = |seconds| age(SignedDuration::from_secs(seconds));
        assert_eq!(
            [of(-3), of(119), of(120), of(7_199), of(7_200), of(172_800)],
            ["0s", "119s", "2m", "119m", "2h", "2d"]
        );
    }

    #[test]
    fn a_server_that_wants_authorization_is_told_so() {
        assert_eq!(summary(&McpReport::authorization_required()), "reachable, needs authorization");
    }
}
