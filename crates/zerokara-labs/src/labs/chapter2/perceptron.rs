//! Perceptrons (pages 21 to 38): gates from two weights and a bias, the line that each draws, and XOR by two layers.

use crate::prelude::*;

lab!("perceptron", chapter 2, pages "21–38",
    Choice::numbers("weights", "0.5, -0.5, -0.2", "w1, w2 and b of a perceptron of your own"),
    Choice::count("bits", "4", "how wide the numbers are that gates add, up to 8").quick("3"),
);

/// The four inputs (x1, x2) of a gate, as the book's tables list them.
const INPUTS: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];

/// y = 1 where b + w1 x1 + w2 x2 > 0, else 0.
struct Perceptron {
    weights: [f64; 2],
    bias: f64,
}

const AND: Perceptron = Perceptron { weights: [0.5, 0.5], bias: -0.7 };
const NAND: Perceptron = Perceptron { weights: [-0.5, -0.5], bias: 0.7 };
const OR: Perceptron = Perceptron { weights: [0.5, 0.5], bias: -0.2 };

impl Perceptron {
    /// The outputs `[N, 1]` for inputs `[N, 2]`.
    fn of(&self, x: &Tensor) -> Tensor {
        let [w1, w2] = self.weights.map(|w| w as f32);
        (x.matmul(&Tensor::from([[w1], [w2]])) + self.bias).step()
    }
}

fn run(lab: &mut Session) -> Result<()> {
    let x = Tensor::from(INPUTS);

    lab.section("gates");
    let gates = [("AND", AND), ("NAND", NAND), ("OR", OR)];
    let outputs: Result<Vec<_>> =
        gates.iter().map(|(_, gate)| digits(&gate.of(&x))).collect();
    let outputs = outputs?;
    let rows: Vec<_> = (0..4)
        .map(|i| {
            let [x1, x2] = INPUTS[i];
            let mut row = vec![x1.to_string(), x2.to_string()];
            row.extend(outputs.iter().map(|gate| gate[i].to_string()));
            row
        })
        .collect();
    lab.table(&["x1", "x2", "AND", "NAND", "OR"], &rows);
    lab.fact("(0.5, 0.5, −0.7) is AND: 1 for (1, 1) alone", outputs[0] == [0, 0, 0, 1])?;
    lab.fact("(−0.5, −0.5, 0.7) is NAND: the opposite of AND", outputs[1] == [1, 1, 1, 0])?;
    lab.fact("(0.5, 0.5, −0.2) is OR: 0 for (0, 0) alone", outputs[2] == [0, 1, 1, 1])?;

    lab.section("lines");
    let planes: Result<Vec<_>> =
        gates.iter().map(|(name, gate)| plane(name, 205, gate, &INPUTS)).collect();
    lab.figures(planes?);

    lab.section("own");
    let [w1, w2, b] = lab.numbers("weights")[..] else {
        return Err(Error::new("weights: three numbers are needed: w1, w2 and b"));
    };
    let own = Perceptron { weights: [w1, w2], bias: b };
    let pattern: String = digits(&own.of(&x))?.iter().map(u8::to_string).collect();
    let (_, name) = GATES.iter().find(|gate| gate.0 == pattern).unwrap_or(&GATES[0]);
    lab.print(format!("y = step({w1} x1 + {w2} x2 + {b})\noutputs {pattern}: {name}"));
    lab.figure(plane(name, 310, &own, &INPUTS)?);
    let mut play = Play::new("perceptron")
        .slider("w1", "w₁", -2.0..=2.0, 0.05, w1)
        .slider("w2", "w₂", -2.0..=2.0, 0.05, w2)
        .slider("b", "b", -2.0..=2.0, 0.05, b);
    for (pattern, name) in GATES {
        play = play.word_in("gates", pattern, name);
    }
    lab.play(play);

    lab.section("limit");
    // All perceptrons with w1, w2 and b from -2 to 2 in steps of a quarter, as the columns of one product.
    let steps: Vec<f32> = (-8..=8).map(|i| i as f32 / 4.0).collect();
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for (&w1, &w2, &b) in all_triples(&steps) {
        columns[0].push(w1);
        columns[1].push(w2);
        columns[2].push(b);
    }
    let count = columns[0].len();
    let [w1, w2, b] = columns.map(Tensor::from);
    let y = (x.matmul(&Tensor::stack(&[&w1, &w2], 0)) + b).step();
    let y = digits(&y)?;
    let made: Vec<usize> = GATES
        .iter()
        .map(|(pattern, _)| {
            let same = |at: &usize| {
                (0..4).all(|i| y[i * count + at] + b'0' == pattern.as_bytes()[i])
            };
            (0..count).filter(same).count()
        })
        .collect();
    let rows: Vec<_> = GATES
        .iter()
        .zip(&made)
        .map(|((pattern, name), n)| {
            vec![pattern.to_string(), name.to_string(), numbers::thousands(*n as u64)]
        })
        .collect();
    lab.table(&["outputs", "gate", "perceptrons"], &rows);
    let ticks = GATES.iter().enumerate().map(|(i, gate)| (i as f64, gate.0));
    let bars = made.iter().enumerate().map(|(i, &n)| (i as f64, n as f64));
    lab.figure(
        Plot::new("How many perceptrons make each gate")
            .size(640, 260)
            .axes("outputs for (0, 0), (1, 0), (0, 1), (1, 1)", "perceptrons")
            .bars("", bars, 0.7)
            .x_ticks(ticks)
            .text(5.55, 60.0, "XOR")
            .text(8.45, 60.0, "XNOR")
            .figure(),
    );
    let missing: Vec<&str> =
        GATES.iter().zip(&made).filter(|(_, n)| **n == 0).map(|(gate, _)| gate.1).collect();
    lab.fact(
        format!(
            "of {count} perceptrons none makes XOR or XNOR, and some make each other gate"
        ),
        missing == ["XOR", "XNOR"],
    )?;

    lab.section("xor");
    let (s1, s2) = (NAND.of(&x), OR.of(&x));
    let s = Tensor::concat(&[&s1, &s2], 1);
    let y = AND.of(&s);
    let (first, second, last) = (digits(&s1)?, digits(&s2)?, digits(&y)?);
    let rows: Vec<_> = (0..4)
        .map(|i| {
            let [x1, x2] = INPUTS[i].map(|v| v.to_string());
            vec![x1, x2, first[i].to_string(), second[i].to_string(), last[i].to_string()]
        })
        .collect();
    lab.table(&["x1", "x2", "s1 = NAND", "s2 = OR", "y = AND"], &rows);
    lab.fact(
        "AND of NAND and OR is XOR: 1 where just one input is 1",
        last == [0, 1, 1, 0],
    )?;
    let hidden: Vec<[f32; 2]> =
        first.iter().zip(&second).map(|(&a, &b)| [f32::from(a), f32::from(b)]).collect();
    let inputs = square("XOR: between two lines", 310, "x1", "x2", |x| {
        AND.of(&Tensor::concat(&[&NAND.of(x), &OR.of(x)], 1))
    })?;
    let inputs = points(edge(edge(inputs, &NAND), &OR), &INPUTS, &last);
    let after = square("After the first layer", 310, "s1", "s2", |s| AND.of(s))?;
    let after = points(edge(after, &AND), &hidden, &last);
    lab.figures([inputs.figure(), after.figure()]);

    lab.section("computer");
    let bits = lab.count("bits");
    if bits > 8 {
        return Err(Error::new(format!("bits: at most 8, not {bits}")));
    }
    let numbers = 1u32 << bits;
    let pairs: Vec<(u32, u32)> =
        (0..numbers).flat_map(|a| (0..numbers).map(move |b| (a, b))).collect();
    let bit = |of: &dyn Fn(&(u32, u32)) -> u32, k: usize| {
        Tensor::from(pairs.iter().map(|p| (of(p) >> k & 1) as f32).collect::<Vec<_>>())
    };
    let mut carry = Tensor::zeros([pairs.len()]);
    let mut sum = Tensor::zeros([pairs.len()]);
    for k in 0..bits {
        let (a, b) = (bit(&|p| p.0, k), bit(&|p| p.1, k));
        let either = xor(&a, &b);
        sum = sum + xor(&either, &carry) * f64::from(1u32 << k);
        carry = nand(&nand(&a, &b), &nand(&either, &carry));
    }
    sum = sum + carry * f64::from(numbers);
    let sums = sum.to_vec::<f32>()?;
    for at in [1, pairs.len() / 2 + 1, pairs.len() - 1] {
        lab.print(format!("{} + {} = {}", pairs[at].0, pairs[at].1, sums[at]));
    }
    lab.fact(
        format!(
            "nothing but NAND adds all {} pairs of {bits}-bit numbers rightly",
            pairs.len()
        ),
        pairs.iter().zip(&sums).all(|((a, b), sum)| (a + b) as f32 == *sum),
    )?;
    Ok(())
}

/// A gate as a plane: where it answers 1, its line, and the four inputs.
fn plane(title: &str, side: u32, gate: &Perceptron, inputs: &[[f32; 2]]) -> Result<Figure> {
    let answers = digits(&gate.of(&Tensor::from(INPUTS)))?;
    let plot = square(title, side, "x1", "x2", |x| gate.of(x))?;
    Ok(points(edge(plot, gate), inputs, &answers).figure())
}

/// What the planes show of both axes.
const RANGE: (f64, f64) = (-0.5, 1.5);

/// A plane, coloured where the function answers 1.
fn square(
    title: &str,
    side: u32,
    x: &str,
    y: &str,
    f: impl Fn(&Tensor) -> Tensor,
) -> Result<Plot> {
    const SIDE: usize = 120;
    let at =
        |i: usize| (RANGE.0 + (i as f64 + 0.5) / SIDE as f64 * (RANGE.1 - RANGE.0)) as f32;
    let grid = (0..SIDE * SIDE).flat_map(|i| [at(i % SIDE), at(SIDE - 1 - i / SIDE)]);
    let grid = Tensor::new([SIDE * SIDE, 2], grid.collect::<Vec<_>>());
    let ones = digits(&f(&grid))?;
    let [red, green, blue] = color(1);
    let rgba = ones.iter().flat_map(|&one| [red, green, blue, one * 40]).collect();
    Ok(Plot::new(title)
        .size(side, side)
        .axes(x, y)
        .x_range(RANGE.0, RANGE.1)
        .y_range(RANGE.0, RANGE.1)
        .equal()
        .picture(Picture { width: SIDE, height: SIDE, rgba }, RANGE, RANGE))
}

/// Adds the line on which b + w1 x1 + w2 x2 is 0.
fn edge(plot: Plot, gate: &Perceptron) -> Plot {
    let (w1, w2, b) = (gate.weights[0], gate.weights[1], gate.bias);
    // Long enough to leave the picture on both sides, from the point of the line that is nearest to the origin.
    let square = w1 * w1 + w2 * w2;
    let (x, y) = (-b * w1 / square, -b * w2 / square);
    let length = 4.0 / square.sqrt();
    let ends = [-length, length].map(|t| (x - t * w2, y + t * w1));
    plot.line("", ends).grey()
}

fn points(plot: Plot, inputs: &[[f32; 2]], answers: &[u8]) -> Plot {
    let of = |answer: u8| -> Vec<(f64, f64)> {
        let chosen = inputs.iter().zip(answers).filter(|(_, a)| **a == answer);
        chosen.map(|(x, _)| (f64::from(x[0]), f64::from(x[1]))).collect()
    };
    plot.dots("output 0", of(0)).color(0).dots("output 1", of(1)).color(1)
}

fn nand(a: &Tensor, b: &Tensor) -> Tensor {
    (a * NAND.weights[0] + b * NAND.weights[1] + NAND.bias).step()
}

/// Exclusive or, of four NAND gates.
fn xor(a: &Tensor, b: &Tensor) -> Tensor {
    let both = nand(a, b);
    nand(&nand(a, &both), &nand(b, &both))
}

fn digits(y: &Tensor) -> Result<Vec<u8>> {
    Ok(y.to_vec::<f32>()?.iter().map(|&v| v as u8).collect())
}

fn all_triples(values: &[f32]) -> impl Iterator<Item = (&f32, &f32, &f32)> {
    values.iter().flat_map(move |a| {
        values.iter().flat_map(move |b| values.iter().map(move |c| (a, b, c)))
    })
}

/// All functions of two bits, by their outputs for the four inputs.
const GATES: [(&str, &str); 16] = [
    ("0000", "always 0"),
    ("0001", "AND"),
    ("0010", "x2 and not x1"),
    ("0011", "x2"),
    ("0100", "x1 and not x2"),
    ("0101", "x1"),
    ("0110", "XOR"),
    ("0111", "OR"),
    ("1000", "NOR"),
    ("1001", "XNOR"),
    ("1010", "not x1"),
    ("1011", "x2 or not x1"),
    ("1100", "not x2"),
    ("1101", "x1 or not x2"),
    ("1110", "NAND"),
    ("1111", "always 1"),
];
