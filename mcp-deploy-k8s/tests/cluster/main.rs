//! What only a real cluster shows: rollouts, failures of every kind, permissions, restarts. Without a cluster, or
//! without the programs that a case needs, it is ignored.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../real/mod.rs"]
mod real;

mod api_server;
mod connections;
mod failures;
mod objects;
mod permissions;
mod real_peer;
mod registry;
mod site;
mod templates;
mod updates;

use std::process::ExitCode;
use std::sync::Arc;

use mcp_deploy_core::conformance::{self, Case, Needs};

use crate::fixture::Cluster;

use Needs::{Alone, Program, Variable};

/// So many cases run at once: they wait more than they compute.
const AT_ONCE: usize = 4;

/// How the variables get their values.
const XTASK: &str = "`cargo xtask e2e kubernetes` sets it";

/// A cluster whose node is this machine, and a program for its parts.
const HERE: Needs = Variable(
    site::CLUSTER,
    "it names the program that stops and starts the parts of a cluster on this machine",
);

macro_rules! cases {
    ($($file:ident :: $name:ident [$($needs:expr),*];)+) => {
        const CASES: &[Case<Cluster>] = &[$(Case::new(stringify!($name), &[$($needs),*], |cluster| Box::pin(async move {
            $file::$name(cluster).await;
            Ok(())
        })),)+];
    };
}

cases! {
    objects::a_namespace_that_enforces_restricted_takes_all_that_is_made [];
    objects::what_the_spec_no_longer_asks_for_is_removed [];
    objects::kubectl_finds_a_deployment_by_its_name_and_label [Program("kubectl")];
    objects::what_is_rendered_can_be_applied [Program("kubectl")];
    objects::a_strangers_service_is_a_conflict_and_stays [];
    objects::what_somebody_changes_is_told_and_taken_back [];
    templates::the_built_in_templates_do_what_their_tests_say [Variable(templates::IMAGES, XTASK)];
    updates::going_back_gives_the_very_pods_that_were_there [];
    updates::ten_revisions_are_kept_and_nothing_of_older_ones [];
    updates::an_update_leaves_no_gap [];
    updates::backends_that_know_nothing_of_each_other_agree_on_one_spec [];
    updates::a_deploy_that_was_dropped_at_any_moment_is_ended_by_the_next_one [];
    failures::what_a_container_cannot_be_made_of_is_a_config_error [];
    failures::a_command_that_is_not_there_is_an_invalid_image [];
    failures::a_server_that_uses_too_much_memory_is_out_of_memory [];
    failures::a_server_that_is_never_ready_says_why [];
    failures::a_server_that_answers_the_tunnel_and_not_its_service_is_told [];
    failures::a_deadline_that_is_over_is_a_failure [];
    failures::a_pod_that_fits_nowhere_has_the_schedulers_words [];
    failures::a_quota_that_is_used_up_is_named [];
    failures::what_the_namespace_does_not_admit_is_told [];
    failures::a_volume_that_nobody_provides_is_told [];
    failures::a_pod_that_was_taken_away_again_and_again_is_evicted [];
    registry::every_failure_of_a_pull_has_its_reason [HERE, Program("docker-registry")];
    real_peer::a_server_of_others_answers_with_its_values_byte_for_byte [Variable(real_peer::IMAGE, XTASK)];
    connections::ten_clients_share_a_connection_that_ends_with_its_value [];
    connections::a_log_is_followed_across_a_rollout [];
    permissions::the_role_is_enough_and_each_of_its_rules_is_needed [];
    permissions::credentials_that_do_not_do_say_so [];
    api_server::a_restart_of_the_api_server_is_outlived [Alone, HERE];
}

fn main() -> ExitCode {
    conformance::run_cases(CASES, AT_ONCE, || async { Ok(Arc::new(real::cluster("mcp-deploy-e2e").await?)) })
}
