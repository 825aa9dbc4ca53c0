//! The cases by name, and the program that runs them.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use super::{
    Behaviour, CaseResult, Fixture, capabilities, deploying, failures, hardening, lifecycle, listing, logs,
    values, watching,
};
use crate::{BoxError, DeleteOptions, Logs, Selector, one_line};

/// So many cases run at once, where the arguments say nothing else: they wait more than they compute.
const AT_ONCE: usize = 6;

/// One case of the suite.
pub struct Case {
    /// A sentence.
    pub name: &'static str,
    /// What it cannot run without.
    pub needs: &'static [Needs],
    run: for<'a> fn(&'a dyn Fixture) -> LocalBoxFuture<'a, CaseResult>,
}

/// What a case cannot run without.
#[derive(Debug, Clone, Copy)]
pub enum Needs {
    /// A template whose server behaves so.
    Template(Behaviour),
    /// So many instances of one deployment.
    Replicas(u32),
    /// Others, with objects of their own on the platform.
    Others,
    /// Earlier specs, kept.
    Revisions,
    /// Logs of what runs.
    Logs,
    /// Logs of what is stopped.
    KeptLogs,
}

impl Needs {
    /// What is missing.
    fn missing(self, fixture: &dyn Fixture) -> Option<String> {
        let capabilities = fixture.backend().capabilities();
        match self {
            Self::Template(behaviour) => {
                fixture.template(behaviour).is_none().then(|| format!("no template for {behaviour:?}"))
            }
            Self::Replicas(count) => (capabilities.max_replicas < count)
                .then(|| format!("at most {} replicas", capabilities.max_replicas)),
            Self::Others => fixture.others().is_none().then(|| "nobody else has objects there".to_owned()),
            Self::Revisions => (capabilities.revisions == 0).then(|| "no revisions".to_owned()),
            Self::Logs => (capabilities.logs == Logs::None).then(|| "no logs".to_owned()),
            Self::KeptLogs => {
                (capabilities.logs != Logs::Kept).then(|| "no logs of what is stopped".to_owned())
            }
        }
    }
}

impl Case {
    /// Why it cannot run on this fixture.
    pub fn missing(&self, fixture: &dyn Fixture) -> Option<String> {
        let missing: Vec<String> = self.needs.iter().filter_map(|needs| needs.missing(fixture)).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What was not as it should be.
    pub async fn run(&self, fixture: &dyn Fixture) -> CaseResult {
        (self.run)(fixture).await
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

macro_rules! cases {
    ($($file:ident :: $name:ident [$($needs:expr),*];)+) => {
        /// The whole suite.
        pub const CASES: &[Case] = &[$(
            Case {
                name: stringify!($name),
                needs: &[$($needs),*],
                run: |fixture| Box::pin($file::$name(fixture)),
            },
        )+];
    };
}

const WELL: Needs = Needs::Template(Behaviour::Well);
const ECHO: Needs = Needs::Template(Behaviour::EchoesEnvironment);
const EXPLORES: Needs = Needs::Template(Behaviour::Explores);
const CRASH: Needs = Needs::Template(Behaviour::Crashes(1));

cases! {
    deploying::deploy_then_get_agree [WELL];
    deploying::deploying_the_same_spec_twice_changes_nothing [WELL];
    deploying::a_changed_spec_updates_in_place_and_keeps_name_and_address [ECHO];
    deploying::a_dry_run_leaves_no_trace [WELL];
    deploying::a_foreign_object_is_a_conflict_and_stays_untouched [WELL, Needs::Others];
    deploying::twenty_deploys_of_different_names_all_succeed [WELL];
    deploying::twenty_deploys_of_one_spec_all_succeed [WELL];
    deploying::twenty_deploys_of_one_name_leave_one_whole_spec [ECHO];
    deploying::a_deploy_whose_future_is_dropped_can_be_removed [WELL];
    capabilities::every_part_that_cannot_be_enforced_is_unsupported_at_once [WELL];
    capabilities::more_replicas_than_are_claimed_are_unsupported [WELL];
    values::a_removed_variable_is_gone [ECHO];
    values::values_arrive_byte_for_byte [ECHO];
    values::a_secret_is_shown_nowhere [ECHO, CRASH];
    hardening::a_server_runs_without_privileges [EXPLORES];
    hardening::a_server_writes_where_it_may_and_nowhere_else [EXPLORES];
    hardening::a_relaxation_is_granted_and_told [EXPLORES];
    hardening::a_server_that_needs_a_writable_root_gets_the_hint [Needs::Template(Behaviour::WritesToTheRoot)];
    listing::list_is_sorted_and_honours_selectors [WELL];
    listing::verbs_on_an_absent_name_are_not_found [];
    lifecycle::delete_removes_everything_but_named_volumes [WELL];
    lifecycle::a_failing_deployment_can_be_deleted [CRASH];
    lifecycle::scale_to_zero_keeps_it_and_back_restores_it [WELL];
    lifecycle::deploy_starts_a_stopped_deployment [WELL];
    lifecycle::scale_to_three_and_back_to_one [WELL, Needs::Replicas(3)];
    lifecycle::restart_gives_new_instances_and_the_same_address [WELL];
    lifecycle::sigterm_reaches_the_server_before_it_is_killed [WELL, Needs::Logs];
    lifecycle::a_server_that_ignores_sigterm_is_ended_all_the_same [Needs::Template(Behaviour::IgnoresSigterm)];
    lifecycle::connect_gives_an_address_that_answers_mcp [WELL];
    lifecycle::revisions_list_the_earlier_specs_whole [ECHO, Needs::Revisions];
    logs::tail_and_since_choose_lines [WELL, Needs::Logs];
    logs::follow_goes_on_until_it_is_dropped [WELL, Needs::Logs];
    logs::a_crashed_deployment_has_logs [CRASH, Needs::Logs];
    logs::the_run_before_is_told_apart_or_refused [CRASH, Needs::Logs];
    logs::a_stopped_deployment_has_logs [WELL, Needs::KeptLogs];
    watching::watch_tells_what_is_there_then_synced_then_changes [WELL];
    watching::watch_tells_of_a_new_deployment [WELL];
    watching::wait_ready_ends_on_ready_and_on_failure [WELL, CRASH];
    failures::a_crash_is_failed_with_exit_code_and_last_lines [CRASH];
    failures::a_bad_image_is_failed_with_its_reason [Needs::Template(Behaviour::BadImage)];
    failures::a_server_that_is_no_mcp_server_is_not_mcp [Needs::Template(Behaviour::NotMcp)];
    failures::a_stdio_image_is_called_what_it_is [Needs::Template(Behaviour::Stdio)];
    failures::a_slow_server_is_waited_for [Needs::Template(Behaviour::Slow(Duration::from_secs(1)))];
    failures::a_server_that_never_listens_is_a_timeout [Needs::Template(Behaviour::NeverListens)];
    failures::a_failed_update_goes_back_and_says_why [ECHO, CRASH, Needs::Revisions];
    failures::a_failed_update_of_a_stopped_deployment_leaves_it_stopped [WELL, CRASH, Needs::Revisions];
}

/// Runs the suite as a test program, with the arguments of `cargo test`. `open` makes the fixture; where it
/// cannot be made, because no daemon answers, say, its error is the reason why all cases are ignored.
pub fn run<O, F>(open: O) -> ExitCode
where
    O: FnOnce() -> F,
    F: Future<Output = Result<Box<dyn Fixture>, BoxError>>,
{
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let runtime = Arc::new(Runtime::new().expect("the system has threads for a test"));
    let fixture = runtime.block_on(open()).map(Arc::<dyn Fixture>::from);
    let trials = CASES.iter().map(|case| trial(case, fixture.as_ref(), &runtime)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(fixture) = &fixture {
        runtime.block_on(clean(&**fixture));
    }
    conclusion.exit_code()
}

fn trial(
    case: &'static Case,
    fixture: Result<&Arc<dyn Fixture>, &BoxError>,
    runtime: &Arc<Runtime>,
) -> Trial {
    let fixture = match fixture {
        Ok(fixture) => Arc::clone(fixture),
        Err(reason) => return ignored(case, &reason.to_string()),
    };
    if let Some(reason) = case.missing(&*fixture) {
        return ignored(case, &reason);
    }
    let runtime = Arc::clone(runtime);
    Trial::test(case.name, move || {
        let name = case.name;
        runtime
            .block_on(case.run(&*fixture))
            .map_err(|error| Failed::from(format!("{name}: {}", one_line(&*error))))
    })
}

fn ignored(case: &Case, reason: &str) -> Trial {
    Trial::test(case.name, || Ok(())).with_ignored_flag(true).with_kind(reason.to_owned())
}

/// Removes what failed cases left.
async fn clean(fixture: &dyn Fixture) {
    let backend = fixture.backend();
    for deployment in backend.list(&Selector::default()).await.unwrap_or_default() {
        if deployment.name.as_str().starts_with("t-")
            && let Err(error) = backend.delete(&deployment.name, DeleteOptions { volumes: true }).await
        {
            tracing::warn!(deployment = %deployment.name, %error, "a deployment of the suite is left over");
        }
    }
}
