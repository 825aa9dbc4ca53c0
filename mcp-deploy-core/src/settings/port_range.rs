//! A range of ports, as in `21000-21999`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Ports from a first to a last one, both included; written `21000-21999`, or `21000` for a single one.
///
/// ```
/// use mcp_deploy_core::PortRange;
///
/// let range: PortRange = "21000-21999".parse()?;
/// assert_eq!(range.ports().count(), 1000);
/// # Ok::<(), mcp_deploy_core::PortRangeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports, in order; there is at least one.
    pub fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| text.trim().parse().ok().filter(|port: &u16| *port > 0);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(PortRangeError { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    fn try_from(text: String) -> Result<Self, PortRangeError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Why a text is no range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no range of ports: write it like `21000-21999`, the smaller port first, from 1 to 65535"
)]
pub struct PortRangeError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_as_it_is_read() {
        let range: PortRange = " 8000 - 8001".parse().unwrap();
        assert_eq!((range.to_string().as_str(), range.ports()), ("8000-8001", 8000..=8001));
        assert_eq!("9000".parse::<PortRange>().unwrap().ports(), 9000..=9000);
    }

    #[test]
    fn what_holds_no_port_is_no_range() {
        for text in ["", "-", "0-10", "9-8", "1-65536", "a-b", "1-2-3"] {
            let error = text.parse::<PortRange>().unwrap_err();
            assert!(error.to_string().contains("write it like"), "{error}");
        }
    }
}
