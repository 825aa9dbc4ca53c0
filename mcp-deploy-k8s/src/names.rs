//! What things are called.

use mcp_deploy_core::DeploymentName;
use sha2::{Digest, Sha256};

/// The backend's name.
pub(crate) const BACKEND: &str = "kubernetes";

/// The letters of a suffix: no vowels, so no words.
const SUFFIX_ALPHABET: &[u8; 16] = b"bcdfghjklmnpqrst";
const SUFFIX_LENGTH: usize = 8;

/// The name of something that is made anew whenever its content changes.
pub(crate) fn hashed(name: &DeploymentName, content: &[u8]) -> String {
    format!("{name}-{}", hash(content))
}

/// A short text that is another one for another content. Only for what is no secret: it can be guessed offline.
pub(crate) fn hash(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest
        .iter()
        .take(SUFFIX_LENGTH)
        .map(|byte| char::from(SUFFIX_ALPHABET[usize::from(byte & 15)]))
        .collect()
}

/// A name that nothing has, which says nothing of what it names.
pub(crate) fn random(name: &DeploymentName) -> String {
    let letter = || char::from(SUFFIX_ALPHABET[fastrand::usize(..SUFFIX_ALPHABET.len())]);
    format!("{name}-{}", (0..SUFFIX_LENGTH).map(|_| letter()).collect::<String>())
}

/// The name of a claim; `volume` is its name within the deployment.
pub(crate) fn claim(name: &DeploymentName, volume: &str) -> String {
    format!("{name}-{volume}")
}

/// The name of a revision.
pub(crate) fn revision(name: &DeploymentName, number: u64) -> String {
    format!("{name}-{number}")
}
