//! What only a real daemon shows: interrupted updates, ports, limits, registries, restarts. Without a daemon, or
//! without the programs that a case needs, it is ignored.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../fixture/mod.rs"]
mod fixture;

mod behind_our_back;
mod build;
mod command_line;
mod contract;
mod limits;
mod own_daemon;
mod ports;
mod real_peer;
mod registry;
mod servers;
mod site;
mod trials;
mod updates;
mod volumes;

use std::process::{Command, ExitCode};
use std::sync::Arc;

use mcp_deploy_core::conformance::{self, Case, Needs};

use crate::fixture::Daemon;

use Needs::{Alone, Program, Variable};

/// So many cases run at once: they wait more than they compute.
const AT_ONCE: usize = 4;

/// The program of this workspace.
const MCP_DEPLOY: Needs = Needs::Else(|| {
    let is_built = fixture::binaries().is_ok_and(|binaries| binaries.join("mcp-deploy").is_file());
    (!is_built).then(|| "mcp-deploy is not built".to_owned())
});

/// The rights of root.
const ROOT: Needs = Needs::Else(|| {
    let id = Command::new("id").arg("-u").output();
    let is_root = id.is_ok_and(|id| id.stdout == b"0\n");
    (!is_root).then(|| "only for root".to_owned())
});

macro_rules! cases {
    ($($file:ident :: $name:ident [$($needs:expr),*];)+) => {
        const CASES: &[Case<Daemon>] = &[$(Case::new(stringify!($name), &[$($needs),*], |daemon| Box::pin(async move {
            $file::$name(daemon).await;
            Ok(())
        })),)+];
    };
}

cases! {
    updates::the_revision_before_comes_back_as_the_container_that_it_was [];
    updates::a_strangers_container_named_previous_is_a_conflict_and_stays [];
    updates::what_an_interrupted_update_left_is_found_by_every_verb [];
    updates::what_an_interrupted_update_left_is_mended_by_deploy [];
    updates::what_an_interrupted_update_left_is_removed_by_delete [];
    updates::what_an_interrupted_update_left_is_collected [Alone];
    updates::an_update_that_is_dropped_is_ended_by_the_next_one [];
    updates::an_update_that_somebody_else_is_about_is_no_failure_to_who_waits [];
    updates::a_first_deploy_that_is_dropped_is_ended_by_the_next_one [];
    updates::twenty_processes_that_deploy_one_spec_agree [];
    updates::processes_that_deploy_different_specs_leave_one_whole [];
    updates::fifty_races_of_deploy_and_delete_leave_nothing [Alone];
    ports::a_fixed_port_is_where_the_server_is [];
    ports::a_fixed_port_that_is_taken_is_a_conflict_that_names_the_holder [];
    ports::an_update_to_a_port_that_is_taken_leaves_what_runs [];
    ports::a_revision_whose_port_is_taken_does_not_come_back_and_stays_kept [];
    ports::a_stopped_deployment_keeps_its_port [];
    ports::a_full_range_says_so [];
    ports::nothing_listens_on_another_interface [Program("hostname")];
    limits::a_fork_bomb_meets_the_limit_of_processes [Alone];
    limits::a_server_that_uses_too_much_memory_is_out_of_memory [];
    limits::more_processors_than_there_are_is_an_error_of_the_configuration [];
    limits::two_servers_do_not_reach_each_other [];
    behind_our_back::a_container_that_is_killed_shows_at_once [];
    behind_our_back::a_container_that_is_removed_is_gone [];
    behind_our_back::a_paused_container_says_how_to_go_on [];
    behind_our_back::an_image_that_calls_itself_unhealthy_is_degraded [];
    volumes::a_volume_of_somebody_else_is_a_conflict [];
    volumes::a_volume_outlives_its_deployment_and_an_update [];
    volumes::a_volume_follows_the_user_of_the_server_and_back [];
    volumes::what_an_image_declares_as_a_volume_is_collected_when_its_container_is_gone [Alone];
    volumes::a_host_path_has_to_exist_and_read_only_is_respected [];
    registry::an_image_is_pulled_with_its_progress_told [Program("docker-registry")];
    registry::every_failure_of_a_pull_has_its_reason [Program("docker-registry")];
    registry::a_login_of_the_users_configuration_opens_a_registry [Program("docker-registry")];
    registry::a_pull_policy_is_followed [Program("docker-registry")];
    build::a_context_is_what_docker_itself_sends [Program("docker")];
    build::a_step_that_fails_tells_its_line_its_exit_code_and_its_last_words [];
    build::what_cannot_be_built_says_why_and_what_to_do [];
    build::a_context_of_more_than_a_gigabyte_is_refused_before_a_daemon_is_asked [];
    build::a_dockerfile_for_buildkit_is_refused_with_the_command_that_builds_it [];
    build::two_builds_of_one_template_at_once_both_end_well [];
    build::an_interrupted_build_leaves_no_container [];
    build::a_build_tells_its_steps_and_takes_arguments [];
    build::a_push_wants_a_login_and_tells_its_progress [Program("docker-registry")];
    build::a_base_image_behind_a_login_is_pulled_with_it [Program("docker-registry")];
    contract::an_image_that_keeps_the_contract_keeps_every_clause [];
    contract::each_clause_that_is_broken_is_told [];
    contract::what_an_image_needs_taken_back_is_found_by_trying [];
    contract::a_check_that_is_stopped_leaves_nothing [];
    command_line::images_are_built_side_by_side_and_one_that_fails_stops_no_other [MCP_DEPLOY];
    command_line::ctrl_c_ends_a_build_and_leaves_no_container [MCP_DEPLOY, Program("kill")];
    command_line::no_output_of_a_push_shows_the_login [MCP_DEPLOY, Program("docker-registry")];
    command_line::no_output_of_a_command_shows_a_secret [MCP_DEPLOY];
    command_line::a_person_sees_what_a_template_takes_back [MCP_DEPLOY];
    trials::a_template_is_tried_and_nothing_of_it_is_left [MCP_DEPLOY];
    trials::a_server_that_crashes_fails_its_trial_and_is_removed [MCP_DEPLOY];
    trials::a_trial_that_is_interrupted_while_it_deploys_leaves_nothing [MCP_DEPLOY];
    trials::a_trial_that_is_interrupted_in_a_later_phase_leaves_nothing [MCP_DEPLOY];
    trials::a_removal_that_is_interrupted_goes_on_to_its_end [MCP_DEPLOY];
    trials::a_pull_that_hangs_is_cut_off [MCP_DEPLOY];
    trials::what_is_kept_is_there_under_its_name [MCP_DEPLOY];
    servers::three_servers_on_one_daemon_agree [MCP_DEPLOY];
    servers::who_is_gone_leaves_no_connection_to_the_daemon [MCP_DEPLOY];
    servers::a_server_outlives_its_daemon [Alone, ROOT, Program("dockerd"), Program("unshare"), Program("ip"), MCP_DEPLOY];
    real_peer::a_server_of_others_answers_with_its_values_byte_for_byte [
        Program("node"),
        Program("ldd"),
        Variable(real_peer::PACKAGES, "`cargo xtask e2e docker` sets it")
    ];
    own_daemon::watch_and_logs_outlive_a_restart_of_the_daemon [Alone, ROOT, Program("dockerd"), Program("unshare"), Program("ip")];
    own_daemon::the_network_goes_with_the_last_deployment [Alone, ROOT, Program("dockerd"), Program("unshare"), Program("ip")];
    own_daemon::a_network_that_somebody_has_removed_is_made_again [Alone, ROOT, Program("dockerd"), Program("unshare"), Program("ip")];
    own_daemon::a_daemon_behind_tls_is_reached_by_its_certificates [Alone, ROOT, Program("dockerd"), Program("ip"), Program("openssl")];
    own_daemon::a_daemon_is_found_by_the_current_context [];
}

fn main() -> ExitCode {
    conformance::run_cases(CASES, AT_ONCE, || async { Ok(Arc::new(Daemon::open().await?)) })
}
