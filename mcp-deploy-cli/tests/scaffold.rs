//! The servers that new templates begin with, for real: installed, started, asked over MCP, ended. One whose tools
//! cannot be had here is ignored, with the reason. The server in Rust is held by the template `demo`, which is one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use mcp_deploy_core::probe::{ProbeError, call_tool, list_tools, probe};
use mcp_deploy_core::{Catalog, Era};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // A listing installs nothing.
    let trials = if arguments.list {
        ["python", "typescript"].map(|language| trial(language, Err("not looked at".into()))).into()
    } else {
        vec![trial("python", python()), trial("typescript", typescript())]
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A template that is written, with what its server needs to run.
struct Installed {
    directory: PathBuf,
    start: Command,
}

fn trial(language: &str, installed: Outcome<Installed>) -> Trial {
    let name = format!("the_{language}_server_answers_and_ends_cleanly");
    match installed {
        Ok(installed) => {
            Trial::test(name, move || check(installed).map_err(|error| Failed::from(error.to_string())))
        }
        Err(reason) => Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(reason.to_string()),
    }
}

fn python() -> Outcome<Installed> {
    let directory = write("python")?;
    let environment = directory.with_file_name("environment");
    let python = environment.join("bin/python");
    if !python.is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(directory.join("server/requirements.txt")))?;
    let mut start = Command::new(python);
    start.arg(directory.join("server/main.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(Installed { directory, start })
}

fn typescript() -> Outcome<Installed> {
    let directory = write("typescript")?;
    let server = directory.join("server");
    run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&server))?;
    run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&server))?;
    let mut start = Command::new("node");
    start.arg(server.join("dist/main.js"));
    Ok(Installed { directory, start })
}

/// A new template in a directory of its own, where the last run left one as well.
fn write(language: &str) -> Outcome<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("scaffold-{language}"));
    fs::create_dir_all(&place)?;
    let directory = place.join("greeter");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let arguments = ["templates", "new", "greeter", "--lang", language, "--directory"];
    run(Command::new(env!("CARGO_BIN_EXE_mcp-deploy")).args(arguments).arg(place))?;
    Ok(directory)
}

/// Runs a program; the first line of what it complains about is the error.
fn run(command: &mut Command) -> Outcome {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("no {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stderr, output.stdout].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    Err(format!("{program}: {}", told.lines().next().unwrap_or_default()).into())
}

fn check(Installed { directory, mut start }: Installed) -> Outcome {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = Server(start.env("PORT", port.to_string()).env("HELLO_FROM", "the test").spawn()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(&directory, &format!("http://127.0.0.1:{port}/mcp")))?;
    server.ends_with_sigterm()
}

/// It has the tools that its template promises, and they answer as `tests.json` says.
async fn ask(directory: &Path, url: &str) -> Outcome {
    let begin = Instant::now();
    let report = loop {
        match probe(url, PATIENCE).await {
            Err(ProbeError::Unreachable(_)) if begin.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => break answer?,
        }
    };
    assert_eq!(report.era, Some(Era::Modern));
    let promised = Catalog::load(directory)?.tools;
    let tools = list_tools(url, PATIENCE).await?;
    for tool in &promised {
        let found =
            tools.iter().find(|found| found.name == tool.name).ok_or("a promised tool is not there")?;
        assert_eq!(found.description, tool.description);
        assert_eq!(found.input_schema["required"], tool.input_schema["required"]);
    }
    assert_eq!(tools.len(), promised.len());

    let tests: Vec<Value> = serde_json::from_str(&fs::read_to_string(directory.join("tests.json"))?)?;
    assert_eq!(tests.len(), promised.len());
    for test in tests {
        let arguments = test["arguments"].as_object().cloned().unwrap_or_default();
        let answer = call_tool(url, test["tool"].as_str().unwrap(), arguments, PATIENCE).await?;
        let told = answer.text.concat();
        assert!(!answer.is_error && told.contains(test["contains"].as_str().unwrap()), "{told}");
        assert!(told.contains("the test"), "`HELLO_FROM` is not honoured: {told}");
    }
    Ok(())
}

/// A server that does not outlive its test.
struct Server(Child);

impl Server {
    fn ends_with_sigterm(&mut self) -> Outcome {
        run(Command::new("kill").arg(self.0.id().to_string()))?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait()? {
                assert_eq!(status.code(), Some(0), "{status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("it does not end".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
