//! Launches that wait for some others and not for the rest.

use crate::error::{Error, Result};

/// A launch recorded by [`Recorder::exec_after`](super::Recorder::exec_after), for later ones to wait
/// for. Only launches that are recorded already can be named, so no two can wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    recording: u64,
    graph: u32,
    index: usize,
}

/// The graph being recorded: its launches, and which of those before each waits for.
#[derive(Debug)]
pub(super) struct Graph<T> {
    number: u32,
    nodes: Vec<(T, Vec<usize>)>,
}

impl<T> Default for Graph<T> {
    fn default() -> Self {
        Graph { number: 0, nodes: Vec::new() }
    }
}

impl<T> Graph<T> {
    /// The launches of this graph among those that one is to wait for, each once.
    pub(super) fn awaited(&self, recording: u64, after: &[Node]) -> Result<Vec<usize>> {
        if after.iter().any(|node| node.recording != recording) {
            return Err(Error::request("the launch to wait for belongs to another recording"));
        }
        // An earlier graph of the recording has ended when this one begins.
        let here = after.iter().filter(|node| node.graph == self.number);
        let mut awaited: Vec<_> = here.map(|node| node.index).collect();
        awaited.sort_unstable();
        awaited.dedup();
        Ok(awaited)
    }

    /// Adds a launch that waits for others.
    pub(super) fn add(&mut self, recording: u64, awaited: Vec<usize>, launch: T) -> Node {
        self.nodes.push((launch, awaited));
        Node { recording, graph: self.number, index: self.nodes.len() - 1 }
    }

    /// The launches, and which each waits for; what is added from here on is another graph.
    pub(super) fn end(&mut self) -> Vec<(T, Vec<usize>)> {
        if !self.nodes.is_empty() {
            self.number += 1;
        }
        std::mem::take(&mut self.nodes)
    }
}

/// Launches by the step in which they can begin: the one after the last of those they wait for.
pub(super) fn in_steps<T>(nodes: Vec<(T, Vec<usize>)>) -> Vec<Vec<T>> {
    let (mut steps, mut all): (Vec<Vec<T>>, Vec<usize>) = Default::default();
    for (launch, awaited) in nodes {
        let step = awaited.iter().map(|node| all[*node] + 1).max().unwrap_or(0);
        all.push(step);
        if step == steps.len() {
            steps.push(Vec::new());
        }
        steps[step].push(launch);
    }
    steps
}

/// Whom each launch tells that it has ended, when each can tell two: those that wait for it, or relays
/// that tell them. Relays are numbered from `awaited.len()` on.
pub(super) fn told(awaited: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut told = vec![Vec::new(); awaited.len()];
    for (node, awaited) in awaited.iter().enumerate() {
        awaited.iter().for_each(|before| told[*before].push(node));
    }
    for node in 0..awaited.len() {
        while told[node].len() > 2 {
            // Pairs from the front: the tree stays as flat as can be.
            let pair: Vec<_> = told[node].drain(..2).collect();
            let relay = told.len();
            told[node].push(relay);
            told.push(pair);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_in_the_step_after_the_last_it_waits_for() {
        let mut graph = Graph::default();
        let add = |graph: &mut Graph<char>, name, after: &[Node]| {
            let awaited = graph.awaited(7, after).expect("nodes of this recording");
            graph.add(7, awaited, name)
        };
        let a = add(&mut graph, 'a', &[]);
        let b = add(&mut graph, 'b', &[a, a]);
        let c = add(&mut graph, 'c', &[b]);
        let d = add(&mut graph, 'd', &[a]);
        add(&mut graph, 'e', &[d, c]);
        add(&mut graph, 'f', &[]);
        let nodes = graph.end();
        assert_eq!(nodes[1], ('b', vec![0]));
        assert_eq!(nodes[4], ('e', vec![2, 3]));
        assert_eq!(in_steps(nodes), [vec!['a', 'f'], vec!['b', 'd'], vec!['c'], vec!['e']]);
        assert!(graph.end().is_empty());
        // What has ended need not be waited for; strangers cannot be.
        assert_eq!(graph.awaited(7, &[c]), Ok(vec![]));
        assert!(graph.awaited(8, &[c]).is_err());
    }

    #[test]
    fn each_tells_two_at_most_and_everybody_is_told_once_by_each() {
        for width in 0..20 {
            // One, then many, then one.
            let mut awaited = vec![vec![]];
            awaited.extend((0..width).map(|_| vec![0]));
            awaited.push((1..=width).collect());
            let told = told(&awaited);
            assert!(told.iter().all(|list| list.len() <= 2));
            for (node, before) in awaited.iter().enumerate() {
                let told_by = |from: usize| {
                    let (mut open, mut times) = (told[from].clone(), 0);
                    while let Some(next) = open.pop() {
                        times += usize::from(next == node);
                        if next >= awaited.len() {
                            open.extend(&told[next]);
                        }
                    }
                    times
                };
                for from in 0..awaited.len() {
                    assert_eq!(told_by(from), usize::from(before.contains(&from)), "{from} {node}");
                }
            }
        }
    }
}
