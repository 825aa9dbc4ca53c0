//! Listing: only ours, sorted, as the selector says.

use super::site::{Site, is_not_found};
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{DeleteOptions, DeployOptions, DeploymentName, Request, Selector, TemplateId};

/// All of ours, by name; the selected ones only where asked.
pub async fn list_is_sorted_and_honours_selectors(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let mut names = Vec::new();
    for _ in 0..3 {
        let spec = site.spec(Behaviour::Well, Request::default())?;
        site.backend.deploy(&spec, DeployOptions::default()).await?;
        names.push(spec.name);
    }
    let template = site.spec(Behaviour::Well, Request::default())?.template.id;
    let listed: Vec<DeploymentName> = site
        .backend
        .list(&Selector::default())
        .await?
        .into_iter()
        .map(|deployment| deployment.name.clone())
        .collect();
    ensure!(listed.is_sorted(), "the list is not sorted: {listed:?}");
    ensure!(names.iter().all(|name| listed.contains(name)), "the list lacks one of {names:?}");
    let of_template = site.backend.list(&Selector::of_template(&template)).await?;
    ensure!(
        names.iter().all(|name| of_template.iter().any(|found| found.name == *name)),
        "the template's list lacks one"
    );
    ensure!(of_template.iter().all(|found| found.template_id == template), "a stranger is selected");
    let one = site.backend.list(&Selector::named(&names[0])).await?;
    ensure!(one.len() == 1 && one[0].name == names[0], "the list of one name is {one:?}");
    let nothing: TemplateId = "t-nobody-has-this".parse()?;
    ensure!(
        site.backend.list(&Selector::of_template(&nothing)).await?.is_empty(),
        "a template without deployments has some"
    );
    for name in &names {
        site.remove(name).await?;
    }
    Ok(())
}

/// Every verb on a name that is not there says so.
pub async fn verbs_on_an_absent_name_are_not_found(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let (backend, name) = (&site.backend, &Site::new_name()?);
    ensure!(is_not_found(&backend.get(name).await), "get");
    ensure!(is_not_found(&backend.delete(name, DeleteOptions::default()).await), "delete");
    ensure!(is_not_found(&backend.scale(name, 1).await), "scale");
    ensure!(is_not_found(&backend.restart(name).await), "restart");
    ensure!(is_not_found(&backend.revisions(name).await), "revisions");
    ensure!(is_not_found(&backend.connect(name).await), "connect");
    let mut logs = backend.logs(name, crate::LogOptions::default());
    let first = futures_util::StreamExt::next(&mut logs).await;
    ensure!(first.as_ref().is_some_and(is_not_found), "logs say {first:?}");
    Ok(())
}
