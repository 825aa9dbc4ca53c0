//! Templates from git repositories, as users of the program meet them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::{Program, text};

/// The program, with a repository beside its home that holds the template `greeter`.
struct Sourced {
    program: Program,
    commit: String,
}

impl Sourced {
    fn new() -> Self {
        let mut sourced = Self { program: Program::new(), commit: String::new() };
        fs::create_dir(sourced.repository()).unwrap();
        sourced.git(&["init", "--quiet", "--initial-branch=main"]);
        sourced.write("servers/greeter/template.yaml", "name: Greeter\ndescription: Greets.\nversion: '1'\n");
        sourced.commit = sourced.commit();
        sourced
    }

    fn repository(&self) -> PathBuf {
        self.program.home.path().join("templates.git")
    }

    fn write(&self, path: &str, written: &str) {
        let file = self.repository().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, written).unwrap();
    }

    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=A change"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let mut git = Command::new("git");
        let output = git.args(identity).args(arguments).current_dir(self.repository()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }

    fn url(&self) -> String {
        format!("file://{}", self.repository().display())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.program.command(arguments).env("MCP_TEMPLATES_REPO", self.url()).output().unwrap()
    }

    /// What is printed, and said.
    fn told(&self, arguments: &[&str]) -> (String, String) {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert!(status.success(), "{}", text(&stderr));
        (text(&stdout).to_owned(), text(&stderr).to_owned())
    }

    /// Makes the copy older than it is.
    fn age(&self) {
        let cache = self.program.home.path().join("mcp-deploy/templates");
        let state = fs::read_dir(cache).unwrap().next().unwrap().unwrap().path().join("state.json");
        let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        document["current"]["at"] = "2020-01-01T00:00:00Z".into();
        fs::write(&state, document.to_string()).unwrap();
    }
}

#[test]
fn a_repository_is_cloned_by_the_first_command_and_its_commit_is_shown() {
    let sourced = Sourced::new();
    let (listed, said) = sourced.told(&["templates", "list", "-o", "wide"]);
    assert_eq!(said, format!("fetching the templates of `{}`\n", sourced.url()));
    let source = format!("{} at {}", sourced.url(), &sourced.commit[..12]);
    assert!(listed.lines().any(|line| line.starts_with("greeter") && line.contains(&source)), "{listed}");

    let (shown, said) = sourced.told(&["templates", "show", "greeter"]);
    assert_eq!(said, "");
    assert!(shown.contains(&format!("{} at {}\n", sourced.url(), sourced.commit)), "{shown}");
    let (listed, _) = sourced.told(&["templates", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let greeter = listed.as_array().unwrap().iter().find(|template| template["id"] == "greeter").unwrap();
    assert_eq!(greeter["source"]["kind"], "repository");
    assert_eq!(greeter["source"]["commit"], *sourced.commit);
    assert_eq!(listed[0]["source"]["kind"], "built_in");

    let (deployed, _) = sourced.told(&["deploy", "greeter", "--name", "greeter-one", "--no-wait"]);
    assert!(deployed.contains("greeter-one"), "{deployed}");
}

#[test]
fn the_settings_of_the_repository_that_one_stands_in_are_not_heeded() {
    let sourced = Sourced::new();
    let other = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        assert!(Command::new("git").args(arguments).current_dir(other.path()).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["config", "url.file:///no/such/.insteadOf", "file:///"]);
    let mut command = sourced.program.command(&["templates", "list", "-o", "name"]);
    command.current_dir(other.path()).env("GIT_DIR", other.path().join(".git"));
    // A directory for copies that is relative starts where one stands.
    command.env("MCP_TEMPLATES_REPO", sourced.url()).env("MCP_TEMPLATES_CACHE", "cache");
    let listed = command.output().unwrap();
    assert!(text(&listed.stdout).contains("greeter\n"), "{}", text(&listed.stderr));
    assert!(other.path().join("cache").is_dir());
}

#[test]
fn refresh_fetches_now() {
    let sourced = Sourced::new();
    sourced.told(&["templates", "list"]);
    sourced.write("other/template.yaml", "name: Other\ndescription: Greets.\nversion: '1'\n");
    let commit = sourced.commit();
    assert!(!sourced.told(&["templates", "list"]).0.contains("other"), "it is fresh");
    let (refreshed, _) = sourced.told(&["templates", "refresh"]);
    assert!(refreshed.contains(&commit), "{refreshed}");
    assert!(sourced.told(&["templates", "list"]).0.contains("other"));
}

#[test]
fn without_its_repository_the_copy_is_used_and_that_is_said() {
    let sourced = Sourced::new();
    sourced.told(&["templates", "list"]);
    sourced.age();
    fs::rename(sourced.repository(), sourced.program.home.path().join("elsewhere")).unwrap();
    let (listed, said) = sourced.told(&["templates", "list", "-o", "name"]);
    assert!(listed.contains("greeter\n"), "{listed}");
    assert!(said.starts_with("warning: the templates of `file://") && said.contains("d old: "), "{said}");
    let failed = sourced.run(&["templates", "refresh"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("error: git failed to fetch `file://"), "{}", text(&failed.stderr));
}

#[test]
fn without_git_there_is_a_plain_error() {
    let sourced = Sourced::new();
    let mut command = sourced.program.command(&["templates", "list", "-o", "name"]);
    let listed = command.env("MCP_TEMPLATES_REPO", sourced.url()).env("PATH", "").output().unwrap();
    assert_eq!(text(&listed.stdout), "demo\nfile-server\n");
    let said = text(&listed.stderr);
    assert!(said.contains("are missing: there is no program `git` here: install it"), "{said}");
}

#[test]
fn credentials_in_an_address_are_refused_and_not_shown() {
    let program = Program::new();
    let address = "https://me:s3cret@example.com/x.git";
    let refused =
        program.command(&["templates", "list"]).env("MCP_TEMPLATES_REPO", address).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    let said = text(&refused.stderr);
    assert!(
        said.contains("`https://example.com/x.git` holds a user or a password") && !said.contains("s3cret"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn a_repository_over_ssh_is_reached_by_the_users_own_ssh() {
    use std::os::unix::fs::PermissionsExt as _;
    let sourced = Sourced::new();
    // It does what a host does that lets nobody but git in.
    let ssh = sourced.program.home.path().join("ssh");
    fs::write(&ssh, "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n").unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("me@host.example:{}", sourced.repository().display());
    let mut command = sourced.program.command(&["templates", "list", "-o", "wide"]);
    command.env("GIT_SSH", &ssh).env("GIT_SSH_VARIANT", "ssh").env("MCP_TEMPLATES_REPO", address);
    let listed = command.output().unwrap();
    let shown = text(&listed.stdout);
    assert!(shown.contains("greeter") && !shown.contains("me@"), "{shown}{}", text(&listed.stderr));
}

#[cfg(unix)]
#[test]
fn a_change_of_templates_reaches_a_running_server_and_is_logged() {
    let sourced = Sourced::new();
    let directory = sourced.program.home.path().join("mine");
    let mut child = sourced
        .program
        .command(&["serve", "--bind", "127.0.0.1:0", "--backend", "mock"])
        .env("MCP_TEMPLATES_REPO", sourced.url())
        .env("MCP_TEMPLATES_DIR", &directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut wait_for = |words: &str| told.find(|line| line.contains(words)).unwrap();
    let line = wait_for("serving http://");
    let address = line.trim_start_matches("serving http://").split('/').next().unwrap().to_owned();
    let get = |path: &str| {
        let mut connection = TcpStream::connect(&address).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };

    // The repository is fetched in the background, while the server answers.
    assert!(wait_for("a new template").contains("template=greeter"));
    let answer = get("/api/templates/greeter/");
    assert!(answer.contains(&format!("\"commit\":\"{}\"", sourced.commit)), "{answer}");

    let file = directory.join("mine/template.yaml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "name: Mine\ndescription: Greets.\nversion: '1'\n").unwrap();
    assert!(get("/api/templates/mine/").starts_with("HTTP/1.1 200"), "at once");
    assert!(wait_for("a new template").contains("template=mine"));
    fs::write(&file, "name: Mine\ndescription: Greets.\nversion: '2'\n").unwrap();
    assert!(wait_for("a template has changed").contains("template=mine"));
    fs::write(&file, "name: [").unwrap();
    assert!(wait_for("a template is gone").contains("template=mine"));
    assert!(wait_for("is left out").contains("is neither JSON nor YAML"));
    assert!(get("/api/templates/mine/").starts_with("HTTP/1.1 422"));

    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
