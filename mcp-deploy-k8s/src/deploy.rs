//! Making a spec so: created, updated, or left as it is.
//!
//! The Deployment is the one object that counts: it names the ConfigMap and the Secret of its spec, and owns all
//! others. It is applied last, at the version at which it was read, so that of two deploys at once one wins whole
//! and the other begins again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment as Live;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use mcp_deploy_core::{DeployOptions, Deployment, DeploymentName, DeploymentSpec, Error, Progress, Result};
use tokio::time::sleep;

use crate::apply::{How, apply, remove_added};
use crate::error::{absent, code, foreign, is_namespace_absent, sorted, sorted_of};
use crate::handle::KubernetesBackend;
use crate::index::Index;
use crate::labels::{self, Ours};
use crate::manifest::{self, Placed};
use crate::names::{self, BACKEND};
use crate::objects::{Object, optional_kinds};
use crate::revisions::{Kept, revision};
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
        let (placed, kept) = self.plan(spec, found.as_ref()).await?;
        let Outcome::Done(live) = self.carry_out(spec, &placed, found.as_ref()).await? else {
            return Ok(None);
        };
        self.forget(&spec.name, placed.revision, &kept).await?;
        match Observed::of(*live, self.ingress_host()) {
            // It has no pods yet.
            Some(new) if found.is_none() => {
                Ok(Some(self.report_on(&new, &Index::default(), &Index::default())))
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
            if let Outcome::Done(_) = Box::pin(self.replace(&spec, &placed, &found.live)).await? {
                return Ok(());
            }
        }
        Err(overtaken(name))
    }

    /// What a deploy would make of what is there, as far as the API server itself says that it would take it.
    pub(crate) async fn try_out(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<Deployment> {
        let name = &spec.name;
        let found = self.find(name).await?;
        let (placed, _) = self.plan(spec, found.as_ref()).await?;
        let (deployment, objects) = rendered(spec, &placed)?;
        self.check_ours(name, &objects).await?;
        let how = How::DryRun { force: found.is_some() };
        match apply(&self.objects::<Live>().await?, name.as_str(), &deployment, how).await {
            Err(error) if is_namespace_absent(&error) => options.report(Progress::Warning(format!(
                "the namespace `{}` is not there yet: the cluster could not be asked whether it would take it",
                self.namespace()
            ))),
            outcome => {
                outcome.map_err(|error| sorted_of(name, "try the Deployment", error))?;
                self.apply_all(name, &objects, How::DryRun { force: true }).await?;
            }
        }
        Ok(Deployment { revision: placed.revision, ..Deployment::pending(spec, BACKEND, Timestamp::now()) })
    }

    /// Where a spec goes: the revision that it is, or the next one.
    async fn plan(&self, spec: &DeploymentSpec, found: Option<&Observed>) -> Result<(Placed, Vec<Kept>)> {
        let secret = |again: Option<String>| {
            again.or_else(|| (!spec.secrets.is_empty()).then(|| names::random(&spec.name)))
        };
        let Some(found) = found else {
            return Ok((self.placed(spec, 1, secret(None)), Vec::new()));
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
            return Ok((Placed { replicas, updated_at, ..again }, Vec::new()));
        }
        let kept = self.kept(&spec.name).await?;
        for Kept { number, content, .. } in kept.iter().filter(|kept| kept.number != found.ours.revision) {
            let is_like = labels::spec(content.spec.clone()).is_some_and(|kept| is_like(&kept, spec));
            if !is_like {
                continue;
            }
            // Without its Secret it can be any: it is made anew.
            let whole = self.whole(content.spec.clone(), content.secret.as_deref()).await?;
            if whole.is_none_or(|whole| whole.is_resized(spec)) {
                return Ok((self.placed(spec, *number, content.secret.clone()), kept));
            }
        }
        let newest = kept.iter().map(|kept| kept.number).max().unwrap_or_default();
        let number = newest.max(found.ours.revision) + 1;
        let has_same_secrets = current.is_some_and(|current| current.secrets == spec.secrets);
        let again = found.ours.secret.clone().filter(|_| has_same_secrets);
        Ok((self.placed(spec, number, secret(again)), kept))
    }

    pub(crate) fn placed(&self, spec: &DeploymentSpec, revision: u64, secret: Option<String>) -> Placed {
        Placed {
            namespace: self.namespace().to_owned(),
            revision,
            replicas: spec.replicas,
            updated_at: Some(Timestamp::now()),
            restarted_at: None,
            secret,
            owner: None,
            ingress_host: self.ingress_host().map(str::to_owned),
        }
    }

    fn placed_again(&self, found: &Observed) -> Placed {
        let Ours { spec, revision, secret, updated_at, restarted_at } = &found.ours;
        let replicas = u32::try_from(crate::status::desired(&found.live)).unwrap_or(u32::MAX);
        Placed {
            replicas,
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
            Some(found) => Box::pin(self.replace(spec, placed, &found.live)).await,
            None => Box::pin(self.create(spec, placed)).await,
        }
    }

    /// The Deployment first, paused, for the others are to be its own.
    async fn create(&self, spec: &DeploymentSpec, placed: &Placed) -> Result<Outcome> {
        let name = &spec.name;
        let deployment = manifest::render(spec, placed)?.deployment;
        let Some(live) = self.begin(name, &deployment).await? else { return Ok(Outcome::Overtaken) };
        let (deployment, wanted) = rendered(spec, &placed.owned_by(&live))?;
        match self.make_all(name, &wanted).await {
            Ok(()) => self.finish(name, deployment, live).await,
            Err(conflict @ Error::Conflict { .. }) => {
                self.take_away(name, &live).await?;
                Err(conflict)
            }
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, spec: &DeploymentSpec, placed: &Placed, live: &Live) -> Result<Outcome> {
        let name = &spec.name;
        let (deployment, wanted) = rendered(spec, &placed.owned_by(live))?;
        self.check_ours(name, &wanted).await?;
        match self.apply_all(name, &wanted, How::ByForce).await {
            // The revision of this number is another one by now.
            Err(Error::Invalid { .. }) if self.is_changed(name, live).await? => {
                return Ok(Outcome::Overtaken);
            }
            outcome => outcome?,
        }
        let outcome = self.finish(name, deployment, live.clone()).await?;
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
    async fn begin(&self, name: &DeploymentName, deployment: &Live) -> Result<Option<Live>> {
        let mut paused = deployment.clone();
        paused.spec.as_mut().expect("it was rendered with a spec").paused = Some(true);
        let deployments = self.objects::<Live>().await?;
        let take = || apply(&deployments, name.as_str(), &paused, How::Anew);
        let taken = match take().await {
            Err(error) if is_namespace_absent(&error) => {
                self.make_namespace().await?;
                take().await
            }
            taken => taken,
        };
        match taken {
            Ok(live) => Ok(Some(live)),
            Err(error) if code(&error) == Some(409) => Ok(None),
            Err(error) => Err(sorted_of(name, "apply the Deployment", error)),
        }
    }

    /// Applies the Deployment at the version that was read; what only its status has changed does not count.
    async fn finish(&self, name: &DeploymentName, mut deployment: Live, mut live: Live) -> Result<Outcome> {
        let deployments = self.objects::<Live>().await?;
        deployment.metadata.uid.clone_from(&live.metadata.uid);
        loop {
            deployment.metadata.resource_version.clone_from(&live.metadata.resource_version);
            match apply(&deployments, name.as_str(), &deployment, How::ByForce).await {
                Ok(live) => return Ok(Outcome::Done(Box::new(live))),
                Err(error) if matches!(code(&error), Some(404 | 409)) => {}
                Err(error) => return Err(sorted_of(name, "apply the Deployment", error)),
            }
            match self.find(name).await? {
                Some(found) if is_same(&found.live, &live) => live = found.live,
                _ => return Ok(Outcome::Overtaken),
            }
        }
    }

    async fn is_changed(&self, name: &DeploymentName, live: &Live) -> Result<bool> {
        Ok(self.find(name).await?.is_none_or(|found| !is_same(&found.live, live)))
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

/// The Deployment of a spec, and all that goes with it.
fn rendered(spec: &DeploymentSpec, placed: &Placed) -> Result<(Live, Vec<Object>)> {
    let manifests = manifest::render(spec, placed)?;
    let mut objects = manifests.dependents();
    objects.push(Object::of(&revision(spec, placed, &manifests)));
    Ok((manifests.deployment, objects))
}

/// Whether a Deployment has changed in nothing but its status.
fn is_same(one: &Live, other: &Live) -> bool {
    let ours = |live: &Live| {
        [labels::SPEC, labels::REVISION, labels::UPDATED_AT, labels::SECRET]
            .map(|key| labels::annotation(&live.metadata, key).map(str::to_owned))
    };
    one.metadata.uid == other.metadata.uid
        && one.metadata.generation == other.metadata.generation
        && one.metadata.deletion_timestamp.is_none()
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
