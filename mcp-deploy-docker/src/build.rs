//! Building images: a template's directory is sent to the daemon, which follows the Dockerfile in it.

mod bases;
mod context;
mod error;
mod ignore;
mod push;
mod steps;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;
use mcp_deploy_core::{Dockerfile, Error, ImageError, ImageRef, Result, Template, one_line};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use self::context::Context;
use self::error::BuildError;
use self::steps::Steps;
use crate::client_config::ClientConfig;
use crate::credentials;
use crate::error::{refusal, sorted};
use crate::handle::DockerBackend;
use crate::names::BACKEND;

/// The name of the Dockerfile in its directory.
const DOCKERFILE: &str = "Dockerfile";
/// How long a daemon may take for its first words, which come when it has the whole context.
const FIRST_WORDS: Duration = Duration::from_hours(1);

/// An image to build.
#[derive(Clone)]
pub struct Build {
    /// The directory that is the context, with a `Dockerfile` in it.
    pub directory: PathBuf,
    /// The names that the image gets; at least one.
    pub tags: Vec<ImageRef>,
    /// How it is built.
    pub options: BuildOptions,
}

/// How an image is built.
#[derive(Clone)]
pub struct BuildOptions {
    /// The platform, as in `linux/arm64`; that of the daemon where none is given.
    pub platform: Option<String>,
    /// Whether every step is run again, whatever the daemon has of an earlier build.
    pub no_cache: bool,
    /// Values for `ARG`s of the Dockerfile. The daemon keeps them in the history of the image, so they are no place for
    /// a secret; `Debug` shows their names alone.
    pub build_args: BTreeMap<String, String>,
    /// How large the context may be, in bytes; default 1 GB.
    pub max_context_bytes: u64,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// Its id.
    pub id: String,
    /// Its names.
    pub tags: Vec<ImageRef>,
    /// Its size.
    pub size_bytes: u64,
    /// What it was built for, as in `linux/amd64`.
    pub platform: String,
    /// Whether the daemon's own machine runs it.
    pub runs_here: bool,
}

/// What a build or a push is at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildProgress {
    /// The context is on its way to the daemon.
    Sending {
        /// The bytes of the files that are sent.
        sent: u64,
        /// The bytes of all files.
        total: u64,
    },
    /// A step of the Dockerfile begins.
    Step {
        /// Its number; the first is 1.
        number: usize,
        /// How many there are.
        steps: usize,
        /// Its line in the Dockerfile.
        line: usize,
        /// The instruction.
        instruction: String,
    },
    /// The image is started to see whether it keeps the contract.
    Checking,
    /// The image is on its way to its registry.
    Pushing {
        /// Under which name.
        image: ImageRef,
        /// How many of its layers the registry has.
        pushed: usize,
        /// How many there are.
        layers: usize,
    },
    /// Something goes another way than asked for.
    Warning(String),
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            platform: None,
            no_cache: false,
            build_args: BTreeMap::new(),
            max_context_bytes: 1_000_000_000,
        }
    }
}

impl fmt::Debug for BuildOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platform, no_cache, build_args, max_context_bytes } = self;
        f.debug_struct("BuildOptions")
            .field("platform", platform)
            .field("no_cache", no_cache)
            .field("build_args", &build_args.keys().collect::<Vec<_>>())
            .field("max_context_bytes", max_context_bytes)
            .finish()
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, tags, options } = self;
        f.debug_struct("Build")
            .field("directory", directory)
            .field("tags", tags)
            .field("options", options)
            .finish()
    }
}

impl Build {
    /// The image of a template: `{registry}/mcp-{id}` with the tags `latest` and the template's version, and the image
    /// that the template names where that is another one. What is built is what `deploy` runs.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the template has no directory with a Dockerfile, or no image that can be built.
    pub fn of_template(template: &Template, registry: &str, options: BuildOptions) -> Result<Self> {
        let id = &template.id;
        let directory = template.directory.clone().ok_or_else(|| {
            let problem = format!(
                "`{id}` is built in, and the program has no sources of it; clone {} and run `mcp-deploy build \
                 mcp-deploy-core/templates/{id}` there",
                env!("CARGO_PKG_REPOSITORY"),
            );
            Error::invalid("", problem)
        })?;
        let wrong = |error: ImageError| {
            Error::invalid("", format!("the registry and the version of `{id}` make no image: {error}"))
        };
        let latest: ImageRef =
            format!("{}/mcp-{id}:latest", registry.trim_end_matches('/')).parse().map_err(wrong)?;
        // `+` stands in versions and in no tag.
        let versioned = latest.with_tag(&template.version.replace('+', "_")).map_err(wrong)?;
        let written = template.written_image.clone();
        if let Some(pinned) = written.as_ref().filter(|image| image.digest().is_some()) {
            let problem = format!(
                "`{id}` runs the image `{pinned}`, and no build makes the image of a given digest; name it by a tag"
            );
            return Err(Error::invalid("", problem));
        }
        let mut tags = vec![latest, versioned];
        tags.extend(written.map(with_tag).filter(|image| !tags.contains(image)));
        Ok(Self { directory, tags, options })
    }

    /// The command that builds the same with BuildKit.
    fn buildx(&self) -> String {
        let Self { directory, tags, options } = self;
        let BuildOptions { platform, no_cache, build_args, max_context_bytes: _ } = options;
        let mut words = ["docker", "buildx", "build", "--load"].map(str::to_owned).to_vec();
        for tag in tags {
            words.extend(["--tag".to_owned(), tag.to_string()]);
        }
        if let Some(platform) = platform {
            words.extend(["--platform".to_owned(), platform.clone()]);
        }
        if *no_cache {
            words.push("--no-cache".to_owned());
        }
        for (name, value) in build_args {
            // Without its value it is taken from the environment: what may be a secret is not shown.
            let shown = if is_secret(name) { name.clone() } else { format!("{name}={value}") };
            words.extend(["--build-arg".to_owned(), shown]);
        }
        words.push(directory.display().to_string());
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

impl DockerBackend {
    /// Builds an image from a directory, with the daemon's classic builder. The context is streamed, and
    /// `.dockerignore` heeded as Docker does. Dropping the future ends the build, and no container of it stays.
    ///
    /// The user's own logins go along for the registries that the `FROM` lines name, and for no others.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where there is no Dockerfile, where it is none, or where the context is too large;
    /// [`Error::Unsupported`] with the command that does it where the Dockerfile needs BuildKit; [`Error::Backend`] with
    /// the line of the Dockerfile, the exit code and the last lines of a step that failed.
    #[tracing::instrument(skip_all, fields(backend = BACKEND, directory = %build.directory.display(), operation = "build"))]
    pub async fn build(
        &self,
        build: &Build,
        progress: Option<UnboundedSender<BuildProgress>>,
    ) -> Result<Built> {
        let report = Report(progress);
        Ok(self.try_build(build, &report).await?)
    }

    async fn try_build(&self, build: &Build, report: &Report) -> Result<Built, BuildError> {
        let Build { directory, tags, options } = build;
        let dockerfile = read_dockerfile(directory)?;
        let needs = dockerfile.needs_buildkit();
        if !needs.is_empty() {
            return Err(BuildError::NeedsBuildKit { needs, command: build.buildx() });
        }
        let context = look_through(directory.clone(), options.max_context_bytes).await?;
        let docker = self.docker().await?;
        let logins = self.logins(&dockerfile, options, report).await?;
        let total = context.bytes();
        let sending = report.clone();
        let (archive, writer) =
            context.archive(move |sent| sending.tell(BuildProgress::Sending { sent, total }));
        let body = bollard::body_try_stream(archive);
        let patient = docker.clone().with_timeout(FIRST_WORDS);
        let mut steps = Steps::new(dockerfile.instructions());
        let mut told = std::pin::pin!(patient.build_image(query(options), Some(logins), Some(body)));
        let mut id = None;
        while let Some(step) = told.next().await {
            match step {
                Ok(step) => {
                    id = step.aux.and_then(|aux| aux.id).or(id);
                    steps
                        .heed(&step.stream.unwrap_or_default())
                        .into_iter()
                        .for_each(|step| report.tell(step));
                }
                Err(Bollard::DockerStreamError { error: words }) => {
                    let place = steps.place();
                    let image = tags.first().map(ToString::to_string).unwrap_or_default();
                    return Err(BuildError::Step { image, place, failure: steps.failure(&words) });
                }
                Err(error) => return Err(refused(error, writer).await),
            }
        }
        let id = id.ok_or_else(|| Error::backend(BACKEND, "build the image", "the daemon names no image"))?;
        Ok(named(docker, id, build).await?)
    }

    /// The user's logins for the registries of the images that a build begins with.
    async fn logins(
        &self,
        dockerfile: &Dockerfile,
        options: &BuildOptions,
        report: &Report,
    ) -> Result<HashMap<String, DockerCredentials>> {
        let config = ClientConfig::read(self.settings())?;
        let mut logins = HashMap::new();
        for image in bases::of(dockerfile, &options.build_args) {
            match credentials::of_image(&config, &image).await {
                Ok(login) => logins.extend(login.map(|login| (credentials::key(&image).to_owned(), login))),
                Err(error) => report.tell(BuildProgress::Warning(format!(
                    "{}; `{image}` is pulled without a login",
                    one_line(&error)
                ))),
            }
        }
        Ok(logins)
    }
}

/// Where progress is told, if anywhere.
#[derive(Debug, Clone)]
struct Report(Option<UnboundedSender<BuildProgress>>);

impl Report {
    fn tell(&self, progress: BuildProgress) {
        if let BuildProgress::Warning(warning) = &progress {
            tracing::warn!("{warning}");
        }
        if let Some(sender) = &self.0 {
            // Whoever has lost interest is not told.
            let _ = sender.send(progress);
        }
    }
}

fn read_dockerfile(directory: &Path) -> Result<Dockerfile, BuildError> {
    let file = directory.join(DOCKERFILE);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Dockerfile::parse(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(BuildError::NoDockerfile { directory: directory.to_owned() })
        }
        Err(source) => Err(BuildError::Unreadable { path: file, source }),
    }
}

/// Looks through the directory on a thread of its own: it may be a large one.
async fn look_through(directory: PathBuf, most: u64) -> Result<Context, BuildError> {
    let looked = tokio::task::spawn_blocking(move || Context::read(&directory, DOCKERFILE)?.within(most));
    looked.await.unwrap_or_else(|error| Err(Error::backend(BACKEND, "read the context", error).into()))
}

fn query(options: &BuildOptions) -> BuildImageOptions {
    let BuildOptions { platform, no_cache, build_args, max_context_bytes: _ } = options;
    let build_args: HashMap<&str, &str> =
        build_args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let query = BuildImageOptionsBuilder::new()
        .dockerfile(DOCKERFILE)
        .nocache(*no_cache)
        .buildargs(&build_args)
        .platform(platform.as_deref().unwrap_or_default());
    // No container of a step stays, be it that it failed.
    query.rm(true).forcerm(true).build()
}

/// Gives an image its names, once it is whole.
async fn named(docker: &Docker, id: String, Build { tags, options, .. }: &Build) -> Result<Built> {
    for tag in tags {
        let (repository, name) = parts(tag);
        let options = TagImageOptionsBuilder::new().repo(repository).tag(name).build();
        docker.tag_image(&id, Some(options)).await.map_err(|error| sorted("name the image", error))?;
    }
    let image = docker.inspect_image(&id).await.map_err(|error| sorted("look at the image", error))?;
    let platform = |os: Option<String>, architecture: Option<String>| {
        format!("{}/{}", os.unwrap_or_default(), architecture.unwrap_or_default())
    };
    let platform_of_image = platform(image.os, image.architecture);
    let mut runs_here = true;
    if options.platform.is_some() {
        let daemon = docker.version().await.map_err(|error| sorted("ask for the version", error))?;
        runs_here = platform_of_image == platform(daemon.os, daemon.arch);
    }
    let size_bytes = image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    Ok(Built { id, tags: tags.clone(), size_bytes, platform: platform_of_image, runs_here })
}

/// Why the daemon does not begin with a build: a file of the context that could not be sent, or its own words.
async fn refused(error: Bollard, writer: tokio::task::JoinHandle<io::Result<()>>) -> BuildError {
    if let Some((400, words)) = refusal(&error) {
        return BuildError::Refused { words: words.to_owned() };
    }
    // The request is over, and the archive with it.
    match writer.await {
        Ok(Err(source)) if source.kind() != io::ErrorKind::BrokenPipe => {
            BuildError::Docker(Error::backend(BACKEND, "send the context", source))
        }
        _ => BuildError::Docker(sorted("build the image", error)),
    }
}

/// Where neither tag nor digest is written, the tag is `latest`.
fn with_tag(image: ImageRef) -> ImageRef {
    if image.tag().is_some() { image } else { image.with_tag("latest").unwrap_or(image) }
}

/// The repository and the tag.
fn parts(image: &ImageRef) -> (&str, &str) {
    let tag = image.tag().unwrap_or("latest");
    let written = image.as_str();
    (written.strip_suffix(tag).and_then(|name| name.strip_suffix(':')).unwrap_or(written), tag)
}

/// Whether the name of a build argument speaks of a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    ["TOKEN", "PASSWORD", "SECRET", "KEY"].iter().any(|word| name.contains(word))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
