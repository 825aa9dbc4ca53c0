//! Making it so: a new container takes the place of the old one, whatever step is interrupted.
//!
//! A replacement goes like this: `NAME.next` is made while `NAME` serves; `NAME` is stopped and `NAME.next`
//! started; `NAME` becomes `NAME.previous`, and `NAME.next` becomes `NAME`. Every step is on an id, so that it
//! meets the container that it means, whatever somebody else has renamed meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use mcp_deploy_core::{DeployOptions, DeploymentName, DeploymentSpec, Error, Result};
use tokio::time::{Instant, sleep};

use crate::containers::{Created, Found, Started};
use crate::handle::DockerBackend;
use crate::labels::Placed;
use crate::names::{BACKEND, Role};
use crate::pull::Image;
use crate::turn::Turn;
use crate::{ports, pull, volumes};

/// How long to try again while others deploy the same name, and the pause between two tries.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);

/// The container `NAME.next`, which is about to take over.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) id: String,
    pub(crate) placed: Placed,
    pub(crate) origin: Origin,
}

/// Where a successor comes from, and so what becomes of the container that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is new: the current one is kept as the revision before.
    New,
    /// It was the revision before: the two change places.
    Previous,
    /// It is the same revision once more: the current one goes.
    Again,
}

/// Whether it is so now, or somebody else was faster and one has to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Overtaken,
}

impl DockerBackend {
    /// Creates, updates, or leaves what is there.
    pub(crate) async fn make_it_so(
        &self,
        spec: &DeploymentSpec,
        options: &DeployOptions,
        turn: &mut Turn,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_once(spec, options, turn).await {
                Ok(Outcome::Done) => return Ok(()),
                // Somebody else was faster, or has removed what was there: look again.
                Ok(Outcome::Overtaken) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                let reason = "others deploy this name again and again".to_owned();
                return Err(Error::Conflict { name: spec.name.to_string(), backend: BACKEND, reason });
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_once(
        &self,
        spec: &DeploymentSpec,
        options: &DeployOptions,
        turn: &mut Turn,
    ) -> Result<Outcome> {
        match self.settled(&spec.name, turn).await? {
            None => self.create_first(spec, options).await,
            Some(current) if current.ours.spec.is_resized(spec) => {
                match self.resize(&current, spec.replicas, options, turn).await? {
                    // The first deploy was interrupted: the next one begins at another port.
                    Started::PortTaken if current.is_first() && spec.host_port.is_none() => {
                        self.remove(&current.id).await?;
                        Ok(Outcome::Overtaken)
                    }
                    Started::NetworkGone => Ok(Outcome::Overtaken),
                    Started::AsWanted | Started::PortTaken => Ok(Outcome::Done),
                }
            }
            Some(current) => self.update(spec, &current, options, turn).await,
        }
    }

    /// All that a container needs before it can be made.
    pub(crate) async fn prepare(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<Image> {
        let docker = self.docker().await?;
        volumes::check(docker, spec).await?;
        pull::ensure_image(docker, self.settings(), spec, options).await
    }

    /// The first container of a name: at the first port that the daemon gives.
    async fn create_first(&self, spec: &DeploymentSpec, options: &DeployOptions) -> Result<Outcome> {
        let name = &spec.name;
        let bind = self.settings().bind;
        let ports = self.ports_for(name, bind, spec.host_port).await?;
        let image = self.prepare(spec, options).await?;
        // Somebody has removed the container that it was kept for.
        self.discard(name, Role::Previous).await?;
        let now = Timestamp::now();
        for port in ports {
            let address = SocketAddr::new(bind, port);
            let placed = Placed { revision: 1, address, created_at: now, updated_at: now };
            let Created::As(id) = self.create(spec, placed, &image, Role::Current).await? else {
                return Ok(Outcome::Overtaken);
            };
            let started = match self.give_volumes(spec).await {
                Ok(()) => self.begin(spec, &id).await,
                Err(error) => Err(error),
            };
            if matches!(started, Ok(Started::AsWanted)) {
                return Ok(Outcome::Done);
            }
            self.remove(&id).await?;
            if started? == Started::NetworkGone {
                return Ok(Outcome::Overtaken);
            }
        }
        match spec.host_port {
            Some(port) => Err(self.port_taken(SocketAddr::new(bind, port), name).await?),
            None => Err(ports::range_is_full(self.settings().port_range)),
        }
    }

    /// Starts a container, where its spec wants one that runs.
    async fn begin(&self, spec: &DeploymentSpec, id: &str) -> Result<Started> {
        if spec.replicas == 0 { Ok(Started::AsWanted) } else { self.start(spec, id).await }
    }

    /// Another spec under the same name. One that is the revision before comes back as it was: nothing is pulled.
    async fn update(
        &self,
        spec: &DeploymentSpec,
        current: &Found,
        options: &DeployOptions,
        turn: &mut Turn,
    ) -> Result<Outcome> {
        let name = &spec.name;
        let previous = self.find(name, Role::Previous).await?;
        if let Some(previous) = previous.as_ref().filter(|previous| previous.ours.spec.is_resized(spec)) {
            if !self.rename(&previous.id, name, Role::Next).await? {
                return Ok(Outcome::Overtaken);
            }
            turn.begins(&previous.id);
            match spec.replicas {
                0 => self.keep_down(&previous.id, spec).await?,
                _ => self.keep_up(&previous.id, spec).await?,
            }
            let (id, placed) = (previous.id.clone(), previous.ours.placed);
            return self
                .replace(spec, current, &Successor { id, placed, origin: Origin::Previous }, turn)
                .await;
        }
        let address = self.address_after(spec, current).await?;
        let image = self.prepare(spec, options).await?;
        let placed = Placed {
            revision: next_revision(current, previous.as_ref()),
            address,
            created_at: current.ours.placed.created_at,
            updated_at: Timestamp::now(),
        };
        let Created::As(id) = self.create(spec, placed, &image, Role::Next).await? else {
            return Ok(Outcome::Overtaken);
        };
        self.replace(spec, current, &Successor { id, placed, origin: Origin::New }, turn).await
    }

    /// The address stays, unless the user fixes another port.
    pub(crate) async fn address_after(&self, spec: &DeploymentSpec, current: &Found) -> Result<SocketAddr> {
        let address = current.ours.placed.address;
        match spec.host_port {
            Some(port) if port != address.port() => {
                self.ports_for(&spec.name, address.ip(), Some(port)).await?;
                Ok(SocketAddr::new(address.ip(), port))
            }
            _ => Ok(address),
        }
    }

    /// The successor takes the place of the current container.
    pub(crate) async fn replace(
        &self,
        spec: &DeploymentSpec,
        current: &Found,
        next: &Successor,
        turn: &mut Turn,
    ) -> Result<Outcome> {
        let name = &spec.name;
        turn.begins(&next.id);
        // While the image came, somebody else may have replaced it; from here on nobody can.
        let now = self.find(name, Role::Current).await?;
        if now.is_none_or(|now| now.id != current.id) {
            self.step_back(spec, next).await?;
            turn.ends();
            return Ok(Outcome::Overtaken);
        }
        let moves = next.placed.address != current.ours.placed.address;
        let started = self.hand_over(spec, current, next).await;
        let takes_over = match started {
            Ok(Started::AsWanted) => true,
            // Where the address stays and is taken all the same, the report says so.
            Ok(Started::PortTaken) => !moves,
            Ok(Started::NetworkGone) | Err(_) => false,
        };
        if !takes_over {
            let cleared = match started {
                // It will not start another time either; one that is new can.
                Ok(Started::NetworkGone) => self.remove(&next.id).await,
                _ => self.step_back(spec, next).await,
            };
            let back = self.take_back(spec, current).await;
            let started = started?;
            cleared.and(back)?;
            turn.ends();
            return match started {
                Started::PortTaken => Err(self.port_taken(next.placed.address, name).await?),
                Started::AsWanted | Started::NetworkGone => Ok(Outcome::Overtaken),
            };
        }
        match next.origin {
            Origin::New | Origin::Previous => {
                self.discard(name, Role::Previous).await?;
                self.retire(current).await?;
            }
            Origin::Again => self.remove(&current.id).await?,
        }
        if !self.rename(&next.id, name, Role::Current).await? {
            return Err(taken_meanwhile(name));
        }
        turn.ends();
        Ok(Outcome::Done)
    }

    /// The current container stops, and the next one begins, with the volumes that both may have.
    async fn hand_over(&self, spec: &DeploymentSpec, current: &Found, next: &Successor) -> Result<Started> {
        let is_other = has_other_owner(spec, current);
        // What is new gets its user while the other one serves, for which nothing changes.
        if !is_other && next.origin != Origin::Previous {
            self.give_volumes(spec).await?;
        }
        self.stop(&current.id).await?;
        if is_other {
            self.give_volumes(spec).await?;
        }
        self.begin(spec, &next.id).await
    }

    /// The current container is again as it was before [`hand_over`](Self::hand_over).
    async fn take_back(&self, spec: &DeploymentSpec, current: &Found) -> Result<()> {
        let is_other = has_other_owner(spec, current);
        let given = if is_other { self.give_volumes(&current.ours.spec).await } else { Ok(()) };
        if current.is_up() {
            self.start(&current.ours.spec, &current.id).await?;
        }
        given
    }

    /// The same spec once more, in a new container.
    pub(crate) async fn renew(
        &self,
        current: &Found,
        options: &DeployOptions,
        turn: &mut Turn,
    ) -> Result<Outcome> {
        let spec = DeploymentSpec { replicas: 1, ..current.ours.spec.clone() };
        let image = self.prepare(&spec, options).await?;
        let placed = Placed { updated_at: Timestamp::now(), ..current.ours.placed };
        let Created::As(id) = self.create(&spec, placed, &image, Role::Next).await? else {
            return Ok(Outcome::Overtaken);
        };
        self.replace(&spec, current, &Successor { id, placed, origin: Origin::Again }, turn).await
    }

    /// A successor that does not take over becomes what it was.
    async fn step_back(&self, spec: &DeploymentSpec, next: &Successor) -> Result<()> {
        match next.origin {
            Origin::New | Origin::Again => self.remove(&next.id).await,
            Origin::Previous => {
                self.stop(&next.id).await?;
                self.never_restart(&next.id, spec).await?;
                if self.rename(&next.id, &spec.name, Role::Previous).await? {
                    return Ok(());
                }
                // Somebody else's update has left another one there.
                self.remove(&next.id).await
            }
        }
    }

    /// A container becomes the revision before: stopped, and not started by a daemon that starts again.
    pub(crate) async fn retire(&self, container: &Found) -> Result<()> {
        let name = &container.ours.spec.name;
        self.stop(&container.id).await?;
        self.never_restart(&container.id, &container.ours.spec).await?;
        if self.rename(&container.id, name, Role::Previous).await? {
            Ok(())
        } else {
            Err(taken_meanwhile(name))
        }
    }

    /// Starts or stops the container, where that is not how it is. One whose network is gone is replaced, which
    /// the outcome tells: one has to look again.
    pub(crate) async fn resize(
        &self,
        current: &Found,
        replicas: u32,
        options: &DeployOptions,
        turn: &mut Turn,
    ) -> Result<Started> {
        let spec = &current.ours.spec;
        if replicas == 0 {
            self.keep_down(&current.id, spec).await?;
            self.stop(&current.id).await?;
            return Ok(Started::AsWanted);
        }
        if !current.is_kept_up() {
            self.keep_up(&current.id, spec).await?;
        }
        if current.is_up() {
            return Ok(Started::AsWanted);
        }
        if !current.was_started() {
            self.give_volumes(spec).await?;
        }
        // What keeps it from starting its report tells.
        let started = self.start(spec, &current.id).await?;
        if started == Started::NetworkGone {
            self.renew(current, options, turn).await?;
        }
        Ok(started)
    }
}

/// Whether the volumes of a spec, which may be those of the current container, belong to another user than its.
fn has_other_owner(spec: &DeploymentSpec, current: &Found) -> bool {
    volumes::owner(spec) != volumes::owner(&current.ours.spec)
}

/// The number of a new spec: one more than any that is kept, for one that came back has not the highest.
pub(crate) fn next_revision(current: &Found, previous: Option<&Found>) -> u64 {
    let of = |found: &Found| found.ours.placed.revision;
    of(current).max(previous.map_or(0, of)) + 1
}

fn taken_meanwhile(name: &DeploymentName) -> Error {
    let reason = "somebody else has made a container of this name meanwhile".to_owned();
    Error::Conflict { name: name.to_string(), backend: BACKEND, reason }
}
