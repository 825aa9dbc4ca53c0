//! Making a spec so: created, updated, or left as it is.
//!
//! The Deployment is the one object that counts: it names the ConfigMap and the Secret of its spec, and owns all
//! others. It is written last, at the version at which it was read, so that of two deploys at once one wins whole
//! and the other begins again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use mcp_deploy_core::{DeployOptions, Deployment, DeploymentName, DeploymentSpec, Error, Progress, Result};
use serde_json::json;
use tokio::time::sleep;

use crate::apply::{How, apply, apply_briefly, merge, remove_added};
use crate::error::{absent, code, foreign, is_namespace_absent, sorted, sorted_of};
use crate::handle::KubernetesBackend;
use crate::index::Index;
use crate::labels::{self, Ours};
use crate::manifest::{self, Placed};
use crate::names::{self, BACKEND};
use crate::objects::{Object, optional_kinds};
use crate::revisions::Kept;
use crate::status::Observed;

/// How often a deploy begins again because another came in between.
const TRIES: u32 = 20;
/// Between two of them, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What a deploy came to.
enum Outcome {
    Done(Box<Live>),
    /// Somebody else has deployed, or removed, the same name in between.
    Overtaken,
}

/// The last write of a deploy, by which it counts.
enum Last {
    /// The Deployment as it is to be.
    Apply(Box<Live>),
    /// The end of its pause.
    Resume,
}

impl KubernetesBackend {
    /// The Deployment of a name, where it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] where it is not ours.
    pub(crate) async fn find(&self, name: &DeploymentName) -> Result<Option<Observed>> {
        let live = self.objects::<Live>().await?.get_opt(name.as_str()).await;
        let Some(live) = live.map_err(|error| sorted("look at the deployment", error))? else {
            return Ok(None);
        };
        let observed = Observed::of(live, self.ingress_host());
        let observed = observed.filter(|observed| observed.ours.spec.name == *name);
        observed.map(Some).ok_or_else(|| foreign("Deployment", name.as_str(), self.namespace()))
    }

    /// The same, where it has to be there.
    pub(crate) async fn found(&self, name: &DeploymentName) -> Result<Observed> {
        match self.find(name).await {
            Ok(found) => found.ok_or_else(|| absent(name)),
            Err(Error::Conflict { .. }) => Err(absent(name)),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn make_it_so(&self, spec: &DeploymentSpec) -> Result<Deployment> {
        for attempt in 0..TRIES {
            let found = self.find(&spec.name).await?;
            if let Some(Observed { live, .. }) = &found
                && live.metadata.deletion_timestamp.is_some()
            {
                self.await_gone(live).await?;
                continue;
            }
            if let Some(deployed) = Box::pin(self.try_once(spec, found)).await? {
                return Ok(deployed);
            }
            sleep(LONGEST_PAUSE.mul_f64(fastrand::f64()) * attempt.min(1)).await;
        }
        Err(overtaken(&spec.name))
    }

    /// Makes it so from what was found; `None` where that is no longer so.
    async fn try_once(&self, spec: &DeploymentSpec, found: Option<Observed>) -> Result<Option<Deployment>> {
        let found = match found {
            Some(found) => match self.take_back(found).await? {
                Some(found) => Some(found),
                None => return Ok(None),
            },
            None => None,
        };
        let placed = self.plan(spec, found.as_ref()).await?;
        let Outcome::Done(live) = self.carry_out(spec, &placed, found.as_ref()).await? else {
            return Ok(None);
        };
        match (found, Observed::of(*live, self.ingress_host())) {
            // It has no pods yet.
            (None, Some(new)) => Ok(Some(self.report_on(&new, &Index::default(), &Index::default()))),
            (Some(old), Some(new)) if old.ours.revision != new.ours.revision => {
                self.forget(&new).await?;
                self.report(&spec.name).await.map(Some)
            }
            _ => self.report(&spec.name).await.map(Some),
        }
    }

    /// Removes what somebody else has added to the Deployment, which applying would leave; what was changed in it,
    /// applying takes back. `None` where it has changed meanwhile, be it in its status alone.
    async fn take_back(&self, found: Observed) -> Result<Option<Observed>> {
        let added: Vec<&str> = found
            .drift
            .iter()
            .filter(|change| change.is_added)
            .map(|change| change.pointer.as_str())
            .collect();
        if added.is_empty() {
            return Ok(Some(found));
        }
        let name = &found.ours.spec.name;
        let version = found.live.metadata.resource_version.as_deref().unwrap_or_default();
        match remove_added(&self.objects::<Live>().await?, name.as_str(), version, &added).await {
            Ok(live) => Ok(Some(Observed { live, drift: Vec::new(), ..found })),
            Err(error) if matches!(code(&error), Some(404 | 409 | 422)) => Ok(None),
            Err(error) => Err(sorted_of(name, "take back what was added to the Deployment", error)),
        }
    }

    /// The same spec in another size, or with its instances replaced.
    pub(crate) async fn change(&self, name: &DeploymentName, change: impl Fn(&mut Placed)) -> Result<()> {
        for _ in 0..TRIES {
            let found = self.found(name).await?;
            if found.live.metadata.deletion_timestamp.is_some() {
                return Err(absent(name));
            }
            let spec = self.whole_spec(&found).await?.ok_or_else(|| without_secret(name))?;
            let mut placed = self.placed_again(&found);
            change(&mut placed);
            if let Outcome::Done(_) = Box::pin(self.replace(&spec, &placed, &found)).await? {
                return Ok(());
            }
        }
        Err(overtaken(name))
    }

    /// What a deploy would make of what is there, as far as the API server itself says that it would take it.
    pub(crate) async fn try_out(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<Deployment> {
        let name = &spec.name;
        let found = self.find(name).await?;
        let placed = self.plan(spec, found.as_ref()).await?;
        let manifests = manifest::render(spec, &placed)?;
        let (deployment, objects) = (&manifests.deployment, manifests.dependents());
        self.check_ours(name, &objects).await?;
        let how = How::DryRun { force: found.is_some() };
        match apply(&self.objects::<Live>().await?, name.as_str(), deployment, how).await {
            Err(error) if is_namespace_absent(&error) => options.report(Progress::Warning(format!(
                "the namespace `{}` is not there yet: the cluster could not be asked whether it would take it",
                self.namespace()
            ))),
            outcome => {
                outcome.map_err(|error| sorted_of(name, "try the Deployment", error))?;
                self.make_all(name, &objects, How::DryRun { force: true }).await?;
            }
        }
        Ok(Deployment { revision: placed.revision, ..Deployment::pending(spec, BACKEND, Timestamp::now()) })
    }

    /// Where a spec goes: the revision that it is, or the next one.
    async fn plan(&self, spec: &DeploymentSpec, found: Option<&Observed>) -> Result<Placed> {
        let secret = |again: Option<String>| {
            again.or_else(|| (!spec.secrets.is_empty()).then(|| names::random(&spec.name)))
        };
        let Some(found) = found else {
            return Ok(self.placed(spec, 1, secret(None)));
        };
        let current = self.whole_spec(found).await?;
        let replicas = spec.replicas;
        let is_same = match &current {
            Some(current) => current.is_resized(spec),
            // A deploy that was interrupted before it made the Secret: no pod has its values yet.
            None => is_paused(&found.live) && is_like(&found.ours.spec, spec),
        };
        if is_same {
            let again = self.placed_again(found);
            let is_same =
                crate::status::desired(&found.live) == usize::try_from(replicas).unwrap_or_default();
            let updated_at = if is_same { again.updated_at } else { Some(Timestamp::now()) };
            return Ok(Placed { replicas, updated_at, ..again });
        }
        let kept = self.kept(&spec.name).await?;
        for Kept { number, created_at, content, .. } in
            kept.iter().filter(|kept| kept.number != found.ours.revision)
        {
            let is_like = labels::spec(content.spec.clone()).is_some_and(|kept| is_like(&kept, spec));
            if !is_like {
                continue;
            }
            // Without its Secret it can be any: it is made anew.
            let whole = self.whole(content.spec.clone(), content.secret.as_deref()).await?;
            if whole.is_none_or(|whole| whole.is_resized(spec)) {
                let placed = self.placed(spec, *number, content.secret.clone());
                return Ok(Placed { deployed_at: Some(*created_at), ..placed });
            }
        }
        let newest = kept.iter().map(|kept| kept.number).max().unwrap_or_default();
        let number = newest.max(found.ours.revision) + 1;
        let has_same_secrets = current.is_some_and(|current| current.secrets == spec.secrets);
        let again = found.ours.secret.clone().filter(|_| has_same_secrets);
        Ok(self.placed(spec, number, secret(again)))
    }

    pub(crate) fn placed(&self, spec: &DeploymentSpec, revision: u64, secret: Option<String>) -> Placed {
        let now = Timestamp::now();
        Placed {
            namespace: self.namespace().to_owned(),
            revision,
            replicas: spec.replicas,
            deployed_at: Some(now),
            updated_at: Some(now),
            restarted_at: None,
            secret,
            owner: None,
            ingress_host: self.ingress_host().map(str::to_owned),
        }
    }

    pub(crate) fn placed_again(&self, found: &Observed) -> Placed {
        let Ours { spec, revision, secret, deployed_at, updated_at, restarted_at } = &found.ours;
        let replicas = u32::try_from(crate::status::desired(&found.live)).unwrap_or(u32::MAX);
        Placed {
            replicas,
            deployed_at: *deployed_at,
            updated_at: *updated_at,
            restarted_at: restarted_at.clone(),
            ..self.placed(spec, *revision, secret.clone())
        }
    }

    /// The spec with its secrets; `None` where the Secret is not there.
    async fn whole_spec(&self, found: &Observed) -> Result<Option<DeploymentSpec>> {
        let Ours { spec, secret, .. } = &found.ours;
        let plain = serde_json::to_value(spec).expect("a spec is JSON");
        self.whole(plain, secret.as_deref()).await
    }

    async fn carry_out(
        &self,
        spec: &DeploymentSpec,
        placed: &Placed,
        found: Option<&Observed>,
    ) -> Result<Outcome> {
        match found {
            Some(found) => Box::pin(self.replace(spec, placed, found)).await,
            None => Box::pin(self.create(spec, placed)).await,
        }
    }

    /// The Deployment first, paused, for the others are to be its own.
    async fn create(&self, spec: &DeploymentSpec, placed: &Placed) -> Result<Outcome> {
        let name = &spec.name;
        let deployment = manifest::render(spec, placed)?.deployment;
        let Some(taken) = self.begin(name, deployment).await? else { return Ok(Outcome::Overtaken) };
        let wanted = manifest::render(spec, &placed.owned_by(&taken))?.dependents();
        match self.make_all(name, &wanted, How::Anew).await {
            Ok(true) => self.finish(name, Last::Resume, taken).await,
            Ok(false) => Ok(Outcome::Overtaken),
            Err(conflict @ Error::Conflict { .. }) => {
                self.take_away(name, &taken).await?;
                Err(conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// What a revision was is kept before another takes its place.
    async fn replace(&self, spec: &DeploymentSpec, placed: &Placed, found: &Observed) -> Result<Outcome> {
        let (name, live) = (&spec.name, &found.live);
        let manifests = manifest::render(spec, &placed.owned_by(&live.metadata))?;
        let mut wanted = manifests.dependents();
        if placed.revision != found.ours.revision {
            wanted.push(Object::of(&self.revision(found)));
        }
        self.check_ours(name, &wanted).await?;
        if !self.make_all(name, &wanted, How::ByForce).await? {
            return Ok(Outcome::Overtaken);
        }
        let last = Last::Apply(Box::new(manifests.deployment));
        let outcome = self.finish(name, last, live.metadata.clone()).await?;
        if let Outcome::Done(_) = &outcome {
            let unwanted = optional_kinds()
                .into_iter()
                .filter(|kind| wanted.iter().all(|object| object.resource != *kind))
                .map(|kind| (kind, name.to_string()));
            self.remove_all(name, &unwanted.collect::<Vec<_>>()).await?;
        }
        Ok(outcome)
    }

    /// Takes a name: the Deployment, paused, so that it has a uid and makes no pods yet. `None` where somebody
    /// else has the name meanwhile.
    async fn begin(&self, name: &DeploymentName, mut deployment: Live) -> Result<Option<ObjectMeta>> {
        deployment.spec.as_mut().expect("it was rendered with a spec").paused = Some(true);
        let deployments = self.objects::<Live>().await?;
        let take = || apply_briefly(&deployments, name.as_str(), &deployment, How::Anew);
        let taken = match take().await {
            Err(error) if is_namespace_absent(&error) => {
                self.make_namespace().await?;
                take().await
            }
            taken => taken,
        };
        match taken {
            Ok(taken) => Ok(Some(taken.metadata)),
            Err(error) if code(&error) == Some(409) => Ok(None),
            Err(error) => Err(sorted_of(name, "apply the Deployment", error)),
        }
    }

    /// Writes the Deployment at the version that was seen; what only its status has changed does not count.
    async fn finish(&self, name: &DeploymentName, mut last: Last, mut seen: ObjectMeta) -> Result<Outcome> {
        let deployments = self.objects::<Live>().await?;
        loop {
            let written = match &mut last {
                Last::Apply(deployment) => {
                    deployment.metadata.uid.clone_from(&seen.uid);
                    deployment.metadata.resource_version.clone_from(&seen.resource_version);
                    apply(&deployments, name.as_str(), deployment, How::ByForce).await
                }
                Last::Resume => {
                    let version = json!({"uid": seen.uid, "resourceVersion": seen.resource_version});
                    let resumed = json!({"metadata": version, "spec": {"paused": null}});
                    merge(&deployments, name.as_str(), &resumed).await
                }
            };
            match written {
                Ok(live) => return Ok(Outcome::Done(Box::new(live))),
                Err(error) if matches!(code(&error), Some(404 | 409)) => {}
                Err(error) => return Err(sorted_of(name, "apply the Deployment", error)),
            }
            match self.find(name).await? {
                Some(found) if is_same(&found.live.metadata, &seen) => seen = found.live.metadata,
                _ => return Ok(Outcome::Overtaken),
            }
        }
    }

    /// Makes the namespace; one that is there is left as it is.
    pub(crate) async fn make_namespace(&self) -> Result<()> {
        let namespace = manifest::namespace(self.namespace());
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        match apply(&namespaces, self.namespace(), &namespace, How::Anew).await {
            Err(error) if code(&error) == Some(409) => Ok(()),
            made => made.map(drop).map_err(|error| sorted("make the namespace", error)),
        }
    }
}

/// Whether a Deployment has changed in nothing but its status.
fn is_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let ours = |metadata: &ObjectMeta| {
        [labels::SPEC, labels::REVISION, labels::UPDATED_AT, labels::SECRET]
            .map(|key| labels::annotation(metadata, key).map(str::to_owned))
    };
    one.uid == other.uid
        && one.generation == other.generation
        && one.deletion_timestamp.is_none()
        && ours(one) == ours(other)
}

fn is_paused(live: &Live) -> bool {
    live.spec.as_ref().is_some_and(|spec| spec.paused == Some(true))
}

/// Whether two specs differ in the values of their secrets at most.
fn is_like(plain: &DeploymentSpec, spec: &DeploymentSpec) -> bool {
    let without_values = serde_json::to_value(spec).ok().and_then(labels::spec);
    without_values.is_some_and(|spec| plain.is_resized(&spec))
}

fn overtaken(name: &DeploymentName) -> Error {
    let reason = "others deploy the same name again and again";
    Error::backend(BACKEND, format!("deploy `{name}`"), reason)
}

fn without_secret(name: &DeploymentName) -> Error {
    let reason = "somebody has removed the Secret of its values: deploy it again";
    Error::backend(BACKEND, format!("read the secrets of `{name}`"), reason)
}
