//! Turns logical plans into the steps of this CPU's kernels, on buffers.

mod code;
mod contract;
mod host;
mod kernels;
mod maps;
mod reduce;
mod sequences;
mod strided;

use super::{
    Label, Request,
    fault::{Fault, planted},
    schedule::fusion::{Class, Schedule, Unit, inside},
};
use crate::{
    DType, Error, Meta, Result,
    graph::{Graph, Source},
    op::{Contract, ConvOptions, Kind, PoolOptions, View, Window},
    shape,
};
use code::CodeBuilder;
use host::HostCall;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use strided::Strided;
use zerokara_kernels::{
    conv,
    gemm::{self, GemmShape},
    isa::Isa,
    plan::Arithmetic,
    plan::*,
};

/// Channels innermost: the order of the axes `[N, C, H, W]` of images in memory.
const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// A step with what the memory plan and the dumps need to know of it.
#[derive(Clone)]
pub(super) struct LoweredStep {
    pub step: Step,
    /// The buffers that it reads, one for each operand, without what it has just written itself.
    pub reads: Vec<usize>,
    /// The buffers that it writes.
    pub writes: Vec<usize>,
    /// The node that the step computes.
    pub node: usize,
    /// All nodes that it computes, if they are more.
    pub all: Vec<usize>,
}

impl LoweredStep {
    /// A step that computes a node.
    pub fn new(step: Step, node: usize) -> Self {
        let mut lowered = Self {
            step,
            reads: Vec::new(),
            writes: Vec::new(),
            node,
            all: Vec::new(),
        };
        lowered.name_operands();
        lowered
    }

    /// Another step that computes the same nodes.
    pub fn with(&self, step: Step) -> Self {
        Self {
            all: self.all.clone(),
            ..Self::new(step, self.node)
        }
    }

    /// The same step, which computes these nodes.
    pub fn computing(self, all: Vec<usize>) -> Self {
        Self { all, ..self }
    }

    /// Tells anew what the step reads and writes.
    pub fn name_operands(&mut self) {
        let operands = self.step.far_operands();
        let with = |role: Role| {
            let own = operands.iter().filter(move |operand| operand.role == role);
            own.map(|operand| operand.view.buffer).collect()
        };
        (self.reads, self.writes) = (with(Role::Read), with(Role::Write));
    }

    /// The nodes that the step computes.
    pub fn computes(&self) -> Vec<usize> {
        match self.all.is_empty() {
            true => vec![self.node],
            false => self.all.clone(),
        }
    }
}

/// A buffer before it has a place in the arena.
#[derive(Clone, Debug)]
pub(super) struct LoweredBuffer {
    pub element: Element,
    pub len: usize,
    /// The number of the external storage, if it is not in the arena.
    pub external: Option<usize>,
    /// The offset in a thread's own memory, if it is not in the arena.
    pub local: Option<usize>,
}

pub(super) struct Lowered {
    pub steps: Vec<LoweredStep>,
    pub buffers: Vec<LoweredBuffer>,
    /// What the externals are, in order.
    pub externals: Vec<ExternalSource>,
    /// For each external, whether it mostly stays as it is from run to run: values, and parameters that the plan does not
    /// replace.
    pub fixed: Vec<bool>,
    /// Whether the plan is for a program, which runs again and again.
    pub is_program: bool,
}

/// What is bound to an external storage when the plan runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExternalSource {
    /// The value of a leaf of the graph.
    Leaf(usize),
    /// The i-th output of the request.
    Output(usize),
}

/// How elementwise nodes are walked.
pub(super) enum Walk {
    /// As their operands lie.
    Free,
    /// As the node's value lies that a kernel has just written: they are its epilogue.
    Host(usize),
    /// In this order of the axes.
    Order(Vec<usize>),
}

/// The sum over the first axis of `input`; `output` has its shape, and the stride 0 on that axis.
pub(super) fn sum_over_first(
    input: zerokara_kernels::plan::View,
    output: zerokara_kernels::plan::View,
) -> ReduceStep {
    let mut code = CodeBuilder::default();
    let result = code.load(0);
    ReduceStep {
        shape: input.shape.clone(),
        reduced: (0..input.shape.len()).map(|axis| axis == 0).collect(),
        inputs: vec![input],
        code: code.finish(&[result]),
        reductions: vec![Reduction::Sum],
        outputs: vec![output],
        epilogue: None,
    }
}

pub(super) struct Lowering<'a> {
    pub graph: &'a Graph,
    pub request: &'a Request,
    pub schedule: &'a Schedule,
    pub isa: Isa,
    values: Vec<Option<Strided>>,
    pub out: Lowered,
    /// The parameters that are replaced.
    stored: HashSet<u64>,
    /// The number of the output that each node is.
    outputs: HashMap<usize, usize>,
    /// Externals of parameters by identity.
    parameters: HashMap<u64, usize>,
    packed: HashMap<(usize, ConvGeometry, ConvPass), usize>,
    /// Copies of values in other orders of the axes.
    reordered: HashMap<(usize, Vec<usize>), Strided>,
}

pub(super) fn lower(
    graph: &Graph,
    request: &Request,
    schedule: &Schedule,
    isa: Isa,
) -> Result<Lowered> {
    let mut lowering = Lowering {
        graph,
        request,
        schedule,
        isa,
        values: vec![None; graph.nodes.len()],
        out: Lowered {
            steps: Vec::new(),
            buffers: Vec::new(),
            externals: Vec::new(),
            fixed: Vec::new(),
            is_program: request.is_program,
        },
        stored: request.stores.values().copied().collect(),
        outputs: (graph.outputs[..request.outputs].iter().enumerate())
            .map(|(number, &at)| (at, number))
            .collect(),
        parameters: HashMap::new(),
        packed: HashMap::new(),
        reordered: HashMap::new(),
    };
    lowering.leaves();
    for unit in &schedule.units {
        lowering.unit(unit)?;
        // Before it, others may have put its operands in order.
        if let Some(step) = lowering.out.steps.last_mut().filter(|_| request.is_program) {
            let nodes: Vec<usize> = unit.nodes().copied().collect();
            if nodes.contains(&step.node) {
                let inputs = nodes.iter().flat_map(|&at| &graph.nodes[at].inputs);
                let inlined = inside(graph, &schedule.inlined, inputs.copied()).maps;
                step.all = nodes.into_iter().chain(inlined).collect();
            }
        }
    }
    Ok(lowering.out)
}

impl Lowering<'_> {
    fn meta(&self, at: usize) -> &Meta {
        &self.graph.nodes[at].meta
    }

    fn leaves(&mut self) {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if self.schedule.classes[at] != Class::Leaf {
                continue;
            }
            let buffer = match &node.source {
                Source::Parameter(p, _) if self.request.is_program => {
                    match self.parameters.get(&p.id()) {
                        Some(&buffer) => buffer,
                        None => {
                            let buffer = self.external(&node.meta, ExternalSource::Leaf(at));
                            self.parameters.insert(p.id(), buffer);
                            buffer
                        }
                    }
                }
                _ => self.external(&node.meta, ExternalSource::Leaf(at)),
            };
            self.values[at] = Some(Strided::row_major(buffer, &node.meta.shape));
        }
    }

    fn external(&mut self, meta: &Meta, source: ExternalSource) -> usize {
        let fixed = match source {
            ExternalSource::Leaf(at) => match &self.graph.nodes[at].source {
                Source::Parameter(p, _) => !self.stored.contains(&p.id()),
                Source::Value(_) => true,
                _ => false,
            },
            ExternalSource::Output(_) => false,
        };
        self.out.fixed.push(fixed);
        self.out.externals.push(source);
        let external = Some(self.out.externals.len() - 1);
        self.out.buffers.push(LoweredBuffer {
            element: meta.dtype,
            len: meta.len(),
            external,
            local: None,
        });
        self.out.buffers.len() - 1
    }

    fn arena(&mut self, element: Element, len: usize) -> usize {
        self.out.buffers.push(LoweredBuffer {
            element,
            len,
            external: None,
            local: None,
        });
        self.out.buffers.len() - 1
    }

    fn push(&mut self, node: usize, step: Step) {
        self.out.steps.push(LoweredStep::new(step, node));
    }

    /// The buffer that a node's value is stored in: an output, a parameter, or the arena.
    fn destination(&mut self, at: usize) -> usize {
        let meta = self.meta(at).clone();
        if let Some(&output) = self.outputs.get(&at) {
            return self.external(&meta, ExternalSource::Output(output));
        }
        match self.request.stores.get(&at) {
            Some(parameter) => self.parameters[parameter],
            None => self.arena(meta.dtype, meta.len()),
        }
    }

    /// Whether a node's value must lie in row-major order.
    fn is_destined(&self, at: usize) -> bool {
        self.outputs.contains_key(&at) || self.request.stores.contains_key(&at)
    }

    /// A node's value in memory; constants are written out.
    ///
    /// # Errors
    /// If it is needed before it is computed.
    fn value(&mut self, at: usize) -> Result<Strided> {
        if let Some(value) = &self.values[at] {
            return Ok(value.clone());
        }
        let Class::Constant(number) = self.schedule.classes[at] else {
            return Err(self.broken(at, "is read before it is computed"));
        };
        let meta = self.meta(at).clone();
        let buffer = self.arena(meta.dtype, meta.len());
        let value = Strided::row_major(buffer, &meta.shape);
        let mut code = CodeBuilder::default();
        let result = code.constant(number as f32);
        let step = MapStep {
            shape: meta.shape,
            inputs: vec![],
            outputs: vec![value.view()],
            code: code.finish(&[result]),
        };
        self.push(at, Step::Map(step));
        self.values[at] = Some(value.clone());
        Ok(value)
    }

    /// A copy of a value into `target`, which has the same logical shape.
    fn copy(&mut self, at: usize, source: &Strided, target: &Strided) {
        let order = target
            .dense_order()
            .unwrap_or_else(|| (0..target.shape.len()).collect());
        let (from, to) = (source.permute(&order), target.permute(&order));
        let mut code = CodeBuilder::default();
        let result = code.load(0);
        let step = MapStep {
            shape: to.shape.clone(),
            inputs: vec![from.view()],
            outputs: vec![to.view()],
            code: code.finish(&[result]),
        };
        self.push(at, Step::Map(step));
    }

    /// The value in this order of axes without gaps: itself if it lies so, else a copy.
    fn in_order(&mut self, at: usize, value: Strided, order: &[usize]) -> Strided {
        if value.permute(order).is_row_major() {
            return value;
        }
        if let Some(copy) = self.reordered.get(&(at, order.to_vec())) {
            return copy.clone();
        }
        let element = self.out.buffers[value.buffer].element;
        let buffer = self.arena(element, value.len());
        let target = Strided::ordered(buffer, &value.shape, order);
        self.copy(at, &value, &target);
        self.reordered.insert((at, order.to_vec()), target.clone());
        target
    }

    /// The value of a node in row-major order.
    fn row_major(&mut self, at: usize) -> Result<Strided> {
        let value = self.value(at)?;
        let order: Vec<usize> = (0..value.shape.len()).collect();
        Ok(self.in_order(at, value, &order))
    }

    /// The images of a node `[N, C, H, W]` as a dense `[N, H, W, C]`.
    fn channels_last(&mut self, at: usize) -> Result<Strided> {
        let value = self.value(at)?;
        let images = self
            .in_order(at, value, &CHANNELS_LAST)
            .permute(&CHANNELS_LAST);
        Ok(Strided {
            strides: shape::row_major(&images.shape),
            ..images
        })
    }

    /// New images `[N, C, H, W]`, channels innermost, as the value of a node; given as a dense `[N, H, W, C]`.
    fn new_images(&mut self, at: usize) -> Strided {
        let shape = self.meta(at).shape.clone();
        let buffer = self.arena(DType::F32, shape.iter().product());
        let value = Strided::ordered(buffer, &shape, &CHANNELS_LAST);
        let images = value.permute(&CHANNELS_LAST);
        self.values[at] = Some(value);
        Strided {
            strides: shape::row_major(&images.shape),
            ..images
        }
    }

    fn unit(&mut self, unit: &Unit) -> Result<()> {
        let Some(head) = unit.head else {
            let step = self.map_step(&unit.maps, Walk::Free)?;
            self.push(unit.maps[unit.maps.len() - 1], Step::Map(step));
            return Ok(());
        };
        if self.schedule.classes[head] == Class::View {
            let value = self.view(head)?;
            self.values[head] = Some(value);
            return Ok(());
        }
        let inputs = self.graph.nodes[head].inputs.clone();
        let kind = self.schedule.kinds[head].clone();
        // Places lie as the kernels have them, whatever they are beside kernels.
        let mut operands = [head].into_iter().chain(inputs.iter().copied());
        let is_places = |at| matches!(self.schedule.kinds[at], Kind::Window(Window::Places(_)));
        let native = operands.all(|at| self.meta(at).dtype == DType::F32 || is_places(at));
        match (kind, native) {
            (Kind::Reduce { .. }, true) => self.reduce(unit),
            (Kind::Contract(Contract::MatMul), true) => self.matmul(head, &inputs, &unit.maps),
            (Kind::Contract(contract), true) => self.convolution(head, &inputs, &contract, unit),
            (Kind::Window(window), true) => self.window(head, &inputs, window, unit),
            (
                Kind::Attention {
                    causal,
                    position,
                    scale,
                    gradient,
                },
                _,
            ) if self.meta(head).dtype == DType::F32 => {
                let options = (causal, position, scale);
                self.attention(head, &inputs, options, gradient)
            }
            (Kind::Recurrent { cell, part }, _) if self.meta(head).dtype == DType::F32 => {
                self.recurrent(head, &inputs, cell, part)
            }
            (Kind::Softmax { log }, true) => self.softmax(head, inputs[0], log),
            (Kind::ArgReduce { min, axis }, _) if self.meta(inputs[0]).dtype == DType::F32 => {
                self.arg_reduce(head, inputs[0], min, axis)
            }
            (Kind::Gather { axis }, _) => self.gather(head, &inputs, axis),
            (Kind::OneHot, _) if self.meta(head).dtype == DType::F32 => {
                self.one_hot(head, inputs[0])
            }
            (Kind::Random { key }, _) => {
                let counter = self.value(inputs[0])?;
                let output = self.new_row_major(head);
                let step = RandomStep {
                    key,
                    counter: counter.view(),
                    output: output.view(),
                };
                self.push(head, Step::Random(step));
                Ok(())
            }
            (Kind::Assemble { fill, offsets }, true) => {
                self.assemble(head, &inputs, fill, &offsets)
            }
            _ => self.host(head, &inputs),
        }?;
        match &unit.statistics {
            Some(statistics) => self.statistics(statistics),
            None => Ok(()),
        }
    }

    /// An error of the compiler: a node that is not as the steps before this one leave it.
    fn broken(&self, at: usize, what: &str) -> Error {
        Label::of(&self.graph.nodes[at]).error(format!("{what}: an error of the compiler"))
    }

    /// A new row-major buffer as the value of a node.
    fn new_row_major(&mut self, at: usize) -> Strided {
        let meta = self.meta(at).clone();
        let buffer = self.destination(at);
        let value = Strided::row_major(buffer, &meta.shape);
        self.values[at] = Some(value.clone());
        value
    }

    fn view(&mut self, at: usize) -> Result<Strided> {
        let input = self.graph.nodes[at].inputs[0];
        let shape = self.meta(at).shape.clone();
        let value = self.value(input)?;
        Ok(match &self.schedule.kinds[at] {
            Kind::View(View::Permute(order)) if planted(Fault::PermuteBackwards) => {
                let mut inverse = vec![0; order.len()];
                order
                    .iter()
                    .enumerate()
                    .for_each(|(to, &from)| inverse[from] = to);
                Strided {
                    shape,
                    ..value.permute(&inverse)
                }
            }
            Kind::View(View::Permute(order)) => value.permute(order),
            Kind::View(View::Broadcast) => value.broadcast(&shape),
            Kind::View(View::Slice { starts, steps }) => value.slice(&shape, starts, steps),
            _ => match value.reshape(&shape) {
                Some(reshaped) => reshaped,
                None => {
                    let dense = self.row_major(input)?;
                    Strided {
                        shape: shape.clone(),
                        strides: shape::row_major(&shape),
                        ..dense
                    }
                }
            },
        })
    }
}
