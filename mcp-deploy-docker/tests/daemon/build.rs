//! Images built by a real daemon, and pushed to a real registry.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, ListContainersOptionsBuilder};
use futures_util::StreamExt;
use mcp_deploy_core::{DockerSettings, Error, ImageRef, Template, one_line};
use mcp_deploy_docker::{Build, BuildOptions, BuildProgress, Built, DockerBackend};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::fixture::{Daemon, image};
use crate::registry::{PASSWORD, Registry, USER, forget};

/// The registry of all images here.
pub(crate) const REGISTRY: &str = "mcp-deploy-test";

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let file = directory.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    directory
}

/// A template in a directory.
pub(crate) fn template(directory: &Path, id: &str, more: Value) -> Template {
    let mut document = json!({"id": id, "name": "Built", "description": "Is built.", "version": "1.0.0"});
    if let (Value::Object(fields), Value::Object(more)) = (&mut document, more) {
        fields.extend(more);
    }
    let template = Template::from_value(document, None).unwrap();
    Template { directory: Some(directory.to_owned()), ..template }
}

fn build(directory: &Path, id: &str) -> Build {
    Build::of_template(&template(directory, id, json!({})), REGISTRY, BuildOptions::default()).unwrap()
}

/// Builds a Dockerfile and nothing else.
async fn built(daemon: &Daemon, id: &str, dockerfile: &str) -> Result<Built, Error> {
    let directory = directory(&[("Dockerfile", dockerfile)]);
    daemon.backend.build(&build(directory.path(), id), None).await
}

pub(crate) async fn forget_all(daemon: &Daemon, tags: &[ImageRef]) {
    for tag in tags {
        forget(daemon, tag.as_str()).await;
    }
}

/// What an image holds: the kind, mode, owner, target and content of each path.
async fn content(daemon: &Daemon, image: &str) -> BTreeMap<String, String> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["never-run".to_owned()]),
        ..ContainerCreateBody::default()
    };
    let id = daemon.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
    let pieces: Vec<_> = daemon.docker.export_container(&id).collect().await;
    daemon.remove_behind_our_back(&id).await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
    let mut archive = tar::Archive::new(&bytes[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let header = entry.header().clone();
        let target = entry.link_name().unwrap().map(|target| target.display().to_string());
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        let kind = header.entry_type();
        (path, format!("{kind:?} {:o} {uid}:{gid} {target:?} {text}", header.mode().unwrap()))
    });
    // What the daemon puts into every container is no part of the image.
    entries.filter(|(path, _)| path.starts_with("context/")).collect()
}

pub(crate) async fn a_context_is_what_docker_itself_sends(daemon: &Daemon) {
    let paths = [
        "README.md",
        "README-secret.md",
        "a.md",
        "src/lib.rs",
        "src/deep/er/lib.rs",
        "src/deep/README.md",
        "target/x",
        "sub/target/x",
        "node_modules/a/index.js",
        "sub/node_modules/b",
        "dir/kept",
        "dir/other",
        "dir/sub/kept",
        ".git/HEAD",
        ".env",
        "a+b(1).txt",
        "aab1.txt",
        "temp1",
        "sub/temp1",
        "sub/temp12",
        "#hash",
        "[x]",
        "with space",
        "été",
        "foobar/x",
        "barfoo",
        "sub/barfoo",
        "logs/2026/a.log",
        "logs/2026/a.txt",
        "cached/x",
        "cache/x",
    ];
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (*path, *path)).collect();
    let root = directory(&files);
    let root = root.path();
    fs::create_dir(root.join("empty")).unwrap();
    fs::create_dir_all(root.join("sub").join("long".repeat(40))).unwrap();
    fs::write(root.join("sub").join("long".repeat(40)).join("n".repeat(120)), "long").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};

        symlink("/etc/passwd", root.join("out")).unwrap();
        symlink("src", root.join("inside")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        for (path, mode) in [("temp1", 0o4711), ("src/deep", 0o700), ("dir/kept", 0o600), ("dir", 0o1777)] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::write(root.join("Dockerfile"), "FROM scratch\nCOPY . /context/\n").unwrap();
    let ignores = [
        "",
        "*",
        "*\n!src\n!README*.md\nREADME-secret.md",
        "**/target\n**/node_modules\n.git\n.env\n**/*.md\n!README.md",
        "dir\n!dir/kept\n!**/er",
        "# comment\n\n  temp? \n*/temp?\n/logs/**\n!logs/2026/*.txt\n./src/../src/deep/er",
        "a+b(1).txt\n\\[x\\]\n\\#hash\n**foo\nfoo**\ncache\nin*de",
        "*.m[a-e]\n[a-c]*[!x]\nDockerfile\n.dockerignore\nsub/\nempty/",
        "**/*\n!**/kept\n!src/**/lib.rs",
        "**\n!dir/**\ndir/sub/**",
        "!dir/other\ndir\n!dir/sub/kept\nout\ninside/lib.rs",
    ];
    for ignore in ignores {
        fs::write(root.join(".dockerignore"), ignore).unwrap();
        let theirs = format!("{REGISTRY}/theirs:1");
        let ended = Command::new("docker")
            .args(["build", "--quiet", "--tag", &theirs])
            .arg(root)
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_HOST", daemon.settings().await.host.unwrap())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ignore:?}: {}", String::from_utf8_lossy(&ended.stderr));
        let ours = Build { options: uncached(), ..build(root, "t-parity") };
        let ours = daemon.backend.build(&ours, None).await.unwrap();
        let expected = content(daemon, &theirs).await;
        assert_eq!(content(daemon, &ours.id).await, expected, "{ignore:?}");
        forget_all(daemon, &ours.tags).await;
        forget(daemon, &theirs).await;
    }
}

fn uncached() -> BuildOptions {
    BuildOptions { no_cache: true, ..BuildOptions::default() }
}

pub(crate) async fn a_step_that_fails_tells_its_line_its_exit_code_and_its_last_words(daemon: &Daemon) {
    let dockerfile = format!(
        "# The server.\nFROM {}\n\nENV A=1\n\nRUN [\"/mcp-mock-server\", \\\n  \"--behaviour\", \"crash:7\"]\n",
        image::NAME
    );
    let error = built(daemon, "t-fails", &dockerfile).await.unwrap_err();
    let told = one_line(&error);
    assert_eq!(error.code(), "backend", "{told}");
    assert!(told.contains("mcp-t-fails:latest` at `Dockerfile:6: RUN "), "{told}");
    assert!(told.contains("the command ended with exit code 7; its last lines:"), "{told}");
    assert!(told.contains("\n    fatal: told to crash with exit code 7"), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains("intermediate"), "{told}");
}

pub(crate) async fn what_cannot_be_built_says_why_and_what_to_do(daemon: &Daemon) {
    let empty = directory(&[]);
    let error = daemon.backend.build(&build(empty.path(), "t-none"), None).await.unwrap_err();
    assert!(error.to_string().contains("holds no Dockerfile; an image is built from one beside"), "{error}");
    assert_eq!(error.code(), "invalid");

    let error = built(daemon, "t-syntax", "FROM scratch\nFOO bar\n").await.unwrap_err();
    assert!(error.to_string().contains("Dockerfile:2: ") && error.code() == "invalid", "{error}");

    // Nobody listens there.
    let error = built(daemon, "t-base", "# x\nFROM 127.0.0.1:1/none:1\n").await.unwrap_err();
    let told = one_line(&error);
    assert!(told.contains("`Dockerfile:2: FROM 127.0.0.1:1/none:1`") && told.contains("refused"), "{told}");

    let error = built(daemon, "t-copy", "FROM scratch\nCOPY none /\n").await.unwrap_err();
    let told = one_line(&error);
    assert!(told.contains("`Dockerfile:2: COPY none /`") && told.contains("none"), "{told}");

    let wrong = directory(&[("Dockerfile", "FROM scratch\n"), (".dockerignore", "ok\n[a\n")]);
    let error = daemon.backend.build(&build(wrong.path(), "t-ignore"), None).await.unwrap_err();
    assert!(error.to_string().contains(".dockerignore:2: `[a` is no pattern"), "{error}");

    let template =
        Template::parse("{id: t-in, name: In, description: In., version: '1'}", "it", None).unwrap();
    let error = Build::of_template(&template, REGISTRY, BuildOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("is built in") && error.to_string().contains("clone https://"),
        "{error}"
    );

    let digest = format!("team/x@sha256:{}", "a".repeat(64));
    for (more, words) in [
        (json!({"version": "one two"}), "make no image: "),
        (json!({"docker_image": digest}), "name it by a tag"),
    ] {
        let template = self::template(empty.path(), "t-wrong", more);
        let error = Build::of_template(&template, REGISTRY, BuildOptions::default()).unwrap_err();
        assert!(error.to_string().contains("`t-wrong`") && error.to_string().contains(words), "{error}");
    }
}

pub(crate) async fn a_context_of_more_than_a_gigabyte_is_refused_before_a_daemon_is_asked(_: &Daemon) {
    let nowhere =
        DockerSettings { host: Some("unix:///nowhere/docker.sock".to_owned()), ..DockerSettings::default() };
    let backend = DockerBackend::new(nowhere);
    let root = directory(&[("Dockerfile", "FROM scratch\n"), ("target/small", "x")]);
    let large = root.path().join("target/large.bin");
    File::create(&large).unwrap().set_len(1_000_000_001).unwrap();
    let asked = build(root.path(), "t-large");
    let error = backend.build(&asked, None).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.code(), "invalid", "{told}");
    assert!(told.contains("has 1.0 GB, and at most 1.0 GB are sent"), "{told}");
    assert!(told.contains("1.0 GB  target/large.bin") && told.contains("`.dockerignore`"), "{told}");

    // What is left out does not count: only then is the daemon asked.
    fs::write(root.path().join(".dockerignore"), "target/*.bin").unwrap();
    assert_eq!(backend.build(&asked, None).await.unwrap_err().code(), "unavailable");
}

pub(crate) async fn a_dockerfile_for_buildkit_is_refused_with_the_command_that_builds_it(daemon: &Daemon) {
    let root = directory(&[("Dockerfile", "FROM scratch\nRUN --mount=type=cache,target=/c \\\n  x\n")]);
    let options = BuildOptions {
        platform: Some("linux/arm64".to_owned()),
        build_args: [("BASE", "a b"), ("NPM_TOKEN", "c4n4ry")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..uncached()
    };
    let asked = Build { options, ..build(root.path(), "t-kit") };
    let error = daemon.backend.build(&asked, None).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.code(), "unsupported");
    assert!(told.contains("Dockerfile:2: `RUN --mount`"), "{told}");
    let command = format!(
        "docker buildx build --load --tag {REGISTRY}/mcp-t-kit:latest --tag {REGISTRY}/mcp-t-kit:1.0.0 --platform \
         linux/arm64 --no-cache --build-arg 'BASE=a b' --build-arg NPM_TOKEN {}",
        root.path().display()
    );
    assert!(told.contains(&command), "{told}\n{command}");
    assert!(!format!("{told} {asked:?}").contains("c4n4ry"), "{told}");
}

pub(crate) async fn two_builds_of_one_template_at_once_both_end_well(daemon: &Daemon) {
    let root = directory(&[("Dockerfile", "FROM scratch\nCOPY file /file\n"), ("file", "x")]);
    let asked = Build { options: uncached(), ..build(root.path(), "t-twice") };
    let (one, other) = tokio::join!(daemon.backend.build(&asked, None), daemon.backend.build(&asked, None));
    let ids = [one.unwrap().id, other.unwrap().id];
    for tag in &asked.tags {
        let named = daemon.docker.inspect_image(tag.as_str()).await.unwrap().id.unwrap();
        assert!(ids.contains(&named), "{tag} is {named}, and {ids:?} were built");
    }
    forget_all(daemon, &asked.tags).await;
}

pub(crate) async fn an_interrupted_build_leaves_no_container(daemon: &Daemon) {
    let dockerfile = hanging("a-build-that-is-interrupted");
    let root = directory(&[("Dockerfile", &dockerfile)]);
    let asked = build(root.path(), "t-cut");
    let (progress, mut steps) = mpsc::unbounded_channel();
    tokio::select! {
        built = daemon.backend.build(&asked, Some(progress)) => panic!("{built:?}"),
        () = async {
            while let Some(step) = steps.recv().await {
                if matches!(step, BuildProgress::Step { number: 3, .. }) {
                    return;
                }
            }
        } => {}
    }
    has_no_container_of(daemon, "a-build-that-is-interrupted").await;
    assert!(daemon.docker.inspect_image(asked.tags[0].as_str()).await.is_err(), "it has got its name");
}

/// A Dockerfile whose third step has no end.
pub(crate) fn hanging(mark: &str) -> String {
    let base = image::NAME;
    format!("FROM {base}\nENV MARK={mark}\nRUN [\"/mcp-mock-server\", \"--behaviour\", \"never-listens\"]\n")
}

/// Waits until no container has a mark in its environment.
pub(crate) async fn has_no_container_of(daemon: &Daemon, mark: &str) {
    for _ in 0..100 {
        if daemon.containers_with(mark).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a container with `{mark}` is left");
}

impl Daemon {
    /// How many containers have a mark in their environment.
    pub(crate) async fn containers_with(&self, mark: &str) -> usize {
        let all = ListContainersOptionsBuilder::new().all(true).build();
        let mut found = 0;
        for container in self.docker.list_containers(Some(all)).await.unwrap() {
            let inspected = self.docker.inspect_container(&container.id.unwrap(), None).await;
            let config = inspected.ok().and_then(|container| container.config);
            let env = config.and_then(|config| config.env).unwrap_or_default();
            found += usize::from(env.iter().any(|variable| variable.ends_with(mark)));
        }
        found
    }
}

pub(crate) async fn a_build_tells_its_steps_and_takes_arguments(daemon: &Daemon) {
    let root = directory(&[
        ("Dockerfile", "ARG BASE=none.example/none\nFROM ${BASE}\nCOPY file /\nLABEL a=b\n"),
        ("file", "12345"),
    ]);
    let more = json!({"docker_image": "mcp-deploy-test/another", "version": "1.0.0+7"});
    let template = template(root.path(), "t-steps", more);
    let build_args = [("BASE".to_owned(), image::NAME.to_owned())].into();
    let options = BuildOptions { build_args, ..uncached() };
    let asked = Build::of_template(&template, "mcp-deploy-test/", options).unwrap();
    let (progress, mut steps) = mpsc::unbounded_channel();
    let built = daemon.backend.build(&asked, Some(progress)).await.unwrap();
    let mut told = Vec::new();
    while let Some(step) = steps.recv().await {
        match step {
            BuildProgress::Step { number, steps, line, .. } => told.push((number, steps, line)),
            BuildProgress::Sending { sent, total } => assert!(sent <= total && total > 5),
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(told, [(1, 4, 1), (2, 4, 2), (3, 4, 3), (4, 4, 4)]);
    let tags: Vec<&str> = built.tags.iter().map(ImageRef::as_str).collect();
    let own = "mcp-deploy-test/mcp-t-steps";
    assert_eq!(tags, [&format!("{own}:latest"), &format!("{own}:1.0.0_7"), "mcp-deploy-test/another:latest"]);
    for tag in &built.tags {
        let id = daemon.docker.inspect_image(tag.as_str()).await.unwrap().id;
        assert_eq!(id.as_ref(), Some(&built.id));
    }
    assert!(built.size_bytes > 5 && built.platform.starts_with("linux/") && built.runs_here);
    forget_all(daemon, &built.tags).await;
}

/// A backend of the same daemon with a configuration of Docker's own.
async fn with_logins(daemon: &Daemon, config: &Path, auths: Value) -> DockerBackend {
    fs::write(config.join("config.json"), json!({"auths": auths}).to_string()).unwrap();
    DockerBackend::new(DockerSettings { config: Some(config.to_owned()), ..daemon.settings().await })
}

/// A login as Docker's configuration has it.
pub(crate) fn login(password: &str) -> Value {
    json!({"auth": STANDARD.encode(format!("{USER}:{password}"))})
}

pub(crate) async fn a_push_wants_a_login_and_tells_its_progress(daemon: &Daemon) {
    let registry = Registry::start(true).await;
    let root = directory(&[("Dockerfile", "FROM scratch\nCOPY file /\nCOPY file /twice\n"), ("file", "x")]);
    let template = template(root.path(), "t-push", json!({}));
    let asked = Build::of_template(&template, &format!("{}/team", registry.host), uncached()).unwrap();
    let config = tempfile::tempdir().unwrap();
    let nobody = with_logins(daemon, config.path(), json!({})).await;
    let built = nobody.build(&asked, None).await.unwrap();
    let image = &built.tags[1];

    let hint = format!("`docker login {}`", registry.host);
    let error = nobody.push(image, None).await.unwrap_err();
    let told = error.to_string();
    assert_eq!(error.code(), "denied", "{told}");
    assert!(told.contains("no basic auth credentials") && told.contains(&hint), "{told}");
    let stranger = with_logins(daemon, config.path(), json!({&registry.host: login("wr0ng-c4n4ry")})).await;
    let error = stranger.push(image, None).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(error.code() == "denied" && told.contains(&hint) && !told.contains("c4n4ry"), "{told}");

    let known = with_logins(daemon, config.path(), json!({&registry.host: login(PASSWORD)})).await;
    let (progress, mut steps) = mpsc::unbounded_channel();
    for tag in &built.tags {
        known.push(tag, Some(progress.clone())).await.unwrap();
    }
    drop(progress);
    let mut last = None;
    while let Some(step) = steps.recv().await {
        last = Some(step);
    }
    let all = BuildProgress::Pushing { image: image.clone(), pushed: 2, layers: 2 };
    assert_eq!(last, Some(all));
    forget_all(daemon, &built.tags).await;
    assert!(daemon.docker.inspect_image(&built.id).await.is_err(), "the image is still here");
    built_from(&known, image.as_str()).await.unwrap();
    forget_all(daemon, &built.tags).await;
    forget(daemon, &format!("{REGISTRY}/mcp-t-from:latest")).await;
    forget(daemon, &format!("{REGISTRY}/mcp-t-from:1.0.0")).await;
}

async fn built_from(backend: &DockerBackend, base: &str) -> Result<Built, Error> {
    let root = directory(&[("Dockerfile", &format!("ARG BASE={base}\nFROM $BASE\nLABEL a=b\n"))]);
    backend.build(&build(root.path(), "t-from"), None).await
}

pub(crate) async fn a_base_image_behind_a_login_is_pulled_with_it(daemon: &Daemon) {
    let registry = Registry::start(true).await;
    let base = registry.with_image(daemon, "team/base", "1").await;
    let config = tempfile::tempdir().unwrap();
    let nobody = with_logins(daemon, config.path(), json!({})).await;
    let told = one_line(&built_from(&nobody, &base).await.unwrap_err());
    assert!(
        told.contains("`Dockerfile:2: FROM $BASE`") && told.contains("no basic auth credentials"),
        "{told}"
    );
    let auths = json!({&registry.host: login(PASSWORD), "other.example": login("other")});
    let known = with_logins(daemon, config.path(), auths).await;
    let built = built_from(&known, &base).await.unwrap();
    forget_all(daemon, &built.tags).await;
    forget(daemon, &base).await;
}
