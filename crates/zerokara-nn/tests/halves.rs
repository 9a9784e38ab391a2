//! Steps in two halves, groups of parameters, the state of a step, and models and tasks of several values.

use std::sync::Arc;
use zerokara_core::{Array, Arrays, DType, Meta, Metas, Tensor, Tensors};
use zerokara_nn::*;

/// Numbers that look random, from -1 to 1.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    let at = |i: usize| ((i * 7919 + salt * 104_729) % 2003) as f32 / 1001.0 - 1.0;
    (0..count).map(at).collect()
}

fn batch(samples: usize, salt: usize) -> (Array, Array) {
    let labels: Vec<i64> = (0..samples as i64)
        .map(|i| (i * 5 + salt as i64) % 3)
        .collect();
    (
        Array::new([samples, 6], numbers(samples * 6, salt)),
        Array::new([samples], labels),
    )
}

fn network() -> Arc<Sequential> {
    let model = Sequential::new()
        .linear(8)
        .batch_norm1d()
        .relu()
        .dropout(0.3)
        .linear(3);
    model.build(&batch(4, 0).0, 3).unwrap();
    Arc::new(model)
}

fn step_of(model: &Arc<Sequential>, optimizer: impl Optimizer + 'static) -> TrainStep {
    let step = TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), optimizer).unwrap();
    step.seed(7).clipping(Clipping::Norm(0.5))
}

#[test]
fn one_part_and_an_update_are_the_step_but_for_rounding() {
    let (whole, halves) = (network(), network());
    let step = |model: &Arc<Sequential>| {
        let step = TrainStep::new(
            model.clone(),
            SoftmaxCrossEntropy::new(),
            Momentum::new(0.05),
        );
        step.unwrap().seed(7).clipping(Clipping::Norm(0.5))
    };
    let (mut first, mut second) = (step(&whole), step(&halves));
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(1e-2);
    for at in 0..5 {
        let (x, t) = batch(12, at);
        let expected = first.step(&x, &t, 0.05).unwrap();
        let part = second.accumulate(&x, &t, 1.0).unwrap();
        let found = second.update(0.05).unwrap();
        assert!(found.ok && found.correct == expected.correct);
        assert!(near(part.loss, expected.loss) && near(found.loss, expected.loss));
        assert!(near(found.gradient_norm, expected.gradient_norm));
        for ((path, a), (_, b)) in whole.state().unwrap().iter().zip(halves.state().unwrap()) {
            let mut pairs = a.to_f64s().into_iter().zip(b.to_f64s());
            assert!(pairs.all(|(a, b)| near(a, b)), "{path} of step {at}");
        }
    }
}

#[test]
fn parts_are_summed_in_the_order_of_the_calls() {
    let model = network();
    let mut step = step_of(&model, Sgd::new(0.1));
    let before = model.state().unwrap();
    let shares = [0.5f32, 0.3, 0.2];
    // The gradient of each part alone, as the same part of the step sees it.
    let mut sums: Vec<Vec<f32>> = Vec::new();
    for (at, share) in shares.into_iter().enumerate() {
        for earlier in 0..=at {
            let (x, t) = batch(4, earlier);
            let counts = if earlier == at { f64::from(share) } else { 0.0 };
            step.accumulate(&x, &t, counts).unwrap();
        }
        let found = step.gradients().map(|(_, g)| g.value());
        let found: Vec<Vec<f32>> = found.map(|g| g.as_slice().unwrap().to_vec()).collect();
        match sums.is_empty() {
            true => sums = found,
            false => {
                for (sum, part) in sums.iter_mut().flatten().zip(found.iter().flatten()) {
                    *sum += part;
                }
            }
        }
        step.update(0.0).unwrap();
        model.load_state(&before).unwrap();
        step.set_counters(0, 0);
    }
    for (at, share) in shares.into_iter().enumerate() {
        let (x, t) = batch(4, at);
        step.accumulate(&x, &t, f64::from(share)).unwrap();
    }
    for ((path, found), expected) in step.gradients().zip(&sums) {
        assert_eq!(found.value().as_slice::<f32>().unwrap(), expected, "{path}");
    }
    // A step cannot begin before these are used.
    let (x, t) = batch(4, 0);
    let error = step.step(&x, &t, 0.1).unwrap_err().to_string();
    assert!(error.contains("call update"), "{error}");
    let output = step.update(0.1).unwrap();
    assert!(output.ok && output.totals.samples() == 12);
    let error = step.update(0.1).unwrap_err().to_string();
    assert!(error.contains("call accumulate first"), "{error}");
}

#[test]
fn what_lies_in_the_places_is_what_the_update_takes() {
    let model = network();
    let mut step =
        TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), Sgd::new(1.0)).unwrap();
    let (x, t) = batch(8, 1);
    let before = model.state().unwrap();
    step.accumulate(&x, &t, 1.0).unwrap();
    let mut names = Vec::new();
    for (path, gradient) in step.gradients() {
        let ones = vec![0.25f32; gradient.meta().len()];
        let value = Array::new(gradient.meta().shape.clone(), ones);
        gradient.set_array(value).unwrap();
        names.push(path.to_string());
    }
    assert!(step.update(1.0).unwrap().ok);
    let mut trained = 0;
    for ((path, old), (_, new)) in before.iter().zip(model.state().unwrap()) {
        if !names.contains(path) {
            continue;
        }
        trained += 1;
        let moved = old.to_f64s().into_iter().zip(new.to_f64s());
        for (old, new) in moved {
            assert_eq!(new, f64::from(old as f32 - 0.25), "{path}");
        }
    }
    assert_eq!(trained, 6);
}

#[test]
fn a_bad_part_changes_nothing_at_all() {
    let model = network();
    let mut step = step_of(&model, Adam::new(0.1));
    let (x, t) = batch(8, 2);
    step.step(&x, &t, 0.1).unwrap();
    let (values, state) = (model.state().unwrap(), step.state());
    let mut bad = numbers(48, 3);
    bad[17] = f32::NAN;
    step.accumulate(&x, &t, 0.5).unwrap();
    step.accumulate(&Array::new([8, 6], bad), &t, 0.5).unwrap();
    assert_ne!(
        model.state().unwrap(),
        values,
        "running statistics follow the parts"
    );
    let output = step.update(0.1).unwrap();
    assert!(!output.ok);
    assert_eq!(model.state().unwrap(), values);
    assert_eq!(step.counters(), (2, 1));
    // What the optimizer remembers is as it was.
    for (name, cell) in step.optimizer_state() {
        assert_eq!(Some(&cell.value()), state.get(&name), "{name}");
    }
    // A part that does not fit is an error that leaves nothing behind either.
    step.accumulate(&x, &t, 0.5).unwrap();
    assert!(
        step.accumulate(&Array::new([8, 5], numbers(40, 1)), &t, 0.5)
            .is_err()
    );
    assert_eq!(model.state().unwrap(), values);
    step.step(&x, &t, 0.1).unwrap();
}

#[test]
fn groups_are_trained_in_ways_of_their_own() {
    let (x, t) = batch(8, 5);
    let changes = |groups: Vec<ParameterGroup>| {
        let model = network();
        let before = model.state().unwrap();
        let optimizer = Sgd::new(0.5).weight_decay(0.25);
        let mut step =
            TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), optimizer).unwrap();
        for group in groups {
            step = step.group(group).unwrap();
        }
        step.step(&x, &t, 0.5).unwrap();
        let after = model.state().unwrap();
        let pairs = before.into_iter().zip(after);
        let change = |((path, old), (_, new)): ((String, Array), (String, Array))| {
            let moved = old.to_f64s().into_iter().zip(new.to_f64s());
            (path, moved.map(|(a, b)| (a, b - a)).collect::<Vec<_>>())
        };
        pairs
            .map(change)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let usual = changes(vec![]);
    let frozen = changes(vec![ParameterGroup::matching("linear1.*").frozen()]);
    assert!(
        frozen["linear1.weight"]
            .iter()
            .all(|(_, moved)| *moved == 0.0)
    );
    assert_eq!(frozen["linear2.weight"], usual["linear2.weight"]);

    let slow = ParameterGroup::matching("linear2.*").learning_rate(0.05);
    let slow = changes(vec![slow]);
    for ((_, slow), (_, usual)) in slow["linear2.weight"].iter().zip(&usual["linear2.weight"]) {
        assert!((slow * 10.0 - usual).abs() < 1e-5, "{slow} {usual}");
    }
    assert_eq!(slow["linear1.weight"], usual["linear1.weight"]);

    let bare = ParameterGroup::matching("*.bias")
        .or("batch_norm*")
        .weight_decay(0.0);
    let bare = changes(vec![bare]);
    for ((old, bare), (_, usual)) in bare["linear1.bias"].iter().zip(&usual["linear1.bias"]) {
        assert!((bare - (usual + 0.5 * 0.25 * old)).abs() < 1e-6);
    }
    assert_eq!(bare["linear1.weight"], usual["linear1.weight"]);

    // The first group that matches has it; another optimizer has its own rate.
    let both = changes(vec![
        ParameterGroup::matching("linear1.weight").frozen(),
        ParameterGroup::matching("linear1.*").optimizer(Sgd::new(0.125)),
    ]);
    assert!(
        both["linear1.weight"]
            .iter()
            .all(|(_, moved)| *moved == 0.0)
    );
    for ((old, own), (_, usual)) in both["linear1.bias"].iter().zip(&usual["linear1.bias"]) {
        assert!((own * 4.0 - (usual + 0.125 * old)).abs() < 1e-5);
    }
}

#[test]
fn groups_that_cannot_be_are_refused_by_name() {
    let made = || TrainStep::new(network(), SoftmaxCrossEntropy::new(), Adam::new(0.1)).unwrap();
    let refused = |group| made().group(group).map(drop).unwrap_err().to_string();
    let said = refused(ParameterGroup::matching("conv*").frozen());
    assert!(
        said.contains("\"conv*\"; there are linear1.weight"),
        "{said}"
    );
    let said = refused(ParameterGroup::matching("*.bias").learning_rate(-1.0));
    assert!(said.contains("*.bias has the learning rate -1"), "{said}");
    let said = refused(ParameterGroup::matching("*.bias").weight_decay(f64::NAN));
    assert!(said.contains("weight decay NaN"), "{said}");
}

#[test]
fn a_step_that_is_given_the_state_of_another_goes_on_with_its_bits() {
    let optimizers: [Arc<dyn Optimizer>; 4] = [
        Arc::new(Momentum::new(0.1)),
        Arc::new(Adam::new(0.05)),
        Arc::new(AdamW::new(0.05)),
        Arc::new(RmsProp::new(0.01)),
    ];
    for optimizer in optimizers {
        let rate = optimizer.learning_rate();
        let model = network();
        let group = || {
            ParameterGroup::matching("*.bias")
                .weight_decay(0.0)
                .learning_rate(0.02)
        };
        let mut step = step_of(&model, optimizer.clone()).group(group()).unwrap();
        for at in 0..7 {
            // Some steps are bad, and one has a gradient that bounds do not cover.
            let (mut x, t) = batch(8, at);
            if at == 3 {
                x.as_mut_slice::<f32>().unwrap()[5] = f32::INFINITY;
            }
            step.step(&x, &t, rate).unwrap();
        }
        let (values, state) = (model.state().unwrap(), step.state());
        let rest = |step: &mut TrainStep, model: &Sequential| {
            let outputs = (7..12).map(|at| {
                let (x, t) = batch(8, at);
                step.step(&x, &t, rate).unwrap()
            });
            (outputs.collect::<Vec<_>>(), model.state().unwrap())
        };
        let expected = rest(&mut step, &model);
        let other = network();
        other.load_state(&values).unwrap();
        let mut step = step_of(&other, optimizer.clone()).group(group()).unwrap();
        step.load_state(&state).unwrap();
        assert_eq!(rest(&mut step, &other), expected, "{}", optimizer.name());
    }
}

#[test]
fn a_state_of_something_else_is_refused_and_changes_nothing() {
    let model = network();
    let mut step = step_of(&model, Adam::new(0.1));
    let (x, t) = batch(8, 2);
    step.step(&x, &t, 0.1).unwrap();
    let own = step.state();
    let momentum = step_of(&network(), Momentum::new(0.1)).state();
    let said = step.load_state(&momentum).unwrap_err().to_string();
    assert!(said.contains("has no linear1.weight.mean"), "{said}");
    let more = own.clone().with("more", Array::scalar(1.0, DType::F32));
    let said = step.load_state(&more).unwrap_err().to_string();
    assert!(said.contains("it is of another optimizer"), "{said}");
    let wide = own
        .clone()
        .with("linear1.bias.mean", Array::new([9], vec![0.0f32; 9]));
    let said = step.load_state(&wide).unwrap_err().to_string();
    assert!(said.contains("linear1.bias.mean is f32[8]"), "{said}");
    assert_eq!(step.state(), own);
}

/// A picture and the number of its author give a class and a price.
#[derive(Module)]
struct Judge {
    author: Embedding,
    picture: Linear,
    class: Linear,
    price: Linear,
}

impl Model for Judge {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let author = self.author.forward(&inputs.tensor("author"), cx);
        let picture = self.picture.forward(&inputs.tensor("picture"), cx);
        let joined = (author + picture).relu();
        Tensors::from([
            ("class", self.class.forward(&joined, cx)),
            ("price", self.price.forward(&joined, cx)),
        ])
    }
}

struct ClassAndPrice;

impl Task for ClassAndPrice {
    fn title(&self) -> &'static str {
        "class_and_price"
    }

    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
        let class = &outputs.tensor("class");
        let class = SoftmaxCrossEntropy::new().loss(class, &targets.tensor("class"));
        let price = &outputs.tensor("price");
        class + MeanSquaredError::new().loss(price, &targets.tensor("price"))
    }

    fn tally(&self, outputs: &Tensors, targets: &Tensors) -> Vec<(&'static str, Tensor)> {
        let class = &outputs.tensor("class");
        SoftmaxCrossEntropy::new().sums(class, &targets.tensor("class"))
    }
}

#[test]
fn several_inputs_outputs_and_targets() {
    let model = Arc::new(Judge {
        author: Embedding::new(5, 16),
        picture: Linear::new(16),
        class: Linear::new(3),
        price: Linear::new(1),
    });
    let sample = Metas::from([
        ("author", Meta::new([1], DType::I64)),
        ("picture", Meta::new([1, 6], DType::F32)),
    ]);
    model.build_for(&sample, 1).unwrap();
    let (picture, class) = batch(30, 4);
    let author: Vec<i64> = (0..30).map(|i| i % 5).collect();
    let prices = (0..30).map(|i| (i % 5) as f32 / 4.0).collect::<Vec<_>>();
    let author = Array::new([30], author);
    let inputs = Arrays::from([("author", author.clone()), ("picture", picture.clone())]);
    let targets = Arrays::from([("class", class), ("price", Array::new([30, 1], prices))]);
    let mut step = TrainStep::new(model.clone(), ClassAndPrice, Adam::new(0.02)).unwrap();
    let first = step.step(&inputs, &targets, 0.02).unwrap();
    let last = (0..300).map(|_| step.step(&inputs, &targets, 0.02).unwrap().loss);
    let last = last.last().unwrap();
    assert!(last < first.loss / 5.0, "{} to {last}", first.loss);

    let mut judge = EvalStep::new(model.clone(), ClassAndPrice).unwrap();
    let found = judge.run(&inputs, &targets).unwrap();
    assert!(found.correct.unwrap() > 25, "{found:?}");
    let names: Vec<&str> = found.outputs.names().collect();
    assert_eq!(names, ["class", "price"]);
    // The order in which inputs are given does not matter, only their names.
    let turned = Arrays::from([("picture", picture), ("author", author)]);
    let predictor = Predictor::new(model).unwrap();
    assert_eq!(predictor.predict_all(&turned).unwrap(), found.outputs);
    let missing = Arrays::from([("picture", Array::new([1, 6], numbers(6, 0)))]);
    let said = predictor.predict(&missing).unwrap_err().to_string();
    assert!(
        said.contains("there is no value \"author\"; there are \"picture\""),
        "{said}"
    );
}

/// One state for each row of a weight, one for all of a bias, and more scalars than four.
struct Rows;

impl Optimizer for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn learning_rate(&self) -> f64 {
        0.1
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn states(&self, of: &ParameterSpec<'_>) -> Vec<StateSpec> {
        let rows = match of.meta.shape[..] {
            [rows, _] => vec![rows, 1],
            _ => vec![1],
        };
        vec![StateSpec {
            name: "largest",
            meta: Meta::new(rows, of.meta.dtype),
            initial: 1.0,
        }]
    }

    fn scalars(&self, update: u64, learning_rate: f64) -> Scalars {
        vec![learning_rate, update as f64, 3.0, 4.0, 5.0].into()
    }

    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let largest = match parameter.shape().map_or(0, <[usize]>::len) {
            2 => gradient.abs().max_axes(&[1], true),
            _ => gradient.abs().max().reshape([1]),
        };
        let largest = state[0].maximum(&largest) + &scalars[4] * 0.0;
        let moved = gradient / &largest * &scalars[0];
        (parameter - moved, vec![largest])
    }
}

#[test]
fn an_optimizer_may_remember_what_it_wants() {
    let model = network();
    let mut step = step_of(&model, Rows);
    let (x, t) = batch(8, 2);
    let first = step.step(&x, &t, 0.1).unwrap();
    let last = (0..60).map(|_| step.step(&x, &t, 0.1).unwrap());
    let last = last.last().unwrap();
    assert!(
        last.ok && last.loss < first.loss * 0.7,
        "{first:?} {last:?}"
    );
    let state = step.optimizer_state();
    assert_eq!(state[0].0, "linear1.weight.largest");
    let rows = model.named_parameters().unwrap()[0].1.meta().shape[0];
    assert_eq!(state[0].1.meta().shape, [rows, 1]);
    assert_eq!(state[1].1.meta().shape, [1]);
}
