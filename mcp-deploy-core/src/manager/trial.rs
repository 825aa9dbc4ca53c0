//! Trying a template: its server is deployed under a throw-away name, asked for all that it promises, and removed.
//!
//! A removal has to be awaited, and what is dropped awaits nothing. So a trial is not dropped to be ended, but told
//! to stop; it then leaves out what is left to try and goes on to the removal.

mod answer;
mod discretion;
mod read_back;
mod record;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::discretion::Discretion;
use self::record::{Record, Why};
use super::deploy::{LONGEST_WAIT, started};
use super::evidence::{last_lines, with_log_tail};
use super::verify::verified;
use super::{DEFAULT_WAIT, Deploy, DeploymentManager, working};
use crate::{
    DeleteOptions, DeployOptions, Deployment, DeploymentBackend, DeploymentName, DeploymentSpec, Error,
    Progress, Request, Result, Selector, Template, TestReport, ToolTest,
};

/// How long a platform may take to find the way to a server, beside the server's own time.
const WAY: Duration = Duration::from_secs(10);
/// How long a deploy that is told to stop may go on, so that it leaves nothing half made that a removal would not
/// find. A pull takes longer, and leaves nothing.
const GRACE: Duration = Duration::from_secs(10);
/// When a deploy that was cut off is looked for once more: what it had asked for last may come about late.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Between two tries of a removal while the platform is away.
const PAUSE: Duration = Duration::from_millis(500);

/// How to try a template.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The backend; the default one where none is named.
    pub backend: Option<String>,
    /// How long to wait until the server answers over MCP, after the platform has accepted the spec; default two
    /// minutes.
    pub wait: Duration,
    /// How long each call of a tool may take; default 30 seconds.
    pub call: Duration,
    /// How long the removal may take, also of what was interrupted; default a minute.
    pub removal: Duration,
    /// Whether the deployment stays, for a look at it.
    pub keep: bool,
    /// Where to tell of each step of the deploy.
    pub progress: Option<UnboundedSender<Progress>>,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            backend: None,
            wait: DEFAULT_WAIT,
            call: Duration::from_secs(30),
            removal: Duration::from_mins(1),
            keep: false,
            progress: None,
        }
    }
}

impl DeploymentManager {
    /// Tries a template: deploys it under a throw-away name, waits for the handshake, lists its tools, makes the
    /// calls of [`Template::tests`], reads the deployment back, and removes it with its volumes. The name of the
    /// request is passed over.
    ///
    /// When `stop` comes, what is left to try is skipped, and the deployment removed all the same. Dropping the
    /// trial instead leaves it where it is.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve), of the backend's choice, and of a platform that cannot be reached or
    /// cannot run the spec: nothing was touched then. Everything later is a step of the report.
    #[tracing::instrument(skip_all, fields(template = %template.id, operation = "test"))]
    pub async fn test(
        &self,
        template: &Template,
        request: &Request,
        options: &Trial,
        stop: impl Future<Output = ()>,
    ) -> Result<TestReport> {
        let backend = self.backends().get(options.backend.as_deref())?;
        let request = request.clone().name(DeploymentName::for_test(&template.id));
        let mut spec = self.resolve(template, &request)?;
        spec.name = free_name(&*backend, spec.name, template).await?;
        let discretion = Discretion::of(&spec, template);
        let subject = Subject { manager: self, backend: &*backend, spec: &spec, options };
        let stop = pin!(stop);
        let mut record = Record::new(stop, discretion);
        subject.try_all(template, &mut record).await?;
        Ok(record.report(&spec, backend.name()))
    }
}

/// A throw-away name that nobody uses.
async fn free_name(
    backend: &dyn DeploymentBackend,
    mut name: DeploymentName,
    template: &Template,
) -> Result<DeploymentName> {
    loop {
        match backend.get(&name).await {
            Err(Error::NotFound { .. }) => return Ok(name),
            Err(error) => return Err(error),
            Ok(_) => name = DeploymentName::for_test(&template.id),
        }
    }
}

/// What is tried, and how. Its steps are boxed where they hold a whole MCP client.
struct Subject<'a> {
    manager: &'a DeploymentManager,
    backend: &'a dyn DeploymentBackend,
    spec: &'a DeploymentSpec,
    options: &'a Trial,
}

impl Subject<'_> {
    /// All steps, in their order.
    async fn try_all<S: Future<Output = ()>>(
        &self,
        template: &Template,
        record: &mut Record<'_, S>,
    ) -> Result<()> {
        let mut refused = None;
        let deployed = async {
            self.deployed().await.map_err(|error| match error {
                // Nothing was touched.
                error @ (Error::Invalid { .. } | Error::Unsupported { .. }) => {
                    let why = Why::from(&error);
                    refused = Some(error);
                    why
                }
                error => Why::from(&error),
            })
        };
        let deployed = record.step_with_grace("deploy", GRACE, Box::pin(deployed)).await;
        if let Some(error) = refused {
            return Err(error);
        }
        self.try_server(deployed, &template.tests, record).await;
        if record.has_failures() {
            let began = Instant::now();
            let lines = last_lines(self.backend, &self.spec.name).await;
            record.logs(began, lines);
        }
        if self.options.keep {
            let why = format!("it was to be kept; `delete {} --volumes` removes it", self.spec.name);
            record.skip("delete", &why);
        } else {
            self.remove(record).await;
        }
        Ok(())
    }

    /// The steps that need a deployment, each of which says what it lacks.
    async fn try_server<S: Future<Output = ()>>(
        &self,
        deployed: Option<Deployment>,
        tests: &[ToolTest],
        record: &mut Record<'_, S>,
    ) {
        let deadline = Instant::now() + self.options.wait.min(LONGEST_WAIT);
        let Some(deployed) = deployed else {
            record.skip_all(
                &["start", "handshake", "tools", "calls", "status", "list"],
                "nothing was deployed",
            );
            return;
        };
        let ours = Some(deployed.revision);
        let Some(ready) = record.step("start", Box::pin(self.started(deployed, deadline))).await else {
            record.skip_all(&["handshake", "tools", "calls", "status", "list"], "the server did not start");
            return;
        };
        let answering = record.step("handshake", Box::pin(self.answering(ready, ours, deadline))).await;
        let silent = match answering.as_ref().map(|deployment| &deployment.mcp) {
            Some(Some(mcp)) if mcp.authorization_required => Some("the server wants authorization"),
            Some(_) => None,
            None => Some("the server did not answer"),
        };
        match silent {
            Some(why) => record.skip_all(&["tools", "calls"], why),
            None => self.try_tools(tests, record).await,
        }
        let status = record.step("status", self.read_back()).await;
        match status {
            Some(status) => {
                record.step("list", self.listed(&status)).await;
            }
            None => record.skip("list", "there is no status to compare it with"),
        }
    }

    async fn try_tools<S: Future<Output = ()>>(&self, tests: &[ToolTest], record: &mut Record<'_, S>) {
        record.step("tools", Box::pin(self.promised_tools())).await;
        if tests.is_empty() {
            let why = "the template has no tests: `tests.json` beside it holds them";
            record.skip("calls", why);
        }
        for (index, test) in tests.iter().enumerate() {
            let earlier = tests[..index].iter().filter(|earlier| earlier.tool == test.tool).count();
            let name = match earlier {
                0 => format!("call {}", test.tool),
                earlier => format!("call {} #{}", test.tool, earlier + 1),
            };
            record.step(&name, Box::pin(self.call(test))).await;
        }
    }

    async fn deployed(&self) -> Result<Deployment> {
        let Trial { backend, progress, .. } = self.options;
        let deploy =
            Deploy { backend: backend.clone(), dry_run: false, wait: None, progress: progress.clone() };
        Ok(self.manager.deploy(self.spec, &deploy).await?.deployment)
    }

    async fn started(&self, deployed: Deployment, deadline: Instant) -> Result<Deployment, Why> {
        let Trial { wait, progress, .. } = self.options;
        let options = DeployOptions { dry_run: false, progress: progress.clone() };
        match started(self.backend, &self.spec.name, Some(deployed), deadline, *wait, &options).await {
            Ok(ready) => Ok(ready),
            Err(error) => Err(Why::from(&with_log_tail(self.backend, error).await)),
        }
    }

    async fn answering(
        &self,
        ready: Deployment,
        ours: Option<u64>,
        deadline: Instant,
    ) -> Result<Deployment, Why> {
        if ready.replicas.desired == 0 {
            return Err(Why::of("the template asks for no instance: there is no server to try"));
        }
        let answering = verified(self.backend, ready, ours, deadline, self.options.wait).await;
        answering.and_then(|answering| working(answering, ours)).map_err(|error| Why::from(&error))
    }

    /// The tools that the template promises are there; others may be.
    async fn promised_tools(&self) -> Result<(), Why> {
        let tools = self.manager.tools(Some(self.backend.name()), &self.spec.name);
        let tools = within(self.options.call + WAY, "list its tools", tools).await?;
        let served: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        read_back::missing_tools(&self.spec.tools, &served)
    }

    async fn call(&self, test: &ToolTest) -> Result<(), Why> {
        let Trial { call: patience, .. } = *self.options;
        let (backend, name) = (Some(self.backend.name()), &self.spec.name);
        let call = self.manager.call(backend, name, &test.tool, test.arguments.clone(), patience);
        answer::check(&within(patience + WAY, "answer the call", call).await?, test)
    }

    /// The deployment by its name is what was deployed.
    async fn read_back(&self) -> Result<Deployment, Why> {
        let status = self.backend.get(&self.spec.name);
        let status = within(self.options.call + WAY, "be looked at", status).await?;
        read_back::check_status(&status, self.spec)?;
        Ok(status)
    }

    /// The deployment in the list is the one of its name.
    async fn listed(&self, status: &Deployment) -> Result<(), Why> {
        let selector = Selector::of_template(&self.spec.template.id);
        let listed = self.backend.list(&selector);
        let listed = within(self.options.call + WAY, "be listed", listed).await?;
        let found: Vec<&Arc<Deployment>> =
            listed.iter().filter(|deployment| deployment.name == self.spec.name).collect();
        read_back::check_list(&found, status)
    }

    /// Removes what the trial has made; what cannot be removed the report tells of.
    async fn remove<S: Future<Output = ()>>(&self, record: &mut Record<'_, S>) {
        let was_cut = record.was_cut();
        let removed = record.step_to_its_end("delete", self.removed(was_cut)).await;
        if removed.is_none() {
            let Self { backend, spec: DeploymentSpec { name, .. }, .. } = self;
            let left =
                format!("`{name}` may still be on {}: `delete {name} --volumes` removes it", backend.name());
            record.left_over(left);
        }
    }

    /// Tries again while the platform is away, and looks whether it is gone.
    async fn removed(&self, was_cut: bool) -> Result<(), Why> {
        let name = &self.spec.name;
        let deadline = Instant::now() + self.options.removal;
        let mut late = was_cut.then_some(AFTERMATH);
        let removal = async {
            loop {
                match self.backend.delete(name, DeleteOptions { volumes: true }).await {
                    Ok(()) => break,
                    Err(Error::NotFound { .. }) => match late.take() {
                        Some(late) => sleep(late).await,
                        None => break,
                    },
                    Err(error) if error.is_retryable() && Instant::now() + PAUSE < deadline => {
                        sleep(PAUSE).await;
                    }
                    Err(error) => return Err(Why::from(&error)),
                }
            }
            match self.backend.get(name).await {
                Err(Error::NotFound { .. }) => Ok(()),
                Ok(deployment) => Err(Why::of(format!("it is {} after its removal", deployment.status))),
                Err(error) => Err(Why::from(&error)),
            }
        };
        timeout_at(deadline, removal).await.unwrap_or_else(|_| {
            Err(Why::of(format!("it was not gone within {} ms", self.options.removal.as_millis())))
        })
    }
}

/// The answer of a platform, which has its time.
async fn within<T>(
    patience: Duration,
    what: &str,
    asking: impl Future<Output = Result<T>>,
) -> Result<T, Why> {
    match timeout(patience, asking).await {
        Ok(answer) => answer.map_err(|error| Why::from(&error)),
        Err(_) => Err(Why::of(format!("it did not {what} within {} ms", patience.as_millis()))),
    }
}
