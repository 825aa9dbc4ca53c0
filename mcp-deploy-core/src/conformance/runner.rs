//! The cases by name, and the program that runs them.

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use super::{
    Behaviour, CaseResult, Fixture, Needs, capabilities, deploying, failures, hardening, lifecycle, listing,
    logs, values, watching,
};
use crate::{BoxError, DeleteOptions, Selector, one_line};

/// So many cases of the suite run at once: they wait more than they compute.
const AT_ONCE: usize = 6;

/// Held by each case while it runs: by one that has to be alone, as nobody else can hold it.
static TURN: RwLock<()> = RwLock::new(());

/// One case of a test program: of the suite, or of a backend's own.
pub struct Case<F: Fixture + ?Sized = dyn Fixture> {
    /// A sentence.
    pub name: &'static str,
    /// What it cannot run without.
    pub needs: &'static [Needs],
    run: for<'a> fn(&'a F) -> LocalBoxFuture<'a, CaseResult>,
}

impl<F: Fixture + ?Sized> Case<F> {
    /// A case that fails by its error or by a panic.
    pub const fn new(
        name: &'static str,
        needs: &'static [Needs],
        run: for<'a> fn(&'a F) -> LocalBoxFuture<'a, CaseResult>,
    ) -> Self {
        Self { name, needs, run }
    }

    /// Why it cannot run on this fixture.
    pub fn missing(&self, fixture: &F) -> Option<String> {
        let missing: Vec<String> = self.needs.iter().filter_map(|needs| needs.missing(fixture)).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What was not as it should be.
    pub async fn run(&self, fixture: &F) -> CaseResult {
        (self.run)(fixture).await
    }

    /// Whether no other may run meanwhile.
    fn is_alone(&self) -> bool {
        self.needs.iter().any(|needs| matches!(needs, Needs::Alone))
    }
}

impl<F: Fixture + ?Sized> std::fmt::Debug for Case<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

macro_rules! cases {
    ($($file:ident :: $name:ident [$($needs:expr),*];)+) => {
        /// The whole suite.
        pub const CASES: &[Case] = &[$(
            Case::new(stringify!($name), &[$($needs),*], |fixture| Box::pin($file::$name(fixture))),
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
pub fn run<O, Opening>(open: O) -> ExitCode
where
    O: FnOnce() -> Opening,
    Opening: Future<Output = Result<Box<dyn Fixture>, BoxError>>,
{
    run_cases(CASES, AT_ONCE, || async { Ok(Arc::from(open().await?)) })
}

/// Runs cases of a backend's own in the way of [`run`], so many at once where the arguments say nothing else. When
/// all have ended, the deployments that failed ones left are removed: those whose names begin with `t-`.
pub fn run_cases<F, O, Opening>(cases: &'static [Case<F>], at_once: usize, open: O) -> ExitCode
where
    F: Fixture + ?Sized + 'static,
    O: FnOnce() -> Opening,
    Opening: Future<Output = Result<Arc<F>, BoxError>>,
{
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_once);
    let runtime = Arc::new(Runtime::new().expect("the system has threads for a test"));
    let fixture = runtime.block_on(open());
    let trials = cases.iter().map(|case| trial(case, fixture.as_ref(), &runtime)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(fixture) = &fixture {
        runtime.block_on(clean(&**fixture));
    }
    conclusion.exit_code()
}

fn trial<F: Fixture + ?Sized + 'static>(
    case: &'static Case<F>,
    fixture: Result<&Arc<F>, &BoxError>,
    runtime: &Arc<Runtime>,
) -> Trial {
    let ignored =
        |reason: String| Trial::test(case.name, || Ok(())).with_ignored_flag(true).with_kind(reason);
    let fixture = match fixture {
        Ok(fixture) => Arc::clone(fixture),
        Err(reason) => return ignored(reason.to_string()),
    };
    if let Some(reason) = case.missing(&fixture) {
        return ignored(reason);
    }
    let runtime = Arc::clone(runtime);
    Trial::test(case.name, move || {
        let run = || runtime.block_on(case.run(&fixture));
        let outcome = if case.is_alone() {
            let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
            run()
        } else {
            let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
            run()
        };
        outcome.map_err(|error| Failed::from(format!("{}: {}", case.name, one_line(&*error))))
    })
}

/// Removes what failed cases left.
async fn clean<F: Fixture + ?Sized>(fixture: &F) {
    let backend = fixture.backend();
    for deployment in backend.list(&Selector::default()).await.unwrap_or_default() {
        let name = &deployment.name;
        if name.as_str().starts_with("t-")
            && let Err(error) = backend.delete(name, DeleteOptions { volumes: true }).await
        {
            tracing::warn!(deployment = %name, %error, "a deployment of the tests is left over");
        }
    }
}
