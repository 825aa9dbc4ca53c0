#![expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const GOOD: &str = r#"
FROM rust:1 AS build
RUN cargo build
FROM debian:13-slim
COPY --from=build /server /server
EXPOSE 8080
USER 1000
HEALTHCHECK CMD ["/server", "--check"]
ENTRYPOINT ["/server"]
"#;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap()
}

fn complaint(text: &str) -> String {
    Dockerfile::parse(text).unwrap_err().to_string()
}

fn template(fields: Value) -> Template {
    let mut document = json!({"id": "demo", "name": "Demo", "description": "Greets.", "version": "1.0.0"});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Template::from_value(document, None).unwrap()
}

/// What a check says, a line each; warnings behind violations.
fn checked(text: &str, fields: Value) -> String {
    let Findings { violations, warnings } = parse(text).check(&template(fields));
    let warnings = warnings.iter().map(|warning| format!("warning: {warning}\n"));
    violations.iter().map(|violation| format!("{violation}\n")).chain(warnings).collect()
}

/// What a check says about [`GOOD`] with one text replaced.
fn with(old: &str, new: &str, fields: Value) -> String {
    assert!(GOOD.contains(old), "{old}");
    checked(&GOOD.replace(old, new), fields)
}

fn summary(dockerfile: &Dockerfile) -> Vec<String> {
    let line = |it: &Instruction| {
        let flags: Vec<String> =
            it.flags.iter().map(|flag| format!(" [{}={}]", flag.name, flag.value)).collect();
        format!("{} {}{} {}", it.line, it.keyword, flags.concat(), it.arguments)
    };
    dockerfile.instructions().iter().map(line).collect()
}

#[test]
fn lines_are_joined_and_comments_left_out_as_the_builder_does() {
    let text = "\u{feff}# syntax=docker/dockerfile:1\r\n# a comment\r\n\r\nfrom a:1 as b\r\n  RUN one && \\  \r\n# between\r\n\r\n    two \\\\\r\nCOPY --chown=1000:1000 --from=b x \\\r\n y\r\nCMD [\"a b\", \"c\"]";
    let dockerfile = parse(text);
    assert_eq!(
        summary(&dockerfile),
        [
            "4 FROM a:1 as b",
            r"5 RUN one &&     two \\",
            "9 COPY [chown=1000:1000] [from=b] x  y",
            r#"11 CMD ["a b", "c"]"#,
        ]
    );
    assert_eq!(dockerfile.instructions()[3].exec_form().unwrap(), ["a b", "c"]);
    assert_eq!(dockerfile.instructions()[1].exec_form(), None);
}

#[test]
fn the_escape_can_be_a_backtick_where_nothing_stands_before_it() {
    let text = "FROM a\nRUN x `\n  y\nCOPY c:\\ d:\\\nRUN z\n";
    assert_eq!(parse(&format!("# escape=`\n{text}")).instructions().len(), 4);
    // Behind a comment it is one.
    assert_eq!(parse("# x\n# escape=`\nFROM a\nRUN x \\\n y\n").instructions().len(), 2);
}

#[test]
fn what_a_here_document_holds_is_no_instruction() {
    let text = "FROM a\nRUN <<EOF\nFROM nowhere\n# x\nEOF\nCOPY <<-\"one\" <<two /x/\n1\n\tone\n2\ntwo\nRUN cat <<<EOF\nRUN [\"<<EOF\"]\nCMD x <<EOF\n";
    let dockerfile = parse(text);
    let heredocs: Vec<(usize, bool)> =
        dockerfile.instructions().iter().map(|it| (it.line, it.heredoc)).collect();
    assert_eq!(heredocs, [(1, false), (2, true), (6, true), (11, false), (12, false), (13, false)]);
}

#[test]
fn what_no_builder_takes_is_refused_with_every_line() {
    insta::assert_snapshot!(complaint(""), @"Dockerfile:1: there is no `FROM`; the image that it is built on");
    insta::assert_snapshot!(complaint("ARG a=1\n"), @"Dockerfile:1: there is no `FROM`; the image that it is built on");
    insta::assert_snapshot!(complaint("FROM a\nRUN <<EOF\nx\n"), @"Dockerfile:2: `<<EOF` has no end; a line that says `EOF`");
    insta::assert_snapshot!(complaint("RUN x\nFROM a b\nRUNN y\nEXPOSE\nqqq\nFROM a as b\n"), @"
    5 rules are broken:
      Dockerfile:1: `RUN` stands before the first `FROM`; only `ARG` may
      Dockerfile:2: `FROM a b` has too many words; `FROM image` or `FROM image AS name`
      Dockerfile:3: `RUNN` is no instruction; did you mean `RUN`?
      Dockerfile:4: `EXPOSE` says nothing
      Dockerfile:5: `QQQ` is no instruction
    ");
    let error = Error::from(Dockerfile::parse("RUN x").unwrap_err());
    assert_eq!(error.to_string(), "Dockerfile:1: `RUN` stands before the first `FROM`; only `ARG` may");
}

#[test]
fn what_only_buildkit_builds_is_found() {
    let needs = |text: &str| {
        let needs = parse(text).needs_buildkit();
        needs.into_iter().map(|(line, reason)| format!("{line} {reason}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(needs(GOOD), "");
    for (text, expected) in [
        ("# syntax=docker/dockerfile:1\nFROM a", ""),
        ("# syntax=docker/dockerfile:1-labs\nFROM a", "1 the frontend `docker/dockerfile:1-labs`"),
        ("# syntax=example.com/mine\nFROM a", "1 the frontend `example.com/mine`"),
        ("FROM a\nRUN --mount=type=secret,id=x --network=none y", "2 `RUN --mount`, 2 `RUN --network`"),
        ("FROM a\nRUN --security=insecure y", "2 `RUN --security`"),
        ("FROM a\nCOPY --chown=1 --from=x a b", ""),
        ("FROM a\nCOPY --chmod=755 --link a b", "2 `COPY --chmod`, 2 `COPY --link`"),
        ("FROM a\nCOPY --parents --exclude=x a b", "2 `COPY --parents`, 2 `COPY --exclude`"),
        ("FROM a\nADD --checksum=sha256:0 https://x/y z", "2 `ADD --checksum`"),
        ("FROM a\nADD https://x/y.tar.gz z", ""),
        ("FROM a\nADD https://github.com/x/y.git#v1 z", "2 `ADD` of a git repository"),
        ("FROM a\nADD git@github.com:x/y.git z", "2 `ADD` of a git repository"),
        ("FROM a\nRUN <<EOF\nx\nEOF", "2 the here-document of `RUN`"),
        ("FROM a\nONBUILD RUN --mount=type=cache,target=/x y", "2 `RUN --mount`"),
        ("FROM --platform=$BUILDPLATFORM a", "1 the value of `BUILDPLATFORM`"),
        ("ARG BUILDPLATFORM=linux/amd64\nFROM --platform=${BUILDPLATFORM} a", ""),
        ("FROM --platform=linux/amd64 a", ""),
        ("FROM a-${TARGETARCH}", "1 the value of `TARGETARCH`"),
        ("FROM a\nARG TARGETARCH\nRUN x", "2 the value of `TARGETARCH`"),
        ("FROM a\nARG TARGETARCH=amd64\nRUN x", ""),
    ] {
        assert_eq!(needs(text), expected, "{text}");
    }
}

#[test]
fn an_image_that_keeps_the_contract_has_no_findings() {
    assert_eq!(checked(GOOD, json!({})), "");
}

#[test]
fn a_bare_dockerfile_breaks_every_clause_and_says_so_at_the_last_from() {
    insta::assert_snapshot!(checked("FROM a AS b\nEXPOSE 8080\nUSER 1000\nFROM scratch\nRUN x\n", json!({})), @r#"
    Dockerfile:4: exposes no port; `EXPOSE 8080`
    Dockerfile:4: has no `HEALTHCHECK`; `HEALTHCHECK CMD [...]` that asks the server at `PORT`
    Dockerfile:4: has no `USER`: it runs as that of its base image, mostly root; `USER 1000`
    Dockerfile:4: has neither `ENTRYPOINT` nor `CMD`; `ENTRYPOINT ["server"]`
    "#);
}

#[test]
fn what_runs_may_come_with_the_base_image() {
    let told = with("ENTRYPOINT [\"/server\"]\n", "", json!({}));
    insta::assert_snapshot!(told, @r#"warning: Dockerfile:4: has neither `ENTRYPOINT` nor `CMD`; `ENTRYPOINT ["server"]`"#);
}

#[test]
fn a_last_stage_that_is_built_on_another_has_what_that_has() {
    assert_eq!(
        checked(
            &GOOD
                .replace("FROM debian:13-slim", "FROM debian AS base")
                .replace("ENTRYPOINT", "FROM Base\nENTRYPOINT"),
            json!({})
        ),
        ""
    );
    // A stage of the same name that comes later is another.
    assert_ne!(checked("FROM a\nUSER 1000\nFROM a AS a\nRUN x\n", json!({})), "");
}

#[test]
fn the_template_s_port_is_exposed_also_through_a_variable() {
    let expose = |line: &str| with("EXPOSE 8080", line, json!({}));
    for good in [
        "EXPOSE 80 8080/tcp",
        "ENV PORT=8080\nEXPOSE $PORT",
        "ARG P=\"8080\"\nEXPOSE ${P}",
        "EXPOSE ${P:-8080}",
        "EXPOSE 8000-8090",
        "ENV PORT 8080\nEXPOSE ${PORT}/TCP",
    ] {
        assert_eq!(expose(good), "", "{good}");
    }
    insta::assert_snapshot!(expose("EXPOSE 7071 8080/udp"), @"Dockerfile:6: exposes `7071 8080/udp`, and the template's port is 8080; `EXPOSE 8080`");
    insta::assert_snapshot!(expose("EXPOSE $PORT"), @"
    Dockerfile:6: exposes `$PORT`, and the template's port is 8080; `EXPOSE 8080`
    warning: Dockerfile:6: exposes `$PORT`, which nothing sets; `ENV` or `ARG` with a value, above it
    ");
    insta::assert_snapshot!(expose("ENV PORT=9000\nEXPOSE 8080"), @"warning: Dockerfile:6: sets `PORT` to `9000`, and it is 8080 in every deployment; `ENV PORT=8080`, or another `transport.port` in the template");
    assert_eq!(with("EXPOSE 8080\n", "", json!({"transport": "stdio"})), "", "stdio needs no port");
}

#[test]
fn a_build_argument_from_before_the_first_from_counts_only_where_it_is_named_again() {
    let text =
        |again: &str| format!("ARG P=8080\n{}", GOOD.replace("EXPOSE 8080", &format!("{again}EXPOSE $P")));
    assert_eq!(checked(&text("ARG P\n"), json!({})), "");
    assert!(checked(&text(""), json!({})).contains("exposes `$P`"));
}

#[test]
fn a_healthcheck_can_be_switched_off_and_must_not() {
    insta::assert_snapshot!(with(r#"CMD ["/server", "--check"]"#, "none", json!({})), @"Dockerfile:8: switches the `HEALTHCHECK` off; `HEALTHCHECK CMD [...]` that asks the server at `PORT`");
}

#[test]
fn nobody_runs_as_root_unless_the_template_says_so() {
    let user = |line: &str, fields: Value| with("USER 1000", line, fields);
    for good in ["USER 1000:1000", "USER app", "ARG UID=1000\nUSER $UID", "USER root\nUSER 1000"] {
        assert_eq!(user(good, json!({})), "", "{good}");
    }
    for root in ["USER root", "USER 0:0", "ARG U=root\nUSER ${U}"] {
        assert!(user(root, json!({})).contains("runs as root; `USER 1000`"), "{root}");
        assert!(user(root, json!({"security": {"run_as_user": "image"}})).contains("runs as root"), "{root}");
        assert_eq!(user(root, json!({"security": {"run_as_user": 0}})), "", "{root}");
    }
    insta::assert_snapshot!(user("USER 65532", json!({})), @"warning: Dockerfile:7: runs as user 65532, and every deployment runs it as 1000; `USER 1000`, or `security.run_as_user: 65532` in the template");
    assert_eq!(user("USER 65532", json!({"security": {"run_as_user": 65532}})), "");
    assert_eq!(user("USER 65532", json!({"security": {"run_as_user": "image"}})), "");
    insta::assert_snapshot!(user("USER $NOBODY", json!({})), @"Dockerfile:7: runs as `$NOBODY`, which nothing sets; `USER 1000`");
}

#[test]
fn sigterm_reaches_the_server_itself() {
    let start = |line: &str| with(r#"ENTRYPOINT ["/server"]"#, line, json!({}));
    for good in ["CMD [\"/server\"]", "ENTRYPOINT exec /server", "ENTRYPOINT [\"/server\"]\nCMD [\"--x\"]"] {
        assert_eq!(start(good), "", "{good}");
    }
    insta::assert_snapshot!(start("CMD /server --http"), @r#"warning: Dockerfile:9: `CMD` is run by a shell, which may not pass SIGTERM on: stopping would take until it is killed; the exec form, as in `CMD ["server"]`"#);
    insta::assert_snapshot!(start("CMD ['/server']"), @r#"Dockerfile:9: `CMD` looks like the exec form and is no JSON, so a shell runs it; words in double quotes, as in `["server", "--http"]`"#);
    let lost = with(r#"["/server"]"#, "exec /server", json!({"args": ["--http"]}));
    insta::assert_snapshot!(lost, @r#"Dockerfile:9: `ENTRYPOINT` is run by a shell, and the template's arguments get lost; the exec form, as in `ENTRYPOINT ["server"]`"#);
    assert_eq!(
        with("ENTRYPOINT [\"/server\"]\n", "", json!({"command": ["/server"]})),
        "",
        "the template says it"
    );
}

#[test]
fn a_secret_is_found_in_every_stage_and_never_quoted() {
    let fields = json!({"config_schema": {"properties": {
        "pin": {"type": "string", "sensitive": true}, "public_key": {"type": "string", "sensitive": false},
    }}});
    let line = |line: &str| with("EXPOSE 8080", &format!("EXPOSE 8080\n{line}"), fields.clone());
    for good in ["ENV API_TOKEN=", "ENV API_TOKEN=\"\"", "ENV PUBLIC_KEY=abc", "ENV KEYBOARD=x"] {
        assert_eq!(line(good), "", "{good}");
    }
    for bad in
        ["ENV A=1 api_token=c4n4ry", "ENV API_TOKEN c4n4ry b", "ENV PIN=c4n4ry", "ARG X_PASSWORD=c4n4ry"]
    {
        let told = line(bad);
        assert!(told.starts_with("Dockerfile:7: ") && !told.contains("c4n4ry"), "{bad}: {told}");
    }
    insta::assert_snapshot!(line("ENV PIN=1234"), @"Dockerfile:7: `ENV` puts the secret `PIN` into the image; configuration reaches the server when it is deployed");
    insta::assert_snapshot!(line("ARG NPM_TOKEN"), @"Dockerfile:7: the secret `NPM_TOKEN` would stay in the image's history; configuration of the server comes when it is deployed, and a secret of the build with `RUN --mount=type=secret` and `docker buildx build --secret`");
    let in_build_stage = with("RUN cargo build", "ARG NPM_TOKEN\nARG PIN=1\nRUN cargo build", fields);
    insta::assert_snapshot!(in_build_stage, @"
    Dockerfile:4: `ARG` puts the secret `PIN` into the image; configuration of the server comes when it is deployed, and a secret of the build with `RUN --mount=type=secret` and `docker buildx build --secret`
    warning: Dockerfile:3: the secret `NPM_TOKEN` would stay in the build's cache; configuration of the server comes when it is deployed, and a secret of the build with `RUN --mount=type=secret` and `docker buildx build --secret`
    ");
}

#[test]
fn buildkit_is_a_warning_of_the_check() {
    insta::assert_snapshot!(with("RUN cargo build", "RUN --mount=type=cache,target=/x cargo build", json!({})), @"warning: Dockerfile:3: needs BuildKit for `RUN --mount`; `docker buildx build` builds it; the classic builder does not");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_or_the_check_panic(
        text in "(FROM|RUN|ENV|ARG|EXPOSE|USER|COPY|#|\\\\|<<E|E|\\$\\{A:-|\\}|=|\"|'|é| |\n|\\PC){0,40}",
    ) {
        if let Ok(dockerfile) = Dockerfile::parse(&format!("FROM a\n{text}")) {
            dockerfile.check(&template(json!({})));
            let lines = dockerfile.instructions().iter().map(|instruction| instruction.line);
            prop_assert!(lines.is_sorted_by(|a, b| a < b));
        }
    }
}
