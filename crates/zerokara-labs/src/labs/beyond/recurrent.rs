//! Recurrent networks: a state that is carried along a sequence, and how far back gradients reach.

use crate::prelude::*;
use std::sync::Arc;
use zerokara::figures::numbers::{percent, significant};

lab!("recurrent", chapter 0, pages "",
    Choice::count("hidden", "8", "numbers in the state of the network that adds (2 to 64)"),
    Choice::count("steps", "600", "steps of training of the network that adds (at most 10000)"),
    Choice::numbers("lengths", "5, 20, 60", "lengths of the sequences to remember over (2 to 200, at most 6 of them)").quick("5, 40"),
    Choice::count("memory-steps", "400", "steps of training of the networks that remember (at most 5000)").quick("250"),
    Choice::number("forget-bias", "3", "what the forget gates of the LSTM begin with (-10 to 10)"),
);

/// Bits of the numbers that are shown in training, and of those that are tested.
const BITS: (usize, usize) = (8, 40);
/// Sequences in a batch.
const BATCH: usize = 50;

fn run(lab: &mut Session) -> Result<()> {
    let (hidden, steps) = (lab.count("hidden"), lab.count("steps"));
    let (lengths, memory_steps) = (lab.numbers("lengths"), lab.count("memory-steps"));
    let forget = lab.number("forget-bias");
    if !(2..=64).contains(&hidden) || steps > 10_000 || memory_steps > 5_000 {
        return Err(Error::new(
            "2 to 64 numbers in the state, at most 10000 and 5000 steps",
        ));
    }
    if !(1..=6).contains(&lengths.len())
        || !lengths.iter().all(|l| (2.0..=200.0).contains(l))
    {
        return Err(Error::new("lengths: one to six numbers from 2 to 200"));
    }
    if !(-10.0..=10.0).contains(&forget) {
        return Err(Error::new("the forget gates' bias is a number from -10 to 10"));
    }
    let mut lengths: Vec<usize> = lengths.iter().map(|&l| l as usize).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let seed = lab.seed();

    lab.section("step");
    let x = noise(seed, 0, &[1, 3, 2]);
    let layer = Rnn::new(2);
    layer.build(&x, seed)?;
    let states = layer.forward(&x, &mut Context::evaluate());
    let parameters = layer.parameters()?;
    let [weight, recurrent, bias] = [0, 1, 2].map(|i| parameters[i].tensor());
    let mut h = Tensor::zeros([1, 2]);
    for at in 0..3 {
        h = (x.at(1, at).matmul(&weight.t()) + h.matmul(&recurrent.t()) + &bias).tanh();
        lab.print(format!("h{} {h}", at + 1));
    }
    lab.fact(
        "three steps by hand are what the layer gives",
        largest(&(h - states.at(1, -1)))? < 1e-6,
    )?;

    lab.section("adding");
    let model = Arc::new(Adder { rnn: Rnn::new(hidden), scores: Linear::new(2) });
    model.build(&Meta::new([BATCH, BITS.0, 2], DType::F32), seed)?;
    let mut training =
        TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(0.01))?;
    let schedule = Schedule::one_cycle(steps as u64);
    let progress = lab.progress("learning to add", steps);
    for step in 0..steps {
        let x = bits(seed, step, BITS.0);
        let sums = Sums::of(&x)?;
        training.step(&x.eval()?, &sums.bits, 0.02 * schedule.factor(step as u64))?;
        progress.step();
    }
    drop(progress);
    let mut rows = Vec::new();
    let mut shares = Vec::new();
    for length in [BITS.0, BITS.1] {
        let x = bits(seed ^ 0x7E57, 0, length);
        let given = model.forward(&x, &mut Context::evaluate()).argmax(-1);
        let right = given.equal(&Tensor::from(Sums::of(&x)?.bits)).cast(DType::F32);
        let all = right.min_axes(&[1], false).mean().item()?;
        rows.push(vec![length.to_string(), percent(right.mean().item()?), percent(all)]);
        shares.push(all);
    }
    lab.table(&["bits of the numbers", "right bits", "right sums"], &rows);
    let usual = lab.usual(&["hidden", "steps"]);
    if usual {
        lab.fact(
            "it adds numbers of 8 bits, and of 40 bits, five times longer than any it was shown: 98 % of the sums are right",
            shares.iter().all(|&share| share >= 0.98),
        )?;
    }

    lab.section("states");
    let probe = Arc::new(Linear::new(2));
    let (states, sums) = model.while_adding(seed, 1)?;
    probe.build(&states, seed)?;
    let mut training =
        TrainStep::new(probe.clone(), SoftmaxCrossEntropy::new(), Adam::new(0.1))?;
    for _ in 0..200 {
        training.step(&states, &sums.carries, 0.1)?;
    }
    // Other sums than those that the probe was trained on.
    let (states, sums) = model.while_adding(seed, 2)?;
    let states = Tensor::from(states);
    let lead = |layer: &Linear| -> Result<Vec<f32>> {
        let scores = layer.forward(&states, &mut Context::evaluate());
        Ok((scores.at(1, 1) - scores.at(1, 0)).to_vec::<f32>()?)
    };
    let (by_probe, by_network) = (lead(&probe)?, lead(&model.scores)?);
    let carries = sums.carries.to_f64s();
    let mut plot = Plot::new("States while it adds")
        .size(420, 320)
        .axes("probe: a carry", "network: write a 1");
    for (name, value) in [("no carry", 0.0), ("carry", 1.0)] {
        let points = (0..carries.len().min(400)).filter(|&i| carries[i] == value);
        let point = |i: usize| (f64::from(by_probe[i]), f64::from(by_network[i]));
        plot = plot.dots(name, points.map(point).collect::<Vec<_>>());
    }
    lab.figure(plot.figure());
    let told = by_probe
        .iter()
        .zip(&carries)
        .filter(|(lead, carry)| (**lead > 0.0) == (**carry == 1.0));
    let told = told.count() as f64 / carries.len() as f64;
    lab.print(format!("carries that the probe tells: {}", percent(told)));
    if usual {
        lab.fact("the probe reads the carry in the state (98 %)", told >= 0.98)?;
    }

    lab.section("gradients");
    let (length, width) = (60, 32);
    let mut plot = Plot::new("Gradient of the last state by earlier inputs")
        .size(440, 320)
        .axes("steps before the end", "norm of the gradient")
        .log_y();
    let mut rows = Vec::new();
    let mut factors = Vec::new();
    let (wide, open) = (
        "plain, recurrent weights × 5",
        format!("LSTM, forget bias {}", significant(forget, 3)),
    );
    for name in ["plain", wide, "LSTM, forget bias 0", &open] {
        let norms = gradients_by_time(name, forget, length, width, seed)?;
        plot = plot.line(name, norms.iter().enumerate().map(|(back, &n)| (back as f64, n)));
        let factor = (norms[50] / norms[10]).powf(1.0 / 40.0);
        rows.push(vec![
            name.to_string(),
            significant(norms[50] / norms[0], 2),
            significant(factor, 3),
        ]);
        factors.push((norms[50] / norms[0], factor));
    }
    lab.figure(plot.figure());
    lab.table(
        &["network", "norm 50 steps before over that at the end", "factor of a step"],
        &rows,
    );
    lab.fact(
        "of the plain network's gradient less than a millionth is left after 50 steps",
        factors[0].0 < 1e-6,
    )?;
    lab.fact(
        "an LSTM with half open gates forgets as fast: less than a millionth is left too",
        factors[2].0 < 1e-6,
    )?;
    lab.fact(
        "with recurrent weights that are 5 times larger it grows instead",
        factors[1].1 > 1.0,
    )?;
    if lab.usual(&["forget-bias"]) {
        lab.fact(
            "of the LSTM's with open gates more than a hundredth is left",
            factors[3].0 > 0.01,
        )?;
    }

    lab.section("memory");
    let progress = lab.progress("learning to remember", 2 * lengths.len());
    let mut rows = Vec::new();
    let mut reached = Vec::new();
    for &length in &lengths {
        let mut row = vec![length.to_string()];
        let mut both = [0.0; 2];
        for (at, share) in both.iter_mut().enumerate() {
            let layers = Sequential::new().add(Embedding::new(8, 16));
            let layers = match at {
                0 => layers.add(Rnn::new(32).last(true)),
                _ => layers.add(Lstm::new(32).last(true)),
            };
            *share =
                remembers(&Arc::new(layers.linear(4)), length, memory_steps, forget, seed)?;
            row.push(percent(*share));
            progress.step();
        }
        rows.push(row);
        reached.push(both);
    }
    drop(progress);
    lab.table(&["length", "plain", "LSTM"], &rows);
    let at = |net: usize| {
        lengths.iter().map(|&l| l as f64).zip(reached.iter().map(move |r| 100.0 * r[net]))
    };
    lab.figure(
        Plot::new("The first of so many symbols, remembered")
            .size(420, 280)
            .axes("length", "right, %")
            .y_range(0.0, 100.0)
            .path("plain", at(0).collect::<Vec<_>>())
            .path("LSTM", at(1).collect::<Vec<_>>())
            .figure(),
    );
    if lab.usual(&["lengths", "memory-steps", "forget-bias"])
        && let (Some(short), Some(long)) = (reached.first(), reached.last())
    {
        lab.fact(
            "over five symbols both remember (95 %)",
            short.iter().all(|&share| share >= 0.95),
        )?;
        lab.fact(
            "over the longest sequence the LSTM remembers (two thirds and more), the plain network does not (less than half)",
            long[1] >= 2.0 / 3.0 && long[0] < 0.5,
        )?;
    }
    Ok(())
}

/// The largest absolute element.
fn largest(x: &Tensor) -> Result<f64> {
    Ok(x.abs().to_vec::<f32>()?.into_iter().fold(0.0, f32::max).into())
}

fn draws(seed: u64, draw: usize, shape: &[usize]) -> Tensor {
    Tensor::uniform(seed, &Tensor::scalar(draw as f64, DType::I64), shape)
}

fn noise(seed: u64, draw: usize, shape: &[usize]) -> Tensor {
    Tensor::normal(seed, &Tensor::scalar(draw as f64, DType::I64), shape)
}

/// Pairs of numbers as bits, the lowest first, `[N, T, 2]`.
fn bits(seed: u64, draw: usize, length: usize) -> Tensor {
    (draws(seed, draw, &[BATCH, length, 2]) * 2.0).floor()
}

/// Their sums.
struct Sums {
    /// The lowest bit first, `[N, T]`; what is carried out of the last is left out.
    bits: Array,
    /// Whether each step hands on a carry, 0 or 1, `[N T]`.
    carries: Array,
}

impl Sums {
    fn of(x: &Tensor) -> Result<Self> {
        let Ok(&[samples, length, _]) = x.shape() else {
            return Err(Error::new("no pairs of bits"));
        };
        let (mut sums, mut carries) = (Vec::new(), Vec::new());
        for pairs in x.to_vec::<f32>()?.chunks(2 * length) {
            let mut carry = 0;
            for pair in pairs.chunks(2) {
                let sum = pair[0] as i64 + pair[1] as i64 + carry;
                carry = sum / 2;
                sums.push(sum % 2);
                carries.push(carry);
            }
        }
        let steps = samples * length;
        Ok(Self {
            bits: Array::new([samples, length], sums),
            carries: Array::new([steps], carries),
        })
    }
}

/// Two bits come in, a bit of the sum goes out; the carry must be kept in the state.
#[derive(Module, Clone)]
struct Adder {
    rnn: Rnn,
    scores: Linear,
}

impl Adder {
    /// All its states while it adds long numbers, `[N T, H]`, and the sums.
    fn while_adding(&self, seed: u64, draw: usize) -> Result<(Array, Sums)> {
        let x = bits(seed ^ 0x7E57, draw, BITS.1);
        let states = self.rnn.forward(&x, &mut Context::evaluate());
        let &[samples, length, hidden] = states.shape()? else {
            return Err(Error::new("no states"));
        };
        let rows = [samples * length, hidden].map(|n| n as i64);
        Ok((states.reshape(rows).eval()?, Sums::of(&x)?))
    }
}

impl Forward for Adder {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.scores.forward(&self.rnn.forward(x, cx), cx)
    }
}

/// Lets the forget gates of all LSTMs in a model begin with this bias.
fn set_forget_bias(model: &dyn Module, bias: f64) -> Result<()> {
    for (name, parameter) in model.named_parameters()? {
        let &[all] = parameter.meta().shape.as_slice() else { continue };
        if name.ends_with("layers.0.bias") {
            let value = parameter.tensor();
            let each = all / 4;
            let gate = Tensor::full([each], bias, DType::F32);
            let parts =
                [&value.narrow(0, 0, each), &gate, &value.narrow(0, 2 * each, 2 * each)];
            parameter.set(&Tensor::concat(&parts, 0))?;
        }
    }
    Ok(())
}

/// The norm of the gradient of a random mix of the last state by the input so many steps before, from 0 on: the mean over
/// samples, before any training.
fn gradients_by_time(
    name: &str,
    forget: f64,
    length: usize,
    width: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let x = noise(seed, 1, &[BATCH, length, 4]);
    let layers = Sequential::new();
    let is_lstm = name.starts_with("LSTM");
    let model = match is_lstm {
        true => layers.add(Lstm::new(width).last(true)),
        false => layers.add(Rnn::new(width).last(true)),
    };
    model.build(&x, seed)?;
    if is_lstm {
        set_forget_bias(&model, if name.ends_with("bias 0") { 0.0 } else { forget })?;
    } else if name.ends_with('5') {
        for (name, parameter) in model.named_parameters()? {
            if name.ends_with("layers.0.recurrent") {
                parameter.set(&(parameter.tensor() * 5.0))?;
            }
        }
    }
    let last = model.forward(&x, &mut Context::evaluate());
    let mix = noise(seed, 2, &[width]);
    let norms = grad(&(last * mix).sum(), &x).square().sum_axes(&[2], false).sqrt();
    let norms = norms.mean_axes(&[0], false).flip(&[0]).to_vec::<f32>()?;
    Ok(norms.into_iter().map(f64::from).collect())
}

/// Symbols 0 to 3 come first, then only 4 to 7, drawn by chance: sequences `[N, T]`, and what came first.
fn sequences(seed: u64, draw: usize, rows: usize, length: usize) -> Tensor {
    let symbols = (draws(seed, draw, &[rows, length]) * 4.0).floor().cast(DType::I64);
    let first = symbols.narrow(1, 0, 1);
    Tensor::concat(&[&first, &(symbols.narrow(1, 1, length - 1) + 4)], 1)
}

/// How often the model says the first symbol at the end of sequences that it has not seen.
fn remembers(
    model: &Arc<Sequential>,
    length: usize,
    steps: usize,
    forget: f64,
    seed: u64,
) -> Result<f64> {
    model.build(&Meta::new([BATCH, length], DType::I64), seed)?;
    if model.named_parameters()?.iter().any(|(name, _)| name.contains("lstm")) {
        set_forget_bias(&**model, forget)?;
    }
    let mut training =
        TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), Adam::new(0.005))?
            .clipping(Clipping::Norm(1.0));
    for step in 0..steps {
        let x = sequences(seed, step, BATCH, length).eval()?;
        let first = Tensor::from(x.clone()).at(1, 0).eval()?;
        training.step(&x, &first, 0.005)?;
    }
    let x = sequences(seed ^ 0x7E57, 0, 500, length);
    let told = model.forward(&x, &mut Context::evaluate()).argmax(-1);
    Ok(told.equal(&x.at(1, 0)).cast(DType::F32).mean().item()?)
}
