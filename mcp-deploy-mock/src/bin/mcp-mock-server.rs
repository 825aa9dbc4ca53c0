//! `mcp-mock-server`: an MCP server that behaves as it is told, for tests with real containers and processes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use mcp_deploy_core::{BoxError, Catalog, Tool};
use mcp_deploy_mock::{HttpMode, HttpServer, ServerProfile, serve_stdio};
use serde_json::json;
use tokio::net::TcpListener;

const HELP: &str = "\
An MCP server that behaves as it is told, for tests

Usage: mcp-mock-server [OPTIONS]

Options:
      --template FILE          Name, version and tools of the server, from a template;
                               without it, it has one tool, `echo`
      --transport TRANSPORT    http or stdio [default: http]
      --behaviour BEHAVIOUR    How it behaves [env: MOCK_BEHAVIOUR] [default: well]
  -h, --help                   Print this help
  -V, --version                Print the version

Behaviours:
  well               Serves until SIGTERM or SIGINT
  echo-environment   As well, with a tool `environment` that answers all environment variables
  explore            As well, with tools that tell what its surroundings let it do: `read`, `write`, `reach`,
                     `spawn` and `allocate`
  write:PATH         Serves when it has written this file, and ends where it cannot
  crash:CODE         Ends at once with this exit code
  never-listens      Lives, and does not listen
  slow:MS            Waits for so many milliseconds before it serves
  ignore-sigterm     Goes on at SIGTERM
  stdio              Speaks stdio, whatever the transport is
  not-mcp            Answers every path with a web page
  local-only         Refuses every host name but those of its own machine, as SDKs do by default
  mute               Reads requests and never answers them
  mute-calls         Answers everything but calls of tools
  unauthorized       Answers 401 and wants a bearer token

Environment:
  PORT       Where it listens, on every address; 0 lets the system choose [default: 8080]
  MCP_PATH   The path of the MCP endpoint [default: /mcp]
";

const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let options = match parse(arguments, environment()) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Print(text)) => {
            Log::Stdout.write(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            Log::Stderr
                .write(&format!("error: {message}\n\nhint: `mcp-mock-server --help` lists what it takes"));
            return ExitCode::from(USAGE_ERROR);
        }
    };
    if let Behaviour::Crash(code) = options.behaviour {
        Log::Stderr.write("starting");
        Log::Stderr.write(&format!("fatal: told to crash with exit code {code}"));
        return ExitCode::from(code);
    }
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Log::Stderr.write(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

enum Command {
    Run(Options),
    Print(String),
}

struct Options {
    template: Option<PathBuf>,
    transport: Transport,
    behaviour: Behaviour,
    environment: BTreeMap<String, String>,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Http,
    Stdio,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Behaviour {
    Well,
    EchoEnvironment,
    Explore,
    Write(PathBuf),
    Crash(u8),
    NeverListens,
    Slow(Duration),
    IgnoreSigterm,
    Stdio,
    NotMcp,
    LocalOnly,
    Mute,
    MuteCalls,
    Unauthorized,
}

/// The environment variables; what is not Unicode in them is replaced.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

fn parse(
    mut arguments: impl Iterator<Item = String>,
    environment: BTreeMap<String, String>,
) -> Result<Command, String> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let mut template = None;
    let mut transport = Transport::Http;
    let mut behaviour = variable("MOCK_BEHAVIOUR").cloned();
    while let Some(argument) = arguments.next() {
        let (flag, attached) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value =
            || attached.clone().or_else(|| arguments.next()).ok_or(format!("`{flag}` needs a value"));
        match flag {
            "-h" | "--help" => return Ok(Command::Print(HELP.to_owned())),
            "-V" | "--version" => {
                return Ok(Command::Print(format!("mcp-mock-server {}", env!("CARGO_PKG_VERSION"))));
            }
            "--template" => template = Some(PathBuf::from(value()?)),
            "--transport" => transport = parse_transport(&value()?)?,
            "--behaviour" => behaviour = Some(value()?),
            _ => return Err(format!("unknown argument `{argument}`")),
        }
    }
    let behaviour = behaviour.map_or(Ok(Behaviour::Well), |text| parse_behaviour(&text))?;
    let only_http = matches!(
        behaviour,
        Behaviour::NotMcp
            | Behaviour::LocalOnly
            | Behaviour::Mute
            | Behaviour::MuteCalls
            | Behaviour::Unauthorized
    );
    if only_http && transport == Transport::Stdio {
        return Err("this behaviour is one of the transport `http`, and `stdio` was given".to_owned());
    }
    let port = variable("PORT").map_or("8080", String::as_str);
    let port =
        port.parse().map_err(|_| format!("PORT is `{port}`, and has to be a number from 0 to 65535"))?;
    let path = variable("MCP_PATH").map_or("/mcp", String::as_str);
    Ok(Command::Run(Options {
        template,
        transport: if behaviour == Behaviour::Stdio { Transport::Stdio } else { transport },
        behaviour,
        port,
        path: format!("/{}", path.trim_start_matches('/')),
        environment,
    }))
}

fn parse_transport(text: &str) -> Result<Transport, String> {
    match text {
        "http" => Ok(Transport::Http),
        "stdio" => Ok(Transport::Stdio),
        _ => Err(format!("unknown transport `{text}`")),
    }
}

fn parse_behaviour(text: &str) -> Result<Behaviour, String> {
    let number_wanted = |_| format!("the number in the behaviour `{text}` is none, or too large");
    Ok(match text.split_once(':').unwrap_or((text, "")) {
        ("well", "") => Behaviour::Well,
        ("echo-environment", "") => Behaviour::EchoEnvironment,
        ("explore", "") => Behaviour::Explore,
        ("write", path) if !path.is_empty() => Behaviour::Write(PathBuf::from(path)),
        ("crash", code) => Behaviour::Crash(code.parse().map_err(number_wanted)?),
        ("never-listens", "") => Behaviour::NeverListens,
        ("slow", millis) => Behaviour::Slow(Duration::from_millis(millis.parse().map_err(number_wanted)?)),
        ("ignore-sigterm", "") => Behaviour::IgnoreSigterm,
        ("stdio", "") => Behaviour::Stdio,
        ("not-mcp", "") => Behaviour::NotMcp,
        ("local-only", "") => Behaviour::LocalOnly,
        ("mute", "") => Behaviour::Mute,
        ("mute-calls", "") => Behaviour::MuteCalls,
        ("unauthorized", "") => Behaviour::Unauthorized,
        _ => return Err(format!("unknown behaviour `{text}`")),
    })
}

fn run(options: Options) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve_until_told_to_stop(options));
    // A read of standard input may be under way that nothing can cancel.
    runtime.shutdown_background();
    outcome
}

async fn serve_until_told_to_stop(options: Options) -> Result<(), BoxError> {
    let mut told_to_stop = pin!(told_to_stop(options.behaviour.clone(), options.log()));
    let server = tokio::select! {
        // First, so that signals are heeded before anybody can know that the server is up.
        biased;
        result = told_to_stop.as_mut() => return Ok(result?),
        server = serve(&options) => server?,
    };
    let Some(server) = server else {
        return Ok(());
    };
    told_to_stop.await?;
    server.stop().await;
    Ok(())
}

/// Brings up a server over HTTP, or serves stdio to its end.
async fn serve(options: &Options) -> Result<Option<HttpServer>, BoxError> {
    let profile = options.profile()?;
    match &options.behaviour {
        Behaviour::NeverListens => std::future::pending().await,
        Behaviour::Slow(delay) => tokio::time::sleep(*delay).await,
        Behaviour::Write(path) => std::fs::write(path, "written\n")
            .map_err(|error| format!("failed to write {}: {error}", path.display()))?,
        _ => {}
    }
    if options.transport == Transport::Stdio {
        serve_stdio(profile).await?;
        return Ok(None);
    }
    let port = options.port;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .map_err(|error| format!("failed to listen on port {port}: {error}; PORT sets another"))?;
    let server = HttpServer::start(listener, profile, options.http_mode(), options.path.as_str());
    options.log().write(&format!("listening on {}", server.address()));
    Ok(Some(server))
}

impl Options {
    fn profile(&self) -> Result<ServerProfile, BoxError> {
        let mut profile =
            self.template.as_deref().map_or_else(|| Ok(echo_profile()), profile_from_template)?;
        profile.echo_environment = self.behaviour == Behaviour::EchoEnvironment;
        profile.explores = self.behaviour == Behaviour::Explore;
        profile.environment.clone_from(&self.environment);
        Ok(profile)
    }

    fn http_mode(&self) -> HttpMode {
        match self.behaviour {
            Behaviour::NotMcp => HttpMode::NotMcp,
            Behaviour::LocalOnly => HttpMode::LocalOnly,
            Behaviour::Mute => HttpMode::Mute,
            Behaviour::MuteCalls => HttpMode::MuteCalls,
            Behaviour::Unauthorized => HttpMode::Unauthorized,
            _ => HttpMode::Mcp,
        }
    }

    /// Where to say what happens: standard output belongs to the protocol when that is stdio.
    fn log(&self) -> Log {
        match self.transport {
            Transport::Http => Log::Stdout,
            Transport::Stdio => Log::Stderr,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Log {
    Stdout,
    Stderr,
}

impl Log {
    /// Writes a line at once; that nobody reads any more is no reason to stop.
    fn write(self, line: &str) {
        let _ = match self {
            Self::Stdout => writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush()),
            Self::Stderr => writeln!(io::stderr(), "{line}"),
        };
    }
}

#[cfg(unix)]
async fn told_to_stop(behaviour: Behaviour, log: Log) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if name == "SIGTERM" && behaviour == Behaviour::IgnoreSigterm {
            log.write("received SIGTERM, ignoring it");
            continue;
        }
        log.write(&format!("received {name}, stopping"));
        return Ok(());
    }
}

#[cfg(not(unix))]
async fn told_to_stop(_behaviour: Behaviour, log: Log) -> io::Result<()> {
    tokio::signal::ctrl_c().await?;
    log.write("received Ctrl-C, stopping");
    Ok(())
}

fn echo_profile() -> ServerProfile {
    let schema = json!({
        "type": "object",
        "properties": { "message": { "type": "string" } },
        "required": ["message"],
    });
    ServerProfile {
        name: "mcp-mock-server".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tools: vec![Tool {
            name: "echo".to_owned(),
            description: Some("Answers its arguments".to_owned()),
            input_schema: schema.as_object().cloned().unwrap_or_default(),
        }],
        environment: BTreeMap::new(),
        echo_environment: false,
        explores: false,
    }
}

fn profile_from_template(path: &Path) -> Result<ServerProfile, BoxError> {
    let template = Catalog::load(path)?;
    Ok(ServerProfile {
        name: template.id.to_string(),
        version: template.version,
        tools: template.tools,
        environment: BTreeMap::new(),
        echo_environment: false,
        explores: false,
    })
}
