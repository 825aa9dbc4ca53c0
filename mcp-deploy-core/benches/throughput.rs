//! What the core promises about speed, as rows of a Markdown table: `cargo xtask bench` prints them.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "its rows are its output")]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_deploy_core::{Catalog, Request, resolve};

const RUNS: usize = 5;
const RESOLVES: u32 = 20_000;
const TEMPLATES: usize = 1000;

fn main() {
    let resolve = median((0..RUNS).map(|_| resolve_many()).collect());
    let rate = f64::from(RESOLVES) / resolve.as_secs_f64();
    row(
        "resolve and validate `file-server`, warm, one core",
        "≥ 50,000 per second",
        &format!("{rate:.0} per second"),
    );

    let directory = tempfile::tempdir().unwrap();
    for number in 0..TEMPLATES {
        let home = directory.path().join(format!("template-{number}"));
        fs::create_dir(&home).unwrap();
        fs::write(home.join("template.json"), template(number)).unwrap();
    }
    let mut loads = Vec::new();
    let mut reloads = Vec::new();
    for _ in 0..RUNS {
        let catalog = Catalog::new([directory.path().to_owned()]);
        loads.push(list(&catalog));
        reloads.push(list(&catalog));
    }
    row("load a directory of 1,000 templates", "≤ 300 ms", &millis(median(loads)));
    row("list it again, unchanged", "≤ 10 ms", &millis(median(reloads)));
}

fn resolve_many() -> Duration {
    let template = Catalog::default().get("file-server").unwrap();
    let request =
        Request::default().name("bench-one").set("max_file_size", "7").set("read_only_mode", "true");
    let started = Instant::now();
    for _ in 0..RESOLVES {
        black_box(resolve(black_box(&template), black_box(&request), "ghcr.io/team").unwrap());
    }
    started.elapsed()
}

fn list(catalog: &Catalog) -> Duration {
    let started = Instant::now();
    let listed = catalog.list();
    let elapsed = started.elapsed();
    assert!(listed.broken.is_empty() && listed.templates.len() >= TEMPLATES);
    elapsed
}

/// As large as templates are: that of `file-server`, under another id.
fn template(number: usize) -> String {
    let text = include_str!("../templates/file-server/template.json");
    text.replacen("\"id\": \"file-server\"", &format!("\"id\": \"template-{number}\""), 1)
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn row(figure: &str, target: &str, measured: &str) {
    println!("| {figure} | {target} | {measured} |");
}
