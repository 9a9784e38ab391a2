//! Rules of lined paper, and other straight fine lines from one border to the other: they are no strokes.

use super::filters::highest_in_columns;
use super::paper::Ink;
use crate::picture::Plane;

/// Share of the strongest ink that a rule has at least.
const FAINTEST: f32 = 0.2;
/// Share of a side that a rule runs along.
const LENGTH: f64 = 0.9;
/// Share of the shorter side that a rule is finer than.
const FINENESS: f64 = 0.035;
/// Where more of a picture would be rules, these are something else.
const MOST: f64 = 0.2;

/// Takes rules away, across and down; strokes stay where they cross one.
pub(super) fn remove(ink: &mut Ink) {
    let strongest = ink.smooth.values.iter().copied().fold(0.0, f32::max);
    let level = (FAINTEST * strongest).max(4.0 * ink.noise).max(0.05);
    let (height, width) = (ink.smooth.height, ink.smooth.width);
    let fine = (FINENESS * height.min(width) as f64).ceil() as usize;
    let inked: Vec<bool> = ink.smooth.values.iter().map(|&v| v > level).collect();
    let across = found(&inked, width, fine, ink.reach);
    let down = turned(
        &found(&turned(&inked, width), height, fine, ink.reach),
        height,
    );
    for plane in [&mut ink.smooth, &mut ink.sharp] {
        let rules = across.iter().zip(&down);
        for (value, (&across, &down)) in plane.values.iter_mut().zip(rules) {
            if across || down {
                *value = 0.0;
            }
        }
    }
}

/// Rows to columns, of a picture of this width.
fn turned(set: &[bool], width: usize) -> Vec<bool> {
    let height = set.len() / width;
    (0..set.len())
        .map(|at| set[at % height * width + at / height])
        .collect()
}

/// The pixels of rules along rows, with their soft edges.
fn found(inked: &[bool], width: usize, fine: usize, reach: usize) -> Vec<bool> {
    let height = inked.len() / width;
    let plane = |set: &dyn Fn(usize) -> bool| Plane {
        width,
        height,
        values: (0..inked.len()).map(|at| f32::from(set(at))).collect(),
    };
    // Ink in three rows, so that a rule may slant a little.
    let near = highest_in_columns(&plane(&|at| inked[at]), 1);
    let mut long = vec![false; inked.len()];
    let least = (LENGTH * width as f64) as usize;
    for (row, long) in near.values.chunks(width).zip(long.chunks_mut(width)) {
        for_runs(row.iter().map(|&v| v > 0.0), |run| {
            if run.len() >= least {
                long[run].fill(true);
            }
        });
    }
    // What is higher than a rule is a stroke.
    let mut stroke = vec![false; inked.len()];
    for x in 0..width {
        for_runs((0..height).map(|y| inked[y * width + x]), |run| {
            if run.len() > fine {
                run.for_each(|y| stroke[y * width + x] = true);
            }
        });
    }
    let rule = |at: usize| long[at] && inked[at] && !stroke[at];
    let count = (0..inked.len()).filter(|&at| rule(at)).count();
    if count == 0 || count as f64 > MOST * inked.len() as f64 {
        return vec![false; inked.len()];
    }
    let wide = highest_in_columns(&plane(&rule), reach + 1);
    let wide = wide.values.iter().zip(&stroke);
    wide.map(|(&near, &stroke)| near > 0.0 && !stroke).collect()
}

/// Calls with each run of true values.
fn for_runs(values: impl Iterator<Item = bool>, mut each: impl FnMut(std::ops::Range<usize>)) {
    let mut start = None;
    let mut end = 0;
    for (at, value) in values.enumerate() {
        match (value, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                each(from..at);
                start = None;
            }
            _ => {}
        }
        end = at + 1;
    }
    if let Some(from) = start {
        each(from..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of one pixel under and through an upright stroke of four.
    #[test]
    fn a_stroke_stays_where_a_rule_crosses_it() {
        let (height, width) = (60, 80);
        let stroke =
            |at: usize| (10..50).contains(&(at / width)) && (30..34).contains(&(at % width));
        let rule = |at: usize| [25, 55].contains(&(at / width));
        let inked: Vec<bool> = (0..height * width)
            .map(|at| stroke(at) || rule(at))
            .collect();
        let rules = found(&inked, width, 3, 0);
        for at in 0..inked.len() {
            if inked[at] {
                assert_eq!(rules[at], !stroke(at), "{} {}", at / width, at % width);
            }
        }
        let twice = turned(&turned(&inked, width), height);
        assert_eq!(twice, inked);
        let down = found(&turned(&inked, width), height, 3, 0);
        assert!(!down.contains(&true));
    }
}
