//! Launches that wait for some others and not for the rest.

use crate::error::{Error, Result};

/// A launch recorded by [`Recorder::exec_after`](super::Recorder::exec_after), for later ones to wait
/// for. Only launches that are recorded already can be named, so no two can wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    recording: u64,
    graph: u32,
    step: u32,
}

/// The graph being recorded: its launches by the step in which they can begin.
#[derive(Debug)]
pub(super) struct Graph<T> {
    number: u32,
    steps: Vec<Vec<T>>,
}

impl<T> Default for Graph<T> {
    fn default() -> Self {
        Graph { number: 0, steps: Vec::new() }
    }
}

impl<T> Graph<T> {
    /// The first step in which all of `after` have ended.
    pub(super) fn step_after(&self, recording: u64, after: &[Node]) -> Result<u32> {
        if after.iter().any(|node| node.recording != recording) {
            return Err(Error::request("the launch to wait for belongs to another recording"));
        }
        // An earlier graph of the recording has ended when this one begins.
        let here = after.iter().filter(|node| node.graph == self.number);
        Ok(here.map(|node| node.step + 1).max().unwrap_or(0))
    }

    /// Adds a launch to a step.
    pub(super) fn add(&mut self, recording: u64, step: u32, launch: T) -> Node {
        let at = step as usize;
        if at >= self.steps.len() {
            self.steps.resize_with(at + 1, Vec::new);
        }
        self.steps[at].push(launch);
        Node { recording, graph: self.number, step }
    }

    /// The steps; what is added from here on is another graph.
    pub(super) fn end(&mut self) -> Vec<Vec<T>> {
        if !self.steps.is_empty() {
            self.number += 1;
        }
        std::mem::take(&mut self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_in_the_step_after_the_last_it_waits_for() {
        let mut graph = Graph::default();
        let add = |graph: &mut Graph<char>, name, after: &[Node]| {
            let step = graph.step_after(7, after).expect("nodes of this recording");
            graph.add(7, step, name)
        };
        let a = add(&mut graph, 'a', &[]);
        let b = add(&mut graph, 'b', &[a]);
        let c = add(&mut graph, 'c', &[b]);
        let d = add(&mut graph, 'd', &[a]);
        add(&mut graph, 'e', &[c, d]);
        add(&mut graph, 'f', &[]);
        assert_eq!(graph.end(), [vec!['a', 'f'], vec!['b', 'd'], vec!['c'], vec!['e']]);
        assert!(graph.end().is_empty());
        // What has ended need not be waited for; strangers cannot be.
        assert_eq!(graph.step_after(7, &[c]), Ok(0));
        assert!(graph.step_after(8, &[c]).is_err());
    }
}
