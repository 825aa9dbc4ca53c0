//! The address of a git repository of templates: `URL[#ref][:directory]`.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The schemes of URLs that git may follow; an `ext::` would run a program.
const SCHEMES: [&str; 4] = ["https", "http", "ssh", "file"];

/// A git repository of templates: its URL, a branch, tag or full commit, and the directory in it that counts.
///
/// It is read from `URL[#ref][:directory]`. No password can be in it, and `Display` and `Debug` show no user either.
///
/// ```
/// use mcp_deploy_core::TemplateRepository;
///
/// let repository: TemplateRepository = "git@example.com:team/templates.git#v2:servers".parse()?;
/// assert_eq!(repository.url(), "git@example.com:team/templates.git");
/// assert_eq!(repository.reference(), Some("v2"));
/// assert_eq!(repository.to_string(), "example.com:team/templates.git#v2:servers");
/// # Ok::<(), mcp_deploy_core::TemplateRepositoryError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateRepository {
    url: String,
    reference: Option<String>,
    directory: Option<String>,
}

/// Why a text is no address of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` {problem}")]
pub struct TemplateRepositoryError {
    /// The address without user and password.
    address: String,
    problem: &'static str,
}

impl TemplateRepository {
    /// Where git fetches from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The branch, tag or full commit; `None` is the repository's own default branch.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The directory in it whose templates count; `None` is all of it.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref().map(Path::new)
    }

    /// The commit that is meant, where it is a commit: then nothing ever changes.
    pub(super) fn pinned_commit(&self) -> Option<&str> {
        self.reference().filter(|reference| is_commit(reference))
    }

    /// What people call it: the last part of its URL.
    pub(super) fn name(&self) -> &str {
        let url = self.url.trim_end_matches('/');
        let name = url.rsplit(['/', ':', '\\']).next().unwrap_or_default();
        name.strip_suffix(".git").unwrap_or(name)
    }

    /// The URL without a user.
    pub(super) fn shown_url(&self) -> String {
        without_user(&self.url)
    }
}

/// Whether a text is the full name of a commit, by SHA-1 or SHA-256.
pub(super) fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for TemplateRepository {
    type Err = TemplateRepositoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (url, reference, directory) = parts(text);
        let checked = check_url(url).and_then(|()| reference.map_or(Ok(()), check_reference));
        match checked.and_then(|()| directory.map_or(Ok(()), check_directory)) {
            Ok(()) => Ok(Self {
                url: url.to_owned(),
                reference: reference.map(str::to_owned),
                directory: directory.map(str::to_owned),
            }),
            Err(problem) => {
                let address = without_user(text).split('?').next().unwrap_or_default().to_owned();
                Err(TemplateRepositoryError { address, problem })
            }
        }
    }
}

/// A ref holds no `:`, so what follows one is the directory. Without a ref it is the last `:` of the path.
fn parts(text: &str) -> (&str, Option<&str>, Option<&str>) {
    if let Some((url, rest)) = text.split_once('#') {
        let (reference, directory) = match rest.split_once(':') {
            Some((reference, directory)) => (reference, Some(directory)),
            None => (rest, None),
        };
        return (url, Some(reference).filter(|reference| !reference.is_empty()), directory);
    }
    let path = path_start(text);
    match text[path..].rfind(':') {
        Some(colon) => (&text[..path + colon], None, Some(&text[path + colon + 1..])),
        None => (text, None, None),
    }
}

/// Where the path begins: behind the host, or behind the drive of Windows.
fn path_start(text: &str) -> usize {
    if let Some(scheme) = text.find("://") {
        let host = scheme + 3;
        return text[host..].find('/').map_or(text.len(), |slash| host + slash);
    }
    if Path::new(text).is_absolute() {
        return if text.starts_with('/') { 0 } else { 2 };
    }
    text.find(':').map_or(text.len(), |colon| colon + 1)
}

fn check_url(url: &str) -> Result<(), &'static str> {
    const KINDS: &str = "is no address of a git repository: `https`, `http`, `ssh` and `file` URLs, `git@host:path` and absolute paths are";
    if url.is_empty() || url.starts_with('-') || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(KINDS);
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        if !SCHEMES.contains(&scheme) {
            return Err(KINDS);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        return match (scheme, user) {
            ("http" | "https", Some(_)) => Err(
                "holds a user or a password: leave them out, and let a credential helper of git give them",
            ),
            (_, Some(user)) if user.contains(':') => {
                Err("holds a password: leave it out, and let a key or a credential helper of git do")
            }
            ("http" | "https", _) if rest.contains('?') => Err("holds a query, which no repository needs"),
            (_, user) if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) => {
                Err(KINDS)
            }
            _ if scheme != "file" && host.is_empty() => Err(KINDS),
            _ => Ok(()),
        };
    }
    if Path::new(url).is_absolute() {
        return Ok(());
    }
    match url.split_once(':') {
        Some((host, path))
            if !host.is_empty()
                && !host.contains(['/', '\\'])
                && !path.is_empty()
                && !path.starts_with([':', '-']) =>
        {
            Ok(())
        }
        _ => Err(KINDS),
    }
}

/// As `git check-ref-format` does, as far as it keeps git from reading anything else in it.
fn check_reference(reference: &str) -> Result<(), &'static str> {
    let is_wrong = reference.starts_with(['-', '/', '.'])
        || reference.ends_with(['/', '.'])
        || reference.contains("..")
        || reference.contains("@{")
        || reference.contains(|c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c));
    if is_wrong { Err("names no branch, tag or full commit after its `#`") } else { Ok(()) }
}

fn check_directory(directory: &str) -> Result<(), &'static str> {
    let is_inside = Path::new(directory)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if is_inside && !directory.is_empty() && !directory.contains(char::is_control) {
        Ok(())
    } else {
        Err("names no directory inside the repository after its last `:`")
    }
}

/// Whatever stands before the last `@` of the host is left out.
fn without_user(text: &str) -> String {
    let host = text.find("://").map_or(0, |scheme| scheme + 3);
    let end = text[host..].find(['/', '#']).map_or(text.len(), |end| host + end);
    match text[host..end].rfind('@') {
        Some(at) => format!("{}{}", &text[..host], &text[host + at + 1..]),
        None => text.to_owned(),
    }
}

impl fmt::Display for TemplateRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_user(&String::from(self.clone())))
    }
}

impl fmt::Debug for TemplateRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateRepository({self})")
    }
}

impl From<TemplateRepository> for String {
    fn from(TemplateRepository { url, reference, directory }: TemplateRepository) -> Self {
        match (reference, directory) {
            (None, None) => url,
            (Some(reference), None) => format!("{url}#{reference}"),
            (reference, Some(directory)) => format!("{url}#{}:{directory}", reference.unwrap_or_default()),
        }
    }
}

impl TryFrom<String> for TemplateRepository {
    type Error = TemplateRepositoryError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Option<String>, Option<String>) {
        let TemplateRepository { url, reference, directory } = text.parse().unwrap();
        (url, reference, directory)
    }

    fn complaint(text: &str) -> String {
        text.parse::<TemplateRepository>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_has_a_url_a_ref_and_a_directory() {
        let whole = |url: &str, reference: Option<&str>, directory: Option<&str>| {
            (url.to_owned(), reference.map(str::to_owned), directory.map(str::to_owned))
        };
        for url in [
            "https://example.com/team/templates.git",
            "http://[::1]:8080/templates",
            "ssh://git@example.com:2222/templates.git",
            "file:///srv/templates.git",
            "git@example.com:team/templates.git",
            "example.com:templates",
            "/srv/templates.git",
        ] {
            assert_eq!(read(url), whole(url, None, None));
            assert_eq!(read(&format!("{url}#main")), whole(url, Some("main"), None));
            assert_eq!(read(&format!("{url}#a/b:c/d")), whole(url, Some("a/b"), Some("c/d")));
            assert_eq!(read(&format!("{url}#:c")), whole(url, None, Some("c")));
            assert_eq!(read(&format!("{url}:c/d")), whole(url, None, Some("c/d")), "{url}");
        }
    }

    #[test]
    fn what_git_could_take_for_something_else_is_refused() {
        for text in [
            "",
            "-u/srv",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "git://example.com/x",
            "ftp://example.com/x",
            "ssh://-oProxyCommand=x/y",
            "templates",
            "./templates",
            "https:///x",
        ] {
            assert!(complaint(text).contains("is no address of a git repository"), "{text}");
        }
        for reference in ["-x", "a..b", "a b", "x^{tree}", "a*", "/a", "a."] {
            let complaint = complaint(&format!("/srv/x#{reference}"));
            assert!(complaint.contains("names no branch"), "{complaint}");
        }
        for directory in ["..", "a/../..", "/etc", ""] {
            let complaint = complaint(&format!("/srv/x#main:{directory}"));
            assert!(complaint.contains("names no directory inside"), "{complaint}");
        }
    }

    #[test]
    fn credentials_are_refused_and_not_shown() {
        insta::assert_snapshot!(complaint("https://me:s3cret@example.com/x#main"), @"`https://example.com/x#main` holds a user or a password: leave them out, and let a credential helper of git give them");
        insta::assert_snapshot!(complaint("https://s3cret@example.com/x"), @"`https://example.com/x` holds a user or a password: leave them out, and let a credential helper of git give them");
        insta::assert_snapshot!(complaint("ssh://me:s3cret@example.com/x"), @"`ssh://example.com/x` holds a password: leave it out, and let a key or a credential helper of git do");
        assert!(!complaint("https://a:s3cret@b@example.com").contains("s3cret"));
        assert!(!complaint("ftp://s3cret@example.com").contains("s3cret"));
        assert!(!complaint("https://example.com/x?token=s3cret").contains("s3cret"));
        let repository: TemplateRepository = "me@example.com:x".parse().unwrap();
        assert_eq!(format!("{repository} {repository:?}"), "example.com:x TemplateRepository(example.com:x)");
    }
}
