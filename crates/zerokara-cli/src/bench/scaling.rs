//! `--scaling`: how the cost of training grows with the batch and with depth.

use super::{
    Machine, Options, chosen, object, work,
    workload::{Network, Workload},
};
use crate::output::{self, Outcome};
use serde_json::json;
use zerokara_core::Arithmetic;
use zerokara_train::{
    language::Words,
    report::{
        numbers::{rate, significant},
        terminal::{Align, table},
    },
};

const BATCHES: [usize; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const DEPTHS: [usize; 9] = [1, 2, 3, 5, 8, 13, 20, 32, 50];
/// Images in a step of the networks of growing depth.
const BATCH: usize = 100;
/// No larger batch is tried when a step takes longer than this.
const PATIENCE: f64 = 1.5;
/// A cliff: operations per second fall by more than this from one size to the next.
const CLIFF: f64 = 1.5;

/// A network at one size.
struct Point {
    network: String,
    axis: &'static str,
    at: usize,
    images_per_second: f64,
    flops_per_image: f64,
    bytes_per_image: f64,
}

impl Point {
    fn flops_per_second(&self) -> f64 {
        self.flops_per_image * self.images_per_second
    }
}

pub fn run(options: &Options, machine: &Machine, words: Words) -> Outcome {
    let seconds = options.seconds.unwrap_or(0.5);
    let mut series = Vec::new();
    for model in chosen(options) {
        let mut points: Vec<Point> = Vec::new();
        for batch in BATCHES {
            if points
                .last()
                .is_some_and(|p| p.at as f64 / p.images_per_second > PATIENCE)
            {
                break;
            }
            let network = Network::named(model)?;
            if batch < network.least_batch()? {
                continue;
            }
            points.push(point(&network, "batch", batch, batch, seconds)?);
            if options.json {
                print_line(&points, machine)?;
            }
        }
        series.push(points);
    }
    for make in [Network::deep_linear, Network::deep_conv] {
        let mut points = Vec::new();
        for depth in DEPTHS {
            points.push(point(&make(depth)?, "depth", depth, BATCH, seconds)?);
            if options.json {
                print_line(&points, machine)?;
            }
        }
        series.push(points);
    }
    if options.json {
        return Ok(());
    }
    for axis in ["batch", "depth"] {
        output::print(&table_of(&series, axis, machine, words))?;
    }
    let cliffs = series.iter().flat_map(|points| cliffs(points, words));
    let cliffs: Vec<String> = cliffs.collect();
    output::print(&match cliffs.is_empty() {
        true => words.say("no cliff: operations per second fall nowhere by more than 1.5 times"),
        false => cliffs.join("\n"),
    })
}

fn point(
    network: &Network,
    axis: &'static str,
    at: usize,
    batch: usize,
    seconds: f64,
) -> Outcome<Point> {
    let mut workload = Workload::new(network, false, batch, Arithmetic::F32)?;
    let images_per_second = workload.rate(seconds)?;
    let (flops, bytes) = work(&workload.step_times()?);
    Ok(Point {
        network: network.name.clone(),
        axis,
        at,
        images_per_second,
        flops_per_image: flops / batch as f64,
        bytes_per_image: bytes / batch as f64,
    })
}

fn print_line(points: &[Point], machine: &Machine) -> Outcome {
    let Some(point) = points.last() else {
        return Ok(());
    };
    output::print(&object(&[
        ("model", json!(point.network)),
        ("axis", json!(point.axis)),
        (point.axis, json!(point.at)),
        ("images_per_second", json!(point.images_per_second)),
        ("gflop_per_image", json!(point.flops_per_image * 1e-9)),
        ("bytes_per_image", json!(point.bytes_per_image)),
        (
            "peak_share",
            json!(machine.share(point.flops_per_second(), 1.0)),
        ),
        (
            "cliff",
            json!(
                points[points.len().saturating_sub(2)..]
                    .windows(2)
                    .any(is_cliff)
            ),
        ),
    ]))
}

/// Images per second and share of the peak of every network, one row for each size.
fn table_of(series: &[Vec<Point>], axis: &str, machine: &Machine, words: Words) -> String {
    let shown: Vec<&Vec<Point>> = series
        .iter()
        .filter(|points| points.first().is_some_and(|p| p.axis == axis))
        .collect();
    let name = words.say(axis);
    let columns: Vec<(&str, Align)> = [(name.as_str(), Align::Right)]
        .into_iter()
        .chain(
            shown
                .iter()
                .map(|points| (points[0].network.as_str(), Align::Right)),
        )
        .collect();
    let sizes: &[usize] = if axis == "batch" { &BATCHES } else { &DEPTHS };
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|&size| {
            let cells = shown.iter().map(|points| {
                points
                    .iter()
                    .find(|p| p.at == size)
                    .map_or(String::new(), |p| {
                        let share = machine.share(p.flops_per_second(), 1.0) * 100.0;
                        format!("{} {share:>3.0}%", rate(p.images_per_second))
                    })
            });
            [size.to_string()].into_iter().chain(cells).collect()
        })
        .collect();
    format!(
        "{}\n{}",
        words.say("training, images/s and share of the peak"),
        table(&columns, &rows)
    )
}

/// How many times smaller the operations per second are at the second of two sizes.
fn fall(pair: &[Point]) -> f64 {
    pair[0].flops_per_second() / pair[1].flops_per_second()
}

fn is_cliff(pair: &[Point]) -> bool {
    fall(pair) > CLIFF
}

/// One line for each fall of a series.
fn cliffs(points: &[Point], words: Words) -> Vec<String> {
    let falls = points.windows(2).filter(|pair| is_cliff(pair));
    let told = falls.map(|pair| {
        words.fill(
            "cliff: {} falls {} times from {} {} to {}",
            &[
                &pair[0].network,
                &significant(fall(pair), 2),
                &words.say(pair[0].axis),
                &pair[0].at,
                &pair[1].at,
            ],
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts;
    use zerokara_train::language::Language;

    fn point(at: usize, images_per_second: f64, flops_per_image: f64) -> Point {
        Point {
            network: "net".into(),
            axis: "batch",
            at,
            images_per_second,
            flops_per_image,
            bytes_per_image: 0.0,
        }
    }

    #[test]
    fn a_cliff_is_a_fall_of_operations_per_second() {
        // Half the images of twice the work is no fall.
        let even = [
            point(1, 100.0, 1.0),
            point(2, 50.0, 2.0),
            point(4, 75.0, 1.0),
        ];
        let words = texts::words(Language::English);
        assert_eq!(cliffs(&even, words), Vec::<String>::new());
        let steep = [
            point(1, 100.0, 1.0),
            point(2, 160.0, 1.0),
            point(4, 80.0, 1.0),
        ];
        assert_eq!(
            cliffs(&steep, words),
            ["cliff: net falls 2 times from batch 2 to 4"]
        );
    }
}
