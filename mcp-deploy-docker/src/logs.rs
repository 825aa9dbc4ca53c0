//! What a container writes, line by line.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use mcp_deploy_core::{DeploymentName, Error, LogLine, LogOptions, LogSource, LogStream, Result};
use tokio::time::{Instant, sleep};

use crate::error::sorted;
use crate::handle::DockerBackend;
use crate::names;

/// Between a cut and the next try.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(500);
/// A line that is longer is told in pieces, in bytes.
const LONGEST_LINE: usize = 1024 * 1024;
/// How long a daemon may be away while its log is followed.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn stream(backend: DockerBackend, name: DeploymentName, options: LogOptions) -> LogStream {
    let reading = Reading::new(backend, name, options);
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) }).boxed()
}

struct Reading {
    backend: DockerBackend,
    name: DeploymentName,
    options: LogOptions,
    instance: String,
    chunks: Option<BoxStream<'static, Result<LogOutput, Bollard>>>,
    /// The time of the latest line.
    last: Option<Timestamp>,
    /// After a cut, until the first line after this one has come.
    resume_after: Option<Timestamp>,
    /// The line of each stream whose end has not come yet.
    begun: HashMap<LogSource, Begun>,
    queue: VecDeque<LogLine>,
    state: State,
}

/// A line as far as it has come.
struct Begun {
    at: Option<Timestamp>,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    /// Something came to an end that is followed: a container, or the connection to the daemon.
    Cut,
    Over,
}

impl Reading {
    fn new(backend: DockerBackend, name: DeploymentName, options: LogOptions) -> Self {
        Self {
            backend,
            name,
            options,
            instance: String::new(),
            chunks: None,
            // Where nothing that was written before is wanted, a cut before the first line is resumed from here.
            last: (options.tail == Some(0)).then(Timestamp::now),
            resume_after: None,
            begun: HashMap::new(),
            queue: VecDeque::new(),
            state: State::Begins,
        }
    }

    async fn next(&mut self) -> Option<Result<LogLine>> {
        loop {
            if let Some(line) = self.queue.pop_front() {
                return Some(Ok(line));
            }
            if self.state == State::Over {
                return None;
            }
            let Some(chunks) = &mut self.chunks else {
                match self.open().await {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => {
                        self.state = State::Over;
                        return Some(Err(error));
                    }
                }
            };
            match chunks.next().await {
                Some(Ok(chunk)) => self.take_in(&chunk),
                // What has come of a line is told again, whole.
                Some(Err(_)) if self.options.follow => self.cut(),
                Some(Err(error)) => {
                    self.state = State::Over;
                    return Some(Err(sorted("read the log", error)));
                }
                None => {
                    for source in [LogSource::Stdout, LogSource::Stderr] {
                        self.end(source);
                    }
                    if self.options.follow { self.cut() } else { self.state = State::Over }
                }
            }
        }
    }

    /// The stream came to an end: the next one goes on behind what was told.
    fn cut(&mut self) {
        (self.chunks, self.state) = (None, State::Cut);
        self.begun.clear();
        self.resume_after = self.last;
    }

    /// Lines come as the daemon read them: of two streams one may be a little older than the one before. The daemon
    /// knows `since` in whole seconds, so what is earlier is left out here.
    fn take_in(&mut self, chunk: &LogOutput) {
        let Piece { source, at, text, is_end } = Piece::of(chunk);
        if let Some(at) = at {
            let is_told = self.resume_after.is_some_and(|last| at <= last);
            if is_told || self.options.since.is_some_and(|since| at < since) {
                return;
            }
            self.resume_after = None;
        }
        // All pieces of a line have its time: a server that ended without an end of line left one begun.
        if self.begun.get(&source).is_some_and(|begun| begun.at != at) {
            self.end(source);
        }
        let begun = self.begun.entry(source).or_insert_with(|| Begun { at, text: Vec::new() });
        begun.text.extend_from_slice(text);
        if is_end || begun.text.len() >= LONGEST_LINE {
            self.end(source);
        }
    }

    /// What has come of a stream's line is the line.
    fn end(&mut self, source: LogSource) {
        let Some(Begun { at, text }) = self.begun.remove(&source) else { return };
        self.last = self.last.max(at);
        let text = text.strip_suffix(b"\r").unwrap_or(&text);
        self.queue.push_back(LogLine {
            timestamp: at,
            instance: self.instance.clone(),
            stream: source,
            message: String::from_utf8_lossy(text).into_owned(),
        });
    }

    /// Opens the log of the container that runs now; whether there is one to follow.
    async fn open(&mut self) -> Result<bool> {
        let given_up = Instant::now() + PATIENCE;
        let is_cut = self.state == State::Cut;
        let found = loop {
            if is_cut {
                sleep(PAUSE_AFTER_CUT).await;
            }
            match self.backend.running(&self.name).await {
                Ok(found) if is_cut && found.is_replaced && Instant::now() < given_up => {}
                Ok(found) => break found,
                Err(Error::NotFound { .. }) if is_cut => return Ok(false),
                Err(error) if is_cut && error.is_retryable() && Instant::now() < given_up => {
                    tracing::debug!(deployment = %self.name, %error, "the log is cut");
                }
                Err(error) => return Err(error),
            }
        };
        if is_cut && !found.is_up() {
            return Ok(false);
        }
        let LogOptions { tail, since, follow, previous: _ } = self.options;
        if tail == Some(0) && !follow {
            return Ok(false);
        }
        // What was told is not asked for again.
        let (tail, since) = match self.resume_after {
            Some(last) => (None, Some(last)),
            None => (tail, since),
        };
        let mut query = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow);
        if let Some(tail) = tail {
            query = query.tail(&tail.to_string());
        }
        if let Some(since) = since {
            query = query.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
        }
        self.instance = names::short(&found.id);
        self.chunks = Some(self.backend.docker().await?.logs(&found.id, Some(query.build())).boxed());
        Ok(true)
    }
}

/// What the daemon sends at once, behind its time: a line; where that is long, 16 KiB of it; or what a server has
/// written last, without an end.
struct Piece<'a> {
    source: LogSource,
    at: Option<Timestamp>,
    text: &'a [u8],
    is_end: bool,
}

impl<'a> Piece<'a> {
    fn of(chunk: &'a LogOutput) -> Self {
        let (source, message) = match chunk {
            LogOutput::StdErr { message } => (LogSource::Stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (LogSource::Stdout, message)
            }
        };
        let (message, is_end) = match message.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (&message[..], false),
        };
        let space = message.iter().position(|byte| *byte == b' ').unwrap_or(message.len());
        let at = str::from_utf8(&message[..space]).ok().and_then(|at| at.parse().ok());
        let text = if at.is_some() { message.get(space + 1..).unwrap_or_default() } else { message };
        Self { source, at, text, is_end }
    }
}

#[cfg(test)]
mod tests {
    use mcp_deploy_core::DockerSettings;

    use super::*;

    fn reading(options: LogOptions) -> Reading {
        Reading::new(DockerBackend::new(DockerSettings::default()), "demo-one".parse().unwrap(), options)
    }

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: text.to_owned().into() }
    }

    fn err(text: &str) -> LogOutput {
        LogOutput::StdErr { message: text.to_owned().into() }
    }

    fn told(reading: &mut Reading, chunks: &[LogOutput]) -> Vec<String> {
        for chunk in chunks {
            reading.take_in(chunk);
        }
        reading.queue.drain(..).map(|line| line.message).collect()
    }

    #[test]
    fn a_line_that_is_a_little_older_than_the_one_before_is_told() {
        let mut reading = reading(LogOptions { follow: true, ..LogOptions::default() });
        let lines = [out("1970-01-01T00:00:02.2Z one\n"), err("1970-01-01T00:00:02.1Z two\n")];
        assert_eq!(told(&mut reading, &lines), ["one", "two"]);
    }

    #[test]
    fn after_a_cut_what_was_told_is_not_told_again() {
        let mut reading = reading(LogOptions { follow: true, ..LogOptions::default() });
        let before = [out("1970-01-01T00:00:02.1Z one\n"), out("1970-01-01T00:00:02.3Z two\n")];
        assert_eq!(told(&mut reading, &before), ["one", "two"]);
        reading.cut();
        let after = [&before[..], &[out("1970-01-01T00:00:02.4Z three\n")]].concat();
        assert_eq!(told(&mut reading, &after), ["three"]);
    }

    #[test]
    fn the_parts_of_a_long_line_are_one_line_of_their_stream() {
        let mut reading = reading(LogOptions::default());
        let chunks = [
            out("1970-01-01T00:00:01Z a long "),
            err("1970-01-01T00:00:02Z a short one\n"),
            out("1970-01-01T00:00:01Z line\r\n"),
            out("without a time\n"),
        ];
        assert_eq!(told(&mut reading, &chunks), ["a short one", "a long line", "without a time"]);
    }

    #[test]
    fn a_last_line_without_its_end_is_not_the_begin_of_the_next_run() {
        let mut reading = reading(LogOptions::default());
        let chunks = [out("1970-01-01T00:00:01Z fatal"), out("1970-01-01T00:00:02Z listening\n")];
        assert_eq!(told(&mut reading, &chunks), ["fatal", "listening"]);
    }

    #[test]
    fn a_line_in_which_a_cut_came_is_told_whole() {
        let mut reading = reading(LogOptions { follow: true, ..LogOptions::default() });
        let piece = out("1970-01-01T00:00:01Z a long ");
        assert_eq!(told(&mut reading, std::slice::from_ref(&piece)), Vec::<String>::new());
        reading.cut();
        let again = [piece, out("1970-01-01T00:00:01Z line\n")];
        assert_eq!(told(&mut reading, &again), ["a long line"]);
    }

    #[test]
    fn what_is_earlier_than_it_was_asked_for_is_left_out() {
        let since = "1970-01-01T00:00:02.2Z".parse().ok();
        let mut reading = reading(LogOptions { since, ..LogOptions::default() });
        let lines = [out("1970-01-01T00:00:02.1Z one\n"), out("1970-01-01T00:00:02.2Z two\n")];
        assert_eq!(told(&mut reading, &lines), ["two"]);
    }
}
