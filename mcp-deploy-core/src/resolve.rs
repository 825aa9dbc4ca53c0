//! Template and request to spec: pure, and everything that is wrong at once.

mod carry;
mod merge;

use crate::error::{Violation, Violations};
use crate::{
    Cpu, DeploymentName, DeploymentSpec, Error, ImageRef, Memory, PullPolicy, Request, Resources, Result,
    Template, TemplateVersion,
};

/// The most instances that can be asked for; more is a slip of the keyboard.
pub(crate) const MAX_REPLICAS: u32 = 1000;

/// Resolves a request: everything that a backend needs, nothing of a platform. `registry` is where images of
/// templates that name none come from, as in `ghcr.io/data-everything`.
///
/// Pure, but for the random suffix of a name that is not given.
///
/// # Errors
///
/// [`Error::Invalid`] with every broken rule: pointers begin with `/name`, `/configuration`, `/environment` or
/// `/overrides`. No message shows the value of a sensitive property.
///
/// ```
/// use mcp_deploy_core::{Request, Template, resolve};
///
/// let template = Template::parse(
///     "{id: demo, name: Demo, description: Greets., version: '1', config_schema: {properties: {level: {enum: [a, b]}}}}",
///     "template.yaml",
///     None,
/// )?;
/// let spec = resolve(&template, &Request::default().set("level", "b"), "ghcr.io/team")?;
/// assert_eq!(spec.env["LEVEL"], "b");
///
/// let error = resolve(&template, &Request::default().name("X").set("lvel", "c"), "ghcr.io/team").unwrap_err();
/// assert!(error.to_string().contains("did you mean `level`?"));
/// # Ok::<(), mcp_deploy_core::Error>(())
/// ```
pub fn resolve(template: &Template, request: &Request, registry: &str) -> Result<DeploymentSpec> {
    let mut violations = Violations::default();
    let name = name(template, request, &mut violations);
    let image = image(template, request, registry, &mut violations);
    let pull_policy = pull_policy(template, request, &mut violations);
    let host_port = host_port(request, &mut violations);
    let resources = resources(template, request, &mut violations);
    let replicas = replicas(template, request, &mut violations);
    let merged = merge::configuration(template, request, &mut violations);
    violations.extend_under("/configuration", template.config_schema.validate(&merged.configuration));
    let carried = carry::carry(template, merged, &mut violations);

    let (Some(name), Some(image), true) = (name, image, violations.is_empty()) else {
        return Err(Error::Invalid { violations });
    };
    Ok(DeploymentSpec {
        name,
        template: TemplateVersion { id: template.id.clone(), version: template.version.clone() },
        image,
        pull_policy,
        command: template.command.clone(),
        args: carried.args,
        env: carried.env,
        secrets: carried.secrets,
        configuration: carried.shown,
        transport: template.transport.clone(),
        host_port,
        health: template.health.clone(),
        resources,
        replicas,
        volumes: template.volumes.clone(),
        mounts: carried.mounts,
        restart: template.restart,
        security: template.security.clone(),
        network: template.network.clone(),
        exposure: template.exposure.clone(),
        autoscaling: template.autoscaling.clone(),
        placement: template.placement.clone(),
        stateless: template.stateless,
        tools: template.tools.clone(),
        mock: template.mock.clone(),
    })
}

/// The required properties at the top that no source of the configuration gives, for a program that can ask.
pub fn missing<'a>(template: &'a Template, request: &Request) -> Vec<&'a str> {
    // What is wrong with the rest comes with `resolve`.
    let merged = merge::configuration(template, request, &mut Violations::default());
    template.config_schema.missing(&merged.configuration)
}

fn name(template: &Template, request: &Request, violations: &mut Violations) -> Option<DeploymentName> {
    let Some(name) = &request.name else {
        return Some(DeploymentName::derived_from(&template.id));
    };
    let error = match name.parse() {
        Ok(name) => return Some(name),
        Err(error) => error,
    };
    for rule in error.broken_rules() {
        violations.push(Violation::new("/name", rule.as_str()));
    }
    None
}

fn image(
    template: &Template,
    request: &Request,
    registry: &str,
    violations: &mut Violations,
) -> Option<ImageRef> {
    let (image, pointer) = match &request.overrides.image {
        Some(image) => (image.parse(), "/overrides/image"),
        None => (template.image(registry), "/settings/image_registry"),
    };
    image.map_err(|error| violations.push(Violation::new(pointer, format!("is wrong: {error}")))).ok()
}

fn pull_policy(template: &Template, request: &Request, violations: &mut Violations) -> Option<PullPolicy> {
    let Some(wanted) = &request.overrides.pull_policy else { return template.pull_policy };
    let policy = PullPolicy::ALL.into_iter().find(|policy| policy.as_str() == wanted);
    if policy.is_none() {
        let violation = Violation::new("/overrides/pull_policy", format!("is `{wanted}`"));
        violations.push(violation.expected("`always`, `missing` or `never`"));
    }
    policy
}

fn host_port(request: &Request, violations: &mut Violations) -> Option<u16> {
    let port = request.overrides.host_port;
    if port == Some(0) {
        violations.push(Violation::new("/overrides/host_port", "is 0").expected("a port from 1 to 65535"));
    }
    port
}

fn resources(template: &Template, request: &Request, violations: &mut Violations) -> Resources {
    let mut resources = template.resources.clone();
    if let Some(memory) = &request.overrides.memory {
        match memory.parse::<Memory>() {
            Ok(memory) => {
                resources.limits.memory = Some(memory);
                resources.requests.memory = resources.requests.memory.map(|request| request.min(memory));
            }
            Err(error) => violations.push(Violation::new("/overrides/memory", format!("is wrong: {error}"))),
        }
    }
    if let Some(cpus) = &request.overrides.cpus {
        match cpus.parse::<Cpu>() {
            Ok(cpu) => {
                resources.limits.cpu = Some(cpu);
                resources.requests.cpu = resources.requests.cpu.map(|request| request.min(cpu));
            }
            Err(error) => violations.push(Violation::new("/overrides/cpus", format!("is wrong: {error}"))),
        }
    }
    resources
}

fn replicas(template: &Template, request: &Request, violations: &mut Violations) -> u32 {
    let replicas = request.overrides.replicas.unwrap_or(template.replicas);
    if replicas > MAX_REPLICAS {
        let violation = Violation::new("/overrides/replicas", format!("is {replicas}"));
        violations.push(violation.expected(format!("at most {MAX_REPLICAS}")));
    }
    replicas
}

#[cfg(test)]
mod tests;
