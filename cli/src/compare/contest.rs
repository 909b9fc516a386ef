//! Ways to do the same thing, measured in turns.

use crate::bench::{Direct, Histogram, Interrupt, Outcome, Sample, progress};

use super::rival::Rival;

pub(crate) struct Sides {
    pub(crate) direct: Direct,
    pub(crate) rival: Option<Rival>,
}

#[derive(Clone, Copy)]
pub(crate) enum How {
    Direct(fn(&mut Direct) -> Outcome<Sample>),
    Cuda(fn(&mut Rival) -> Outcome<Sample>),
}

pub(crate) type Way = (&'static str, How);

/// What came of one way.
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    pub(crate) direct: bool,
    pub(crate) sent: Histogram,
    pub(crate) seen: Histogram,
    pub(crate) gpu: Histogram,
}

/// Samples that one way takes before it is the next one's turn: whatever drifts hits all alike.
pub(crate) const TURN: u32 = 50;
/// Of each turn, the first few do not count: caches are the other way's then.
pub(crate) const WARM_UP: u32 = 5;

pub(crate) fn contest(
    what: &str,
    sides: &mut Sides,
    rounds: u32,
    ways: &[Way],
    interrupt: &Interrupt,
) -> Outcome<Vec<Timed>> {
    progress(&format!("{what}, {rounds} times each way"));
    let mut all: Vec<(How, Timed)> = ways
        .iter()
        .filter(|(_, how)| sides.rival.is_some() || matches!(how, How::Direct(_)))
        .map(|(name, how)| {
            let direct = matches!(how, How::Direct(_));
            let [sent, seen, gpu] = [(); 3].map(|()| Histogram::new());
            (*how, Timed { name, direct, sent, seen, gpu })
        })
        .collect();
    let mut left = rounds;
    while left > 0 {
        let turn = TURN.min(left);
        left -= turn;
        for (how, timed) in &mut all {
            for i in 0..WARM_UP + turn {
                interrupt.check()?;
                let sample = match (*how, &mut sides.rival) {
                    (How::Direct(run), _) => run(&mut sides.direct)?,
                    (How::Cuda(run), Some(rival)) => run(rival)?,
                    (How::Cuda(_), None) => unreachable!("left out above"),
                };
                if i >= WARM_UP {
                    timed.sent.add(sample.sent);
                    timed.seen.add(sample.seen);
                    if let Some(time) = sample.gpu {
                        timed.gpu.add(time);
                    }
                }
            }
        }
    }
    Ok(all.into_iter().map(|(_, timed)| timed).collect())
}
