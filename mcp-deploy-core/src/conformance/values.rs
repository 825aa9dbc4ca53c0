//! Values: what is configured arrives, exactly, and what is secret is seen nowhere.

use futures_util::StreamExt;

use super::site::Site;
use super::{Behaviour, CaseResult, Fixture, ensure};
use crate::{LogOptions, Request, Selector};

/// A variable that the new spec does not have is gone.
pub async fn a_removed_variable_is_gone(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let request = Request::default().env("KEPT", "1").env("DROPPED", "1").env("DROPPED_TOKEN", "1");
    let spec = site.spec(Behaviour::EchoesEnvironment, request)?;
    site.deploy(&spec).await?;
    let request = Request::default().name(spec.name.as_str()).env("KEPT", "1");
    site.deploy(&site.spec(Behaviour::EchoesEnvironment, request)?).await?;
    let environment = site.environment(&spec.name).await?;
    ensure!(environment.contains_key("KEPT"), "KEPT is gone");
    for name in ["DROPPED", "DROPPED_TOKEN"] {
        ensure!(!environment.contains_key(name), "{name} is still there");
    }
    site.remove(&spec.name).await
}

/// Nothing between us and the server changes a byte.
pub async fn values_arrive_byte_for_byte(fixture: &dyn Fixture) -> CaseResult {
    let site = Site::new(fixture);
    let values = [
        ("SPACES", "  a  b  ".to_owned()),
        ("QUOTES", "'single' \"double\" `back`".to_owned()),
        ("EXPANSIONS", "$(PORT) $$(PORT) ${PORT} $PORT $$ %PORT%".to_owned()),
        ("LINES", "one\ntwo\r\nthree\n".to_owned()),
        ("UTF8", "grüße, 世界, 🦀, \u{202e}, \u{7f}".to_owned()),
        ("BACKSLASHES", r"C:\dir\n \\ \".to_owned()),
        ("EQUALS", "=a=b=".to_owned()),
        ("EMPTY", String::new()),
        ("LONG", "0123456789abcde,".repeat(2048)),
        ("SECRET_TOKEN", "$(PORT) 'x' \"y\"\nz".to_owned()),
    ];
    let request =
        values.iter().fold(Request::default(), |request, (name, value)| request.env(*name, value.as_str()));
    let spec = site.spec(Behaviour::EchoesEnvironment, request)?;
    site.deploy(&spec).await?;
    let environment = site.environment(&spec.name).await?;
    for (name, value) in &values {
        let arrived = environment.get(*name);
        ensure!(arrived == Some(value), "{name} is {arrived:?} instead of {value:?}");
    }
    site.remove(&spec.name).await
}

/// A secret reaches the server and no report, log, label, error or debug text.
pub async fn a_secret_is_shown_nowhere(fixture: &dyn Fixture) -> CaseResult {
    const CANARY: &str = "c4n4ry-never-to-be-seen";
    let site = Site::new(fixture);
    let with_secret = |request: Request| request.env("API_TOKEN", CANARY);
    let spec = site.spec(Behaviour::EchoesEnvironment, with_secret(Request::default()))?;
    let deployed = site.deploy(&spec).await?;
    let environment = site.environment(&spec.name).await?;
    ensure!(environment.get("API_TOKEN").is_some_and(|value| value == CANARY), "the secret did not arrive");

    let name = spec.name.as_str();
    let failing = site.spec(Behaviour::Crashes(3), with_secret(Request::default().name(name)))?;
    let error = site.deploy(&failing).await.err().ok_or("a crashing server was deployed")?;
    let lines = site.backend.logs(&spec.name, LogOptions::default());
    let lines: Vec<String> = lines.map(|line| format!("{line:?}")).collect().await;
    let revisions = site.backend.revisions(&spec.name).await?;
    let got = site.backend.get(&spec.name).await?;
    let listed = site.backend.list(&Selector::named(&spec.name)).await?;
    let texts = [
        ("the list", format!("{listed:?} {}", serde_json::to_string(&listed)?)),
        ("the report of deploy", format!("{deployed:?}")),
        ("the spec", format!("{spec:?} {}", serde_json::to_string(&spec)?)),
        ("the error", format!("{error} {error:?}")),
        ("the log", lines.concat()),
        ("the revisions", format!("{revisions:?}")),
        ("the report of get", format!("{got:?} {}", serde_json::to_string(&got)?)),
        ("the backend", format!("{:?}", site.backend)),
        ("what the platform shows", fixture.shown(&spec.name).await?),
    ];
    for (place, text) in texts {
        ensure!(!text.contains(CANARY), "{place} shows the secret");
    }
    site.remove(&spec.name).await
}
