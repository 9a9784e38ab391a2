//! Which ink is the digit: connected parts of a picture, and the choice among them.

use super::filters::{highest, quantile};
use super::paper::Ink;
use crate::picture::Plane;

/// Pixels that touch one another, at a side or a corner.
#[derive(Clone, Debug)]
struct Part {
    label: u32,
    pixels: usize,
    /// Of these, those at the border of the picture.
    border: usize,
    /// The sum of the ink.
    mass: f64,
    /// The first and last row and column.
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl Part {
    fn height(&self) -> usize {
        self.bottom - self.top + 1
    }

    fn width(&self) -> usize {
        self.right - self.left + 1
    }

    fn size(&self) -> usize {
        self.height().max(self.width())
    }

    /// Pixels across, if it is one stroke.
    fn thickness(&self) -> f64 {
        self.pixels as f64 / self.size() as f64
    }

    /// Whether it is a straight line along a side of the picture.
    fn is_line(&self) -> bool {
        self.size() >= 8 * self.height().min(self.width())
    }

    /// Pixels between the boxes of both, along the axis along which these are more.
    fn gap(&self, other: &Part) -> usize {
        let between = |a: (usize, usize), b: (usize, usize)| {
            a.0.saturating_sub(b.1 + 1).max(b.0.saturating_sub(a.1 + 1))
        };
        let down = between((self.top, self.bottom), (other.top, other.bottom));
        let across = between((self.left, self.right), (other.left, other.right));
        down.max(across)
    }

    fn overlaps(&self, other: &Part) -> bool {
        let common = |a: (usize, usize), b: (usize, usize)| a.0 <= b.1 && b.0 <= a.1;
        common((self.top, self.bottom), (other.top, other.bottom))
            && common((self.left, self.right), (other.left, other.right))
    }

    fn include(&mut self, other: &Part) {
        self.top = self.top.min(other.top);
        self.bottom = self.bottom.max(other.bottom);
        self.left = self.left.min(other.left);
        self.right = self.right.max(other.right);
    }

    /// Sides of the picture that it reaches: up and down, left and right.
    fn reaches(&self, plane: &Plane) -> [bool; 4] {
        [
            self.top == 0,
            self.bottom + 1 == plane.height,
            self.left == 0,
            self.right + 1 == plane.width,
        ]
    }

    /// How likely it is the digit: much ink, near the middle, clear of the border.
    fn score(&self, plane: &Plane) -> f64 {
        let (h, w) = (plane.height as f64, plane.width as f64);
        let (y, x) = (self.top + self.bottom + 1, self.left + self.right + 1);
        let off = (y as f64 / h - 1.0).abs().max((x as f64 / w - 1.0).abs());
        let reaches = self.reaches(plane);
        // A shadow or a table lies along the border, or off in a corner.
        if self.border as f64 > 0.42 * (self.height() + self.width()) as f64
            || (self.border > 0 && off > 0.5)
        {
            return 0.0;
        }
        let border = match reaches.iter().filter(|&&reached| reached).count() {
            0 => 1.0,
            1 | 2 => 0.1,
            // A frame: what the paper lies on.
            _ => 0.01,
        };
        let across = (reaches[0] && reaches[1]) || (reaches[2] && reaches[3]);
        let shorter = plane.height.min(plane.width) as f64;
        let fine = self.thickness() < 0.04 * shorter;
        let shape = match (fine, self.is_line()) {
            // From one border to the other: a rule, and no one would read it.
            (true, true) if across => 0.0,
            (true, true) => 0.2,
            _ => 1.0,
        };
        self.mass * (1.0 - 0.5 * off * off) * border * shape
    }
}

/// Labels, from 1, of what is above a level, and the parts in their order.
fn parts(ink: &Plane, level: f32) -> (Vec<u32>, Vec<Part>) {
    let (height, width) = (ink.height, ink.width);
    let mut labels = vec![0u32; height * width];
    let mut found = Vec::new();
    let mut open = Vec::new();
    for start in 0..labels.len() {
        if labels[start] != 0 || ink.values[start] <= level {
            continue;
        }
        let (y, x) = (start / width, start % width);
        let mut part = Part {
            label: found.len() as u32 + 1,
            pixels: 0,
            border: 0,
            mass: 0.0,
            top: y,
            bottom: y,
            left: x,
            right: x,
        };
        labels[start] = part.label;
        open.push(start);
        while let Some(at) = open.pop() {
            let (y, x) = (at / width, at % width);
            part.pixels += 1;
            let inside = y > 0 && x > 0 && y + 1 < height && x + 1 < width;
            part.border += usize::from(!inside);
            part.mass += f64::from(ink.values[at]);
            part.top = part.top.min(y);
            part.bottom = part.bottom.max(y);
            part.left = part.left.min(x);
            part.right = part.right.max(x);
            for v in y.saturating_sub(1)..(y + 2).min(height) {
                for u in x.saturating_sub(1)..(x + 2).min(width) {
                    let next = v * width + u;
                    if labels[next] == 0 && ink.values[next] > level {
                        labels[next] = part.label;
                        open.push(next);
                    }
                }
            }
        }
        found.push(part);
    }
    (labels, found)
}

/// The digit of a picture.
pub(super) struct Digit {
    /// Its ink, 0 where there is none of it.
    pub ink: Plane,
    /// Which pixels may hold its ink.
    pub mask: Vec<bool>,
    /// Ink in the middle of its strokes.
    pub contrast: f32,
    /// Its height or width, whichever is more.
    pub size: usize,
    /// Pixels across its strokes, at half their ink.
    pub stroke: f64,
    /// Whether there is much faint ink around its strokes, as where an edge of a shadow lies: it may be none of its own.
    pub blurred: bool,
    /// Whether it lies in the picture as a digit does, and not as the edge of something larger.
    pub plausible: bool,
}

/// Ratio of all a digit's pixels to those with twice the ink of an edge, above which its surroundings are looked at again.
const BLURRED: f64 = 1.5;

/// Shares of the picture's strongest ink at which the digit is looked for, the highest first.
const LEVELS: [f32; 7] = [0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08];
/// Ink below this is none.
const MIN_CONTRAST: f32 = 0.1;
/// What is smaller than this share of the picture's shorter side is a speck.
const MIN_SIZE: f64 = 0.04;
/// Share of a stroke's ink that its edge has.
const EDGE: f32 = 0.3;

/// Finds the digit: the part that scores most, and parts near it that are neither specks nor rules. What reaches the
/// border of the picture is considered only if asked for.
pub(super) fn find(ink: &Ink, at_border: bool) -> Option<Digit> {
    let smooth = &ink.smooth;
    let strongest = smooth.values.iter().copied().fold(0.0, f32::max);
    if strongest < MIN_CONTRAST {
        return None;
    }
    let floor = (4.0 * ink.noise).max(MIN_CONTRAST / 2.0);
    let least = MIN_SIZE * smooth.height.min(smooth.width) as f64;
    // A dark speck must not hide a faint digit, nor a faint shadow join what it falls on: of all levels whose best part is
    // about as good as any, the highest.
    let mut best: Vec<(f64, usize)> = Vec::new();
    for share in LEVELS {
        let level = strongest * share;
        if level < floor && share < LEVELS[0] {
            break;
        }
        let (labels, parts) = parts(smooth, level);
        let candidates = parts.iter().filter(|part| {
            part.size() as f64 >= least && (at_border || !part.reaches(smooth).contains(&true))
        });
        let scored = candidates.map(|part| (part.score(smooth), part));
        let Some((score, part)) = scored.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            continue;
        };
        if score <= 0.0 {
            continue;
        }
        let seed = (0..labels.len())
            .filter(|&at| labels[at] == part.label)
            .max_by(|&a, &b| smooth.values[a].total_cmp(&smooth.values[b]))?;
        best.push((score, seed));
    }
    let most = best.iter().map(|found| found.0).fold(0.0, f64::max);
    let &(_, seed) = best.iter().find(|found| found.0 >= 0.5 * most)?;
    digit_at(ink, seed, floor)
}

fn digit_at(ink: &Ink, seed: usize, floor: f32) -> Option<Digit> {
    let smooth = &ink.smooth;
    let mut contrast = smooth.values[seed];
    let mut found = None;
    // The level follows from the ink inside the part, and the part from the level.
    for _ in 0..2 {
        let level = (EDGE * contrast).max(floor);
        let (labels, parts) = parts(smooth, level);
        let main = parts
            .iter()
            .find(|part| part.label == labels[seed])?
            .clone();
        let mut inside: Vec<f32> = (0..labels.len())
            .filter(|&at| labels[at] == main.label)
            .map(|at| smooth.values[at])
            .collect();
        contrast = quantile(&mut inside, 0.8);
        found = Some((labels, parts, main));
    }
    let (labels, parts, main) = found?;
    if contrast < MIN_CONTRAST || contrast < 6.0 * ink.noise {
        return None;
    }
    let (core_labels, cores) = self::parts(smooth, (2.0 * EDGE * contrast).max(floor));
    let core = cores.iter().find(|part| part.label == core_labels[seed]);
    let core = core.unwrap_or(&main);
    let edge = |at: usize| {
        let (y, x) = (at / smooth.width, at % smooth.width);
        let outside = |v: usize, u: usize| core_labels[v * smooth.width + u] != core.label;
        y == 0
            || x == 0
            || y + 1 == smooth.height
            || x + 1 == smooth.width
            || outside(y - 1, x)
            || outside(y + 1, x)
            || outside(y, x - 1)
            || outside(y, x + 1)
    };
    let edges = (0..labels.len())
        .filter(|&at| core_labels[at] == core.label && edge(at))
        .count();
    // A stroke has two edges along it.
    let stroke = 2.0 * core.pixels as f64 / edges.max(1) as f64;
    let at_border = |part: &Part| part.reaches(smooth).contains(&true);
    let plausible = main.score(smooth) > 0.0;
    let blurred = !plausible
        || (at_border(&main) && !at_border(core))
        || main.pixels as f64 > BLURRED * core.pixels as f64;
    let chosen = together(&parts, &main, smooth);

    // The soft edges of strokes: a pixel and a half of the twenty that the digit will have, and what averaging spread.
    let size = chosen.iter().fold(main.clone(), |mut all, part| {
        all.include(part);
        all
    });
    let soft = (size.size() as f64 * 1.5 / 20.0).ceil() as usize + ink.reach;
    let near = ink.reach + 1;
    let of = |own: bool, reach: usize| {
        let values = labels.iter().map(|&label| {
            let mine = chosen.iter().any(|part| part.label == label);
            f32::from(label != 0 && mine == own)
        });
        let plane = Plane {
            width: smooth.width,
            height: smooth.height,
            values: values.collect(),
        };
        highest(&plane, reach)
    };
    let (wide, narrow, foreign) = (of(true, soft), of(true, near), of(false, soft));
    let mask: Vec<bool> = (0..labels.len())
        .map(|at| wide.values[at] > 0.0 && (narrow.values[at] > 0.0 || foreign.values[at] == 0.0))
        .collect();
    let mut sharp = ink.sharp.clone();
    for (value, &inside) in sharp.values.iter_mut().zip(&mask) {
        if !inside {
            *value = 0.0;
        }
    }
    Some(Digit {
        ink: sharp,
        mask,
        contrast,
        size: size.size(),
        stroke,
        blurred,
        plausible,
    })
}

/// The main part and those that belong to it: a five's bar stands apart, specks and rules do not count.
fn together(parts: &[Part], main: &Part, plane: &Plane) -> Vec<Part> {
    let mut chosen = vec![main.clone()];
    let mut all = main.clone();
    let main_at_border = main.reaches(plane).contains(&true);
    loop {
        let size = all.size() as f64;
        let joins = |part: &&Part| {
            if chosen.iter().any(|other| other.label == part.label) {
                return false;
            }
            if part.reaches(plane).contains(&true) && !main_at_border {
                return false;
            }
            let gap = all.gap(part) as f64 / size;
            let share = part.mass / main.mass;
            let inside = all.overlaps(part);
            // A line beside the digit that is as long as it, or a finer one, is a rule.
            let rule = part.is_line()
                && (part.size() as f64 >= 0.8 * size || part.thickness() < 0.4 * main.thickness());
            match share {
                _ if rule && !inside => false,
                s if s >= 0.5 => gap <= 0.1,
                s if s >= 0.04 => gap <= 0.25,
                s if s >= 0.015 => gap <= 0.08 || inside,
                _ => false,
            }
        };
        let Some(part) = parts.iter().find(joins) else {
            return chosen;
        };
        all.include(part);
        chosen.push(part.clone());
    }
}
