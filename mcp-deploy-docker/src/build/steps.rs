//! What the daemon tells while it builds: the step that it is at, and what that step writes; pure.

use std::collections::VecDeque;

use mcp_deploy_core::Instruction;

use super::BuildProgress;
use super::error::StepFailure;

/// How many lines of a failing step are told.
const LAST_LINES: usize = 20;

/// The steps of a build, as they come.
#[derive(Debug)]
pub(super) struct Steps {
    /// The lines of the Dockerfile on which the instructions begin.
    lines: Vec<usize>,
    step: Option<Step>,
    output: VecDeque<String>,
    /// A line that has not ended yet.
    begun: String,
}

#[derive(Debug)]
struct Step {
    number: usize,
    instruction: String,
}

impl Steps {
    pub(super) fn new(instructions: &[Instruction]) -> Self {
        let lines = instructions.iter().map(|instruction| instruction.line).collect();
        Self { lines, step: None, output: VecDeque::new(), begun: String::new() }
    }

    /// Takes in some of the daemon's text; each step that begins in it.
    pub(super) fn heed(&mut self, text: &str) -> Vec<BuildProgress> {
        // The daemon colours what a command writes to stderr.
        self.begun.push_str(&text.replace("\u{1b}[91m", "").replace("\u{1b}[0m", ""));
        let mut steps = Vec::new();
        while let Some((line, rest)) = self.begun.split_once('\n') {
            let (line, rest) = (line.trim_end_matches('\r').to_owned(), rest.to_owned());
            self.begun = rest;
            steps.extend(self.heed_line(line));
        }
        steps
    }

    fn heed_line(&mut self, line: String) -> Option<BuildProgress> {
        let next = self.step.as_ref().map_or(1, |step| step.number + 1);
        // A command may write such a line too: only the one that is due is the daemon's.
        if let Some((number, steps, instruction)) = step(&line)
            && number == next
            && steps == self.lines.len()
        {
            self.output.clear();
            self.step = Some(Step { number, instruction: instruction.to_owned() });
            let instruction = instruction.to_owned();
            return Some(BuildProgress::Step { number, steps, line: self.line(), instruction });
        }
        if !is_daemons(&line) && !line.is_empty() {
            self.output.push_back(line);
            if self.output.len() > LAST_LINES {
                self.output.pop_front();
            }
        }
        None
    }

    fn line(&self) -> usize {
        let number = self.step.as_ref().map_or(1, |step| step.number);
        self.lines.get(number - 1).copied().unwrap_or(1)
    }

    /// Where the build is: `Dockerfile:7: RUN make`.
    pub(super) fn place(&self) -> String {
        match &self.step {
            Some(step) => format!("`Dockerfile:{}: {}`", self.line(), step.instruction),
            None => "`Dockerfile`".to_owned(),
        }
    }

    /// How the step ended of which the daemon says these words.
    pub(super) fn failure(mut self, words: &str) -> StepFailure {
        let begun = std::mem::take(&mut self.begun);
        self.heed_line(begun);
        let words = match words.rsplit_once("returned a non-zero code: ") {
            Some((_, code)) => format!("the command ended with exit code {}", code.trim()),
            None => words.trim().to_owned(),
        };
        StepFailure { words, output: self.output.into() }
    }
}

/// Number, number of all, and instruction of `Step 3/9 : RUN make`.
fn step(line: &str) -> Option<(usize, usize, &str)> {
    let (numbers, instruction) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, steps) = numbers.split_once('/')?;
    Some((number.parse().ok()?, steps.parse().ok()?, instruction))
}

/// Whether the daemon itself says a line between what the steps write.
fn is_daemons(line: &str) -> bool {
    line.starts_with(" ---> ") || line.starts_with("Removing intermediate container ")
}

#[cfg(test)]
mod tests {
    use mcp_deploy_core::Dockerfile;

    use super::*;

    #[test]
    fn a_step_is_found_in_the_dockerfile_and_only_its_own_output_is_told() {
        let text = "# head\nFROM base\n\nRUN echo \\\n  one\nRUN false\n";
        let mut steps = Steps::new(Dockerfile::parse(text).unwrap().instructions());
        let mut begun = Vec::new();
        for piece in [
            "Step 1/3 : FROM base\n",
            " ---> 0123\nStep 2/3 : RUN echo   o",
            "ne\n ---> Running in 4567\none\nRemoving intermediate container 4567\n",
            "Step 3/3 : RUN false\n",
            "Step 9/9 : RUN forged\r\n\u{1b}[91mla",
            "st\n\u{1b}[0mRemoving intermediate container 89ab\n",
        ] {
            begun.extend(steps.heed(piece));
        }
        let lines = begun.iter().map(|step| match step {
            BuildProgress::Step { number, line, .. } => (*number, *line),
            _ => unreachable!("only steps come"),
        });
        assert_eq!(lines.collect::<Vec<_>>(), [(1, 2), (2, 4), (3, 6)]);
        assert_eq!(steps.place(), "`Dockerfile:6: RUN false`");
        let failure = steps.failure("The command '/bin/sh -c false' returned a non-zero code: 1");
        assert_eq!(
            failure.to_string(),
            "the command ended with exit code 1; its last lines:\n    Step 9/9 : RUN forged\n    last"
        );
    }
}
