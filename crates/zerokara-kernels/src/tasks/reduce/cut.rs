//! How a reduction is cut: which axes are walked how, what one unit takes, and where its parts go.

use super::{Form, Gathered, How, Output, Partials, Parting, Parts, ReduceTask};
use crate::{
    access::Access,
    code::Code,
    isa::Isa,
    map::prepared::{Prepared, TILE, Use},
    plan::Reduction,
    tasks::parts_of_unit,
};
use std::{cmp::Reverse, ops::Range};

/// Most parts that one result's elements are cut into.
const MOST_CHUNKS: usize = 32;

/// Most columns that one unit has sums for; wider rows are cut.
const MOST_COLUMNS: usize = 4096;

/// The different values that are gathered, and where each result is found in them.
fn gather(code: &Code, reductions: &[Reduction]) -> (Vec<Gathered>, Vec<usize>) {
    let is_variance = |r: &Reduction| matches!(r, Reduction::Variance { .. });
    let mut gathered: Vec<(usize, Gathered)> = Vec::new();
    let mut results = Vec::new();
    for (result, (&value, reduction)) in code.results.iter().zip(reductions).enumerate() {
        let mut same = code.results.iter().zip(reductions);
        let how = match reduction {
            Reduction::Max => How::Max,
            Reduction::Min => How::Min,
            _ if same.any(|(&v, r)| v == value && is_variance(r)) => How::Moments,
            Reduction::Sum => How::Sum,
            _ => How::Mean,
        };
        let found = gathered
            .iter()
            .position(|(v, g)| *v == value && g.how == how);
        let of = found.unwrap_or_else(|| {
            gathered.push((value, Gathered { result, how }));
            gathered.len() - 1
        });
        results.push(of);
    }
    (gathered.into_iter().map(|(_, g)| g).collect(), results)
}

impl ReduceTask {
    pub(crate) fn new(isa: Isa, parts: Parts<'_>) -> Result<ReduceTask, String> {
        Self::cut(isa, parts, None)
    }

    /// A reduction of all axes but the last, whose rows are gathered in these parts by [`ReduceTask::run_part`].
    pub(crate) fn beside(
        isa: Isa,
        parts: Parts<'_>,
        ranges: Box<[Range<usize>]>,
    ) -> Result<ReduceTask, String> {
        Self::cut(isa, parts, Some(ranges))
    }

    fn cut(
        isa: Isa,
        parts: Parts<'_>,
        ranges: Option<Box<[Range<usize>]>>,
    ) -> Result<ReduceTask, String> {
        let Parts {
            shape,
            reduced,
            inputs,
            code,
            ..
        } = parts;
        // The input that spans most elements decides the order of the axes.
        let spans = |a: &Access| -> usize {
            shape
                .iter()
                .zip(&a.strides)
                .filter(|(_, s)| **s != 0)
                .map(|(&n, _)| n.max(1))
                .product()
        };
        let main = inputs.iter().max_by_key(|a| spans(a)).cloned();
        let dense = crate::access::dense_strides(shape);
        let stride = |axis: usize| match (&ranges, &main) {
            (Some(_), _) => dense[axis],
            (None, Some(input)) => input.strides[axis].unsigned_abs(),
            (None, None) => 0,
        };
        let mut axes: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        axes.sort_by_key(|&axis| Reverse(stride(axis)));
        let innermost = axes.iter().rev().find(|&&axis| stride(axis) != 0);
        let columns = ranges.is_some()
            || innermost.is_some_and(|&axis| !reduced[axis])
                && axes.iter().any(|&axis| reduced[axis]);
        let widest = axes
            .iter()
            .filter(|&&a| reduced[a])
            .map(|&a| stride(a))
            .max()
            .unwrap_or(0);
        // Parts are those of all rows, be it one row whose axes have no length.
        let is_outer =
            |axis: usize| ranges.is_none() && !reduced[axis] && (!columns || stride(axis) > widest);
        let outer_axes: Vec<usize> = axes.iter().copied().filter(|&a| is_outer(a)).collect();
        let reduced_axes: Vec<usize> = axes.iter().copied().filter(|&a| reduced[a]).collect();
        let inner_axes: Vec<usize> = axes
            .iter()
            .copied()
            .filter(|&a| !reduced[a] && !is_outer(a))
            .collect();

        let order: Vec<usize> = outer_axes
            .iter()
            .chain(&reduced_axes)
            .chain(&inner_axes)
            .copied()
            .collect();
        let count = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
        let (outer, many, inner) = (count(&outer_axes), count(&reduced_axes), count(&inner_axes));
        let permuted = |mut a: Access| {
            a.strides = order.iter().map(|&axis| a.strides[axis]).collect();
            a
        };
        let sorted_shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let rows_from = outer_axes.len() + if columns { reduced_axes.len() } else { 0 };
        let inputs = inputs.into_iter().map(permuted).collect();
        let purpose = Use::Read { axis: rows_from };
        let map = Prepared::new(isa, &sorted_shape, inputs, Vec::new(), code, purpose)?;
        let kept_axes: Vec<usize> = outer_axes.iter().chain(&inner_axes).copied().collect();
        let kept: Vec<usize> = kept_axes.iter().map(|&axis| shape[axis]).collect();
        let (gathered, results) = gather(code, parts.reductions);
        let outputs = results.into_iter().zip(parts.reductions).zip(parts.outputs);
        let outputs = outputs
            .map(|((of, &reduction), mut access)| {
                access.strides = kept_axes.iter().map(|&axis| access.strides[axis]).collect();
                Output {
                    of,
                    reduction,
                    access,
                }
            })
            .collect();
        let epilogue = match parts.epilogue {
            Some((inputs, outputs, code)) => {
                // Its axes are the kept ones in the order of the step's shape.
                let number = |axis: usize| reduced[..axis].iter().filter(|&&r| !r).count();
                let sorted = |mut a: Access| {
                    a.strides = kept_axes
                        .iter()
                        .map(|&axis| a.strides[number(axis)])
                        .collect();
                    a
                };
                let inputs = inputs.into_iter().map(sorted).collect();
                let outputs = outputs.into_iter().map(sorted).collect();
                let purpose = Use::Store;
                Some(Prepared::new(isa, &kept, inputs, outputs, code, purpose)?)
            }
            None => None,
        };

        let form = if columns {
            Form::Columns
        } else if many <= TILE {
            Form::ShortRows
        } else {
            Form::LongRows
        };
        let work: usize = gathered.iter().map(|g| g.how.weight()).sum();
        let unit = parts_of_unit(map.weight() + work);
        let block = if inner > MOST_COLUMNS && ranges.is_none() {
            MOST_COLUMNS / 2
        } else {
            inner
        };
        let groups = outer * inner.div_ceil(block.max(1));
        // Few large groups are cut into parts; many are units by themselves.
        let elements = many.saturating_mul(block);
        let chunks = if groups >= 2 * MOST_CHUNKS || form == Form::ShortRows {
            1
        } else {
            elements
                .div_ceil(unit)
                .clamp(1, MOST_CHUNKS)
                .min(many.max(1))
        };
        // Whole tiles to a part.
        let chunk = many.div_ceil(chunks).next_multiple_of(match form {
            Form::ShortRows => 1,
            Form::LongRows => TILE,
            Form::Columns => (TILE / inner.max(1)).max(1),
        });
        let chunks = many.div_ceil(chunk.max(1)).max(1);
        let whole = chunks == 1 && ranges.is_none();
        let parts = match ranges {
            Some(ranges) => Parting::Given(ranges),
            None => Parting::Even(chunks, chunk),
        };
        let partials = Partials {
            groups: if whole { 0 } else { groups },
            ..Partials::default()
        };
        let rows = match form {
            Form::ShortRows => {
                let tile_rows = (TILE / many.max(1)).max(1);
                (unit / many.max(1)).max(1).next_multiple_of(tile_rows)
            }
            // Whole rows to a unit, as many as it takes.
            _ if whole => (unit / elements.max(1)).max(1),
            _ => 1,
        };
        Ok(ReduceTask {
            isa,
            map,
            gathered,
            outputs,
            epilogue,
            form,
            outer,
            reduced: many,
            inner,
            block,
            parts,
            rows,
            kept,
            partials,
        })
    }
}
