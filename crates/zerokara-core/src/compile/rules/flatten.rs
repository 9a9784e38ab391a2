//! Where images are flattened for a product with weights that stay as they are, the rows of the weights are put in the
//! order in which images lie in memory: `flatten(x) w = flatten(x, channels last) w'`. What pooling and convolution give
//! is then read as they wrote it, and the weights, which a net that only answers prepares once, take no time.
//!
//! The sum runs in another order: the same but for rounding.

use super::draft::{Draft, Patch, Patching};
use crate::{
    compile::{
        fault::{Fault, planted},
        rewriting::Rule,
    },
    op::{Contract, Kind, Op, View, Window},
    ops::{permute::Permute, reshape::Reshape},
};
use std::sync::Arc;

pub const FLATTEN: Rule<Draft> = Rule {
    name: "flatten-channels-last",
    says: "images are flattened as they lie for a product with weights that stay",
    find: flatten_channels_last,
};

/// Most elementwise operations between a kernel that writes images and their flattening.
const STEPS: usize = 8;

/// `reshape(images) b`, where b is a matrix of weights that the program keeps, or the transpose of one.
fn flatten_channels_last(draft: &Draft, product: usize) -> Option<Patch> {
    if *draft.kind(product) != Kind::Contract(Contract::MatMul) {
        return None;
    }
    let (flattened, right) = (draft.node(product).inputs[0], draft.node(product).inputs[1]);
    if *draft.kind(flattened) != Kind::View(View::Reshape) {
        return None;
    }
    let images = draft.node(flattened).inputs[0];
    let &[n, c, h, w] = draft.shape(images) else {
        return None;
    };
    let length = c * h * w;
    let is_wide = c > 1 && h * w > 1 && n > 0;
    if draft.shape(flattened) != [n, length]
        || !is_wide
        || draft.only_reader(flattened) != Some(product)
        || draft.only_reader(images) != Some(flattened)
        || !comes_channels_last(draft, images)
    {
        return None;
    }
    let is_transposed = *draft.kind(right) == Kind::View(View::Permute(vec![1, 0]));
    let weights = match is_transposed {
        true => draft.node(right).inputs[0],
        false => right,
    };
    if !draft.is_kept(weights) {
        return None;
    }
    let columns = draft.shape(product)[1];
    let mut patch = Patching::at(draft, product);
    // All are views, told of the flattening's place in the source.
    let mut reshape = |input: usize, shape: &[usize], then: &[usize]| -> Option<usize> {
        let op: Arc<dyn Op> = Arc::new(Reshape::exactly(shape));
        let shaped = match patch.meta(input).shape == shape {
            true => input,
            false => patch.put(flattened, op, &[input])?,
        };
        match then {
            [] => Some(shaped),
            order => patch.put(flattened, Arc::new(Permute::of(order)), &[shaped]),
        }
    };
    let last = [0, 2, 3, 1];
    let images = reshape(images, &[n, c, h, w], &last)?;
    let images = reshape(images, &[n, length], &[])?;
    let weights = match is_transposed {
        true => {
            let planes = match planted(Fault::FlattensWeightsAsTheyLie) {
                true => reshape(weights, &[columns, h, w, c], &[])?,
                false => reshape(weights, &[columns, c, h, w], &last)?,
            };
            reshape(planes, &[columns, length], &[1, 0])?
        }
        false => {
            let planes = reshape(weights, &[c, h, w, columns], &[1, 2, 0, 3])?;
            reshape(planes, &[length, columns], &[])?
        }
    };
    let flat = patch.again(product, &[images, weights])?;
    patch.instead(product, flat).done()
}

/// Whether these images are written by a convolution or a pooling, perhaps with elementwise operations after it.
fn comes_channels_last(draft: &Draft, images: usize) -> bool {
    let mut at = images;
    for _ in 0..STEPS {
        match draft.kind(at) {
            Kind::Window(Window::Pool(..)) => return true,
            Kind::Contract(contract) => return *contract != Contract::MatMul,
            Kind::Map(_) => {
                let is_whole = |&&i: &&usize| *draft.kind(i) != Kind::View(View::Broadcast);
                match draft.node(at).inputs.iter().find(is_whole) {
                    Some(&input) => at = input,
                    None => return false,
                }
            }
            _ => return false,
        }
    }
    false
}
