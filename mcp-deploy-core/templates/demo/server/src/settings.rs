//! The configuration, from the environment: `template.json` says which variable is which setting.

use tracing::Level;

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen: `PORT`.
    pub port: u16,
    /// Who the greetings come from: `HELLO_FROM`.
    pub hello_from: String,
    /// How much is told about the work: `LOG_LEVEL`.
    pub log_level: Level,
}

impl Settings {
    /// Reads the variables; one that is empty counts as absent.
    ///
    /// # Errors
    ///
    /// The variable that is wrong, and what would be right.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let port = given("PORT").unwrap_or_else(|| "8080".to_owned());
        let log_level = given("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        Ok(Self {
            port: port.parse().map_err(|_| format!("`PORT` is `{port}`; a number from 1 to 65535"))?,
            hello_from: given("HELLO_FROM").unwrap_or_else(|| "mcp-deploy".to_owned()),
            log_level: level(&log_level).ok_or_else(|| {
                format!("`LOG_LEVEL` is `{log_level}`; `debug`, `info`, `warning` or `error`")
            })?,
        })
    }
}

fn level(name: &str) -> Option<Level> {
    match name {
        "debug" => Some(Level::DEBUG),
        "info" => Some(Level::INFO),
        "warning" => Some(Level::WARN),
        "error" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Settings::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_empty_environment_has_the_defaults() {
        let settings = read(&[("HELLO_FROM", "")]).unwrap();
        assert_eq!((settings.port, settings.hello_from.as_str()), (8080, "mcp-deploy"));
        assert_eq!(settings.log_level, Level::INFO);
    }

    #[test]
    fn a_variable_that_is_wrong_is_named_with_what_would_be_right() {
        assert_eq!(read(&[("PORT", "x")]).unwrap_err(), "`PORT` is `x`; a number from 1 to 65535");
        assert!(read(&[("LOG_LEVEL", "loud")]).unwrap_err().starts_with("`LOG_LEVEL` is `loud`; `debug`"));
    }
}
