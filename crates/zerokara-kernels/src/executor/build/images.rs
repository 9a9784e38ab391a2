//! Convolutions and poolings.

use super::{
    super::{
        check::{expect_dense, expect_element, expect_shape},
        conv_task::{
            ConvPoolTask, ConvTask, ConvWeightGradientTask, OutputGradientAccess, PackFiltersTask,
        },
    },
    Made, access, epilogue, expect_floats, statistics,
};
use crate::{
    access::Access,
    arithmetic::Arithmetic,
    conv::{self, ConvGeometry, finish::Finish},
    isa::Isa,
    map::prepared::Use,
    plan::{
        Buffer, ConvPass, ConvPoolStep, ConvStep, ConvWeightGradientStep, Element, OutputGradient,
        PackFiltersStep, PoolGradientStep, PoolStep, PooledGradient, Pooling, View,
    },
    pooling::{PoolGeometry, PoolGradientTask, PoolTask},
};

fn expect_convolution(g: &ConvGeometry) -> Result<(), String> {
    if g.is_consistent() {
        return Ok(());
    }
    Err(format!(
        "the sizes of the convolution do not belong together: {g:?}"
    ))
}

/// Shapes of the images on the input's and the output's side.
fn image_shapes(g: &ConvGeometry) -> ([usize; 4], [usize; 4]) {
    let input = [g.batch, g.input[0], g.input[1], g.in_channels];
    (input, [g.batch, g.output[0], g.output[1], g.out_channels])
}

fn expect_arithmetic(isa: Isa, arithmetic: Arithmetic) -> Result<(), String> {
    arithmetic.check(isa).map_err(|e| e.to_string())
}

pub(super) fn pack_filters(isa: Isa, step: &PackFiltersStep, buffers: &[Buffer]) -> Made {
    let (g, pass) = (step.geometry, step.pass);
    expect_convolution(&g)?;
    expect_arithmetic(isa, step.arithmetic)?;
    expect_floats(
        &[(&step.filters, "filters"), (&step.packed, "packed filters")],
        buffers,
    )?;
    let channels = g.in_channels / g.groups;
    expect_shape(
        &step.filters,
        &[g.out_channels, channels, g.kernel[0], g.kernel[1]],
    )?;
    expect_dense(
        &step.packed,
        &[conv::packed_len(isa, &g, pass)],
        "packed filters",
    )?;
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
    let named = [
        (&step.source, "source"),
        (&step.packed, "filters"),
        (&step.target, "target"),
    ];
    expect_floats(&named, buffers)?;
    let (input, output) = image_shapes(&g);
    let (source, target) = match pass {
        ConvPass::Forward => (input, output),
        ConvPass::InputGradient => (output, input),
    };
    expect_dense(&step.source, &source, "source")?;
    expect_dense(&step.target, &target, "target")?;
    expect_dense(
        &step.packed,
        &[conv::packed_len(isa, &g, pass)],
        "packed filters",
    )?;
    let ranges = (0..conv::units(isa, &g, pass)).map(|unit| conv::unit_range(isa, &g, pass, unit));
    let statistics = statistics(
        isa,
        step.statistics.as_deref(),
        &step.target,
        ranges,
        buffers,
    )?;
    Ok(Box::new(ConvTask {
        isa,
        geometry: g,
        arithmetic: step.arithmetic,
        pass,
        statistics,
        source: access(&step.source, buffers),
        packed: access(&step.packed, buffers),
        target: access(&step.target, buffers),
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    }))
}

pub(super) fn conv_pool(isa: Isa, step: &ConvPoolStep, buffers: &[Buffer]) -> Made {
    let g = step.geometry;
    expect_convolution(&g)?;
    let (_, output) = expect_pooling(&step.pool)?;
    if !conv::pools(isa, &g, &step.pool) {
        return Err(format!(
            "the convolution {g:?} is not computed with its pooling {:?}",
            step.pool
        ));
    }
    let named = [
        (&step.source, "source"),
        (&step.filters, "filters"),
        (&step.output, "output"),
    ];
    expect_floats(&named, buffers)?;
    expect_dense(&step.source, &image_shapes(&g).0, "source")?;
    let filters = [g.out_channels, g.in_channels, g.kernel[0], g.kernel[1]];
    expect_shape(&step.filters, &filters)?;
    expect_shape(&step.output, &output)?;
    if step.epilogue.is_some() && !fills_its_range(&step.output) {
        return Err("an epilogue follows only an output without gaps".into());
    }
    let told = step.places.as_ref();
    let places = told.map(|view| places(&step.pool, view, &output, buffers));
    let finish = step.finish();
    if step.marks && !finish.as_ref().is_some_and(|finish| finish.rectify) {
        return Err("what is not rectified marks no windows".into());
    }
    let epilogue = match &finish {
        Some(_) => None,
        None => epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    };
    let added = added(&step.added, &output, buffers)?;
    let Finish { bias, rectify } = finish.unwrap_or_default();
    if let Some(bias) = &bias {
        expect_floats(&[(bias, "bias")], buffers)?;
    }
    Ok(Box::new(ConvPoolTask {
        isa,
        geometry: g,
        pool: step.pool,
        source: access(&step.source, buffers),
        filters: access(&step.filters, buffers),
        output: access(&step.output, buffers),
        places: places.transpose()?,
        bias: bias.map(|view| access(&view, buffers)),
        added,
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
    let named = [
        (&step.input, "input"),
        (&step.partials, "partial gradients"),
    ];
    expect_floats(&named, buffers)?;
    let (input, output) = image_shapes(&g);
    expect_dense(&step.input, &input, "input")?;
    let output_gradient = match &step.output_gradient {
        OutputGradient::Stored(view) => {
            expect_floats(&[(view, "output's gradient")], buffers)?;
            expect_dense(view, &output, "output's gradient")?;
            OutputGradientAccess::Stored(access(view, buffers))
        }
        OutputGradient::Pooled(pooled) => pooled_gradient(isa, &g, pooled, buffers)?,
    };
    let channels = g.in_channels / g.groups;
    let partials = [
        conv::partials(&g),
        g.kernel[0],
        g.kernel[1],
        channels,
        g.out_channels,
    ];
    expect_dense(&step.partials, &partials, "partial gradients")?;
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
    let (_, output) = expect_pooling(&pooled.geometry)?;
    if !conv::sums_over_windows(isa, g, &pooled.geometry) {
        return Err(format!(
            "the gradient of the filters of {g:?} is not summed over windows of {:?}",
            pooled.geometry
        ));
    }
    expect_floats(&[(&pooled.gradient, "pooled gradient")], buffers)?;
    expect_shape(&pooled.gradient, &output)?;
    if let Some(totals) = &pooled.totals {
        expect_floats(&[(totals, "sums of the gradient")], buffers)?;
        expect_dense(
            totals,
            &[conv::partials(g), g.out_channels],
            "sums of the gradient",
        )?;
    }
    Ok(OutputGradientAccess::Pooled {
        totals: pooled.totals.as_ref().map(|view| access(view, buffers)),
        pool: Box::new(pooled.geometry),
        gradient: access(&pooled.gradient, buffers),
        places: places(&pooled.geometry, &pooled.places, &output, buffers)?,
    })
}

fn expect_pooling(g: &PoolGeometry) -> Result<([usize; 4], [usize; 4]), String> {
    if !g.is_consistent() {
        return Err(format!(
            "the sizes of the pooling do not belong together: {g:?}"
        ));
    }
    let input = [g.batch, g.input[0], g.input[1], g.channels];
    Ok((input, [g.batch, g.output[0], g.output[1], g.channels]))
}

pub(super) fn pool(isa: Isa, step: &PoolStep, buffers: &[Buffer]) -> Made {
    let (input, output) = expect_pooling(&step.geometry)?;
    expect_floats(&[(&step.input, "input"), (&step.output, "output")], buffers)?;
    expect_dense(&step.input, &input, "input")?;
    expect_shape(&step.output, &output)?;
    let values = match (&step.values, step.pooling) {
        (Some(values), Pooling::SelectAtMax) => {
            expect_floats(&[(values, "values")], buffers)?;
            expect_dense(values, &input, "values")?;
            Some(access(values, buffers))
        }
        (None, Pooling::SelectAtMax) => return Err("there are no values to select from".into()),
        (Some(_), _) => return Err("this pooling selects from no values".into()),
        (None, _) => None,
    };
    if (step.places.is_some() || step.added.is_some()) && step.pooling != Pooling::Max {
        return Err("only the maximum of a window has a place".into());
    }
    if step.epilogue.is_some() && !fills_its_range(&step.output) {
        return Err("an epilogue follows only an output without gaps".into());
    }
    let told = step.places.as_ref();
    let places = told.map(|view| dense_places(&step.geometry, view, &output, buffers));
    Ok(Box::new(PoolTask {
        isa,
        geometry: step.geometry,
        pooling: step.pooling,
        input: access(&step.input, buffers),
        values,
        added: added(&step.added, &output, buffers)?,
        output: access(&step.output, buffers),
        places: places.transpose()?,
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    }))
}

/// What is added to all windows of a channel alike.
fn added(
    view: &Option<View>,
    output: &[usize; 4],
    buffers: &[Buffer],
) -> Result<Option<Access>, String> {
    let Some(view) = view else { return Ok(None) };
    expect_floats(&[(view, "what is added")], buffers)?;
    expect_shape(view, output)?;
    if [1, 2]
        .iter()
        .any(|&axis| output[axis] > 1 && view.strides[axis] != 0)
    {
        return Err("what is added must be the same for all windows of a channel".into());
    }
    Ok(Some(access(view, buffers)))
}

/// Whether the view's elements are those of a dense one, in some order of the axes but the first.
fn fills_its_range(view: &View) -> bool {
    let image: usize = view.shape[1..].iter().product();
    view.is_dense_from(1) && (view.shape[0] <= 1 || view.strides[0] == image as isize)
}

/// The places of the largest elements, a byte for each of the output.
fn places(
    g: &PoolGeometry,
    view: &View,
    output: &[usize; 4],
    buffers: &[Buffer],
) -> Result<Access, String> {
    if !g.has_byte_places() {
        return Err("the windows have more places than a byte can number".into());
    }
    expect_element(view, buffers, Element::Bool, "places")?;
    expect_shape(view, output)?;
    Ok(access(view, buffers))
}

/// The same without gaps, channels last.
fn dense_places(
    g: &PoolGeometry,
    view: &View,
    output: &[usize; 4],
    buffers: &[Buffer],
) -> Result<Access, String> {
    expect_dense(view, output, "places")?;
    places(g, view, output, buffers)
}

pub(super) fn pool_gradient(isa: Isa, step: &PoolGradientStep, buffers: &[Buffer]) -> Made {
    let (input, output) = expect_pooling(&step.geometry)?;
    let named = [
        (&step.output_gradient, "output's gradient"),
        (&step.input_gradient, "input's gradient"),
    ];
    expect_floats(&named, buffers)?;
    expect_shape(&step.output_gradient, &output)?;
    expect_dense(&step.input_gradient, &input, "input's gradient")?;
    let own = match (&step.input, &step.places, step.pooling) {
        (Some(own), None, Pooling::Max) => {
            expect_floats(&[(own, "input")], buffers)?;
            expect_dense(own, &input, "input")?;
            Some(access(own, buffers))
        }
        (None, Some(_), Pooling::Max) | (None, None, Pooling::Average { .. }) => None,
        (_, _, Pooling::Max) => {
            return Err("the gradient of a maximum needs either the input or the places".into());
        }
        (_, _, Pooling::Average { .. }) => {
            return Err("the gradient of an average needs neither input nor places".into());
        }
        (_, _, Pooling::SelectAtMax) => {
            return Err("a gradient of the pooling that selects is no step".into());
        }
    };
    let told = step.places.as_ref();
    let places = told.map(|view| dense_places(&step.geometry, view, &output, buffers));
    Ok(Box::new(PoolGradientTask {
        isa,
        geometry: step.geometry,
        pooling: step.pooling,
        input: own,
        places: places.transpose()?,
        output_gradient: access(&step.output_gradient, buffers),
        input_gradient: access(&step.input_gradient, buffers),
        epilogue: epilogue(isa, &step.epilogue, buffers, Use::Store)?,
    }))
}
