//! The tools, as MCP clients see them.

use std::sync::Arc;

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::schemars::{self, JsonSchema};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::listing::{self, Info, Listing};
use crate::read::{self, Encoding, MAX_PIECE};
use crate::refusal::Refusal;
use crate::search::{self, BOUNDS, Found};
use crate::settings::Settings;
use crate::write::{self, Old, Written};

/// How many calls touch files at a time: each may hold a hundred files open, and some megabytes.
const AT_A_TIME: usize = 4;

/// The server; a clone is the same one.
#[derive(Debug, Clone)]
pub(crate) struct FileServer {
    settings: Arc<Settings>,
    turns: Arc<Semaphore>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListDirectory {
    /// The directory.
    path: String,
    /// Only names after this one: what the last answer gave as `next_after`.
    #[serde(default)]
    after: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    /// The file.
    path: String,
    /// The byte to begin at.
    #[serde(default)]
    offset: u64,
    /// How many bytes to read at most.
    #[serde(default = "max_piece")]
    #[schemars(range(min = 4, max = 1_048_576))]
    length: u64,
    /// How the content is answered.
    #[serde(default)]
    encoding: Encoding,
}

fn max_piece() -> u64 {
    MAX_PIECE
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    /// The file.
    path: String,
    /// What it will hold.
    content: String,
    /// How the content is given.
    #[serde(default)]
    encoding: Encoding,
    /// Whether the content comes behind what the file holds: for more than the 4 MiB of one call.
    #[serde(default)]
    append: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchFiles {
    /// The directory to search, with all that is below it.
    path: String,
    /// A glob pattern, such as `*.md`; one with a `/` is held against the way from the directory on.
    pattern: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetFileInfo {
    /// The file or directory.
    path: String,
}

/// The answer of `list_allowed_directories`.
#[derive(Debug, Serialize, JsonSchema)]
struct AllowedDirectories {
    /// Absolute paths; a relative path begins at the first.
    directories: Vec<String>,
    /// Whether nothing may be written.
    read_only: bool,
}

type Answer<T> = Result<Json<T>, String>;

#[tool_router]
impl FileServer {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Lists the directories that may be reached.
    #[tool(annotations(read_only_hint = true))]
    async fn list_allowed_directories(&self) -> Json<AllowedDirectories> {
        let directories = self.settings.sandbox.roots().map(listing::shown).collect();
        Json(AllowedDirectories { directories, read_only: self.settings.read_only })
    }

    /// Lists what is in a directory, 1000 names at a time.
    #[tool(annotations(read_only_hint = true))]
    async fn list_directory(
        &self,
        Parameters(ListDirectory { path, after }): Parameters<ListDirectory>,
    ) -> Answer<Listing> {
        self.run(move |settings| listing::list(&settings.sandbox, &path, &after)).await.map(Json)
    }

    /// Reads a text file, or any file as base64, at most 1 MiB at a time.
    #[tool(annotations(read_only_hint = true))]
    async fn read_file(
        &self,
        Parameters(ReadFile { path, offset, length, encoding }): Parameters<ReadFile>,
    ) -> Result<CallToolResult, String> {
        let read = move |settings: &Settings| {
            read::read(&settings.sandbox, &path, offset, length, encoding, settings.max_file_size)
        };
        let piece = self.run(read).await?;
        let mut content = vec![ContentBlock::text(piece.text)];
        if let Some(next) = piece.next {
            let size = piece.size;
            content.push(ContentBlock::text(format!(
                "The file has {size} bytes and goes on: read it with `offset` set to {next}."
            )));
        }
        Ok(CallToolResult::success(content))
    }

    /// Writes a file, or replaces it, whole or not at all; missing directories are made.
    #[tool(annotations(destructive_hint = true))]
    async fn write_file(
        &self,
        Parameters(WriteFile { path, content, encoding, append }): Parameters<WriteFile>,
    ) -> Answer<Written> {
        if self.settings.read_only {
            return Err(Refusal::ReadOnly.to_string());
        }
        let old = if append { Old::Kept } else { Old::Replaced };
        let write = move |settings: &Settings| {
            write::write(&settings.sandbox, &path, &content, encoding, old, settings.max_file_size)
        };
        self.run(write).await.map(Json)
    }

    /// Finds files and directories by name.
    #[tool(annotations(read_only_hint = true))]
    async fn search_files(
        &self,
        Parameters(SearchFiles { path, pattern }): Parameters<SearchFiles>,
    ) -> Answer<Found> {
        let search = move |settings: &Settings| search::search(&settings.sandbox, &path, &pattern, BOUNDS);
        self.run(search).await.map(Json)
    }

    /// Tells the kind, size, times and permissions of a file or directory.
    #[tool(annotations(read_only_hint = true))]
    async fn get_file_info(&self, Parameters(GetFileInfo { path }): Parameters<GetFileInfo>) -> Answer<Info> {
        self.run(move |settings| listing::info(&settings.sandbox, &path)).await.map(Json)
    }

    /// Whether all allowed directories can be read.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let check = |settings: &Settings| {
            settings.sandbox.check().map_err(|error| Refusal::io("list", "the allowed directories", error))
        };
        self.run(check).await
    }

    /// Does what touches files on a thread that may wait for them.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Settings) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, String> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let settings = Arc::clone(&self.settings);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&settings)
        });
        let outcome = done.await.unwrap_or(Err(Refusal::Ending));
        outcome.map_err(|refusal| {
            tracing::debug!(%refusal, "refused a call");
            refusal.to_string()
        })
    }
}

#[tool_handler(
    name = "file-server",
    instructions = "Reads and writes files in the directories that `list_allowed_directories` tells. A relative path begins at the first."
)]
impl ServerHandler for FileServer {}
