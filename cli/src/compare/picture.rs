//! The round trip of one kernel as a picture: this crate's best way and the CUDA driver's, one
//! over the other.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::contest::Timed;
use crate::bench::{Histogram, Ns, Outcome, Stop};

const SIZE: (u32, u32) = (1000, 560);
const OURS: RGBColor = RGBColor(0x12, 0x7a, 0x5b);
const THEIRS: RGBColor = RGBColor(0xc2, 0x5b, 0x12);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FONT: &str = "sans-serif";

/// Each bin is this much wider than the one before: as wide on a logarithmic axis.
const STEP: f64 = 1.008;

/// Of each decade, what the axis names.
const TICKS: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];

pub(crate) fn draw(one: &[Timed]) -> Outcome<String> {
    let mut svg = String::new();
    draw_into(&mut svg, one).map_err(|error| Stop::Failed(format!("cannot draw: {error}")))?;
    Ok(svg)
}

fn draw_into(svg: &mut String, one: &[Timed]) -> Result<(), Box<dyn std::error::Error>> {
    let fastest = |direct: bool| {
        let ways = one.iter().filter(|timed| timed.direct == direct);
        ways.min_by(|a, b| a.seen.summary().p50.total_cmp(&b.seen.summary().p50))
    };
    let shown: Vec<(&Timed, RGBColor)> = [(fastest(true), OURS), (fastest(false), THEIRS)]
        .into_iter()
        .filter_map(|(timed, colour)| Some((timed?, colour)))
        .collect();
    let first = shown.iter().map(|(timed, _)| timed.seen.min()).min().unwrap_or(1).max(1) as f64;
    let last = shown.iter().map(|(timed, _)| timed.seen.summary().p99_9).fold(first, f64::max);
    let (first, last) = (first / 1.1, last * 1.25);
    let bins = ((last / first).ln() / STEP.ln()).ceil() as i32;
    let mut edges: Vec<u64> = (0..=bins).map(|i| (first * STEP.powi(i)) as u64).collect();
    // The first bins can be narrower than a nanosecond.
    edges.dedup();
    let shares: Vec<Vec<f64>> =
        shown.iter().map(|(timed, _)| shares(&timed.seen, &edges)).collect();
    let tallest = shares.iter().flatten().copied().fold(0.0, f64::max);

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = ("One empty kernel, from submission until the CPU sees its end", 22);
    root.draw(&Text::new(title.0, (70, 16), (FONT, title.1).into_font().color(&INK)))?;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(84)
        .margin_right(36)
        .margin_bottom(10)
        .margin_left(10)
        .x_label_area_size(52)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last).log_scale(), 0.0..tallest * 1.42)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_label_formatter(&|_| String::new())
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xe4, 0xe4, 0xe4))
        .axis_style(INK)
        .y_label_formatter(&|share| format!("{share:.0} %"))
        .x_desc("round trip (logarithmic)")
        .y_desc("share of all samples")
        .axis_desc_style((FONT, 15).into_font().color(&INK))
        .label_style((FONT, 13).into_font().color(&INK))
        .draw()?;
    // Between two powers of ten the axis has no marks of its own.
    let decades = (0..9).map(|power| 10f64.powi(power));
    for at in decades.flat_map(|decade| TICKS.map(|tick| tick * decade)) {
        if (first..last).contains(&at) {
            let (x, y) = chart.backend_coord(&(at, 0.0));
            root.draw(&PathElement::new([(x, y), (x, y + 5)], INK))?;
            let style = (FONT, 13).into_font().color(&INK);
            let style = style.pos(Pos::new(HPos::Center, VPos::Top));
            root.draw(&Text::new(Ns(at).to_string(), (x, y + 9), style))?;
        }
    }
    for (i, ((timed, colour), shares)) in shown.iter().zip(&shares).enumerate() {
        let bars = shares.iter().zip(edges.windows(2)).filter(|(share, _)| **share > 0.0);
        chart.draw_series(bars.map(|(share, edge)| {
            let corners = [(edge[0] as f64, 0.0), (edge[1] as f64, *share)];
            Rectangle::new(corners, colour.mix(0.55).filled())
        }))?;
        let summary = timed.seen.summary();
        let marks = [("p50", summary.p50), ("p99", summary.p99), ("p99.9", summary.p99_9)];
        for (j, (name, at)) in marks.into_iter().enumerate() {
            // Each mark at a height of its own: they can be close together.
            let top = tallest * (1.36 - 0.055 * (2 * j + i) as f64);
            let line = [(at, 0.0), (at, top)];
            chart.draw_series(DashedLineSeries::new(line, 5, 3, colour.stroke_width(1)))?;
            let style = (FONT, 13).into_font().color(colour);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            let (x, y) = chart.backend_coord(&(at, top));
            root.draw(&Text::new(format!("{name} {}", Ns(at)), (x + 5, y), style))?;
        }
        let y = 48 + 20 * i as i32;
        root.draw(&Rectangle::new([(70, y), (86, y + 12)], colour.mix(0.55).filled()))?;
        let legend = format!("{} ({} samples)", timed.name, summary.samples);
        root.draw(&Text::new(legend, (94, y - 1), (FONT, 15).into_font().color(&INK)))?;
    }
    root.present()?;
    Ok(())
}

/// Per cent of all samples in each bin.
fn shares(histogram: &Histogram, edges: &[u64]) -> Vec<f64> {
    let all = histogram.summary().samples.max(1) as f64;
    histogram.between(edges).into_iter().map(|count| 100.0 * count as f64 / all).collect()
}
