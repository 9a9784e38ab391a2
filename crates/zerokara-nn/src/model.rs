//! Models of any signature: named tensors in, named tensors out.

use crate::{
    Context, Forward, GraphModule, Mode, Module, Visitor,
    context::Made,
    module::{Part, slots},
};
use std::sync::Arc;
use zerokara_core::{Error, Metas, Port, Result, Tensor, Tensors};

/// What the one input of a model that is [`Forward`] is called.
pub(crate) const INPUT: &str = "x";
/// What its one output is called.
pub(crate) const OUTPUT: &str = "y";

/// A model of any signature: named inputs of any element types, named outputs.
///
/// Whatever is [`Forward`] is such a model, with the input `x` (whatever name it is given under) and the output `y`. A
/// model of its own kind implements [`Model::apply`]:
///
/// ```
/// use zerokara_core::{DType, Meta, Metas, Tensor, Tensors};
/// use zerokara_nn::{Context, Embedding, Forward, Linear, Model, Module};
///
/// /// A picture and the number of its author.
/// #[derive(Module)]
/// struct Judge { author: Embedding, picture: Linear, score: Linear }
///
/// impl Model for Judge {
///     fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
///         let author = self.author.forward(&inputs.tensor("author"), cx);
///         let picture = self.picture.forward(&inputs.tensor("picture"), cx).relu();
///         Tensors::one("score", self.score.forward(&(author + picture), cx))
///     }
/// }
///
/// let judge = Judge { author: Embedding::new(10, 16), picture: Linear::new(16), score: Linear::new(1) };
/// judge.build_for(&Metas::from([
///     ("author", Meta::new([1], DType::I64)),
///     ("picture", Meta::new([1, 64], DType::F32)),
/// ]), 0)?;
/// let inputs = Tensors::from([("author", Tensor::from([3, 7])), ("picture", Tensor::zeros([2, 64]))]);
/// let outputs = judge.apply(&inputs, &mut Context::evaluate());
/// assert_eq!(outputs.tensor("score").shape()?, [2, 1]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub trait Model: Module {
    /// The outputs for these inputs. Inputs that do not fit give invalid tensors that carry the error.
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors;

    /// States that are carried from step to step: the name of an input, and that of the output which is its next value.
    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        Vec::new()
    }

    /// Element types and axes of those states that begin as zeros where they are not given; then their next values are no
    /// outputs either.
    fn state_ports(&self) -> Vec<Port> {
        Vec::new()
    }

    /// The graph that the model is made of, if it was loaded rather than written: it says its signature itself.
    fn recorded(&self) -> Option<&GraphModule> {
        None
    }

    /// Makes the parameters: gives every layer its path, runs the model on inputs like these to learn the sizes, and
    /// initialises each parameter from the seed and its path. Parameters that exist already are kept.
    ///
    /// # Errors
    /// If the model does not fit the inputs, or leaves a layer out; then no parameter is made.
    fn build_for(&self, inputs: &Metas, seed: u64) -> Result<()> {
        build(self, inputs, seed)
    }

    /// The fewest samples like these that the model can be trained on together, found by asking it: 1, or, where it
    /// takes statistics over the samples, 2. A model that takes neither says why when it is trained.
    ///
    /// # Errors
    /// None today; a model may have its own.
    fn least_batch_for(&self, inputs: &Metas) -> Result<usize> {
        let takes = |samples: usize| {
            let outputs = self.apply(&traced(inputs, Some(samples)), &mut Context::train(0));
            outputs.values().all(|y| y.meta().is_ok())
        };
        Ok(if !takes(1) && takes(2) { 2 } else { 1 })
    }
}

impl<F: Forward + ?Sized> Model for F {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        match self.as_graph() {
            Some(graph) => graph.pass(inputs, cx),
            None => Tensors::one(OUTPUT, self.forward(&inputs.single(), cx)),
        }
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.recorded()
            .map(|graph| graph.signature().states.clone())
            .unwrap_or_default()
    }

    fn state_ports(&self) -> Vec<Port> {
        self.recorded()
            .map(GraphModule::state_ports)
            .unwrap_or_default()
    }

    fn recorded(&self) -> Option<&GraphModule> {
        self.as_graph()
    }
}

/// A model that several own.
impl<M: Model + ?Sized> Model for Arc<M> {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        (**self).apply(inputs, cx)
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        (**self).states()
    }

    fn state_ports(&self) -> Vec<Port> {
        (**self).state_ports()
    }

    fn recorded(&self) -> Option<&GraphModule> {
        (**self).recorded()
    }
}

/// Inputs of these metas, with another number of samples where one is given.
pub(crate) fn traced(inputs: &Metas, samples: Option<usize>) -> Tensors {
    inputs.map(|name, meta| {
        let mut shape = meta.shape.clone();
        if let (Some(batch), Some(samples)) = (shape.first_mut(), samples) {
            *batch = samples;
        }
        Tensor::input(name, shape, meta.dtype)
    })
}

fn build<M: Model + ?Sized>(model: &M, inputs: &Metas, seed: u64) -> Result<()> {
    let slots = slots(model)?;
    for (path, slot) in &slots {
        slot.set_path(path);
    }
    let mut sink = |path: &str, part: Part<'_>| {
        if let Part::Layer(place) = part {
            place.set_path(path);
        }
    };
    model.visit(&mut Visitor::new(&mut sink));

    // A batch of one has no variance, which is no fault of the model.
    let given = inputs.map(|_, meta| {
        let mut meta = meta.clone();
        if let Some(batch) = meta.shape.first_mut() {
            *batch = (*batch).max(2);
        }
        meta
    });
    // Both modes are traced, so that a model that cannot be evaluated is found before it is trained.
    let mut made = Made::default();
    for mode in [Mode::Train, Mode::Evaluate] {
        let mut cx = Context::build(mode, seed, made);
        let outputs = model.apply(&traced(&given, None), &mut cx);
        for output in outputs.values() {
            output.meta()?;
        }
        made = cx.finish_building()?;
    }
    for (path, slot) in &slots {
        if slot.parameter().is_none() && made.get(slot).is_none() {
            return Err(Error::new(format!(
                "{path} is part of the model, but the forward pass does not use its layer"
            )));
        }
    }
    made.fill();
    Ok(())
}
