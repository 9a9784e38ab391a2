//! Parts of a value whose gradients meet again.
//!
//! Who cuts a value into parts gets the gradient of each part with zeros around it, and adds these up. Where no two parts share
//! an element, each element of the sum is that of one part or zero: the parts are put side by side, and nothing is added.

use super::draft::{Draft, Patch, Patching};
use crate::{
    compile::{ops::Parts, rewriting::Rule},
    op::{Kind, binary},
};
use std::sync::Arc;
use zerokara_kernels::code::Binary;

pub const JOIN: Rule<Draft> = Rule {
    name: "parts-side-by-side",
    says: "parts with zeros around them that share no element are put side by side instead of added",
    find: join_parts,
};

/// The places of inputs among zeros, if this sum alone reads them together.
fn parts(draft: &Draft, at: usize, sum: usize) -> Option<Vec<(usize, Vec<usize>)>> {
    let Kind::Assemble { fill, offsets } = draft.kind(at) else {
        return None;
    };
    if fill.to_bits() != 0 || draft.only_reader(at) != Some(sum) || draft.is_output(at) {
        return None;
    }
    let inputs = draft.node(at).inputs.iter().copied();
    Some(inputs.zip(offsets.iter().cloned()).collect())
}

/// `pad(a) + pad(b)`.
fn join_parts(draft: &Draft, sum: usize) -> Option<Patch> {
    if *draft.kind(sum) != binary(Binary::Add) {
        return None;
    }
    let &[a, b] = &draft.node(sum).inputs[..] else {
        return None;
    };
    let first = parts(draft, a, sum)?;
    let second = parts(draft, b, sum)?;
    let apart = |(x, from): &(usize, Vec<usize>), (y, other): &(usize, Vec<usize>)| {
        let (x, y) = (draft.shape(*x), draft.shape(*y));
        let ends = |from: &[usize], lengths: &[usize], axis: usize| from[axis] + lengths[axis];
        (0..x.len())
            .any(|axis| ends(from, x, axis) <= other[axis] || ends(other, y, axis) <= from[axis])
    };
    if a == b || !first.iter().all(|x| second.iter().all(|y| apart(x, y))) {
        return None;
    }
    let (inputs, offsets): (Vec<usize>, Vec<_>) = first.into_iter().chain(second).unzip();
    let op = Parts {
        offsets,
        shape: draft.shape(sum).to_vec(),
    };
    let mut patch = Patching::at(draft, sum);
    let joined = patch.put(sum, Arc::new(op), &inputs)?;
    patch.instead(sum, joined).done()
}

#[cfg(test)]
mod tests {
    use crate::{Array, Precision, Program, Tensor, gradients, interpret};

    fn numbers(shape: &[usize]) -> Array {
        let n = shape.iter().product::<usize>();
        let all = (0..n).map(|i| (i * 37 % 11) as f32 - 4.0);
        Array::new(shape, all.collect::<Vec<f32>>())
    }

    /// The gradient of what is cut into parts, as it is compiled: its value is right, and whether anything is added.
    fn gradient(cuts: &[(usize, usize)]) -> bool {
        let x = Tensor::input("x", [3, 8], crate::DType::F32);
        let weighed = cuts.iter().enumerate().map(|(i, &(start, length))| {
            let weight = Tensor::from(numbers(&[3, length])) * (i as f64 + 1.0);
            (x.narrow(1, start, length).square() * weight).sum()
        });
        let loss = weighed.reduce(|a, b| a + b).unwrap();
        let g = gradients(&loss, &[&x]).remove(0);
        let program = Program::compile(&[&x], &[&g], &[]).unwrap();
        let value = numbers(&[3, 8]);
        let found = program.run(std::slice::from_ref(&value)).unwrap();
        let expected = interpret(&[&g], &[(&x, value.clone())], Precision::AsWritten).unwrap();
        assert_eq!(
            found[0].as_slice::<f32>().unwrap(),
            expected[0].as_slice::<f32>().unwrap(),
            "{cuts:?}"
        );
        let labels = program.labels();
        labels.iter().any(|label| label.op == "parts")
    }

    #[test]
    fn parts_that_share_nothing_are_put_side_by_side() {
        assert!(gradient(&[(0, 3), (3, 5)]));
        // With a gap between, in another order, and one by one.
        assert!(gradient(&[(5, 2), (0, 3)]));
        assert!(gradient(&[(0, 2), (2, 3), (5, 3)]));
        // Those that overlap are added.
        assert!(!gradient(&[(0, 4), (3, 5)]));
    }
}
