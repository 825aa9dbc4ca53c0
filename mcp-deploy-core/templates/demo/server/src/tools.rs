//! The tools. Their arguments are described to clients by the types below.

use std::sync::Arc;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::Settings;

/// Answers each request; it keeps nothing between two of them.
#[derive(Debug, Clone)]
pub struct Greeter {
    settings: Arc<Settings>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hello {
    /// Who is greeted.
    #[schemars(length(min = 1))]
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Goodbye {
    /// Who leaves.
    #[schemars(length(min = 1))]
    name: String,
}

#[tool_router]
impl Greeter {
    /// Greets in the name of whom the settings say.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    #[tool(description = "Greets somebody.")]
    fn say_hello(&self, Parameters(Hello { name }): Parameters<Hello>) -> Result<String, String> {
        self.say("Hello", &name)
    }

    #[tool(description = "Takes leave of somebody.")]
    fn say_goodbye(&self, Parameters(Goodbye { name }): Parameters<Goodbye>) -> Result<String, String> {
        self.say("Goodbye", &name)
    }

    /// An error here is the tool's answer that it failed: the model reads it and can do better.
    fn say(&self, word: &str, name: &str) -> Result<String, String> {
        if name.is_empty() {
            return Err("`name` is empty; say whose name it is".to_owned());
        }
        tracing::debug!(word, name, "greeting");
        Ok(format!("{word}, {name}! From {}.", self.settings.hello_from))
    }
}

#[tool_handler]
impl ServerHandler for Greeter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("demo", env!("CARGO_PKG_VERSION")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeter() -> Greeter {
        Greeter::new(Settings::read(|_| None).unwrap())
    }

    #[test]
    fn a_greeting_says_who_it_is_for_and_who_it_comes_from() {
        assert_eq!(greeter().say("Hello", "Ada").unwrap(), "Hello, Ada! From mcp-deploy.");
    }

    #[test]
    fn nobody_cannot_be_greeted() {
        assert_eq!(greeter().say("Hello", "").unwrap_err(), "`name` is empty; say whose name it is");
    }
}
