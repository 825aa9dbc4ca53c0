//! Everything that is known to lead out of a directory, tried on a real one.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::listing::{self, Kind, MAX_ENTRIES};
use crate::read::{self, Encoding};
use crate::search::{self, BOUNDS, Bounds};
use crate::write::{self, Old};

const MAX_SIZE: u64 = 1000;

/// An allowed directory, and beside it one that nobody may see.
struct Tree {
    directory: TempDir,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = Self { directory };
        for path in ["inside/a/b", "outside", "inside-not"] {
            fs::create_dir_all(tree.path(path)).unwrap();
        }
        for path in ["inside/file", "inside/a/file", "inside/a/b/file"] {
            fs::write(tree.path(path), "allowed").unwrap();
        }
        for path in ["secret", "outside/secret", "inside-not/secret", "outside/file"] {
            fs::write(tree.path(path), "secret").unwrap();
        }
        tree
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(relative)
    }

    fn text(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    fn sandbox(&self, follow_links: bool, patterns: &[&str]) -> Sandbox {
        let exclusions = Exclusions::new(patterns.iter().copied()).unwrap();
        Sandbox::open(&[self.path("inside")], follow_links, exclusions).unwrap()
    }

    /// Nothing outside has changed.
    fn check_outside(&self) {
        for path in ["secret", "outside/secret", "inside-not/secret", "outside/file"] {
            assert_eq!(fs::read_to_string(self.path(path)).unwrap(), "secret", "{path}");
        }
        assert_eq!(fs::read_dir(self.path("outside")).unwrap().count(), 2);
    }
}

fn read(sandbox: &Sandbox, path: &str) -> Result<String, Refusal> {
    read::read(sandbox, path, 0, 100, Encoding::Utf8, MAX_SIZE).map(|piece| piece.text)
}

fn write(sandbox: &Sandbox, path: &str, content: &str) -> Result<write::Written, Refusal> {
    write::write(sandbox, path, content, Encoding::Utf8, Old::Replaced, MAX_SIZE)
}

/// All verbs refuse a path, for a reason that says this.
fn refused_by_all(tree: &Tree, sandbox: &Sandbox, path: &str, reason: &str) {
    let messages = [
        read(sandbox, path).map(drop),
        write(sandbox, path, "changed").map(drop),
        listing::list(sandbox, path, "").map(drop),
        listing::info(sandbox, path).map(drop),
        search::search(sandbox, path, "*", BOUNDS).map(drop),
    ];
    for (verb, outcome) in ["read", "write", "list", "info", "search"].iter().zip(messages) {
        let message = outcome.expect_err(&format!("{verb} {path:?} should be refused")).to_string();
        assert!(message.contains(reason), "{verb} {path:?}: {message}");
    }
    tree.check_outside();
}

#[test]
fn no_path_leads_out() {
    let tree = Tree::new();
    let outside = "is outside of the allowed directories";
    for follow_links in [false, true] {
        let sandbox = tree.sandbox(follow_links, &[]);
        for path in [
            "../outside/secret".to_owned(),
            "..".to_owned(),
            "a/../../secret".to_owned(),
            "a/b/../../../outside/secret".to_owned(),
            "./../secret".to_owned(),
            tree.text("secret"),
            tree.text("outside/secret"),
            tree.text("inside/../secret"),
            tree.text("inside/a/../../outside/secret"),
            tree.text("inside-not/secret"),
            format!("/{}", tree.text("outside/secret")),
            format!("/proc/self/root{}", tree.text("inside/file")),
            "/proc/self/cwd/file".to_owned(),
            "/proc/self/fd/3".to_owned(),
            "/".to_owned(),
            "/etc/passwd".to_owned(),
        ] {
            refused_by_all(&tree, &sandbox, &path, outside);
        }
    }
}

#[test]
fn a_path_may_wander_inside() {
    let tree = Tree::new();
    let sandbox = tree.sandbox(false, &[]);
    for path in [
        "file".to_owned(),
        "./file".to_owned(),
        "a//b/./../file".to_owned(),
        "a/../a/b/../../file".to_owned(),
        tree.text("inside/file"),
        tree.text("inside/a/../file"),
        format!("/{}", tree.text("inside/a/b/file")),
    ] {
        assert_eq!(read(&sandbox, &path).unwrap(), "allowed", "{path}");
    }
}

#[test]
fn a_directory_of_several_is_reached_from_the_other() {
    let tree = Tree::new();
    let both = [tree.path("inside/a"), tree.path("inside-not")];
    let sandbox = Sandbox::open(&both, true, Exclusions::new([]).unwrap()).unwrap();
    symlink("../../inside-not/secret", tree.path("inside/a/link")).unwrap();
    symlink("../file", tree.path("inside/a/up")).unwrap();
    assert_eq!(read(&sandbox, &tree.text("inside-not/secret")).unwrap(), "secret");
    assert_eq!(read(&sandbox, "b/../file").unwrap(), "allowed");
    refused_by_all(&tree, &sandbox, "../file", "is outside");
    refused_by_all(&tree, &sandbox, "up", "points out of the allowed directories");
    for path in ["link", "../../inside-not/secret"] {
        assert_eq!(read(&sandbox, path).unwrap(), "secret", "{path}");
    }
}

#[test]
fn a_link_is_refused_wherever_it_leads_when_links_are_off() {
    let tree = Tree::new();
    symlink("file", tree.path("inside/to-file")).unwrap();
    symlink("a", tree.path("inside/to-directory")).unwrap();
    symlink(tree.path("outside"), tree.path("inside/to-outside")).unwrap();
    symlink("nowhere", tree.path("inside/dangling")).unwrap();
    symlink("/proc/self/root", tree.path("inside/to-root")).unwrap();
    let sandbox = tree.sandbox(false, &[]);
    for path in [
        "to-file",
        "to-directory",
        "to-directory/file",
        "to-outside/secret",
        "dangling",
        "to-root/etc/passwd",
    ] {
        refused_by_all(&tree, &sandbox, path, "links are not followed: `enable_symlinks` is off");
    }
    assert!(!tree.path("inside/nowhere").exists());
}

#[test]
fn a_link_is_followed_inside_and_never_out_when_links_are_on() {
    let tree = Tree::new();
    for (link, target) in [
        ("inside/relative", "a/file".to_owned()),
        ("inside/a/up", "../file".to_owned()),
        ("inside/absolute", tree.text("inside/a/b")),
        ("inside/chain", "relative".to_owned()),
        ("inside/out", tree.text("outside")),
        ("inside/a/out", "../../outside/secret".to_owned()),
        ("inside/a/chained-out", "../out/secret".to_owned()),
        ("inside/root", "/proc/self/root".to_owned()),
        ("inside/new", "a/made".to_owned()),
        ("inside/new-out", tree.text("outside/made")),
        ("inside/loop", "loop".to_owned()),
        ("inside/ping", "pong".to_owned()),
        ("inside/pong", "ping".to_owned()),
    ] {
        symlink(target, tree.path(link)).unwrap();
    }
    let sandbox = tree.sandbox(true, &[]);
    for path in ["relative", "a/up", "absolute/file", "absolute/../file", "chain"] {
        assert_eq!(read(&sandbox, path).unwrap(), "allowed", "{path}");
    }
    for path in ["out", "out/secret", "a/out", "a/chained-out", "root/etc/passwd", "new-out"] {
        refused_by_all(&tree, &sandbox, path, "points out of the allowed directories");
    }
    for path in ["loop", "ping", "ping/file"] {
        refused_by_all(&tree, &sandbox, path, "more than 40 symbolic links");
    }
    // Written is what the link stands for; the link stays.
    assert_eq!(write(&sandbox, "new", "x").unwrap().path, tree.text("inside/a/made"));
    assert_eq!(fs::read_link(tree.path("inside/new")).unwrap(), Path::new("a/made"));
    assert_eq!(fs::read_to_string(tree.path("inside/a/made")).unwrap(), "x");
}

/// Does something again and again while another thing happens all the time.
fn while_it_happens(times: usize, happens: impl Fn() + Sync, check: impl Fn()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                happens();
            }
        });
        for _ in 0..times {
            check();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_link_that_is_swapped_in_between_leads_nowhere() {
    let tree = Tree::new();
    let (real, name) = (tree.path("inside/a"), tree.path("inside/swapped"));
    symlink(tree.path("outside"), tree.path("inside/link")).unwrap();
    let swap = || {
        // The writer makes a directory of this name where it finds none.
        let _ = fs::remove_dir_all(&name);
        let _ = fs::rename(&real, &name);
        let _ = fs::rename(&name, &real);
        let _ = fs::rename(tree.path("inside/link"), &name);
        let _ = fs::rename(&name, tree.path("inside/link"));
    };
    for follow_links in [false, true] {
        let sandbox = tree.sandbox(follow_links, &[]);
        while_it_happens(1000, swap, || {
            if let Ok(text) = read(&sandbox, "swapped/file") {
                assert_eq!(text, "allowed");
            }
            let _ = write(&sandbox, "swapped/file", "allowed");
            let _ = write(&sandbox, "swapped/further", "allowed");
            if let Ok(listing) = listing::list(&sandbox, "swapped", "") {
                assert!(listing.entries.iter().all(|entry| entry.name != "secret"));
            }
        });
    }
    tree.check_outside();
}

#[test]
fn a_file_that_is_swapped_for_a_link_is_neither_read_nor_written_through() {
    let tree = Tree::new();
    let name = tree.path("inside/swapped");
    let swap = || {
        let _ = fs::remove_file(&name);
        let _ = fs::write(&name, "allowed");
        let _ = fs::remove_file(&name);
        let _ = symlink(tree.path("outside/secret"), &name);
    };
    let sandbox = tree.sandbox(true, &[]);
    while_it_happens(1000, swap, || {
        if let Ok(text) = read(&sandbox, "swapped") {
            assert!(["allowed", ""].contains(&text.as_str()), "{text}");
        }
        let _ = write(&sandbox, "swapped", "allowed");
    });
    tree.check_outside();
}

#[test]
fn a_directory_that_is_moved_out_while_it_is_open_takes_nobody_along() {
    let tree = Tree::new();
    let (here, there) = (tree.path("inside/a/b"), tree.path("outside/b"));
    let swap = || {
        fs::rename(&here, &there).unwrap();
        fs::rename(&there, &here).unwrap();
    };
    let sandbox = tree.sandbox(false, &[]);
    while_it_happens(3000, swap, || {
        for path in ["a/b/../file", "a/b/../secret", "a/b/../../file"] {
            if let Ok(text) = read(&sandbox, path) {
                assert_eq!(text, "allowed", "{path}");
            }
        }
    });
    tree.check_outside();
}

#[test]
fn odd_names_are_shown_as_they_are_and_reach_nothing_else() {
    let tree = Tree::new();
    let newline = "a\n{\"name\": \"forged\"}";
    fs::write(tree.path("inside").join(newline), "allowed").unwrap();
    fs::write(tree.path("inside").join(OsStr::from_bytes(b"bad\xff")), "allowed").unwrap();
    let sandbox = tree.sandbox(false, &[]);
    let listing = listing::list(&sandbox, ".", "").unwrap();
    let names: Vec<_> = listing.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", newline, "bad\u{fffd}", "file"]);
    assert_eq!(listing.entries[2].unreachable, Some(true));
    assert_eq!(read(&sandbox, newline).unwrap(), "allowed");
    refused_by_all(&tree, &sandbox, "nul\0byte/x", "nul");
    refused_by_all(&tree, &sandbox, &"x".repeat(5000), "at most 4096 bytes");
    refused_by_all(&tree, &sandbox, &format!("{}/x", "x".repeat(300)), "name too long");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let tree = Tree::new();
    let pipe = tree.path("inside/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = UnixListener::bind(tree.path("inside/socket")).unwrap();
    let sandbox = tree.sandbox(false, &[]);
    for path in ["pipe", "socket"] {
        let message = read(&sandbox, path).unwrap_err().to_string();
        assert_eq!(message, format!("`{path}` is a device, a socket or a pipe, not a file"));
        assert!(write(&sandbox, path, "x").is_err());
        assert_eq!(listing::info(&sandbox, path).unwrap().kind, Kind::Other);
    }
    assert_eq!(read(&sandbox, "a").unwrap_err().to_string(), "`a` is a directory, not a file");
    assert_eq!(write(&sandbox, ".", "x").unwrap_err().to_string(), "`.` is a directory, not a file");
    let message = listing::list(&sandbox, "file", "").unwrap_err().to_string();
    assert_eq!(message, "`file` is a file, not a directory");
    assert!(read(&sandbox, "file/x").unwrap_err().to_string().ends_with("/file` is a file, not a directory"));
    assert_eq!(read(&sandbox, "none").unwrap_err().to_string(), "`none` does not exist");
}

#[test]
fn what_is_hidden_is_hidden_from_every_verb_and_on_every_way() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("inside/.git/below")).unwrap();
    fs::write(tree.path("inside/.git/config"), "hidden").unwrap();
    fs::write(tree.path("inside/a/server.key"), "hidden").unwrap();
    symlink(".git/config", tree.path("inside/way")).unwrap();
    symlink("a/server.key", tree.path("inside/other")).unwrap();
    let sandbox = tree.sandbox(true, &[".git", "*.key"]);
    for path in
        [".git", ".git/config", ".git/below/new", "a/server.key", "a/../.git", "way", "other", "new.key"]
    {
        refused_by_all(&tree, &sandbox, path, "is hidden by `exclude_patterns`");
    }
    // Whether something of a hidden name is there cannot be told.
    refused_by_all(&tree, &sandbox, "none.key", "is hidden by `exclude_patterns`");
    let listing = listing::list(&sandbox, ".", "").unwrap();
    assert!(listing.entries.iter().all(|entry| entry.name != ".git"));
    let found = search::search(&sandbox, ".", "**", BOUNDS).unwrap();
    assert!(found.matches.iter().all(|found| !found.path.contains(".git") && !found.path.contains(".key")));
    assert_eq!(fs::read_to_string(tree.path("inside/.git/config")).unwrap(), "hidden");
}

#[test]
fn a_file_is_written_whole_and_keeps_its_permissions() {
    let tree = Tree::new();
    let sandbox = tree.sandbox(false, &[]);
    fs::set_permissions(tree.path("inside/file"), fs::Permissions::from_mode(0o640)).unwrap();
    let written = write(&sandbox, "file", "new").unwrap();
    assert_eq!((written.size, written.created), (3, false));
    let mode = fs::metadata(tree.path("inside/file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let new = write(&sandbox, "x/y/made", "new").unwrap();
    assert_eq!((new.path, new.created), (tree.text("inside/x/y/made"), true));

    let append = |content| write::write(&sandbox, "file", content, Encoding::Utf8, Old::Kept, MAX_SIZE);
    assert_eq!(append(" and more").unwrap().size, 12);
    assert_eq!(read(&sandbox, "file").unwrap(), "new and more");
    let message = append(&"x".repeat(989)).unwrap_err().to_string();
    assert!(message.starts_with("`file` would have 1001 bytes"), "{message}");
    assert_eq!(read(&sandbox, "file").unwrap(), "new and more");
    // Nothing of an attempt is left over.
    assert_eq!(fs::read_dir(tree.path("inside")).unwrap().count(), 3);
}

#[test]
fn nobody_sees_a_half_of_a_file() {
    let tree = Tree::new();
    let sandbox = tree.sandbox(false, &[]);
    let texts = ["a".repeat(900), "b".repeat(700)];
    write(&sandbox, "file", &texts[0]).unwrap();
    let rewrite = || texts.iter().for_each(|text| drop(write(&sandbox, "file", text).unwrap()));
    while_it_happens(1000, rewrite, || {
        let piece = read::read(&sandbox, "file", 0, 1000, Encoding::Utf8, MAX_SIZE).unwrap();
        assert!(texts.contains(&piece.text));
    });
}

#[test]
fn a_file_is_read_in_pieces_of_whole_characters() {
    let tree = Tree::new();
    let text = "grüße, 世界! ".repeat(20);
    fs::write(tree.path("inside/text"), &text).unwrap();
    let sandbox = tree.sandbox(false, &[]);
    for length in 4..12 {
        let (mut collected, mut offset) = (String::new(), Some(0));
        while let Some(from) = offset {
            let piece = read::read(&sandbox, "text", from, length, Encoding::Utf8, MAX_SIZE).unwrap();
            collected.push_str(&piece.text);
            offset = piece.next;
        }
        assert_eq!(collected, text);
    }
    let at =
        |offset| read::read(&sandbox, "text", offset, 10, Encoding::Utf8, MAX_SIZE).unwrap_err().to_string();
    assert!(at(3).starts_with("byte 3 of `text` is within a character"), "{}", at(3));
    assert!(at(9999).contains("and `offset` is 9999"), "{}", at(9999));
}

#[test]
fn what_is_not_text_is_read_as_base64_only() {
    let tree = Tree::new();
    fs::write(tree.path("inside/bytes"), [0, 159, 146, 150]).unwrap();
    let sandbox = tree.sandbox(false, &[]);
    let message = read(&sandbox, "bytes").unwrap_err().to_string();
    assert_eq!(message, "`bytes` is not text in UTF-8: read it with `encoding` set to `base64`");
    let piece = read::read(&sandbox, "bytes", 0, 100, Encoding::Base64, MAX_SIZE).unwrap();
    assert_eq!(piece.text, "AJ+Slg==");
    write::write(&sandbox, "copy", &piece.text, Encoding::Base64, Old::Replaced, MAX_SIZE).unwrap();
    assert_eq!(fs::read(tree.path("inside/copy")).unwrap(), [0, 159, 146, 150]);
    let wrong = write::write(&sandbox, "copy", "%", Encoding::Base64, Old::Replaced, MAX_SIZE);
    assert!(wrong.unwrap_err().to_string().starts_with("`content` is not base64"));
}

#[test]
fn a_large_directory_is_listed_in_parts() {
    let tree = Tree::new();
    for number in 0..MAX_ENTRIES + 5 {
        fs::write(tree.path(&format!("inside/a/b/{number:05}")), "").unwrap();
    }
    let sandbox = tree.sandbox(false, &[]);
    let first = listing::list(&sandbox, "a/b", "").unwrap();
    assert_eq!((first.entries.len(), first.next_after.as_deref()), (MAX_ENTRIES, Some("00999")));
    let second = listing::list(&sandbox, "a/b", "00999").unwrap();
    assert_eq!((second.entries.len(), second.next_after), (6, None));
}

#[test]
fn a_search_finds_by_name_or_by_way_and_ends_in_time() {
    let tree = Tree::new();
    symlink("..", tree.path("inside/a/b/loop")).unwrap();
    let sandbox = tree.sandbox(true, &[]);
    let found = |pattern: &str, bounds| {
        let found = search::search(&sandbox, ".", pattern, bounds).unwrap();
        let mut paths: Vec<String> = found.matches.into_iter().map(|found| found.path).collect();
        paths.sort();
        (paths, found.incomplete)
    };
    let all = ["inside/a/b/file", "inside/a/file", "inside/file"].map(|path| tree.text(path));
    assert_eq!(found("file", BOUNDS), (all.to_vec(), None));
    assert_eq!(found("*/file", BOUNDS), (vec![tree.text("inside/a/file")], None));
    assert_eq!(found("**/l?op", BOUNDS), (vec![tree.text("inside/a/b/loop")], None));

    let reason = |bounds| found("**", bounds).1.unwrap();
    assert_eq!(reason(Bounds { matches: 2, ..BOUNDS }), "there are more than 2 matches");
    assert_eq!(reason(Bounds { entries: 2, ..BOUNDS }), "more than 2 entries were looked at");
    assert_eq!(reason(Bounds { time: Duration::ZERO, ..BOUNDS }), "it took longer than 0 s");
    assert!(reason(Bounds { depth: 0, ..BOUNDS }).ends_with("/inside/a` is too deep"));
    let message = search::search(&sandbox, ".", "[", BOUNDS).unwrap_err().to_string();
    assert!(message.starts_with("`[` is no glob pattern"), "{message}");
}

#[test]
fn a_path_has_an_end_in_depth() {
    let tree = Tree::new();
    let sandbox = tree.sandbox(false, &[]);
    let deep = vec!["d"; MAX_DEPTH + 1].join("/");
    write(&sandbox, &format!("{}/file", vec!["d"; MAX_DEPTH].join("/")), "x").unwrap();
    let message = write(&sandbox, &format!("{deep}/file"), "x").unwrap_err().to_string();
    assert!(message.ends_with("is more than 64 directories deep"), "{message}");
    // Up and down again is not deep.
    assert_eq!(read(&sandbox, &format!("{}file", "a/../".repeat(500))).unwrap(), "allowed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_path_is_reached_exactly_where_it_never_leaves_the_directory(
        steps in prop::collection::vec(prop::sample::select(vec!["a", "b", "..", ".", "", "file", "out"]), 0..12),
        absolute: bool,
    ) {
        thread_local!(static TREE: Tree = {
            let tree = Tree::new();
            symlink(tree.path("outside"), tree.path("inside/out")).unwrap();
            symlink("../../outside", tree.path("inside/a/out")).unwrap();
            tree
        });
        TREE.with(|tree| {
            let path = steps.join("/");
            let path = if absolute { format!("{}/{path}", tree.text("inside")) } else { path };
            // One that begins with `/` begins at the root of all.
            let stays = stays_inside(&steps) && (absolute || !path.starts_with('/'));
            for follow_links in [false, true] {
                let located = tree.sandbox(follow_links, &[]).locate(&path, Missing::Refuse);
                prop_assert!(stays || located.is_err(), "{path:?} leads to {located:?}");
                if stays {
                    let place = located.map_err(|error| TestCaseError::fail(format!("{path:?}: {error}")))?;
                    prop_assert!(place.path.starts_with(tree.path("inside")));
                }
            }
            Ok(())
        })?;
    }
}

/// Whether every step leads to something inside that is there, or ends at a name that need not be.
fn stays_inside(steps: &[&str]) -> bool {
    let steps: Vec<_> = steps.iter().filter(|step| !["", "."].contains(step)).collect();
    let mut here = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match **step {
            ".." if here.pop().is_none() => return false,
            ".." => {}
            name => {
                let is_last = index + 1 == steps.len();
                let is_directory = matches!((here.as_slice(), name), ([], "a") | (["a"], "b"));
                let is_link = name == "out" && matches!(here.as_slice(), [] | ["a"]);
                if is_link || !is_directory && !is_last {
                    return false;
                }
                here.push(name);
            }
        }
    }
    true
}
