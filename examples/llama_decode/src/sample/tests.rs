use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn drawing() -> Sampling {
    Sampling { temperature: 1.0, seed: 7, ..Sampling::default() }
}

#[test]
fn greedy_takes_the_largest_and_of_equals_the_first() {
    let greedy = Sampling::default();
    assert_eq!(greedy.choose(&[0.5, 3.0, -1.0, 3.0], &[], 0), 1);
    assert_eq!(greedy.choose(&[-0.0, 0.0], &[], 0), 0);
    assert_eq!(greedy.choose(&[f32::NAN, -2.0, f32::NEG_INFINITY], &[], 0), 1);
    assert_eq!(greedy.choose(&[1.0, f32::INFINITY], &[], 0), 1);
    assert_eq!(greedy.choose(&[f32::NAN, f32::NAN], &[], 0), 0);
}

#[test]
fn drawing_from_what_is_not_a_number_still_gives_a_token() {
    let s = drawing();
    assert_eq!(s.choose(&[f32::NAN, 1.0, f32::NEG_INFINITY], &[], 3), 1);
    assert!(s.choose(&[f32::NAN; 5], &[], 3) < 5);
    let cold = Sampling { temperature: 1e-30, ..s };
    assert_eq!(cold.choose(&[1.0, 1.5, 1.4], &[], 3), 1);
}

#[test]
fn a_penalty_makes_no_logit_infinite() {
    let rewarded = Sampling { repetition_penalty: 0.5, ..drawing() };
    assert_eq!(rewarded.choose(&[0.0, f32::MAX, 1.0], &[1], 3), 1);
    let punished = Sampling { repetition_penalty: 2.0, ..drawing() };
    assert!(punished.choose(&[f32::MIN; 3], &[0, 1, 2], 3) < 3);
}

#[test]
fn the_penalty_falls_once_on_each_recent_token() {
    let s = Sampling { repetition_penalty: 2.0, last_n: 3, ..Sampling::default() };
    let penalised = s.penalised(&[4.0, 4.0, -1.0, 4.0, 0.0], &[0, 3, 2, 9, 2]);
    assert_eq!(penalised, [4.0, 4.0, -2.0, 4.0, 0.0], "9 does not exist, 3 is the fourth last");
    let s = Sampling { last_n: 4, ..s };
    assert_eq!(s.penalised(&[4.0, 4.0, -1.0, 4.0, 0.0], &[0, 3, 2, 9, 2])[3], 2.0);
    let off = Sampling { last_n: 0, ..s };
    assert_eq!(off.penalised(&[4.0], &[0]), [4.0]);
}

#[test]
fn weights_are_exponentials() {
    assert_eq!(weight(0.0), 1 << 40);
    assert_eq!(weight(-0.0), 1 << 40);
    assert_eq!(weight(f32::NEG_INFINITY), 0);
    assert_eq!(weight(f32::NAN), 0);
    let mut last = weight(0.0);
    for step in 0..300_000 {
        let z = -(step as f32) * 1e-4;
        let (got, exact) = (weight(z), f64::from(z).exp() * f64::from(TWO_TO_40));
        // The argument of the exponential itself is rounded, in proportion to its size.
        let bound = exact * (3e-7 + 1.2e-7 * f64::from(-z)) + 1.0;
        assert!((got as f64 - exact).abs() <= bound, "{z}: {got} for {exact}");
        assert!(got <= last, "{z}");
        last = got;
    }
}

#[test]
fn ranks_keep_the_order_of_floats() {
    let floats = [f32::MIN, -2.0, -1e-40, 0.0, 1e-40, 1.0, 1.000_000_1, f32::MAX];
    assert!(floats.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])));
    assert_eq!(rank(-0.0), rank(0.0));
}

#[test]
fn seeds_and_positions_draw_differently_but_repeatably() {
    let logits: Vec<f32> = (0..1000).map(|i| (i % 7) as f32).collect();
    let s = drawing();
    let run = |s: Sampling| (0..64).map(|p| s.choose(&logits, &[], p)).collect::<Vec<_>>();
    assert_eq!(run(s), run(s));
    assert_ne!(run(s), run(Sampling { seed: 8, ..s }));
    assert!(run(s).iter().collect::<BTreeSet<_>>().len() > 50);
}

/// Draws must be as frequent as the softmax says, which is computed here in its textbook form.
#[test]
fn frequencies_are_the_probabilities() {
    let logits = [1.0f32, 2.5, -0.5, 2.0, 0.0, 2.5];
    let s = Sampling { temperature: 0.8, ..drawing() };
    let exact: Vec<f64> = logits.iter().map(|l| (f64::from(*l) / 0.8).exp()).collect();
    let sum: f64 = exact.iter().sum();
    const DRAWS: u32 = 60_000;
    let mut counts = [0f64; 6];
    (0..DRAWS).for_each(|p| counts[s.choose(&logits, &[], p) as usize] += 1.0);
    let chi2: f64 = (counts.iter().zip(&exact))
        .map(|(n, e)| (n - e / sum * f64::from(DRAWS)).powi(2) / (e / sum * f64::from(DRAWS)))
        .sum();
    // Five degrees of freedom: 20.5 is passed once in a thousand seeds, and the seed is fixed.
    assert!(chi2 < 20.5, "{chi2}: {counts:?}");
}

fn drawn(s: Sampling, logits: &[f32]) -> BTreeSet<u32> {
    (0..3000).map(|p| s.choose(logits, &[], p)).collect()
}

#[test]
fn each_filter_leaves_what_it_should() {
    // Probabilities 0.4, 0.3, 0.2, 0.1.
    let logits = [0.1f32.ln(), 0.4f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
    let s = drawing();
    assert_eq!(drawn(s, &logits), [0, 1, 2, 3].into());
    assert_eq!(drawn(Sampling { top_k: 2, ..s }, &logits), [1, 2].into());
    assert_eq!(drawn(Sampling { top_k: 9, ..s }, &logits), [0, 1, 2, 3].into());
    assert_eq!(drawn(Sampling { top_p: 0.0, ..s }, &logits), [1].into());
    assert_eq!(drawn(Sampling { top_p: 0.39, ..s }, &logits), [1].into());
    assert_eq!(drawn(Sampling { top_p: 0.41, ..s }, &logits), [1, 2].into());
    assert_eq!(drawn(Sampling { top_p: 0.89, ..s }, &logits), [1, 2, 3].into());
    // 0.4 of the 0.7 that top-k leaves is more than half of it.
    assert_eq!(drawn(Sampling { top_k: 2, top_p: 0.5, ..s }, &logits), [1].into());
    assert_eq!(drawn(Sampling { min_p: 0.49, ..s }, &logits), [1, 2, 3].into());
    assert_eq!(drawn(Sampling { min_p: 1.0, ..s }, &logits), [1].into());
    // Equal logits: the lower ids come first.
    assert_eq!(drawn(Sampling { top_k: 2, ..s }, &[1.0; 5]), [0, 1].into());
    assert_eq!(drawn(Sampling { top_p: 0.5, ..s }, &[1.0; 5]), [0, 1, 2].into());
}

#[test]
fn settings_out_of_range_are_named() {
    let refused = |s: Sampling| s.check().expect_err("must be refused").to_string();
    let s = Sampling::default();
    assert!(s.check().is_ok());
    assert!(refused(Sampling { temperature: -1.0, ..s }).contains("temperature is -1"));
    assert!(refused(Sampling { temperature: f32::NAN, ..s }).contains("temperature"));
    assert!(refused(Sampling { top_p: 1.5, ..s }).contains("top-p is 1.5"));
    assert!(refused(Sampling { min_p: -0.1, ..s }).contains("min-p"));
    assert!(refused(Sampling { repetition_penalty: 0.0, ..s }).contains("penalty is 0"));
}

/// The same choice without sorting: thresholds digit by digit from histograms, as a GPU does it.
fn by_histograms(s: &Sampling, logits: &[f32], context: &[u32], position: u32) -> u32 {
    let logits = s.penalised(logits, context);
    let best = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<u64> = logits.iter().map(|l| weight((l - best) / s.temperature)).collect();
    let ranks: Vec<u32> = logits.iter().map(|&l| rank(l)).collect();

    // Which tokens stay when the amounts of those above, and of the first equal ones, suffice.
    let keep = |amounts: &[u64], enough: u64, alive: &[bool]| -> Vec<bool> {
        let (mut prefix, mut mask, mut above) = (0u32, 0u32, 0u64);
        for shift in [24, 16, 8, 0] {
            let mut histogram = [0u64; 256];
            for id in 0..ranks.len() {
                if alive[id] && ranks[id] & mask == prefix {
                    histogram[(ranks[id] >> shift & 255) as usize] += amounts[id];
                }
            }
            let digit = (0..256).rev().find(|&digit| {
                let reached = above + histogram[digit] >= enough;
                if !reached {
                    above += histogram[digit];
                }
                reached
            });
            let Some(digit) = digit else { return alive.to_vec() };
            (prefix, mask) = (prefix | (digit as u32) << shift, mask | 255 << shift);
        }
        let mut reached = above;
        (0..ranks.len())
            .map(|id| {
                let equal = alive[id] && ranks[id] == prefix && reached < enough;
                reached += if equal { amounts[id] } else { 0 };
                equal || alive[id] && ranks[id] > prefix
            })
            .collect()
    };
    let mut alive = vec![true; ranks.len()];
    if s.top_k > 0 {
        alive = keep(&vec![1; ranks.len()], s.top_k.into(), &alive);
    }
    let sum = |alive: &[bool]| -> u64 {
        weights.iter().zip(alive).filter(|(_, alive)| **alive).map(|(w, _)| w).sum()
    };
    if s.top_p < 1.0 {
        let enough = times(sum(&alive), (s.top_p * TWO_TO_32) as u64, 32).max(1);
        alive = keep(&weights, enough, &alive);
    }
    let least = (s.min_p * TWO_TO_40) as u64;
    alive.iter_mut().zip(&weights).for_each(|(alive, w)| *alive &= *w >= least);
    let mut left = times(sum(&alive), random(s.seed, position), 64);
    for id in 0..ranks.len() {
        if alive[id] && weights[id] > left {
            return id as u32;
        }
        left -= if alive[id] { weights[id] } else { 0 };
    }
    unreachable!("the drawn number is below the sum")
}

proptest! {
    #[test]
    fn sorting_and_histograms_agree(
        logits in prop::collection::vec(
            prop_oneof![
                4 => (-12i32..12).prop_map(|n| n as f32 * 0.5),
                4 => -20f32..20.0,
                1 => any::<f32>(),
            ],
            1..200,
        ),
        context in prop::collection::vec(0u32..220, 0..20),
        temperature in prop_oneof![0.05f32..3.0, Just(1.0)],
        top_k in prop_oneof![Just(0), 1u32..40],
        top_p in prop_oneof![Just(1.0), 0f32..1.0],
        min_p in prop_oneof![Just(0.0), 0f32..0.5],
        repetition_penalty in prop_oneof![Just(1.0), 0.8f32..2.0],
        last_n in 0u32..30,
        seed: u64,
        position: u32,
    ) {
        let s = Sampling { temperature, top_k, top_p, min_p, repetition_penalty, last_n, seed };
        prop_assert_eq!(
            s.choose(&logits, &context, position),
            by_histograms(&s, &logits, &context, position)
        );
    }
}
