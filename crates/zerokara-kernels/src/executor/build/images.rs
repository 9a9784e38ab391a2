//! Convolutions and poolings.

use super::{Made, access, epilogue, expect_packed, statistics};
use crate::{
    conv::{
        self,
        depthwise::{self, Cut},
        finish::Finish,
    },
    isa::Isa,
    map::prepared::Use,
    plan::{
        Arithmetic, Buffer, ConvGeometry, ConvPoolStep, ConvStep, ConvWeightGradientStep,
        OutputGradient, PackFiltersStep, PoolGeometry, PoolGradientStep, PoolStep, PooledGradient,
        Pooling, View,
    },
    tasks::{
        Behind, ConvPoolTask, ConvTask, ConvWeightGradientTask, DepthwiseFiltersTask,
        DepthwiseTask, OutputGradientAccess, PackFiltersTask, PoolGradientTask, PoolTask,
    },
};

fn expect_convolution(g: &ConvGeometry) -> Result<(), String> {
    if g.is_consistent() {
        return Ok(());
    }
    Err(format!(
        "the sizes of the convolution do not belong together: {g:?}"
    ))
}

fn expect_arithmetic(isa: Isa, arithmetic: Arithmetic) -> Result<(), String> {
    arithmetic.check(isa).map_err(|e| e.to_string())
}

pub(super) fn pack_filters(isa: Isa, step: &PackFiltersStep, buffers: &[Buffer]) -> Made {
    let (g, pass) = (step.geometry, step.pass);
    expect_convolution(&g)?;
    expect_arithmetic(isa, step.arithmetic)?;
    let length = conv::packed_len(isa, &g, pass);
    expect_packed(&step.packed, length, "packed filters")?;
    let (filters, packed) = (
        access(&step.filters, buffers),
        access(&step.packed, buffers),
    );
    Ok(Box::new(PackFiltersTask {
        isa,
        geometry: g,
        arithmetic: step.arithmetic,
        pass,
        filters,
        packed,
    }))
}

pub(super) fn convolution(isa: Isa, step: &ConvStep, buffers: &[Buffer]) -> Made {
    let (g, pass) = (step.geometry, step.pass);
    expect_convolution(&g)?;
    expect_arithmetic(isa, step.arithmetic)?;
    let length = conv::packed_len(isa, &g, pass);
    expect_packed(&step.packed, length, "packed filters")?;
    let is_depthwise = depthwise::applies(&g);
    let is_plain = step.epilogue.is_none() && step.statistics.is_none();
    if step.finish.is_some() && !(is_depthwise && is_plain) {
        return Err(
            "only a depthwise convolution without epilogue and statistics is finished in registers"
                .into(),
        );
    }
    let ranges = (0..conv::units(isa, &g, pass)).map(|unit| conv::unit_range(isa, &g, pass, unit));
    let statistics = statistics(
        isa,
        step.statistics.as_deref(),
        &step.target,
        ranges,
        buffers,
    )?;
    let behind = Behind {
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
        statistics,
    };
    if is_depthwise {
        let Finish { bias, rectify } = step.finish.clone().unwrap_or_default();
        let planes = [&step.source, &step.target].map(|view| view.strides.get(3) != Some(&1));
        let cut = match is_plain && planes.contains(&true) {
            true => Cut::Channels,
            false => Cut::Rows,
        };
        return Ok(Box::new(DepthwiseTask {
            isa,
            geometry: g,
            pass,
            cut,
            source: access(&step.source, buffers),
            packed: access(&step.packed, buffers),
            bias: bias.map(|view| access(&view, buffers)),
            rectify,
            target: access(&step.target, buffers),
            behind,
            scratch: depthwise::scratch_len(isa.lanes(), &g, pass, cut),
        }));
    }
    Ok(Box::new(ConvTask {
        isa,
        geometry: g,
        arithmetic: step.arithmetic,
        pass,
        source: access(&step.source, buffers),
        packed: access(&step.packed, buffers),
        target: access(&step.target, buffers),
        behind,
    }))
}

pub(super) fn conv_pool(isa: Isa, step: &ConvPoolStep, buffers: &[Buffer]) -> Made {
    let g = step.geometry;
    expect_convolution(&g)?;
    expect_pooling(&step.pool)?;
    if !conv::pools(isa, &g, &step.pool) {
        return Err(format!(
            "the convolution {g:?} is not computed with its pooling {:?}",
            step.pool
        ));
    }
    expect_places(&step.pool, step.places.is_some())?;
    if step.epilogue.is_some() && !fills_its_range(&step.output) {
        return Err("an epilogue follows only an output without gaps".into());
    }
    let finish = step.finish();
    if step.marks && !finish.as_ref().is_some_and(|finish| finish.rectify) {
        return Err("what is not rectified marks no windows".into());
    }
    let epilogue = match &finish {
        Some(_) => None,
        None => epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    };
    let Finish { bias, rectify } = finish.unwrap_or_default();
    Ok(Box::new(ConvPoolTask {
        isa,
        geometry: g,
        pool: step.pool,
        source: access(&step.source, buffers),
        filters: access(&step.filters, buffers),
        output: access(&step.output, buffers),
        places: step.places.as_ref().map(|view| access(view, buffers)),
        bias: bias.map(|view| access(&view, buffers)),
        added: step.added.as_ref().map(|view| access(view, buffers)),
        rectify,
        marks: step.marks,
        epilogue,
    }))
}

pub(super) fn conv_weight_gradient(
    isa: Isa,
    step: &ConvWeightGradientStep,
    buffers: &[Buffer],
) -> Made {
    let g = step.geometry;
    expect_convolution(&g)?;
    expect_arithmetic(isa, step.arithmetic)?;
    expect_partials(&g, &step.partials, "partial gradients")?;
    if let (true, OutputGradient::Stored(gradient)) =
        (depthwise::applies(&g), &step.output_gradient)
    {
        return Ok(Box::new(DepthwiseFiltersTask {
            isa,
            geometry: g,
            input: access(&step.input, buffers),
            output_gradient: access(gradient, buffers),
            partials: access(&step.partials, buffers),
            scratch: depthwise::filters_scratch_len(isa.lanes(), &g),
        }));
    }
    let output_gradient = match &step.output_gradient {
        OutputGradient::Stored(view) => OutputGradientAccess::Stored(access(view, buffers)),
        OutputGradient::Pooled(pooled) => pooled_gradient(isa, &g, pooled, buffers)?,
    };
    Ok(Box::new(ConvWeightGradientTask {
        isa,
        geometry: g,
        arithmetic: step.arithmetic,
        input: access(&step.input, buffers),
        output_gradient,
        partials: access(&step.partials, buffers),
    }))
}

fn pooled_gradient(
    isa: Isa,
    g: &ConvGeometry,
    pooled: &PooledGradient,
    buffers: &[Buffer],
) -> Result<OutputGradientAccess, String> {
    expect_pooling(&pooled.geometry)?;
    expect_places(&pooled.geometry, true)?;
    if !conv::sums_over_windows(isa, g, &pooled.geometry) {
        return Err(format!(
            "the gradient of the filters of {g:?} is not summed over windows of {:?}",
            pooled.geometry
        ));
    }
    if let Some(totals) = &pooled.totals {
        expect_partials(g, totals, "sums of the gradient")?;
    }
    Ok(OutputGradientAccess::Pooled {
        totals: pooled.totals.as_ref().map(|view| access(view, buffers)),
        pool: Box::new(pooled.geometry),
        gradient: access(&pooled.gradient, buffers),
        places: access(&pooled.places, buffers),
    })
}

/// One for each part that the batch is cut into.
fn expect_partials(g: &ConvGeometry, view: &View, what: &str) -> Result<(), String> {
    let expected = conv::partials(g);
    match view.shape.first() == Some(&expected) {
        true => Ok(()),
        false => Err(format!(
            "the {what} have shape {:?}; there are {expected}",
            view.shape
        )),
    }
}

fn expect_pooling(g: &PoolGeometry) -> Result<(), String> {
    match g.is_consistent() {
        true => Ok(()),
        false => Err(format!(
            "the sizes of the pooling do not belong together: {g:?}"
        )),
    }
}

/// Places are bytes, if there are any.
fn expect_places(g: &PoolGeometry, are_there: bool) -> Result<(), String> {
    match are_there && !g.has_byte_places() {
        true => Err("the windows have more places than a byte can number".into()),
        false => Ok(()),
    }
}

/// Whether the view's elements are those of a dense one, in some order of the axes but the first.
fn fills_its_range(view: &View) -> bool {
    let image: usize = view.shape[1..].iter().product();
    view.is_dense_from(1) && (view.shape[0] <= 1 || view.strides[0] == image as isize)
}

pub(super) fn pool(isa: Isa, step: &PoolStep, buffers: &[Buffer]) -> Made {
    expect_pooling(&step.geometry)?;
    expect_places(&step.geometry, step.places.is_some())?;
    match (&step.values, step.pooling) {
        (Some(_), Pooling::SelectAtMax) => {}
        (None, Pooling::SelectAtMax) => return Err("there are no values to select from".into()),
        (Some(_), _) => return Err("this pooling selects from no values".into()),
        (None, _) => {}
    }
    if (step.places.is_some() || step.added.is_some()) && step.pooling != Pooling::Max {
        return Err("only the maximum of a window has a place".into());
    }
    if step.epilogue.is_some() && !fills_its_range(&step.output) {
        return Err("an epilogue follows only an output without gaps".into());
    }
    let told = |view: &Option<View>| view.as_ref().map(|view| access(view, buffers));
    Ok(Box::new(PoolTask {
        isa,
        geometry: step.geometry,
        pooling: step.pooling,
        input: access(&step.input, buffers),
        values: told(&step.values),
        added: told(&step.added),
        output: access(&step.output, buffers),
        places: told(&step.places),
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    }))
}

pub(super) fn pool_gradient(isa: Isa, step: &PoolGradientStep, buffers: &[Buffer]) -> Made {
    expect_pooling(&step.geometry)?;
    expect_places(&step.geometry, step.places.is_some())?;
    match (&step.input, &step.places, step.pooling) {
        (Some(_), None, Pooling::Max)
        | (None, Some(_), Pooling::Max)
        | (None, None, Pooling::Average { .. }) => {}
        (_, _, Pooling::Max) => {
            return Err("the gradient of a maximum needs either the input or the places".into());
        }
        (_, _, Pooling::Average { .. }) => {
            return Err("the gradient of an average needs neither input nor places".into());
        }
        (_, _, Pooling::SelectAtMax) => {
            return Err("a gradient of the pooling that selects is no step".into());
        }
    }
    let told = |view: &Option<View>| view.as_ref().map(|view| access(view, buffers));
    Ok(Box::new(PoolGradientTask {
        isa,
        geometry: step.geometry,
        pooling: step.pooling,
        input: told(&step.input),
        places: told(&step.places),
        output_gradient: access(&step.output_gradient, buffers),
        input_gradient: access(&step.input_gradient, buffers),
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    }))
}
