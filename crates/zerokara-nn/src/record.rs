//! Models as data: the traced forward graph in both modes, with the parameters.
//!
//! What a record is and how it runs stands in [`zerokara_core::record`]; here models of layers are traced into one.

use crate::{Context, Mode, Model, model::INPUT, module::slots};
use zerokara_core::{Array, Axis, Error, Meta, Metas, Port, Result, Tensor, scope::in_container};
pub use zerokara_core::{Arrays, Tensors, record::*};

/// What tells names, shapes and element types of a model's inputs: one tensor, array or [`Meta`], which is called `x`, or
/// several with names.
pub trait Samples {
    /// Shapes and element types.
    ///
    /// # Errors
    /// If a tensor is invalid.
    fn metas(&self) -> Result<Metas>;
}

impl Samples for Meta {
    fn metas(&self) -> Result<Metas> {
        Ok(Metas::one(INPUT, self.clone()))
    }
}

impl Samples for Tensor {
    fn metas(&self) -> Result<Metas> {
        self.meta()?.metas()
    }
}

impl Samples for Array {
    fn metas(&self) -> Result<Metas> {
        self.valid()?.meta().metas()
    }
}

impl Samples for Metas {
    fn metas(&self) -> Result<Metas> {
        Ok(self.clone())
    }
}

impl Samples for Tensors {
    fn metas(&self) -> Result<Metas> {
        let each = self.iter().map(|(name, t)| Ok((name, t.meta()?.clone())));
        Ok(each.collect::<Result<Vec<_>>>()?.into_iter().collect())
    }
}

impl Samples for Arrays {
    fn metas(&self) -> Result<Metas> {
        let each = self.iter().map(|(name, a)| Ok((name, a.valid()?.meta())));
        Ok(each.collect::<Result<Vec<_>>>()?.into_iter().collect())
    }
}

/// Traces a model that has been built, for inputs like these. The first axis of each input is taken to be the batch; if
/// the model does not hold for any batch, the record is for that of the inputs alone. A model that was loaded keeps its
/// signature.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, GraphModule, Sequential, record};
/// let model = Sequential::new().linear(4).relu().linear(2);
/// let x = Tensor::from([[1.0, 2.0, 3.0]]);
/// model.build(&x, 1)?;
/// let record = record::trace(&model, &x)?;
/// assert_eq!(record.signature.to_string(), "(x: f32 [batch, 3]) -> (y: f32 [batch, 2])");
/// let rebuilt = GraphModule::new(record)?;
/// let mut cx = Context::evaluate();
/// let (a, b) = (model.forward(&x, &mut cx), rebuilt.forward(&x, &mut cx));
/// assert_eq!(a.to_vec::<f32>()?, b.to_vec::<f32>()?);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Errors
/// If the model has not been built or does not take the inputs.
pub fn trace<M: Model + ?Sized>(model: &M, inputs: &dyn Samples) -> Result<ModelRecord> {
    let metas = inputs.metas()?;
    if let Some(graph) = model.recorded() {
        let mut record = graph.record();
        record.lengths = record.signature.lengths(&metas)?;
        return Ok(record);
    }
    let ports = |batch: Option<usize>| -> Vec<Port> {
        let port = |(name, meta): (&str, &Meta)| {
            let axes = meta.shape.iter().enumerate();
            let axes = axes.map(|(at, &length)| match at == 0 && batch == Some(length) {
                true => Axis::from(BATCH),
                false => Axis::from(length),
            });
            Port::new(name, meta.dtype, axes)
        };
        metas.iter().map(port).collect()
    };
    let samples = metas.values().find_map(|meta| meta.shape.first().copied());
    if let Some(samples) = samples {
        let free = trace_at(model, &ports(Some(samples)), &Lengths::one(BATCH, samples));
        if free.is_ok() {
            return free;
        }
    }
    trace_at(model, &ports(None), &Lengths::new())
}

/// As [`trace`] for inputs of these ports, whose axes with names must be free: the model holds for any such lengths.
///
/// ```
/// use zerokara_core::{DType, Meta, Port, Tensor};
/// use zerokara_nn::{Embedding, Forward, Sequential, record};
/// let model = Sequential::new().add(Embedding::new(100, 8)).linear(100);
/// model.build(&Meta::new([1, 5], DType::I64), 0)?;
/// let record = record::trace_ports(&model, &[Port::new("tokens", DType::I64, ["batch", "length"])])?;
/// assert_eq!(record.signature.outputs[0].to_string(), "y: f32 [batch, length, 100]");
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Errors
/// If the model has not been built or does not take such inputs, or what it computes does not follow from the lengths.
pub fn trace_ports<M: Model + ?Sized>(model: &M, inputs: &[Port]) -> Result<ModelRecord> {
    trace_at(model, inputs, &Lengths::new())
}

fn trace_at<M: Model + ?Sized>(
    model: &M,
    ports: &[Port],
    lengths: &Lengths,
) -> Result<ModelRecord> {
    let mut cells = Vec::new();
    for (name, slot) in slots(model)? {
        let parameter = slot.parameter().ok_or_else(|| {
            Error::new(format!(
                "the model has not been built: {name} has no value yet; call build(&sample, seed) first"
            ))
        })?;
        cells.push(Cell {
            name,
            trainable: slot.is_trainable(),
            parameter,
        });
    }
    let mut forward = |training: bool, inputs: &Tensors, step: &Tensor| {
        let mode = match training {
            true => Mode::Train,
            false => Mode::Evaluate,
        };
        let mut cx = Context::new(mode, 0, step.clone());
        let mut outputs = Tensors::new();
        in_container("", || outputs = model.apply(inputs, &mut cx));
        for output in outputs.values() {
            output.meta()?;
        }
        Ok(Passed {
            outputs,
            updates: cx.finish()?,
        })
    };
    ModelRecord::trace(ports, lengths, model.states(), &cells, &mut forward)
}
