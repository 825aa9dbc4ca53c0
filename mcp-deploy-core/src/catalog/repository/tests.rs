use std::net::TcpListener;
use std::time::Instant;

use super::super::files::READS;
use super::super::git_server::{GitServer, link, masked, yaml};
use super::super::{Catalog, Overview};
use super::*;

/// What a catalog has that is not built in, and what is wrong, a line for each.
fn told(catalog: &Catalog, server: &GitServer) -> String {
    let Overview { templates, broken, sources, .. } = catalog.overview();
    let ours = templates.iter().filter(|template| *template.source != Source::BuiltIn);
    let lines = ours.map(|template| format!("{} {}", template.id, template.source));
    let broken = broken.iter().map(|broken| format!("broken {}: {}", broken.place, broken.error));
    let problems = sources.iter().filter_map(|source| {
        Some(format!("{} templates of {}: {}", source.templates, source.source, source.problem.as_ref()?))
    });
    masked(&lines.chain(broken).chain(problems).collect::<Vec<_>>().join("\n"), server)
}

fn ids(catalog: &Catalog) -> Vec<String> {
    let Overview { templates, .. } = catalog.overview();
    let ours = templates.iter().filter(|template| *template.source != Source::BuiltIn);
    ours.map(|template| template.id.to_string()).collect()
}

/// Why a refresh fails.
fn complaint(catalog: &Catalog, server: &GitServer) -> String {
    masked(&crate::one_line(&catalog.refresh().remove(0).unwrap_err()), server)
}

fn of_url(url: &str, server: &GitServer) -> Catalog {
    Catalog::default().with_repositories([url.parse().unwrap()], &server.cache())
}

#[test]
fn a_repository_is_fetched_listed_and_fetched_again() {
    let server = GitServer::new();
    server.write("templates/alpha/template.yaml", &yaml("One"));
    let first = server.commit();
    let catalog = server.catalog("");
    assert_eq!(ids(&catalog), [""; 0], "nothing is fetched unasked");
    catalog.refresh().remove(0).unwrap();
    let template = catalog.get("alpha").unwrap();
    assert_eq!(template.name, "One");
    assert!(template.directory.as_ref().unwrap().join("template.yaml").is_file());
    let (_, source) = catalog.find("alpha").unwrap();
    assert!(matches!(&*source, Source::Repository { commit: Some(commit), .. } if *commit == first));

    server.write("templates/alpha/template.yaml", &yaml("Another"));
    server.write("beta/template.yaml", &yaml("Two"));
    server.commit();
    assert_eq!(ids(&catalog), ["alpha"]);
    catalog.refresh().remove(0).unwrap();
    assert_eq!(ids(&catalog), ["alpha", "beta"], "a value that is there sees it");
    assert_eq!(catalog.get("alpha").unwrap().name, "Another");
    // Whoever reads the first may still do so; the second refresh after it takes it away.
    assert!(template.directory.as_ref().unwrap().is_dir());
    server.write("gamma/template.yaml", &yaml("Three"));
    server.commit();
    catalog.refresh().remove(0).unwrap();
    assert!(!template.directory.as_ref().unwrap().exists());
}

#[test]
fn a_branch_a_tag_and_a_commit_are_refs() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    let first = server.commit();
    server.git(&["tag", "v1"]);
    server.git(&["tag", "--annotate", "--message=It", "v1-told"]);
    server.git(&["checkout", "--quiet", "-b", "feature/x"]);
    server.write("beta/template.yaml", &yaml("Two"));
    server.commit();
    server.git(&["checkout", "--quiet", "main"]);
    for (rest, expected) in [
        ("", vec!["alpha"]),
        ("#main", vec!["alpha"]),
        ("#v1", vec!["alpha"]),
        ("#v1-told", vec!["alpha"]),
        ("#refs/tags/v1", vec!["alpha"]),
        (&format!("#{first}"), vec!["alpha"]),
        ("#feature/x", vec!["alpha", "beta"]),
        ("#feature/x:beta", vec!["beta"]),
    ] {
        let catalog = server.catalog(rest);
        catalog.refresh().remove(0).unwrap();
        assert_eq!(ids(&catalog), expected, "{rest}");
    }
}

#[test]
fn a_commit_is_fetched_once_and_never_again() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    let commit = server.commit();
    let catalog = server.catalog(&format!("#{commit}"));
    catalog.freshen(|_| {});
    server.age();
    server.leave();
    catalog.freshen(|_| {});
    catalog.refresh().remove(0).unwrap();
    assert_eq!(ids(&catalog), ["alpha"]);
}

#[test]
fn a_path_is_a_repository_too() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    let catalog = of_url(&server.work().display().to_string(), &server);
    catalog.refresh().remove(0).unwrap();
    assert_eq!(ids(&catalog), ["alpha"]);
}

#[test]
fn a_template_at_the_top_is_named_after_the_repository() {
    let server = GitServer::new();
    server.write("template.yaml", &yaml("One"));
    server.commit();
    let catalog = server.catalog("");
    catalog.refresh().remove(0).unwrap();
    assert_eq!(ids(&catalog), ["templates"]);
    assert_eq!(catalog.get("templates").unwrap().name, "One");
}

#[test]
fn what_is_missing_or_old_is_fetched_and_what_is_fresh_is_not() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    let catalog = server.catalog("");
    let mut missing = Vec::new();
    catalog.freshen(|repository| missing.push(repository.to_string()));
    assert_eq!(missing, [server.url()]);
    server.write("beta/template.yaml", &yaml("Two"));
    server.commit();
    catalog.freshen(|repository| missing.push(repository.to_string()));
    assert_eq!(ids(&catalog), ["alpha"], "it is fresh");
    server.age();
    catalog.freshen(|repository| missing.push(repository.to_string()));
    assert_eq!((ids(&catalog), missing.len()), (vec!["alpha".to_owned(), "beta".to_owned()], 1));
}

#[test]
fn the_cached_copy_is_used_where_the_repository_is_away_and_that_is_told() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    let commit = server.commit();
    server.catalog("").refresh().remove(0).unwrap();
    server.age();
    server.leave();
    let catalog = server.catalog("");
    catalog.freshen(|_| {});
    let told = told(&catalog, &server).replace(&commit[..12], "COMMIT");
    insta::assert_snapshot!(told, @r"
    alpha file://DIR/templates.git at COMMIT
    1 templates of file://DIR/templates.git at COMMIT: 'DIR/templates.git' does not appear to be a git repository
    ");
    let sources = catalog.overview().sources;
    assert_eq!(sources[0].fetched_at.unwrap().to_string(), "2020-01-01T00:00:00Z");
    // A failed try is remembered, also by the next program.
    let state = fs::read(&server.states()[0]).unwrap();
    server.catalog("").freshen(|_| {});
    assert_eq!(fs::read(&server.states()[0]).unwrap(), state, "nobody tries again so soon");
}

#[test]
fn a_repository_that_was_never_there_is_told_and_hides_nothing() {
    let server = GitServer::new();
    let catalog = of_url("file:///no/such/repository", &server);
    catalog.freshen(|_| {});
    assert!(catalog.get("demo").is_ok());
    insta::assert_snapshot!(told(&catalog, &server), @"0 templates of file:///no/such/repository: '/no/such/repository' does not appear to be a git repository");
    insta::assert_snapshot!(complaint(&catalog, &server), @"git failed to fetch `file:///no/such/repository`: '/no/such/repository' does not appear to be a git repository");
}

#[test]
fn a_host_where_nobody_listens_is_told() {
    let server = GitServer::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let catalog = of_url(&format!("http://127.0.0.1:{port}/x.git"), &server);
    let complaint = complaint(&catalog, &server);
    assert!(
        complaint.contains("git failed to fetch") && complaint.contains("Failed to connect"),
        "{complaint}"
    );
}

#[test]
fn a_ref_that_is_gone_is_told_and_the_copy_stays() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    server.git(&["branch", "feature"]);
    let catalog = server.catalog("#feature");
    catalog.refresh().remove(0).unwrap();
    server.git(&["branch", "--delete", "feature"]);
    insta::assert_snapshot!(complaint(&catalog, &server), @"git failed to fetch `file://DIR/templates.git#feature`: it has no branch and no tag `feature`");
    assert_eq!(ids(&catalog), ["alpha"]);
    let unknown = complaint(&server.catalog(&format!("#{}", "0".repeat(40))), &server);
    assert!(unknown.contains("not our ref"), "{unknown}");
}

#[test]
fn a_repository_without_a_commit_is_told() {
    let server = GitServer::new();
    insta::assert_snapshot!(complaint(&server.catalog(""), &server), @"git failed to fetch `file://DIR/templates.git`: it is empty");
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    link("/", &server.work().join("out"));
    let commit = server.commit();
    for rest in ["#main:nowhere", "#main:out"] {
        let catalog = server.catalog(rest);
        catalog.refresh().remove(0).unwrap();
        assert_eq!(ids(&catalog), [""; 0]);
        let broken = catalog.overview().broken.remove(0).error.to_string().replace(&commit, "COMMIT");
        assert!(
            masked(&broken, &server).starts_with("`file://DIR/templates.git` has no directory"),
            "{broken}"
        );
    }
}

#[test]
fn broken_templates_are_told_beside_the_good_ones() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.write("twin/template.yaml", &format!("id: alpha\n{}", yaml("Twin")));
    server.write("broken/template.json", "{\"name\": ");
    server.write("wrong/template.yaml", "name: It\nreplicas: -1\n");
    server.write("linked/template.yaml", &yaml("Linked"));
    link("../../../../etc", &server.work().join("linked/etc"));
    fs::create_dir(server.work().join("huge")).unwrap();
    File::create(server.work().join("huge/template.json")).unwrap().set_len(50_000_000).unwrap();
    let commit = server.commit();
    let catalog = server.catalog("");
    catalog.refresh().remove(0).unwrap();
    for look in ["as it was fetched", "from its index"] {
        let told = told(&server.catalog(""), &server).replace(&commit[..12], "COMMIT");
        insta::allow_duplicates! { insta::assert_snapshot!(told, @r"
        alpha file://DIR/templates.git at COMMIT
        broken `broken/template.json` of `file://DIR/templates.git`: `broken/template.json` of `file://DIR/templates.git` is not JSON: EOF while parsing a value at line 1, column 9
        broken `huge/template.json` of `file://DIR/templates.git`: `huge/template.json` of `file://DIR/templates.git` has 50 MB; at most 1 MiB is read
        broken `linked/template.yaml` of `file://DIR/templates.git`: `etc` is a symbolic link that leads out of its source
        broken `wrong/template.yaml` of `file://DIR/templates.git`: 3 rules are broken:
          `/description` is missing; what the server does, in a sentence
          `/version` is missing; the template's version, as in `1.0.0`
          `/replicas` is integer `-1`; expected a whole number that is not negative
        "); }
        let hidden = catalog.overview().hidden;
        assert_eq!(hidden.len(), 1, "{look}");
        assert!(hidden[0].place.starts_with("`twin/template.yaml` of"), "{:?}", hidden[0]);
    }
    assert!(catalog.get("huge").unwrap_err().to_string().contains("50 MB"));
}

#[test]
fn nothing_of_a_commit_is_read_before_it_is_needed_and_then_once() {
    let server = GitServer::new();
    for name in ["alpha", "beta", "gamma"] {
        server.write(&format!("{name}/template.yaml"), &yaml(name));
    }
    server.commit();
    server.catalog("").refresh().remove(0).unwrap();
    let catalog = server.catalog("");
    let reads = |look: &dyn Fn()| {
        let before = READS.get();
        look();
        READS.get() - before
    };
    assert_eq!(reads(&|| assert_eq!(ids(&catalog), ["alpha", "beta", "gamma"])), 0);
    assert_eq!(reads(&|| drop(catalog.get("beta").unwrap())), 1);
    assert_eq!(reads(&|| drop(catalog.list())), 2, "the others");
    assert_eq!(reads(&|| drop((catalog.list(), catalog.get("alpha")))), 0);
}

#[test]
fn an_index_of_another_program_or_half_an_index_is_not_believed() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    let commit = server.commit();
    server.catalog("").refresh().remove(0).unwrap();
    let home = server.states()[0].parent().unwrap().join(commit);
    let mut indexes = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let index = indexes.find(|path| path.is_file()).unwrap();
    for text in ["{\"program\": \"0\", \"entries\": []}", "{\"half"] {
        fs::write(&index, text).unwrap();
        assert_eq!(ids(&server.catalog("")), ["alpha"]);
        assert!(fs::read_to_string(&index).unwrap().contains("alpha"), "it was written anew");
    }
}

#[test]
fn a_cache_that_is_damaged_is_fetched_again() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    server.catalog("").refresh().remove(0).unwrap();
    let state = server.states().remove(0);
    for damage in ["state", "files"] {
        match damage {
            "state" => fs::write(&state, "{\"half").unwrap(),
            _ => server
                .catalog("")
                .get("alpha")
                .map(|it| fs::remove_dir_all(it.directory.as_ref().unwrap().parent().unwrap()))
                .unwrap()
                .unwrap(),
        }
        let catalog = server.catalog("");
        assert_eq!(ids(&catalog), [""; 0], "{damage}");
        catalog.freshen(|_| {});
        assert_eq!(ids(&catalog), ["alpha"], "{damage}");
    }
}

#[test]
fn many_that_fetch_at_once_agree() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let catalog = server.catalog("");
                catalog.refresh().remove(0).unwrap();
                assert_eq!(ids(&catalog), ["alpha"]);
            });
        }
    });
    let home = server.states()[0].parent().unwrap().to_owned();
    assert!(!home.join("new").exists());
}

/// A server that takes connections and says nothing.
fn mute() -> (TcpListener, TemplateRepository) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.git", listener.local_addr().unwrap());
    (listener, url.parse().unwrap())
}

#[test]
fn a_server_that_hangs_is_given_up_and_git_is_ended() {
    let server = GitServer::new();
    let (listener, address) = mute();
    let repository = Repository::new(address, &server.cache());
    let started = Instant::now();
    let error = repository.refresh(Duration::from_secs(1), Busy::Wait, &Stop::default()).unwrap_err();
    assert!(crate::one_line(&error).ends_with("no answer within 1 s"), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    // The end of its connection shows that the child of git, which holds it, is gone too.
    let (mut connection, _) = listener.accept().unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    io::copy(&mut connection, &mut io::sink()).unwrap();
}

#[test]
fn what_fetches_in_the_background_ends_at_once_when_it_is_dropped() {
    let server = GitServer::new();
    let (listener, address) = mute();
    let catalog = Arc::new(Catalog::default().with_repositories([address], &server.cache()));
    let kept = catalog.keep_fresh().unwrap();
    let (connection, _) = listener.accept().unwrap();
    let started = Instant::now();
    drop(kept);
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(connection);
    assert!(Arc::new(Catalog::default()).keep_fresh().is_none());
}

#[test]
fn a_repository_is_fetched_in_the_background() {
    let server = GitServer::new();
    server.write("alpha/template.yaml", &yaml("One"));
    server.commit();
    let catalog = Arc::new(server.catalog(""));
    let _kept = catalog.keep_fresh();
    let deadline = Instant::now() + Duration::from_secs(30);
    while ids(&catalog) != ["alpha"] {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let server = GitServer::new();
    server.commit();
    // No directory can be below a file, not even for an administrator.
    fs::write(server.cache(), "").unwrap();
    let catalog = server.catalog("");
    let complaint = complaint(&catalog, &server);
    assert!(complaint.contains("the cache `DIR/cache/templates-"), "{complaint}");
    assert!(catalog.overview().sources[0].problem.as_ref().unwrap().contains("cannot be written"));
}
