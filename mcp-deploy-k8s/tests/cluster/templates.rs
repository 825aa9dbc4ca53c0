//! The templates that come with the program, with their real servers.

use std::future::pending;

use mcp_deploy_core::{Request, Trial};

use crate::fixture::Cluster;
use crate::site::PATIENCE;

/// Set where the nodes have the images of the built-in templates.
pub(crate) const IMAGES: &str = "MCP_DEPLOY_E2E_TEMPLATES";

pub(crate) async fn the_built_in_templates_do_what_their_tests_say(cluster: &Cluster) {
    let manager = cluster.manager();
    for id in ["demo", "file-server"] {
        let template = manager.catalog().get(id).unwrap();
        let trial = Trial { wait: PATIENCE, ..Trial::default() };
        let report = manager.test(&template, &Request::default(), &trial, pending()).await.unwrap();
        assert!(report.passed, "{report:#?}");
    }
}
