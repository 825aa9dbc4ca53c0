//! The contract between a template and its image, as far as a Dockerfile tells.

use super::stages::{Variables, of_the_image};
use super::words::{pairs, split};
use super::{Dockerfile, Finding, Findings, Instruction};
use crate::schema::names_a_secret;
use crate::{Property, RunAsUser, Template, TransportKind};

pub(super) fn check(dockerfile: &Dockerfile, template: &Template) -> Findings {
    let image = Image::of(dockerfile);
    let mut findings = Findings::default();
    if template.transport.kind != TransportKind::Stdio {
        port(&image, template, &mut findings);
        healthcheck(&image, &mut findings);
    }
    user(&image, template.security.run_as_user, &mut findings);
    process(&image, template, &mut findings);
    secrets(dockerfile, &image, template, &mut findings);
    for (line, reason) in dockerfile.needs_buildkit() {
        findings.warnings.push(
            Finding::new(line, format!("needs BuildKit for {reason}"))
                .expected("`docker buildx build` builds it; the classic builder does not"),
        );
    }
    findings.violations.sort_by_key(|finding| finding.line);
    findings.warnings.sort_by_key(|finding| finding.line);
    findings
}

/// What the instructions of the final image come to.
struct Image<'a> {
    /// The `FROM` of the last stage: where something is missing.
    from: usize,
    is_from_scratch: bool,
    exposed: Vec<Exposed>,
    port_variable: Option<(usize, String)>,
    healthcheck: Option<&'a Instruction>,
    user: Option<(&'a Instruction, Option<String>)>,
    entrypoint: Option<&'a Instruction>,
    command: Option<&'a Instruction>,
    /// The first lines and the last of its stages.
    stages: Vec<(usize, usize)>,
}

/// A port that is exposed, as written and as far as it is known.
struct Exposed {
    line: usize,
    word: String,
    value: Option<String>,
}

impl<'a> Image<'a> {
    fn of(dockerfile: &'a Dockerfile) -> Self {
        let mut image = Self {
            from: 1,
            is_from_scratch: false,
            exposed: Vec::new(),
            port_variable: None,
            healthcheck: None,
            user: None,
            entrypoint: None,
            command: None,
            stages: Vec::new(),
        };
        let mut variables = Variables::new(dockerfile);
        let stages = of_the_image(dockerfile);
        image.is_from_scratch = stages.first().is_some_and(|stage| stage[0].arguments.starts_with("scratch"));
        for stage in stages {
            image.from = stage[0].line;
            image.stages.push((stage[0].line, stage[stage.len() - 1].line));
            variables.enter_stage();
            for instruction in stage {
                image.apply(instruction, &mut variables, dockerfile.escape);
            }
        }
        image
    }

    fn apply(&mut self, instruction: &'a Instruction, variables: &mut Variables, escape: char) {
        let Instruction { line, keyword, arguments, .. } = instruction;
        match keyword.as_str() {
            "ENV" | "ARG" => {
                variables.learn(instruction);
                if keyword == "ENV" && pairs(arguments, escape).iter().any(|(name, _)| name == "PORT") {
                    self.port_variable = variables.expand("$PORT").map(|port| (*line, port));
                }
            }
            "EXPOSE" => self.exposed.extend(split(arguments, escape).into_iter().map(|word| Exposed {
                line: *line,
                value: variables.expand(&word),
                word,
            })),
            "HEALTHCHECK" => self.healthcheck = Some(instruction),
            "USER" => self.user = Some((instruction, variables.expand(arguments.trim()))),
            "ENTRYPOINT" => {
                self.entrypoint = Some(instruction);
                // It takes back the command of the stages before.
                self.command = self.command.filter(|command| command.line > self.from);
            }
            "CMD" => self.command = Some(instruction),
            _ => {}
        }
    }

    fn holds(&self, line: usize) -> bool {
        self.stages.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }
}

fn port(image: &Image<'_>, template: &Template, findings: &mut Findings) {
    let port = template.transport.port;
    for Exposed { line, word, .. } in image.exposed.iter().filter(|exposed| exposed.value.is_none()) {
        findings.warnings.push(
            Finding::new(*line, format!("exposes `{word}`, which nothing sets"))
                .expected("`ENV` or `ARG` with a value, above it"),
        );
    }
    if !image.exposed.iter().any(|exposed| exposed.value.as_deref().is_some_and(|value| covers(value, port)))
    {
        let (line, problem) = match image.exposed.last() {
            Some(Exposed { line, .. }) => {
                let words: Vec<&str> = image.exposed.iter().map(|exposed| exposed.word.as_str()).collect();
                (*line, format!("exposes `{}`, and the template's port is {port}", words.join(" ")))
            }
            None => (image.from, "exposes no port".to_owned()),
        };
        findings.violations.push(Finding::new(line, problem).expected(format!("`EXPOSE {port}`")));
    }
    if let Some((line, value)) = &image.port_variable
        && *value != port.to_string()
    {
        findings.warnings.push(
            Finding::new(*line, format!("sets `PORT` to `{value}`, and it is {port} in every deployment"))
                .expected(format!("`ENV PORT={port}`, or another `transport.port` in the template")),
        );
    }
}

/// Whether `8080`, `8080/tcp` or `8000-8100` is a port of TCP that is wanted.
fn covers(exposed: &str, port: u16) -> bool {
    let (ports, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    protocol.eq_ignore_ascii_case("tcp")
        && matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
}

fn healthcheck(image: &Image<'_>, findings: &mut Findings) {
    const EXPECTED: &str = "`HEALTHCHECK CMD [...]` that asks the server at `PORT`";
    match image.healthcheck {
        None => findings.violations.push(Finding::new(image.from, "has no `HEALTHCHECK`").expected(EXPECTED)),
        Some(check) if check.arguments.trim().eq_ignore_ascii_case("none") => findings
            .violations
            .push(Finding::new(check.line, "switches the `HEALTHCHECK` off").expected(EXPECTED)),
        Some(_) => {}
    }
}

fn user(image: &Image<'_>, wanted: RunAsUser, findings: &mut Findings) {
    let id = match wanted {
        RunAsUser::Id(0) => return,
        RunAsUser::Id(id) => id,
        RunAsUser::Image => RunAsUser::DEFAULT_ID,
    };
    let expected = format!("`USER {id}`");
    let Some((instruction, user)) = &image.user else {
        let problem = "has no `USER`: it runs as that of its base image, mostly root";
        findings.violations.push(Finding::new(image.from, problem).expected(expected));
        return;
    };
    let line = instruction.line;
    let Some(user) = user else {
        let problem = format!("runs as `{}`, which nothing sets", instruction.arguments);
        findings.violations.push(Finding::new(line, problem).expected(expected));
        return;
    };
    let user = user.split(':').next().unwrap_or_default();
    match user.parse::<u32>() {
        _ if user == "root" => {
            findings.violations.push(Finding::new(line, "runs as root").expected(expected));
        }
        Ok(0) => findings.violations.push(Finding::new(line, "runs as root").expected(expected)),
        Ok(other) if other != id && wanted != RunAsUser::Image => {
            let problem = format!("runs as user {other}, and every deployment runs it as {id}");
            let expected = format!("{expected}, or `security.run_as_user: {other}` in the template");
            findings.warnings.push(Finding::new(line, problem).expected(expected));
        }
        _ => {}
    }
}

fn process(image: &Image<'_>, template: &Template, findings: &mut Findings) {
    for instruction in [image.entrypoint, image.command].into_iter().flatten() {
        let Instruction { line, keyword, arguments, .. } = instruction;
        if instruction.exec_form().is_none() && arguments.starts_with('[') {
            let problem = format!("`{keyword}` looks like the exec form and is no JSON, so a shell runs it");
            findings.violations.push(
                Finding::new(*line, problem)
                    .expected(r#"words in double quotes, as in `["server", "--http"]`"#),
            );
            return;
        }
    }
    let Some(first) = image.entrypoint.or(image.command) else {
        if template.command.is_empty() {
            // A base image may bring one; `scratch` has nothing.
            let list = if image.is_from_scratch { &mut findings.violations } else { &mut findings.warnings };
            let finding = Finding::new(image.from, "has neither `ENTRYPOINT` nor `CMD`");
            list.push(finding.expected(r#"`ENTRYPOINT ["server"]`"#));
        }
        return;
    };
    let is_shell = first.exec_form().is_none();
    let keyword = &first.keyword;
    // `exec` puts the server in the place of the shell.
    if is_shell && !first.arguments.trim_start().starts_with("exec ") {
        findings.warnings.push(
            Finding::new(
                first.line,
                format!(
                    "`{keyword}` is run by a shell, which may not pass SIGTERM on: stopping would take until it is killed"
                ),
            )
            .expected(format!(r#"the exec form, as in `{keyword} ["server"]`"#)),
        );
    }
    if is_shell && keyword == "ENTRYPOINT" && has_arguments(template) {
        findings.violations.push(
            Finding::new(first.line, "`ENTRYPOINT` is run by a shell, and the template's arguments get lost")
                .expected(r#"the exec form, as in `ENTRYPOINT ["server"]`"#),
        );
    }
}

fn has_arguments(template: &Template) -> bool {
    let mut properties = template.config_schema.properties().values();
    template.command.is_empty()
        && (!template.args.is_empty() || properties.any(|property| property.command_arg.is_some()))
}

/// Values of secrets are in the image for everybody who has it, and those of build arguments in its history.
fn secrets(dockerfile: &Dockerfile, image: &Image<'_>, template: &Template, findings: &mut Findings) {
    const EXPECTED: &str = "configuration reaches the server when it is deployed";
    const AT_BUILD: &str = "configuration of the server comes when it is deployed, and a secret of the build with \
                            `RUN --mount=type=secret` and `docker buildx build --secret`";
    for instruction in dockerfile.instructions() {
        let Instruction { line, keyword, arguments, .. } = instruction;
        if !matches!(keyword.as_str(), "ENV" | "ARG") {
            continue;
        }
        for (name, value) in pairs(arguments, dockerfile.escape) {
            if !is_secret(&name, template) {
                continue;
            }
            let value = value.map(|value| value.trim_matches(['"', '\'']).to_owned());
            match value.as_deref() {
                Some("") => {}
                Some(_) => {
                    let problem = format!("`{keyword}` puts the secret `{name}` into the image");
                    let expected = if keyword == "ENV" { EXPECTED } else { AT_BUILD };
                    findings.violations.push(Finding::new(*line, problem).expected(expected));
                }
                None if image.holds(*line) => {
                    let problem = format!("the secret `{name}` would stay in the image's history");
                    findings.violations.push(Finding::new(*line, problem).expected(AT_BUILD));
                }
                None => {
                    let problem = format!("the secret `{name}` would stay in the build's cache");
                    findings.warnings.push(Finding::new(*line, problem).expected(AT_BUILD));
                }
            }
        }
    }
}

/// What the template says of a variable counts, then its name.
fn is_secret(variable: &str, template: &Template) -> bool {
    let mut properties = template.config_schema.properties().values();
    let is_carrier = |property: &&Property| property.env == variable;
    properties.find(is_carrier).map_or_else(|| names_a_secret(variable), |property| property.sensitive)
}
