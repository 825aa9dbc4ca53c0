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

use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use mcp_deploy_core::{DeleteOptions, DeploymentBackend, Selector};
use tokio::runtime::Runtime;

use crate::fixture::Cluster;

use Needs::{Alone, Program, Variable};

/// So many cases run at once: they wait more than they compute.
const AT_ONCE: usize = 4;

/// Held by each case while it runs: by one that has to be alone, as nobody else can hold it.
static TURN: RwLock<()> = RwLock::new(());

/// What a case cannot run without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// That no other case needs the cluster meanwhile.
    Alone,
    /// A program on the `PATH`.
    Program(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
}

impl Needs {
    /// What is missing.
    fn missing(self) -> Option<String> {
        match self {
            Alone => None,
            Program(program) => (!is_there(program)).then(|| format!("no {program}")),
            Variable(name) => std::env::var_os(name).is_none().then(|| format!("{name} is not set")),
        }
    }
}

struct Case {
    name: &'static str,
    /// What it cannot run without, beside a cluster.
    needs: &'static [Needs],
    run: for<'a> fn(&'a Cluster) -> LocalBoxFuture<'a, ()>,
}

macro_rules! cases {
    ($($file:ident :: $name:ident [$($needs:expr),*];)+) => {
        const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            needs: &[$($needs),*],
            run: |cluster| Box::pin($file::$name(cluster)),
        },)+];
    };
}

cases! {
    objects::a_namespace_that_enforces_restricted_takes_all_that_is_made [];
    objects::what_the_spec_no_longer_asks_for_is_removed [];
    objects::kubectl_finds_a_deployment_by_its_name_and_label [Program("kubectl")];
    objects::what_is_rendered_can_be_applied [Program("kubectl")];
    objects::a_strangers_service_is_a_conflict_and_stays [];
    objects::what_somebody_changes_is_told_and_taken_back [];
    templates::the_built_in_templates_do_what_their_tests_say [Variable(templates::IMAGES)];
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
    registry::every_failure_of_a_pull_has_its_reason [Variable(site::CLUSTER), Program("docker-registry")];
    real_peer::a_server_of_others_answers_with_its_values_byte_for_byte [Variable(real_peer::IMAGE)];
    connections::ten_clients_share_a_connection_that_ends_with_its_value [];
    connections::a_log_is_followed_across_a_rollout [];
    permissions::the_role_is_enough_and_each_of_its_rules_is_needed [];
    permissions::credentials_that_do_not_do_say_so [];
    api_server::a_restart_of_the_api_server_is_outlived [Alone, Variable(site::CLUSTER)];
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let runtime = Arc::new(Runtime::new().unwrap());
    let cluster =
        runtime.block_on(real::cluster("mcp-deploy-e2e")).map(Arc::new).map_err(|error| error.to_string());
    let trials = CASES.iter().map(|case| trial(case, cluster.as_ref(), &runtime)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(cluster) = &cluster {
        runtime.block_on(clean(cluster));
    }
    conclusion.exit_code()
}

fn trial(case: &'static Case, cluster: Result<&Arc<Cluster>, &String>, runtime: &Arc<Runtime>) -> Trial {
    let ignored =
        |reason: &str| Trial::test(case.name, || Ok(())).with_ignored_flag(true).with_kind(reason.to_owned());
    let cluster = match cluster {
        Ok(cluster) => Arc::clone(cluster),
        Err(reason) => return ignored(reason),
    };
    let missing: Vec<String> = case.needs.iter().filter_map(|needs| needs.missing()).collect();
    if !missing.is_empty() {
        return ignored(&missing.join(", "));
    }
    let runtime = Arc::clone(runtime);
    Trial::test(case.name, move || {
        if case.needs.contains(&Alone) {
            let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
            runtime.block_on((case.run)(&cluster));
        } else {
            let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
            runtime.block_on((case.run)(&cluster));
        }
        Ok(())
    })
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Removes what failed cases left.
async fn clean(cluster: &Cluster) {
    for deployment in cluster.backend.list(&Selector::default()).await.unwrap_or_default() {
        let _ = cluster.backend.delete(&deployment.name, DeleteOptions { volumes: true }).await;
    }
}
