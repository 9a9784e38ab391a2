//! How large the results of an update can become.
//!
//! A step must store nothing that is not finite. To look at every new value before it is stored would be a second pass
//! over all parameters; instead the optimizer's formula is run once on intervals, with all that is known before a step:
//! between what bounds parameters and states lie, how large the gradient is at most, the numbers of the step. Nearly
//! always the results are far within what a float holds, and nothing need be looked at. Where the formula cannot be
//! bounded, or its results may be too large, the step has to look ([`Guard::limit`] is 0).

use crate::{
    Clipping, Optimizer, optimizers::ParameterSpec, replay::nodes, train_step::groups::Cell,
};
use std::collections::HashMap;
use zerokara_core::{
    Array, Elements, Parameter, Tensor,
    op::{Binary, Instruction, Kind, Unary},
};

/// Numbers beyond this are not trusted to stay finite, also where floats are wider than f32.
const LARGEST: f64 = 1e37;
/// Divisors and logarithms of less than this, the least f32 of full precision, are not trusted.
const LEAST: f64 = f32::MIN_POSITIVE as f64;
/// More than any operation errs by in f32, relatively.
const ROUNDING: f64 = 1.0 / (1 << 21) as f64;
/// Norms of the gradient that a step is made ready for, the first for which its results are sure to be finite.
const NORMS: [f64; 4] = [1e18, 1e12, 1e6, 1e2];
/// Steps that look at what they store, after which it is tried again whether they need to.
const PATIENCE: u64 = 64;

/// All numbers between two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    const TRUTH: Self = Self {
        low: 0.0,
        high: 1.0,
    };

    fn of(number: f64) -> Self {
        Self::around(number, number)
    }

    /// Both bounds and what lies between, with room for rounding; no sign changes by rounding.
    fn around(low: f64, high: f64) -> Self {
        let down = |x: f64| x - x.abs() * ROUNDING;
        let up = |x: f64| x + x.abs() * ROUNDING;
        Self {
            low: match low >= 0.0 {
                true => (down(low) - LEAST).max(0.0),
                false => down(low) - LEAST,
            },
            high: match high <= 0.0 {
                true => (up(high) + LEAST).min(0.0),
                false => up(high) + LEAST,
            },
        }
    }

    /// From the least to the largest of these.
    fn spanning(numbers: [f64; 4]) -> Self {
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::around(low, high)
    }

    fn symmetric(bound: f64) -> Self {
        Self::around(-bound, bound)
    }

    fn join(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// From the least to the largest element; all numbers if one is NaN.
    fn of_array(array: &Array) -> Self {
        fn ends<T: Copy + Into<f64>>(values: &[T]) -> Interval {
            let all = Interval {
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
            };
            let mut ends = match values.first() {
                Some(&first) => Interval::at(first.into()),
                None => Interval::at(0.0),
            };
            for &value in values {
                let value: f64 = value.into();
                if value.is_nan() {
                    return all;
                }
                ends = ends.join(Interval::at(value));
            }
            ends
        }
        match array.elements() {
            Elements::F32(values) => ends(values),
            Elements::F64(values) => ends(values),
            _ => ends(&array.to_f64s()),
        }
    }

    fn at(number: f64) -> Self {
        Self {
            low: number,
            high: number,
        }
    }

    /// Whether no number in it could be more than a float holds.
    fn is_sure(self) -> bool {
        self.low >= -LARGEST && self.high <= LARGEST
    }

    fn unary(self, function: Unary) -> Option<Self> {
        let Self { low, high } = self;
        Some(match function {
            Unary::Negate => Self {
                low: -high,
                high: -low,
            },
            Unary::Absolute if low >= 0.0 => self,
            Unary::Absolute => Self {
                low: (-high).max(0.0),
                high: high.max(-low),
            },
            Unary::Square => {
                let Self { low, high } = self.unary(Unary::Absolute)?;
                Self::around(low * low, high * high)
            }
            Unary::Sqrt if low >= 0.0 => Self::around(low.sqrt(), high.sqrt()),
            Unary::Rsqrt if low >= LEAST => Self::around(1.0 / high.sqrt(), 1.0 / low.sqrt()),
            Unary::Reciprocal => Self::of(1.0).binary(Binary::Divide, self)?,
            Unary::Exp => Self::around(low.exp(), high.exp()),
            Unary::Log if low >= LEAST => Self::around(low.ln(), high.ln()),
            Unary::Softplus => Self::around(0.0, high.max(0.0) + 1.0),
            Unary::Floor => Self::around(low.floor(), high.floor()),
            Unary::Sign | Unary::Sin | Unary::Cos | Unary::Tanh | Unary::Erf => {
                Self::symmetric(1.0)
            }
            Unary::Sigmoid | Unary::Not | Unary::IsFinite => Self::TRUTH,
            _ => return None,
        })
    }

    fn binary(self, function: Binary, other: Self) -> Option<Self> {
        let (a, b) = (self, other);
        let each = |of: fn(f64, f64) -> f64| {
            Self::spanning([
                of(a.low, b.low),
                of(a.low, b.high),
                of(a.high, b.low),
                of(a.high, b.high),
            ])
        };
        Some(match function {
            Binary::Add => Self::around(a.low + b.low, a.high + b.high),
            Binary::Subtract => Self::around(a.low - b.high, a.high - b.low),
            Binary::Multiply => each(|a, b| a * b),
            Binary::Divide if b.low >= LEAST || b.high <= -LEAST => each(|a, b| a / b),
            Binary::Maximum => Self {
                low: a.low.max(b.low),
                high: a.high.max(b.high),
            },
            Binary::Minimum => Self {
                low: a.low.min(b.low),
                high: a.high.min(b.high),
            },
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessEqual
            | Binary::Greater
            | Binary::GreaterEqual
            | Binary::And
            | Binary::Or => Self::TRUTH,
            _ => return None,
        })
    }
}

/// A value of a formula; operands are numbers of terms.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    /// Parameter, gradient, states, scalars, in this order.
    Given(usize),
    Known(Interval),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Either(usize, usize),
}

/// An optimizer's update of a parameter.
#[derive(Debug, PartialEq)]
struct Formula {
    terms: Vec<Term>,
    /// The new parameter and the new states.
    results: Vec<usize>,
}

impl Formula {
    /// The update of a parameter like this; `None` if it does something for which there are no bounds.
    fn of(optimizer: &dyn Optimizer, slot: &ParameterSpec<'_>) -> Option<Self> {
        let meta = slot.meta;
        let like = |name: &str| Tensor::input(name, meta.shape.clone(), meta.dtype);
        let scalars = optimizer.scalars(1, optimizer.learning_rate()).len();
        let states: Vec<Tensor> = optimizer
            .states(slot)
            .into_iter()
            .map(|state| Tensor::input(state.name, state.meta.shape, state.meta.dtype))
            .collect();
        let scalars: Vec<Tensor> = (0..scalars)
            .map(|i| Tensor::input(format!("scalar{i}"), [], meta.dtype))
            .collect();
        let (parameter, gradient) = (like("parameter"), like("gradient"));
        let (new, new_states) = optimizer.update_of(slot, &parameter, &gradient, &states, &scalars);
        let given: Vec<&Tensor> = [&parameter, &gradient]
            .into_iter()
            .chain(&states)
            .chain(&scalars)
            .collect();
        let roots: Vec<&Tensor> = [&new].into_iter().chain(&new_states).collect();

        let mut terms: Vec<Term> = Vec::new();
        let mut found: HashMap<u64, usize> = HashMap::new();
        for tensor in nodes(&roots) {
            let node = tensor.node_view();
            let inputs = node.inputs.iter().map(|t| found.get(&t.node_view().id));
            let inputs: Option<Vec<usize>> = inputs.map(|term| term.copied()).collect();
            let term = if let Some(at) = given.iter().position(|t| t.is(&tensor)) {
                Term::Given(at)
            } else if node.parameter.is_some() {
                return None;
            } else if let Some(value) = node.value {
                Term::Known(Interval::of_array(value))
            } else {
                match node.op.kind() {
                    Kind::Fill(number) => Term::Known(Interval::of(number)),
                    Kind::View(_) => {
                        found.insert(node.id, *inputs?.first()?);
                        continue;
                    }
                    Kind::Map(code) => {
                        let inputs = inputs?;
                        let mut named: Vec<usize> = Vec::with_capacity(code.instructions.len());
                        for instruction in &code.instructions {
                            let term = match *instruction {
                                Instruction::Load(i) => {
                                    named.push(*inputs.get(i)?);
                                    continue;
                                }
                                Instruction::Constant(c) => Term::Known(Interval::of(c.into())),
                                Instruction::Unary(f, x) => Term::Unary(f, named[x]),
                                // The same number twice: no product of it is negative.
                                Instruction::Binary(Binary::Multiply, x, y)
                                    if named[x] == named[y] =>
                                {
                                    Term::Unary(Unary::Square, named[x])
                                }
                                Instruction::Binary(f, x, y) => Term::Binary(f, named[x], named[y]),
                                Instruction::Select { yes, no, .. } => {
                                    Term::Either(named[yes], named[no])
                                }
                            };
                            named.push(terms.len());
                            terms.push(term);
                        }
                        found.insert(node.id, named[*code.results.first()?]);
                        continue;
                    }
                    _ => return None,
                }
            };
            found.insert(node.id, terms.len());
            terms.push(term);
        }
        let results = roots.iter().map(|t| found.get(&t.node_view().id).copied());
        Some(Self {
            terms,
            results: results.collect::<Option<_>>()?,
        })
    }

    /// The intervals of all terms; false if one of them may not be finite.
    fn run(&self, given: &[Interval], room: &mut Vec<Interval>) -> bool {
        room.clear();
        for term in &self.terms {
            let found = match *term {
                Term::Given(i) => given.get(i).copied(),
                Term::Known(interval) => Some(interval),
                Term::Unary(f, x) => room[x].unary(f),
                Term::Binary(f, x, y) => room[x].binary(f, room[y]),
                Term::Either(x, y) => Some(room[x].join(room[y])),
            };
            match found {
                Some(interval) if interval.is_sure() => room.push(interval),
                _ => return false,
            }
        }
        true
    }
}

/// What is known of all parameters and states of a group together.
pub(crate) struct Guard {
    /// The number of the group.
    group: usize,
    /// The formulas that differ; none if one of the updates has no bounds.
    formulas: Option<Vec<Formula>>,
    /// Of the parameters and of each state; not known if empty.
    ranges: Vec<Interval>,
    /// The versions of all parameters and states when the ranges were true.
    versions: Vec<u64>,
    /// Steps to go without trying.
    waiting: u64,
    given: Vec<Interval>,
    room: Vec<Interval>,
    next: Vec<Interval>,
}

/// How large an element of the gradient is at most as the update takes it.
fn clipped(norm: f64, clipping: Clipping) -> f64 {
    let most = match clipping {
        Clipping::None => norm,
        Clipping::Norm(limit) | Clipping::Value(limit) => norm.min(limit),
    };
    // The norm is a sum of rounded squares.
    most * 1.01
}

impl Guard {
    /// Of the cells of this group, which are updated by this optimizer.
    pub(crate) fn new(optimizer: &dyn Optimizer, cells: &[Cell], group: usize) -> Self {
        let mut formulas: Option<Vec<Formula>> = Some(Vec::new());
        for cell in cells.iter().filter(|cell| cell.group == group) {
            let slot = ParameterSpec {
                name: &cell.path,
                meta: cell.parameter.meta(),
            };
            formulas = match (formulas, Formula::of(optimizer, &slot)) {
                (Some(mut known), Some(formula)) => {
                    // What is known of all first states is known together, and so on: all must have as many.
                    let alike = |other: &Formula| other.results.len() == formula.results.len();
                    if !known.iter().all(alike) {
                        formulas = None;
                        break;
                    }
                    if !known.contains(&formula) {
                        known.push(formula);
                    }
                    Some(known)
                }
                _ => None,
            };
        }
        Self {
            group,
            formulas,
            ranges: Vec::new(),
            versions: Vec::new(),
            waiting: 0,
            given: Vec::new(),
            room: Vec::new(),
            next: Vec::new(),
        }
    }

    /// The largest norm of the gradient for which the next update is sure to give finite results; 0 if it is for none.
    pub(crate) fn limit(&mut self, cells: &[Cell], clipping: Clipping, scalars: &[f64]) -> f64 {
        if self.formulas.is_none() {
            return 0.0;
        }
        if self.waiting > 0 {
            self.waiting -= 1;
            return 0.0;
        }
        let is_known = !self.ranges.is_empty()
            && (self.all(cells))
                .map(Parameter::version)
                .eq(self.versions.iter().copied());
        if is_known && let Some(limit) = self.try_norms(clipping, scalars) {
            return limit;
        }
        // What is known is not true any more, or grew with every step beyond what is really there.
        self.measure(cells);
        match self.try_norms(clipping, scalars) {
            Some(limit) => limit,
            None => {
                self.waiting = PATIENCE;
                0.0
            }
        }
    }

    fn try_norms(&mut self, clipping: Clipping, scalars: &[f64]) -> Option<f64> {
        NORMS
            .into_iter()
            .find(|&norm| self.update(clipped(norm, clipping), scalars))
    }

    /// Learns what an update with this norm of the gradient has made of parameters and states; `is_done`: whether there
    /// was one.
    pub(crate) fn learn(
        &mut self,
        cells: &[Cell],
        clipping: Clipping,
        scalars: &[f64],
        norm: f64,
        is_done: bool,
    ) {
        if self.ranges.is_empty() {
            return;
        }
        if is_done {
            match self.update(clipped(norm, clipping), scalars) {
                true => std::mem::swap(&mut self.ranges, &mut self.next),
                false => self.ranges.clear(),
            }
        }
        self.look(cells);
    }

    /// Takes the parameters and states as they are for those that it knows.
    fn look(&mut self, cells: &[Cell]) {
        let mut versions = std::mem::take(&mut self.versions);
        versions.clear();
        versions.extend(self.all(cells).map(Parameter::version));
        self.versions = versions;
    }

    /// The parameters and states of the group.
    fn all<'a>(&self, cells: &'a [Cell]) -> impl Iterator<Item = &'a Parameter> + use<'a> {
        let group = self.group;
        let own = cells.iter().filter(move |cell| cell.group == group);
        own.flat_map(|cell| [&cell.parameter].into_iter().chain(&cell.state))
    }

    /// All that it has learned, so that a training that goes on elsewhere takes the same ways: pairs of bounds, and the
    /// steps that it still waits.
    pub(crate) fn knowledge(&self) -> (Vec<f64>, u64) {
        let ends = self.ranges.iter().flat_map(|range| [range.low, range.high]);
        (ends.collect(), self.waiting)
    }

    /// Knows again what it had learned, of the parameters and states as they are now.
    pub(crate) fn restore(&mut self, cells: &[Cell], bounds: &[f64], waiting: u64) {
        let pairs = bounds.chunks_exact(2);
        self.ranges.clear();
        self.ranges.extend(pairs.map(|pair| Interval {
            low: pair[0],
            high: pair[1],
        }));
        self.waiting = waiting;
        self.look(cells);
    }

    /// Puts the ranges after an update into `next`; false if its results may not be finite.
    fn update(&mut self, gradient: f64, scalars: &[f64]) -> bool {
        let Some((&parameter, states)) = self.ranges.split_first() else {
            return false;
        };
        self.given.clear();
        self.given
            .extend([parameter, Interval::symmetric(gradient)]);
        self.given.extend(states);
        self.given.extend(scalars.iter().map(|&s| Interval::of(s)));
        self.next.clear();
        for formula in self.formulas.iter().flatten() {
            if !formula.run(&self.given, &mut self.room) {
                return false;
            }
            let results = formula.results.iter().map(|&r| self.room[r]);
            match self.next.is_empty() {
                true => self.next.extend(results),
                false => {
                    for (range, result) in self.next.iter_mut().zip(results) {
                        *range = range.join(result);
                    }
                }
            }
        }
        self.next.len() == self.ranges.len()
    }

    fn measure(&mut self, cells: &[Cell]) {
        self.ranges.clear();
        self.versions.clear();
        for owner in cells.iter().filter(|cell| cell.group == self.group) {
            let own = [&owner.parameter].into_iter().chain(&owner.state);
            for (at, cell) in own.enumerate() {
                // Looked at first: a value that comes between is then measured again.
                self.versions.push(cell.version());
                let range = Interval::of_array(&cell.value());
                match self.ranges.get_mut(at) {
                    Some(known) => *known = known.join(range),
                    None => self.ranges.push(range),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdaGrad, Adam, AdamW, Lion, Momentum, Nesterov, RAdam, RmsProp, Sgd};
    use zerokara_core::DType;

    fn cells(optimizer: &dyn Optimizer, values: &[f32]) -> Vec<Cell> {
        let array = |v: &[f32]| Array::new([v.len()], v);
        let state = optimizer.state();
        let state = state.iter().map(|(name, start)| {
            Parameter::of_array(*name, array(&vec![*start as f32; values.len()]))
        });
        vec![Cell {
            path: "w".into(),
            parameter: Parameter::of_array("w", array(values)),
            state: state.collect(),
            group: 0,
        }]
    }

    fn limit(optimizer: &dyn Optimizer, values: &[f32], clipping: Clipping) -> f64 {
        let cells = cells(optimizer, values);
        let mut guard = Guard::new(optimizer, &cells, 0);
        let scalars = optimizer.scalars(1, optimizer.learning_rate());
        guard.limit(&cells, clipping, &scalars)
    }

    #[test]
    fn every_optimizer_is_bounded_for_all_norms_that_training_meets() {
        let optimizers: [&dyn Optimizer; 9] = [
            &Sgd::new(0.1).weight_decay(1e-2),
            &Momentum::new(0.1),
            &Nesterov::new(0.1),
            &AdaGrad::new(0.1),
            &RmsProp::new(0.01),
            &Adam::new(0.1).weight_decay(1e-2),
            &AdamW::new(0.1),
            &RAdam::new(0.1),
            &Lion::new(0.1).weight_decay(0.1),
        ];
        for optimizer in optimizers {
            let found = limit(optimizer, &[1.0, -3.0, 0.0], Clipping::None);
            assert!(found >= 1e12, "{}: {found:e}", optimizer.name());
        }
    }

    #[test]
    fn what_may_overflow_is_not_sure() {
        assert_eq!(limit(&Sgd::new(1e38), &[1.0], Clipping::None), 0.0);
        assert_eq!(limit(&Sgd::new(1e30), &[1.0], Clipping::None), 1e6);
        assert_eq!(limit(&Sgd::new(1e30), &[1.0], Clipping::Norm(1.0)), 1e18);
        assert_eq!(limit(&Sgd::new(0.1), &[3e38], Clipping::None), 0.0);
        assert_eq!(limit(&Sgd::new(0.1), &[f32::NAN], Clipping::None), 0.0);
        assert_eq!(limit(&Adam::new(0.1).eps(0.0), &[1.0], Clipping::None), 0.0);
        assert_eq!(limit(&Sgd::new(f64::INFINITY), &[1.0], Clipping::None), 0.0);
    }

    /// Every optimizer, step by step, against its intervals.
    #[test]
    fn results_lie_within_their_bounds() {
        let optimizers: [&dyn Optimizer; 9] = [
            &Sgd::new(0.3).weight_decay(0.1),
            &Momentum::new(0.3).weight_decay(0.1),
            &Nesterov::new(0.3),
            &AdaGrad::new(0.3),
            &RmsProp::new(0.3).weight_decay(0.1),
            &Adam::new(0.3),
            &AdamW::new(0.3),
            &RAdam::new(0.3),
            &Lion::new(0.3).weight_decay(0.1),
        ];
        for optimizer in optimizers {
            let cells = cells(optimizer, &[0.5, -2.0, 0.0, 1e-20]);
            let mut guard = Guard::new(optimizer, &cells, 0);
            for step in 1..=20u64 {
                let gradient: Vec<f32> = (0..4)
                    .map(|i| ((step * 7 + i * 13) % 11) as f32 * 0.3 - 1.5)
                    .collect();
                let norm = gradient.iter().map(|g| (g * g) as f64).sum::<f64>().sqrt();
                let scalars = optimizer.scalars(step, 0.3);
                assert!(guard.limit(&cells, Clipping::None, &scalars) >= norm);
                let Cell {
                    parameter, state, ..
                } = &cells[0];
                let old: Vec<Tensor> = state.iter().map(Parameter::tensor).collect();
                let numbers: Vec<Tensor> = scalars
                    .iter()
                    .map(|&s| Tensor::scalar(s, DType::F32))
                    .collect();
                let gradient = Tensor::new([4], gradient);
                let (new, new_state) =
                    optimizer.update(&parameter.tensor(), &gradient, &old, &numbers);
                let values: Vec<Array> = [&new]
                    .into_iter()
                    .chain(&new_state)
                    .map(|t| t.eval().unwrap())
                    .collect();
                for (cell, value) in guard.all(&cells).zip(&values) {
                    cell.set_array(value.clone()).unwrap();
                }
                guard.learn(&cells, Clipping::None, &scalars, norm, true);
                for (range, value) in guard.ranges.iter().zip(&values) {
                    let real = Interval::of_array(value);
                    let name = optimizer.name();
                    assert!(
                        range.low <= real.low && real.high <= range.high,
                        "{name}, step {step}: {real:?} in {range:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_value_set_by_somebody_else_is_measured_again() {
        let optimizer = Sgd::new(0.1);
        let cells = cells(&optimizer, &[1.0]);
        let mut guard = Guard::new(&optimizer, &cells, 0);
        assert_eq!(guard.limit(&cells, Clipping::None, &[0.1]), 1e18);
        cells[0]
            .parameter
            .set_array(Array::new([1], &[3e38f32][..]))
            .unwrap();
        assert_eq!(guard.limit(&cells, Clipping::None, &[0.1]), 0.0);
    }
}
