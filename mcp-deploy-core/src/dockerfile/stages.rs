//! The stages of a Dockerfile, and what the image of the last one is made of.

use std::collections::BTreeMap;

use super::words::{expand, pairs};
use super::{Dockerfile, Instruction};

/// The instructions that the final image is made of: the last stage, and before it the stages it is built on.
pub(super) fn of_the_image(dockerfile: &Dockerfile) -> Vec<&[Instruction]> {
    let stages = all(dockerfile);
    let mut chain = Vec::new();
    let mut index = stages.len().checked_sub(1);
    while let Some(stage) = index.and_then(|index| stages.get(index)) {
        chain.push(*stage);
        let base = base(stage);
        // Only an earlier stage can be meant.
        let earlier = &stages[..index.unwrap_or(0)];
        index = earlier.iter().rposition(|stage| {
            name(stage).is_some_and(|name| base.is_some_and(|base| base.eq_ignore_ascii_case(name)))
        });
    }
    chain.reverse();
    chain
}

/// Each from its `FROM` to the next.
fn all(dockerfile: &Dockerfile) -> Vec<&[Instruction]> {
    let instructions = &dockerfile.instructions;
    let begins = |index: &usize| instructions[*index].keyword == "FROM";
    let mut starts: Vec<usize> = (0..instructions.len()).filter(begins).collect();
    starts.push(instructions.len());
    starts.windows(2).map(|pair| &instructions[pair[0]..pair[1]]).collect()
}

fn base(stage: &[Instruction]) -> Option<&str> {
    stage.first()?.arguments.split_whitespace().next()
}

fn name(stage: &[Instruction]) -> Option<&str> {
    stage.first()?.arguments.split_whitespace().nth(2)
}

/// The variables that stand before the first `FROM`: stages see them where they name them again.
pub(super) fn global_variables(dockerfile: &Dockerfile) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for instruction in dockerfile.instructions.iter().take_while(|it| it.keyword == "ARG") {
        for (name, value) in pairs(&instruction.arguments, dockerfile.escape) {
            if let Some(value) = value.and_then(|value| expand(&value, &variables, dockerfile.escape)) {
                variables.insert(name, value);
            }
        }
    }
    variables
}

/// What is known of a stage's variables, instruction by instruction.
#[derive(Debug, Clone)]
pub(super) struct Variables {
    global: BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    escape: char,
}

impl Variables {
    pub(super) fn new(dockerfile: &Dockerfile) -> Self {
        Self {
            global: global_variables(dockerfile),
            arguments: BTreeMap::new(),
            environment: BTreeMap::new(),
            escape: dockerfile.escape,
        }
    }

    /// A stage inherits the environment of the one that it is built on, and no build arguments.
    pub(super) fn enter_stage(&mut self) {
        self.arguments.clear();
    }

    /// Learns what `ENV` and `ARG` set.
    pub(super) fn learn(&mut self, instruction: &Instruction) {
        let known = self.all();
        for (name, value) in pairs(&instruction.arguments, self.escape) {
            let expanded = value.as_ref().map(|value| expand(value, &known, self.escape));
            match (instruction.keyword.as_str(), expanded) {
                ("ENV", Some(Some(value))) => {
                    self.environment.insert(name, value);
                }
                ("ENV", Some(None)) => {
                    self.environment.remove(&name);
                }
                ("ARG", Some(Some(value))) => {
                    self.arguments.insert(name, value);
                }
                ("ARG", None) => {
                    if let Some(value) = self.global.get(&name) {
                        self.arguments.insert(name, value.clone());
                    }
                }
                _ => {}
            }
        }
    }

    /// A word with its variables filled in; `None` where one is not known.
    pub(super) fn expand(&self, word: &str) -> Option<String> {
        expand(word, &self.all(), self.escape)
    }

    /// `ENV` wins over `ARG`.
    fn all(&self) -> BTreeMap<String, String> {
        let mut all = self.arguments.clone();
        all.extend(self.environment.clone());
        all
    }
}
