//! Who may do what: bearer tokens (RFC 6750), of which the server knows only digests.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use actix_web::http::Method;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::reloaded::{Reloaded, unreadable};

/// What a token allows; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look: lists, logs, events, tools.
    Reader,
    /// Deploy, start, stop, restart, scale, call tools.
    Operator,
    /// Everything, deleting too.
    Admin,
}

impl Role {
    /// The role as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The least role that may ask for this.
    pub(crate) fn needed(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Reader,
            Method::POST if path.trim_end_matches('/') == "/api/templates/validate" => Self::Reader,
            Method::POST => Self::Operator,
            _ => Self::Admin,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Reader, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no role; there are `reader`, `operator` and `admin`"))
    }
}

/// A token as the server keeps it: one line of the file, `NAME ROLE SHA-256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    /// Whose it is, for people.
    pub name: String,
    /// What it allows.
    pub role: Role,
    digest: [u8; 32],
}

impl TokenEntry {
    /// The entry of a token.
    pub fn new(name: impl Into<String>, role: Role, token: &str) -> Self {
        Self { name: name.into(), role, digest: Sha256::digest(token.as_bytes()).into() }
    }

    /// Those of a file: a line each, and comments that begin with `#`.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, with the line.
    pub fn read_all(file: &Path) -> Result<Vec<Self>, String> {
        let text = fs::read_to_string(file).map_err(|error| unreadable("tokens file", file, error))?;
        let lines = text.lines().map(str::trim).zip(1..);
        let written = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let entry = |(line, number): (&str, usize)| {
            line.parse().map_err(|error| format!("{}:{number}: {error}", file.display()))
        };
        written.map(entry).collect()
    }

    /// The line of the file.
    pub fn line(&self) -> String {
        let digest: String =
            self.digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("{} {} {digest}", self.name, self.role.as_str())
    }
}

impl FromStr for TokenEntry {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, role, digest] = words.as_slice() else {
            return Err("is not a name, a role and a SHA-256, as `token new` prints them".to_owned());
        };
        let digest = hex(digest).ok_or("has no SHA-256 of 64 hexadecimal digits at its end")?;
        Ok(Self { name: (*name).to_owned(), role: role.parse()?, digest })
    }
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

/// The tokens of a file, read again when it changes.
#[derive(Debug)]
pub(crate) struct Tokens(Reloaded<Vec<TokenEntry>>);

impl Tokens {
    /// # Errors
    ///
    /// What is wrong with the file, with the line.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        Reloaded::new(vec![file.to_owned()], |files| TokenEntry::read_all(&files[0])).map(Self)
    }

    /// The entry of a token. How long the answer takes says nothing of the tokens that there are.
    pub(crate) fn find(&self, token: &str) -> Option<TokenEntry> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let entries = self.0.get();
        let same = entries.iter().filter(|entry| bool::from(entry.digest.ct_eq(&digest)));
        same.max_by_key(|entry| entry.role).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let entry = TokenEntry::new("ci", Role::Operator, "s3cret");
        assert_eq!(entry.line().parse::<TokenEntry>().unwrap(), entry);
        assert!(!format!("{} {entry:?}", entry.line()).contains("s3cret"));
        for broken in ["ci operator", "ci operator 12", "ci boss 12", &format!("{} more", entry.line())] {
            assert!(broken.parse::<TokenEntry>().is_err(), "{broken}");
        }
    }

    #[test]
    fn a_file_holds_a_line_for_each_token_and_comments() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens");
        let line = TokenEntry::new("a", Role::Reader, "one").line();
        fs::write(&file, format!("# ours\n\n{line}\n")).unwrap();
        let tokens = Tokens::read(&file).unwrap();
        assert_eq!(tokens.find("one").unwrap().role, Role::Reader);
        assert_eq!(tokens.find("two"), None);
        fs::write(&file, format!("{line}\nnonsense")).unwrap();
        assert!(Tokens::read(&file).unwrap_err().contains("tokens:2: "));
    }

    #[test]
    fn only_an_admin_deletes_and_a_reader_only_looks() {
        let needed = |method, path| Role::needed(&method, path);
        assert_eq!(needed(Method::GET, "/api/templates/deployments/"), Role::Reader);
        assert_eq!(needed(Method::POST, "/api/templates/validate/"), Role::Reader);
        assert_eq!(needed(Method::POST, "/api/templates/deploy/validate/"), Role::Operator);
        assert_eq!(needed(Method::DELETE, "/api/templates/deployments/a-b/delete/"), Role::Admin);
    }
}
