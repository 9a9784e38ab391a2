//! Rules around max pooling.
//!
//! A rectifier commutes with the largest of a window: `max_pool(relu(y)) = relu(max_pool(y))`. Moved behind the pooling, it works
//! on a fraction of the elements; and in the gradient, `relu` masks what comes in instead of what was scattered:
//! `mask(relu(y) > 0, scatter(g)) = scatter(mask(relu(max_pool(y)) > 0, g))`. Where the largest of a window is positive it is the
//! same element in `y` and in `relu(y)`; where it is not, either side passes nothing. So neither direction needs `relu(y)` any
//! more.
//!
//! What is added alike to all elements of a window, such as the bias of a convolution, commutes with the largest of the
//! window: `max_pool(x + b) = max_pool(x) + b`, to the bit, since rounding keeps the order. Which element is the largest
//! is then told by `x`, where `x + b` may have rounded two of them to the same. Where `b` is not finite, the sums are all the
//! same, or NaN: the pooling is told of `b`, and takes the element that is the first largest of the sums.
//!
//! The gradient of the pooling gives each number to one element, so that the sum over all elements of an image is that of
//! the numbers: `sum(scatter(g)) = sum(g)`, but for rounding. So the gradient of the bias needs only the small side.

use super::draft::{Draft, Patch, Patching};
use crate::{
    DType,
    compile::{
        fault::{Fault, planted},
        ops::{Places, PoolBeside, Scatter, has_places},
        rewriting::Rule,
    },
    op::{Kind, Op, PoolOptions, View, Window, binary},
    ops::{
        broadcast::Broadcast,
        fill::Fill,
        max_pool2d::{MaxPool2d, Role},
        reduce::{Reduce, reduced_axes},
        relu::Relu,
        reshape::Reshape,
        where_::Where,
    },
};
use std::sync::Arc;
use zerokara_kernels::{
    code::Binary,
    plan::{Pooling, Reduction},
};

pub const PLACES: Rule<Draft> = Rule {
    name: "places-of-pooling",
    says: "the gradient of a max pooling takes from it where the largest elements were",
    find: tell_places,
};

pub const RECTIFY: Rule<Draft> = Rule {
    name: "rectify-after-pooling",
    says: "a rectifier that only a max pooling reads moves behind it",
    find: rectify_after_pooling,
};

pub const MASK: Rule<Draft> = Rule {
    name: "mask-before-scattering",
    says: "the mask of a rectifier before a max pooling is applied to the small gradient",
    find: mask_before_scattering,
};

pub const ADD: Rule<Draft> = Rule {
    name: "add-after-pooling",
    says: "what is added alike to all elements of a window is added to the largest of them",
    find: add_after_pooling,
};

pub const SUM: Rule<Draft> = Rule {
    name: "sum-before-scattering",
    says: "a sum over images of a max pooling's gradient is the sum of what is scattered",
    find: sum_before_scattering,
};

/// The options of a max pooling of one value.
fn max_pool(draft: &Draft, at: usize) -> Option<(PoolOptions, usize)> {
    match (draft.kind(at), &draft.node(at).inputs[..]) {
        (&Kind::Window(Window::Pool(Pooling::Max, options)), &[x]) => Some((options, x)),
        _ => None,
    }
}

/// The gradient of a max pooling.
struct Scattered {
    options: PoolOptions,
    /// What was pooled, and what tells its places: these, or itself.
    pooled: usize,
    told: usize,
    gradient: usize,
}

fn scattered(draft: &Draft, at: usize) -> Option<Scattered> {
    let &[told, gradient] = &draft.node(at).inputs[..] else {
        return None;
    };
    let (options, pooled) = match *draft.kind(at) {
        Kind::Window(Window::PoolGradient(Pooling::Max, options)) => (options, told),
        Kind::Window(Window::Scatter(options)) => (options, draft.node(told).inputs[0]),
        _ => return None,
    };
    Some(Scattered {
        options,
        pooled,
        told,
        gradient,
    })
}

fn tell_places(draft: &Draft, at: usize) -> Option<Patch> {
    let &Kind::Window(Window::PoolGradient(Pooling::Max, options)) = draft.kind(at) else {
        return None;
    };
    let &[x, gradient] = &draft.node(at).inputs[..] else {
        return None;
    };
    // Places that no pooling finds anyway are better found where they are needed.
    draft.known(&MaxPool2d::of(Role::Forward, options), &[x])?;
    let &[.., height, width] = draft.shape(x) else {
        return None;
    };
    if !has_places(&options) || draft.node(at).meta.dtype != DType::F32 {
        return None;
    }
    let mut patch = Patching::at(draft, at);
    let places = patch.put(at, Arc::new(Places(options)), &[x])?;
    let scatter = Scatter {
        options,
        images: [height, width],
    };
    let scattered = patch.put(at, Arc::new(scatter), &[places, gradient])?;
    patch.instead(at, scattered).done()
}

fn rectify_after_pooling(draft: &Draft, pool: usize) -> Option<Patch> {
    let (_, relu) = max_pool(draft, pool)?;
    let alone = draft.is_read_only_by(relu, &[pool]) && !draft.is_output(pool);
    if *draft.kind(relu) != Relu.kind() || !alone {
        return None;
    }
    let mut patch = Patching::at(draft, pool);
    let pooled = patch.again(pool, &[draft.node(relu).inputs[0]])?;
    let rectified = patch.again(relu, &[pooled])?;
    patch.instead(pool, rectified).done()
}

/// `select(greater(relu(y), 0), scatter(places(relu(y)), g), 0)` becomes
/// `scatter(places(y), select(greater(relu(max_pool(y)), 0), g, 0))`. A gradient that was only reshaped is masked before.
fn mask_before_scattering(draft: &Draft, select: usize) -> Option<Patch> {
    let &[mask, scatter, zero] = &draft.node(select).inputs[..] else {
        return None;
    };
    let found = scattered(draft, scatter)?;
    let relu = found.pooled;
    let is_zero = matches!(*draft.kind(zero), Kind::Fill(v) if v.to_bits() == 0);
    let whole = *draft.kind(select) == Where.kind()
        && *draft.kind(mask) == binary(Binary::Greater)
        && draft.node(mask).inputs == [relu, zero]
        && *draft.kind(relu) == Relu.kind()
        && is_zero;
    if !whole {
        return None;
    }
    let pooling = Kind::Window(Window::Pool(Pooling::Max, found.options));
    let pool = draft.reader_of_kind(relu, &pooling)?;
    let told = if found.told == relu {
        scatter
    } else {
        found.told
    };
    let alone = draft.is_read_only_by(relu, &[pool, told, mask])
        && draft.is_read_only_by(mask, &[select])
        && draft.is_read_only_by(scatter, &[select])
        && (told == scatter || draft.is_read_only_by(told, &[scatter]))
        && !draft.is_output(pool)
        && !draft.is_output(select);
    if !alone {
        return None;
    }
    let y = draft.node(relu).inputs[0];
    let mut patch = Patching::at(draft, pool);
    let pooled = patch.again(pool, &[y])?;
    let mut rectified = patch.again(relu, &[pooled])?;
    patch.stand_at(select);
    let is_reshaped = *draft.kind(found.gradient) == Kind::View(View::Reshape);
    let gradient = match is_reshaped {
        true => draft.node(found.gradient).inputs[0],
        false => found.gradient,
    };
    let meta = &draft.node(gradient).meta;
    let reshape = |shape: &[usize]| -> Arc<dyn Op> { Arc::new(Reshape::exactly(shape)) };
    if is_reshaped {
        rectified = patch.put(found.gradient, reshape(&meta.shape), &[rectified])?;
    }
    let zeros = patch.put(zero, Arc::new(Fill::of(0.0, meta)), &[])?;
    let positive = patch.again(mask, &[rectified, zeros])?;
    let mut masked = match planted(Fault::ForgetsMaskOfPooledRelu) {
        true => gradient,
        false => patch.again(select, &[positive, gradient, zeros])?,
    };
    if is_reshaped {
        masked = patch.put(
            found.gradient,
            reshape(draft.shape(found.gradient)),
            &[masked],
        )?;
    }
    let whence = match told == scatter {
        true => y,
        false => patch.again(told, &[y])?,
    };
    let scattered = patch.again(scatter, &[whence, masked])?;
    patch.instead(select, scattered).done()
}

fn add_after_pooling(draft: &Draft, pool: usize) -> Option<Patch> {
    let (options, add) = max_pool(draft, pool)?;
    if *draft.kind(add) != binary(Binary::Add) || draft.is_output(pool) {
        return None;
    }
    let is_spread = |at: usize| *draft.kind(at) == Kind::View(View::Broadcast);
    let (x, spread) = match draft.node(add).inputs[..] {
        [x, b] if is_spread(b) && !is_spread(x) => (x, b),
        [b, x] if is_spread(b) && !is_spread(x) => (x, b),
        _ => return None,
    };
    // The same for all positions of a plane.
    let b = draft.node(spread).inputs[0];
    if !(draft.node(b).meta.len() == 1 || matches!(draft.shape(b), [.., 1, 1])) {
        return None;
    }
    let places = draft.reader_of_kind(add, &Kind::Window(Window::Places(options)));
    let readers = [pool, places.unwrap_or(pool)];
    if !draft.is_read_only_by(add, &readers) {
        return None;
    }
    // Numbers that are sure to be finite change nothing in which element is the largest.
    let is_finite = matches!(*draft.kind(b), Kind::Fill(number) if number.is_finite());
    let mut patch = Patching::at(draft, pool);
    let pooled = match is_finite {
        true => patch.again(pool, &[x])?,
        false => patch.put(pool, Arc::new(PoolBeside(options)), &[x, b])?,
    };
    let wide = Arc::new(Broadcast::to(draft.shape(pool)));
    let wide = patch.put(spread, wide, &[b])?;
    let sum = match planted(Fault::ForgetsSumAfterPooling) {
        true => pooled,
        false => patch.again(add, &[pooled, wide])?,
    };
    if let Some(places) = places {
        patch.stand_at(places);
        let told = match is_finite {
            true => patch.again(places, &[x])?,
            false => patch.again(places, &[x, b])?,
        };
        patch = patch.instead(places, told);
    }
    patch.instead(pool, sum).done()
}

fn sum_before_scattering(draft: &Draft, sum: usize) -> Option<Patch> {
    let Kind::Reduce {
        reduction: Reduction::Sum,
        axes,
    } = draft.kind(sum)
    else {
        return None;
    };
    let gradient = scattered(draft, draft.node(sum).inputs[0])?.gradient;
    let axes = reduced_axes(axes, 4).ok()?;
    if !(axes.contains(&2) && axes.contains(&3)) {
        return None;
    }
    let mut patch = Patching::at(draft, sum);
    // Planes of what was flattened lie one after another: first the images are added up, whole rows of them.
    let is_flattened = *draft.kind(gradient) == Kind::View(View::Reshape) && axes == [0, 2, 3];
    let small = match is_flattened {
        true => {
            let images = patch.put(sum, Arc::new(Reduce::sum_over(&[0])), &[gradient])?;
            patch.put(sum, Arc::new(Reduce::sum_over(&[1, 2])), &[images])?
        }
        false => patch.again(sum, &[gradient])?,
    };
    patch.instead(sum, small).done()
}
