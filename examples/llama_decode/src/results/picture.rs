//! Figures as pictures: bars in groups.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Measured;
use crate::report::{Bench, Point};
use crate::run::{Error, Result};

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const FONT: &str = "sans-serif";
/// One for each bar of a group; the direct ways green, the CUDA driver's orange.
const WAYS: [RGBColor; 5] = [
    RGBColor(0x12, 0x7a, 0x5b),
    RGBColor(0x74, 0xb8, 0xa2),
    RGBColor(0xc2, 0x5b, 0x12),
    RGBColor(0xe3, 0xa0, 0x6c),
    RGBColor(0x8a, 0x5a, 0x9e),
];
/// For parts of a model.
const PARTS: [RGBColor; 8] = [
    RGBColor(0x99, 0x99, 0x99),
    RGBColor(0x12, 0x7a, 0x5b),
    RGBColor(0xc2, 0x5b, 0x12),
    RGBColor(0xd8, 0xb0, 0x24),
    RGBColor(0x2f, 0x6d, 0xb3),
    RGBColor(0x7f, 0xb2, 0xe0),
    RGBColor(0x8a, 0x5a, 0x9e),
    RGBColor(0x44, 0x44, 0x44),
];

const WIDTH: i32 = 1000;
/// Where bars begin and the longest one ends.
const LEFT: i32 = 250;
const RIGHT: i32 = 900;
const TOP: i32 = 76;
const BAR: i32 = 13;
const GAP: i32 = 12;

/// Bars of several groups.
struct Picture {
    title: String,
    /// What each bar of a group is, with its colour.
    series: Vec<(String, RGBColor)>,
    groups: Vec<Group>,
    /// Bars of a group follow each other on one line.
    stacked: bool,
    /// A bar's length tells the logarithm, from this value on.
    logarithmic_from: Option<f64>,
    digits: usize,
}

struct Group {
    name: String,
    /// By series; what is missing was not measured.
    values: Vec<Option<f64>>,
}

/// The pictures of all that was measured, with the names of their files.
pub(super) fn all(all: &[Measured]) -> Result<Vec<(&'static str, String)>> {
    let pictures = [
        (
            "speed.svg",
            by_way(all, "Tokens per second, one token a ring", 0, |_, at| Some(at.single.tok_s)),
        ),
        ("prompt.svg", prompts(all)),
        (
            "cpu.svg",
            Picture {
                logarithmic_from: Some(0.3),
                ..by_way(
                    all,
                    "CPU time of a token at several tokens a ring, us (logarithmic)",
                    2,
                    |_, at| Some(at.several.cpu_us),
                )
            },
        ),
        (
            "latency.svg",
            by_way(all, "99.9 % of all tokens come within, ms, one token a ring", 3, |_, at| {
                at.single.latency.map(|all| all.p99_9)
            }),
        ),
        ("parts.svg", parts(all)),
    ];
    let drawn = pictures.into_iter().map(|(name, picture)| Ok((name, picture.draw()?)));
    drawn.collect()
}

/// Ways to the GPU side by side, for each model and depth.
fn by_way(
    all: &[Measured],
    title: &str,
    digits: usize,
    value: fn(&Bench, &Point) -> Option<f64>,
) -> Picture {
    let mut groups = Vec::new();
    for one in all {
        let depths = one.compared.measured.first().map_or(&[][..], |bench| &bench.points[..]);
        for (i, point) in depths.iter().enumerate() {
            let of = |via: &String| {
                let bench = one.compared.measured.iter().find(|bench| bench.via == *via)?;
                value(bench, bench.points.get(i)?)
            };
            groups.push(Group {
                name: format!("{}, {} tokens", one.model, point.depth),
                values: ways(all).iter().map(of).collect(),
            });
        }
    }
    let series = ways(all).into_iter().zip(WAYS).collect();
    let title = title.to_owned();
    Picture { title, series, groups, stacked: false, logarithmic_from: None, digits }
}

fn prompts(all: &[Measured]) -> Picture {
    let group = |one: &Measured| Group {
        name: one.model.clone(),
        values: ways(all)
            .iter()
            .map(|via| one.compared.measured.iter().find(|bench| bench.via == *via)?.prefill_tok_s)
            .collect(),
    };
    Picture {
        title: "Tokens per second of a prompt of 512".to_owned(),
        series: ways(all).into_iter().zip(WAYS).collect(),
        groups: all.iter().map(group).collect(),
        stacked: false,
        logarithmic_from: None,
        digits: 0,
    }
}

/// The ways that were measured, in the order of tables.
fn ways(all: &[Measured]) -> Vec<String> {
    let ways = all.iter().map(|one| one.compared.measured.iter().map(|bench| bench.via.clone()));
    ways.map(Iterator::collect::<Vec<_>>).max_by_key(Vec::len).unwrap_or_default()
}

/// Where the time of a token goes.
fn parts(all: &[Measured]) -> Picture {
    let profiles = || all.iter().flat_map(|one| one.profiles.iter().map(move |p| (one, p)));
    let mut names: Vec<String> = Vec::new();
    for part in profiles().flat_map(|(_, profile)| &profile.parts) {
        if !names.contains(&part.part) {
            names.push(part.part.clone());
        }
    }
    let groups = profiles().map(|(one, profile)| Group {
        name: format!("{}, {} tokens", one.model, profile.depth),
        values: names
            .iter()
            .map(|name| Some(profile.parts.iter().find(|part| part.part == *name)?.micros))
            .collect(),
    });
    Picture {
        title: "Where the time of a token goes, us, with a timestamp after every kernel".to_owned(),
        groups: groups.collect(),
        series: names.iter().cloned().zip(PARTS.into_iter().cycle()).collect(),
        stacked: true,
        logarithmic_from: None,
        digits: 0,
    }
}

impl Picture {
    fn draw(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw_into(&mut svg)
            .map_err(|error| Error::Request(format!("cannot draw {}: {error}", self.title)))?;
        Ok(svg)
    }

    /// Lines that a group takes.
    fn lines(&self) -> i32 {
        if self.stacked { 1 } else { self.series.len() as i32 }
    }

    /// How far from the left a value reaches, when `largest` reaches to the right.
    fn reach(&self, value: f64, largest: f64) -> i32 {
        let share = match self.logarithmic_from {
            Some(from) => (value.max(from) / from).ln() / (largest / from).ln(),
            None => value / largest,
        };
        (f64::from(RIGHT - LEFT) * share).round() as i32
    }

    fn draw_into(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let height = TOP + self.groups.len() as i32 * (self.lines() * BAR + GAP) + GAP;
        let root = SVGBackend::with_string(svg, (WIDTH as u32, height as u32)).into_drawing_area();
        root.fill(&WHITE)?;
        let text = |text: String, at: (i32, i32), size: i32, side: HPos| {
            let style = (FONT, size).into_font().color(&INK).pos(Pos::new(side, VPos::Center));
            Text::new(text, at, style)
        };
        root.draw(&text(self.title.clone(), (20, 22), 20, HPos::Left))?;
        let mut x = 20;
        for (name, colour) in &self.series {
            root.draw(&Rectangle::new([(x, 46), (x + 12, 58)], colour.filled()))?;
            root.draw(&text(name.clone(), (x + 18, 53), 14, HPos::Left))?;
            x += 38 + 7 * name.len() as i32;
        }
        root.draw(&PathElement::new([(LEFT, TOP - 6), (LEFT, height - 6)], FAINT))?;

        let of_group = |group: &Group| -> f64 {
            let values = group.values.iter().flatten();
            if self.stacked { values.sum() } else { values.copied().fold(0.0, f64::max) }
        };
        let largest = self.groups.iter().map(of_group).fold(f64::MIN_POSITIVE, f64::max);
        let mut y = TOP;
        for group in &self.groups {
            let middle = y + self.lines() * BAR / 2;
            root.draw(&text(group.name.clone(), (LEFT - 10, middle), 14, HPos::Right))?;
            let mut before = 0.0;
            for (value, (_, colour)) in group.values.iter().zip(&self.series) {
                if let Some(value) = value {
                    let from = LEFT + self.reach(before, largest);
                    let to = LEFT + self.reach(before + value, largest);
                    let bar = [(from, y), (to, y + BAR - 2)];
                    root.draw(&Rectangle::new(bar, colour.filled()))?;
                    if self.stacked {
                        before += value;
                    } else {
                        let shown = format!("{value:.*}", self.digits);
                        root.draw(&text(shown, (to + 6, y + BAR / 2), 12, HPos::Left))?;
                    }
                }
                y += if self.stacked { 0 } else { BAR };
            }
            if self.stacked {
                let end = LEFT + self.reach(before, largest) + 6;
                let shown = format!("{before:.*}", self.digits);
                root.draw(&text(shown, (end, middle), 12, HPos::Left))?;
                y += BAR;
            }
            y += GAP;
        }
        root.present()?;
        Ok(())
    }
}
