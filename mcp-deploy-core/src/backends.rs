//! The backends of a program, by name, and which one is the default.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{DeploymentBackend, Error, Result, nearest};

/// The default where nothing else is chosen and it is there.
const USUAL_DEFAULT: &str = "mock";

/// The backends of a program: those that are built in, and the names of those that are not.
#[derive(Debug, Clone, Default)]
pub struct Backends {
    built_in: BTreeMap<&'static str, Arc<dyn DeploymentBackend>>,
    left_out: BTreeMap<&'static str, &'static str>,
    default: Option<String>,
}

impl Backends {
    /// Adds a backend.
    #[must_use]
    pub fn with(mut self, backend: impl DeploymentBackend) -> Self {
        self.built_in.insert(backend.name(), Arc::new(backend));
        self
    }

    /// Tells of a backend that this build leaves out, and of the cargo feature that brings it.
    #[must_use]
    pub fn without(mut self, name: &'static str, feature: &'static str) -> Self {
        self.left_out.insert(name, feature);
        self
    }

    /// Sets the default; else it is `mock`, or the only one there is.
    #[must_use]
    pub fn default_to(mut self, name: Option<String>) -> Self {
        self.default = name;
        self
    }

    /// The names of the backends that are built in, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.built_in.keys().copied()
    }

    /// All backends that are built in, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn DeploymentBackend>> {
        self.built_in.values()
    }

    /// The backends that this build leaves out, and the feature that brings each.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.left_out.iter().map(|(name, feature)| (*name, *feature))
    }

    /// The name of the default, where there is one.
    pub fn default_name(&self) -> Option<&str> {
        if let Some(name) = &self.default {
            return Some(name);
        }
        if self.built_in.contains_key(USUAL_DEFAULT) {
            return Some(USUAL_DEFAULT);
        }
        let mut names = self.names();
        names.next().filter(|_| names.next().is_none())
    }

    /// The backend of a name, or all of them: what a verb spans that acts on no single deployment.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn one_or_all(&self, name: Option<&str>) -> Result<Vec<Arc<dyn DeploymentBackend>>> {
        match name {
            Some(name) => Ok(vec![self.get(Some(name))?]),
            None => Ok(self.iter().cloned().collect()),
        }
    }

    /// The backend of a name, or the default.
    ///
    /// # Errors
    ///
    /// [`Error::BackendNotFound`]: it says which there are, or which feature brings it.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<dyn DeploymentBackend>> {
        let Some(name) = name.or_else(|| self.default_name()) else {
            let reason = format!("none is chosen; {}", self.choices());
            return Err(Error::BackendNotFound { name: String::new(), reason });
        };
        if let Some(backend) = self.built_in.get(name) {
            return Ok(Arc::clone(backend));
        }
        let reason = match (self.left_out.get(name), nearest(name, self.names())) {
            (Some(feature), _) => {
                format!("this program was built without it; build it with `--features {feature}`")
            }
            (None, Some(nearest)) => format!("did you mean `{nearest}`?"),
            (None, None) => self.choices(),
        };
        Err(Error::BackendNotFound { name: name.to_owned(), reason })
    }

    fn choices(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        if names.is_empty() {
            "none is built in".to_owned()
        } else {
            format!("there is `{}`", names.join("`, `"))
        }
    }
}
