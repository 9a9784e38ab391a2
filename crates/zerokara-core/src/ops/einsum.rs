//! Einstein's sum convention: `einsum("ij,jk->ik", a, b)` is the product of matrices.
//!
//! Each operand has a label for each axis; `...` stands for axes without one, which are aligned at the last and broadcast.
//! The output has the labels behind `->`; without it those that appear once, in alphabetical order, behind the axes of `...`.
//! Elements at equal labels are multiplied, and what has no place in the output is summed. A label that appears twice in one
//! operand takes its diagonal. An axis of length 1 is repeated where another operand has more.
//!
//! The definition takes diagonals, sums what stands in one operand alone, and joins two operands at a time, those first whose
//! product is smallest: by one matrix product where something is summed, else by one elementwise product.

use super::prelude::*;
use loops::Number;

/// What stands for an axis: a letter, or an axis of `...`, counted from the back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Dots(std::cmp::Reverse<usize>),
    Letter(char),
}

/// An equation for operands of known shapes.
struct Equation {
    /// The label of each axis of each operand.
    operands: Vec<Vec<Label>>,
    /// The labels of the output.
    output: Vec<Label>,
    /// All labels with their lengths, in order.
    lengths: Vec<(Label, usize)>,
}

/// The labels of a term; `dots` of them for `...`.
fn labels(term: &str, dots: Option<usize>) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    let mut rest = term;
    let mut had_dots = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if had_dots {
                return Err(format!("{term:?} has ... twice"));
            }
            let dots =
                dots.ok_or_else(|| format!("no operand has what ... in {term:?} stands for"))?;
            labels.extend((0..dots).rev().map(|i| Label::Dots(std::cmp::Reverse(i))));
            (had_dots, rest) = (true, after);
        } else if first.is_ascii_alphabetic() {
            labels.push(Label::Letter(first));
            rest = &rest[1..];
        } else {
            return Err(format!(
                "labels are letters from A to z and ..., not {first:?}"
            ));
        }
    }
    Ok(labels)
}

impl Equation {
    fn of(equation: &str, shapes: &[&[usize]]) -> Result<Self, String> {
        let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (terms, output) = match equation.split_once("->") {
            Some((terms, output)) => (terms, Some(output)),
            None => (equation.as_str(), None),
        };
        let terms: Vec<&str> = terms.split(',').collect();
        if terms.len() != shapes.len() {
            return Err(format!(
                "{} terms do not go with {} operands",
                terms.len(),
                shapes.len()
            ));
        }
        let mut operands = Vec::new();
        let mut most_dots = None;
        for (term, shape) in terms.iter().zip(shapes) {
            let letters = labels(term, Some(0))?.len();
            let dots = match term.contains("...") {
                true => shape.len().checked_sub(letters),
                false => (shape.len() == letters).then_some(0),
            };
            let dots = dots.ok_or_else(|| {
                format!(
                    "{term:?} does not name the {} axes of {shape:?}",
                    shape.len()
                )
            })?;
            if term.contains("...") {
                most_dots = most_dots.max(Some(dots));
            }
            operands.push(labels(term, Some(dots))?);
        }
        let mut lengths: Vec<(Label, usize)> = Vec::new();
        for (&label, &length) in (operands.iter().flatten()).zip(shapes.iter().copied().flatten()) {
            match lengths.iter_mut().find(|(known, _)| *known == label) {
                None => lengths.push((label, length)),
                Some((_, known)) if *known == 1 => *known = length,
                Some((_, known)) if *known == length || length == 1 => {}
                Some((_, known)) => {
                    return Err(format!("{} is {known} and {length} long", said(label)));
                }
            }
        }
        lengths.sort_unstable();
        let output = match output {
            Some(term) => labels(term, most_dots)?,
            None => {
                let once = |label: Label| {
                    let all = operands.iter().flatten();
                    matches!(label, Label::Dots(_)) || all.filter(|&&l| l == label).count() == 1
                };
                let all = lengths.iter().map(|(label, _)| *label);
                all.filter(|&label| once(label)).collect()
            }
        };
        for (at, label) in output.iter().enumerate() {
            if output[..at].contains(label) {
                return Err(format!("{} stands twice in the output", said(*label)));
            }
            if !lengths.iter().any(|(known, _)| known == label) {
                return Err(format!("no operand has {}", said(*label)));
            }
        }
        Ok(Self {
            operands,
            output,
            lengths,
        })
    }

    fn length(&self, label: Label) -> usize {
        let at = (self.lengths).binary_search_by_key(&label, |(known, _)| *known);
        at.map_or(1, |at| self.lengths[at].1)
    }

    fn shape(&self, labels: &[Label]) -> Vec<usize> {
        labels.iter().map(|&label| self.length(label)).collect()
    }
}

/// A label as a sentence names it.
fn said(label: Label) -> String {
    match label {
        Label::Letter(letter) => format!("axis {letter:?}"),
        Label::Dots(_) => "an axis of ...".into(),
    }
}

/// So many operands are joined in the order in which they are cheapest; more, as they come.
const MANY: usize = 24;

/// The operation.
#[derive(Debug)]
pub struct Einsum {
    equation: String,
}

attributes!(Einsum: equation);

impl Op for Einsum {
    fn name(&self) -> &'static str {
        "einsum"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let first = inputs.first().ok_or("needs at least one operand")?;
        if first.dtype == DType::Bool {
            return Err("needs numbers, not truth values; cast them first".into());
        }
        for other in inputs {
            infer::same_type(first, other)?;
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape.as_slice()).collect();
        let equation = Equation::of(&self.equation, &shapes)?;
        Ok(Meta::new(equation.shape(&equation.output), first.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| x.shape()).collect();
        let equation = Equation::of(&self.equation, &shapes)?;
        let summed: Vec<Label> = (equation.lengths.iter().map(|(label, _)| *label))
            .filter(|label| !equation.output.contains(label))
            .collect();
        let names = [equation.output.as_slice(), &summed].concat();
        // How far a step along each label moves in each operand.
        let strides: Vec<Vec<usize>> = (equation.operands.iter().zip(&shapes))
            .map(|(labels, shape)| {
                let own = shape::row_major(shape);
                let step = |name: &Label| {
                    let axes =
                        (0..shape.len()).filter(|&axis| labels[axis] == *name && shape[axis] > 1);
                    axes.map(|axis| own[axis] as usize).sum()
                };
                names.iter().map(step).collect()
            })
            .collect();
        let place = |operand: usize, index: &[usize], of: &[usize]| -> usize {
            let steps = index.iter().chain(of).zip(&strides[operand]);
            steps.map(|(i, stride)| i * stride).sum()
        };
        if inputs.iter().any(|x| x.is_empty()) {
            return Ok(());
        }
        let to = shape::indices(&equation.shape(&equation.output)).enumerate();
        let summed = Meta::new(equation.shape(&summed), output.dtype()).countable()?;
        let terms = || shape::indices(&summed.shape);
        match output.dtype() {
            DType::I64 | DType::U8 => loops::integers!(output.dtype(), T => {
                let y = output.slice_mut::<T>();
                for (at, index) in to {
                    y[at] = terms().fold(0, |sum: T, term| {
                        let factors = (inputs.iter().enumerate()).map(|(i, x)| x.slice::<T>()[place(i, &index, &term)]);
                        sum.plus(factors.fold(1, T::times))
                    });
                }
            }),
            dtype => loops::floats!(dtype, T => {
                use loops::Real;
                let y = output.slice_mut::<T>();
                for (at, index) in to {
                    let mut sum = loops::Sum::default();
                    for term in terms() {
                        let factors = (inputs.iter().enumerate()).map(|(i, x)| x.slice::<T>()[place(i, &index, &term)]);
                        sum.add(factors.map(Real::wide).product());
                    }
                    y[at] = T::narrow(sum.value());
                }
            }),
        }
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let shapes: Vec<&[usize]> = inputs
            .iter()
            .map(|x| x.shape().ok())
            .collect::<Option<_>>()?;
        let equation = Equation::of(&self.equation, &shapes).ok()?;
        let mut terms: Vec<Term> = (inputs.iter().zip(&equation.operands))
            .map(|(x, labels)| Term::of(x, labels, &equation))
            .collect();
        loop {
            for at in 0..terms.len() {
                let wanted = wanted(&terms, &equation, &[at]);
                terms[at] = terms[at].summed(&wanted);
            }
            if terms.len() == 1 {
                break;
            }
            let pairs = (0..terms.len()).flat_map(|a| (a + 1..terms.len()).map(move |b| (a, b)));
            let size = |&(a, b): &(usize, usize)| {
                let wanted = wanted(&terms, &equation, &[a, b]);
                let labels = joined(&terms[a].labels, &terms[b].labels);
                let lengths = labels.into_iter().filter(|label| wanted.contains(label));
                lengths.fold(1usize, |n, label| n.saturating_mul(equation.length(label)))
            };
            // Of many operands, to look at all pairs for each product would take longer than the products.
            let (a, b) = match terms.len() > MANY {
                true => (0, 1),
                false => pairs.min_by_key(size)?,
            };
            let wanted = wanted(&terms, &equation, &[a, b]);
            let second = terms.remove(b);
            terms[a] = terms[a].times(&second, &wanted, &equation);
        }
        let term = terms.pop()?;
        Some(term.as_output(&equation))
    }
}

/// The labels that somebody beside these terms wants: the output, and other terms.
fn wanted(terms: &[Term], equation: &Equation, but: &[usize]) -> Vec<Label> {
    let others = (terms.iter().enumerate()).filter(|(at, _)| !but.contains(at));
    let others = others.flat_map(|(_, term)| &term.labels);
    equation.output.iter().chain(others).copied().collect()
}

/// The labels of both, each once.
fn joined(a: &[Label], b: &[Label]) -> Vec<Label> {
    let more = b.iter().filter(|label| !a.contains(label));
    a.iter().chain(more).copied().collect()
}

/// A tensor whose axes have labels, each another one.
struct Term {
    x: Tensor,
    labels: Vec<Label>,
}

impl Term {
    /// An operand without its repeated labels, and without axes of length 1 that stand for longer ones.
    fn of(x: &Tensor, labels: &[Label], equation: &Equation) -> Self {
        let mut term = Self {
            x: x.clone(),
            labels: labels.to_vec(),
        };
        let mut axis = 0;
        while axis < term.labels.len() {
            let label = term.labels[axis];
            let length = term.x.shape().map_or(1, |shape| shape[axis]);
            let again = term.labels[axis + 1..]
                .iter()
                .position(|&other| other == label);
            if length == 1 && (equation.length(label) != 1 || again.is_some()) {
                term.x = term.x.remove_axis(axis as i64);
                term.labels.remove(axis);
            } else if let Some(distance) = again {
                let other = axis + 1 + distance;
                if term.x.shape().map_or(1, |shape| shape[other]) == 1 {
                    term.x = term.x.remove_axis(other as i64);
                    term.labels.remove(other);
                } else {
                    term.take_diagonal(axis, other, length);
                }
            } else {
                axis += 1;
            }
        }
        term
    }

    /// Two axes of this length become one, at the place of the first.
    fn take_diagonal(&mut self, axis: usize, other: usize, length: usize) {
        let rank = self.labels.len();
        let rest: Vec<usize> = (0..rank).filter(|&i| i != axis && i != other).collect();
        let order = [rest.as_slice(), &[axis, other]].concat();
        let turned = self.x.permute(as_axes(&order));
        let lengths = |x: &Tensor| x.shape().map(as_axes).unwrap_or_default();
        let mut flat = lengths(&turned);
        flat.truncate(rank - 2);
        flat.push((length * length) as i64);
        // Elements of the diagonal lie one row and one column apart.
        let diagonal = turned
            .reshape_exactly(&flat)
            .slice(-1, .., length as i64 + 1);
        self.labels.remove(other);
        let mut back: Vec<usize> = (0..rank - 2).collect();
        back.insert(axis, rank - 2);
        self.x = diagonal.permute(as_axes(&back));
    }

    /// Summed over all labels but those that are wanted.
    fn summed(&self, wanted: &[Label]) -> Self {
        let axes: Vec<usize> = (0..self.labels.len())
            .filter(|&axis| !wanted.contains(&self.labels[axis]))
            .collect();
        if axes.is_empty() {
            return Self {
                x: self.x.clone(),
                labels: self.labels.clone(),
            };
        }
        let labels = self.labels.iter().filter(|label| wanted.contains(label));
        Self {
            x: self.x.sum_axes(&as_axes(&axes), false),
            labels: labels.copied().collect(),
        }
    }

    /// With its axes in this order, in which labels that it does not have are missing.
    fn ordered(&self, labels: &[Label]) -> Tensor {
        let place = |label| self.labels.iter().position(|own| own == label);
        let order: Vec<usize> = labels.iter().filter_map(place).collect();
        match order.iter().copied().eq(0..order.len()) {
            true => self.x.clone(),
            false => self.x.permute(as_axes(&order)),
        }
    }

    /// The product of both, summed over what nobody wants.
    fn times(&self, other: &Self, wanted: &[Label], equation: &Equation) -> Self {
        let both = |label: &&Label| other.labels.contains(label);
        let shared: Vec<Label> = self.labels.iter().filter(both).copied().collect();
        let (batch, summed): (Vec<Label>, Vec<Label>) =
            shared.iter().partition(|label| wanted.contains(label));
        let alone = |term: &Self| -> Vec<Label> {
            let own = term.labels.iter().filter(|label| !shared.contains(label));
            own.copied().collect()
        };
        let (rows, columns) = (alone(self), alone(other));
        let labels = [batch.as_slice(), &rows, &columns].concat();
        let sizes = |labels: &[Label]| as_axes(&equation.shape(labels));
        let floats = self.x.meta().is_ok_and(Meta::is_float);
        if summed.is_empty() || !floats {
            let all = [labels.as_slice(), &summed].concat();
            let wide = |term: &Self| {
                let lengths = all.iter().map(|label| match term.labels.contains(label) {
                    true => equation.length(*label) as i64,
                    false => 1,
                });
                let lengths: Vec<i64> = lengths.collect();
                term.ordered(&all).reshape_exactly(&lengths)
            };
            let product = Self {
                x: wide(self) * wide(other),
                labels: all,
            };
            return product.summed(&labels);
        }
        // [batch, rows, summed] x [batch, summed, columns]
        let product = |labels: &[Label]| -> i64 {
            let lengths = equation.shape(labels).into_iter();
            let product = lengths.fold(1usize, usize::saturating_mul);
            i64::try_from(product).unwrap_or(i64::MAX)
        };
        let matrices = |term: &Self, first: &[Label], second: &[Label]| {
            let x = term.ordered(&[batch.as_slice(), first, second].concat());
            let mut lengths = vec![product(first), product(second)];
            if !batch.is_empty() {
                lengths.insert(0, product(&batch));
            }
            x.reshape_exactly(&lengths)
        };
        let y = matrices(self, &rows, &summed).matmul(&matrices(other, &summed, &columns));
        Self {
            x: y.reshape_exactly(&sizes(&labels)),
            labels,
        }
    }

    /// In the order of the output. What it lacks are axes along which all operands have length 1 or were broadcast.
    fn as_output(&self, equation: &Equation) -> Tensor {
        let x = self.ordered(&equation.output);
        let lengths = equation
            .output
            .iter()
            .map(|label| match self.labels.contains(label) {
                true => equation.length(*label) as i64,
                false => 1,
            });
        let x = x.reshape_exactly(&lengths.collect::<Vec<i64>>());
        x.broadcast_to(&equation.shape(&equation.output))
    }
}

fn as_axes(axes: &[usize]) -> Vec<i64> {
    axes.iter().map(|&axis| axis as i64).collect()
}

impl Tensor {
    /// Einstein's sum convention: elements at equal labels are multiplied, and what has no place in the output is summed. One
    /// term of letters for each operand, `...` for any axes, the output's labels behind `->`; without an arrow those that appear
    /// once, in alphabetical order. A label twice in one operand takes its diagonal.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(Tensor::einsum("ij,jk->ik", &[&a, &a]).to_vec::<f32>()?, [7.0, 10.0, 15.0, 22.0]);
    /// assert_eq!(Tensor::einsum("ii", &[&a]).item()?, 5.0);
    /// assert_eq!(Tensor::einsum("...i->...", &[&a]).to_vec::<f32>()?, [3.0, 7.0]);
    /// assert!(Tensor::einsum("ij,jk->iz", &[&a, &a]).eval().is_err());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Tensor {
        let equation = equation.into();
        Tensor::apply(Einsum { equation }, operands)
    }
}
