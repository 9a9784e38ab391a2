//! Turns scheduled units into kernel steps on buffers.

use super::{
    Request,
    code::CodeBuilder,
    fault::{Fault, planted},
    fusion::{Class, Schedule, Unit},
    host::HostCall,
    strided::Strided,
};
use crate::{
    DType, Meta, Result,
    graph::{Graph, Source},
    op::{Contract, ConvOptions, Kind, PoolOptions, View, Window},
    shape,
};
use std::{collections::HashMap, sync::Arc};
use zerokara_kernels::{
    conv::{self, ConvGeometry},
    gemm,
    isa::Isa,
    plan::*,
    pooling::PoolGeometry,
};

/// Channels innermost: the order of the axes `[N, C, H, W]` of images in memory.
const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// A step with what the memory plan and the dumps need to know of it.
pub(super) struct LoweredStep {
    pub step: Step,
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
    /// The node that the step computes.
    pub node: usize,
}

/// A buffer before it has a place in the arena.
#[derive(Clone, Debug)]
pub(super) struct LoweredBuffer {
    pub element: Element,
    pub len: usize,
    /// The number of the external storage, if it is not in the arena.
    pub external: Option<usize>,
}

pub(super) struct Lowered {
    pub steps: Vec<LoweredStep>,
    pub buffers: Vec<LoweredBuffer>,
    /// What the externals are, in order.
    pub externals: Vec<ExternalSource>,
}

/// What is bound to an external storage when the plan runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExternalSource {
    /// The value of a leaf of the graph.
    Leaf(usize),
    /// The i-th output of the request.
    Output(usize),
}

pub(super) struct Lowering<'a> {
    pub graph: &'a Graph,
    pub request: &'a Request,
    pub schedule: &'a Schedule,
    pub isa: Isa,
    pub values: Vec<Option<Strided>>,
    pub out: Lowered,
    /// Externals of parameters by identity.
    parameters: HashMap<u64, usize>,
    packed: HashMap<(usize, ConvGeometry, ConvPass), usize>,
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
        },
        parameters: HashMap::new(),
        packed: HashMap::new(),
    };
    lowering.leaves();
    for unit in &schedule.units {
        lowering.unit(unit)?;
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
                Source::Parameter(p, _) if self.request.bind_parameters => {
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
        self.out.externals.push(source);
        let external = Some(self.out.externals.len() - 1);
        self.out.buffers.push(LoweredBuffer {
            element: meta.dtype,
            len: meta.len(),
            external,
        });
        self.out.buffers.len() - 1
    }

    fn arena(&mut self, element: Element, len: usize) -> usize {
        self.out.buffers.push(LoweredBuffer {
            element,
            len,
            external: None,
        });
        self.out.buffers.len() - 1
    }

    fn push(&mut self, node: usize, step: Step, reads: &[&Strided], writes: &[&Strided]) {
        let buffers = |list: &[&Strided]| list.iter().map(|s| s.buffer).collect();
        self.out.steps.push(LoweredStep {
            step,
            reads: buffers(reads),
            writes: buffers(writes),
            node,
        });
    }

    /// The buffer that a node's value is stored in: an output, a parameter, or the arena.
    fn destination(&mut self, at: usize) -> usize {
        let meta = self.meta(at).clone();
        if let Some(output) = self.graph.outputs.iter().position(|&o| o == at)
            && output < self.request.outputs
        {
            return self.external(&meta, ExternalSource::Output(output));
        }
        match self.request.stores.get(&at) {
            Some(parameter) => self.parameters[parameter],
            None => self.arena(meta.dtype, meta.len()),
        }
    }

    /// Whether a node's value must lie in row-major order.
    fn is_destined(&self, at: usize) -> bool {
        self.graph.outputs[..self.request.outputs].contains(&at)
            || self.request.stores.contains_key(&at)
    }

    /// A node's value in memory; constants are written out.
    fn value(&mut self, at: usize) -> Strided {
        if let Some(value) = &self.values[at] {
            return value.clone();
        }
        let Class::Constant(number) = self.schedule.classes[at] else {
            unreachable!("inputs are lowered before what reads them")
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
        self.push(at, Step::Map(step), &[], &[&value]);
        self.values[at] = Some(value.clone());
        value
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
        self.push(at, Step::Map(step), &[source], &[target]);
    }

    /// The value in this order of axes without gaps: itself if it lies so, else a copy.
    fn in_order(&mut self, at: usize, value: Strided, order: &[usize]) -> Strided {
        if value.permute(order).is_row_major() {
            return value;
        }
        let element = self.out.buffers[value.buffer].element;
        let buffer = self.arena(element, value.len());
        let target = Strided::ordered(buffer, &value.shape, order);
        self.copy(at, &value, &target);
        target
    }

    /// The value of a node in row-major order.
    fn row_major(&mut self, at: usize) -> Strided {
        let value = self.value(at);
        let order: Vec<usize> = (0..value.shape.len()).collect();
        self.in_order(at, value, &order)
    }

    /// The images of a node `[N, C, H, W]` as a dense `[N, H, W, C]`.
    fn channels_last(&mut self, at: usize) -> Strided {
        let value = self.value(at);
        let images = self
            .in_order(at, value, &CHANNELS_LAST)
            .permute(&CHANNELS_LAST);
        Strided {
            strides: shape::row_major(&images.shape),
            ..images
        }
    }

    fn unit(&mut self, unit: &Unit) -> Result<()> {
        let Some(head) = unit.head else {
            let step = self.map_step(&unit.maps, None);
            self.push_map(unit.maps[unit.maps.len() - 1], step);
            return Ok(());
        };
        if self.schedule.classes[head] == Class::View {
            let value = self.view(head);
            self.values[head] = Some(value);
            return Ok(());
        }
        let native = self.meta(head).dtype == DType::F32
            && self.graph.nodes[head]
                .inputs
                .iter()
                .all(|&i| self.meta(i).dtype == DType::F32);
        let inputs = self.graph.nodes[head].inputs.clone();
        match (self.schedule.kinds[head].clone(), native) {
            (Kind::Reduce { reduction, axes }, true) => {
                self.reduce(head, inputs[0], reduction, &axes)
            }
            (Kind::Contract(Contract::MatMul), true) => self.matmul(head, &inputs, &unit.maps),
            (Kind::Contract(contract), true) => {
                self.convolution(head, &inputs, &contract, &unit.maps)
            }
            (Kind::Window(window), true) => self.window(head, &inputs, window, &unit.maps),
            (Kind::Softmax { log }, true) => self.softmax(head, inputs[0], log),
            (Kind::ArgReduce { min, axis }, _) if self.meta(inputs[0]).dtype == DType::F32 => {
                self.arg_reduce(head, inputs[0], min, axis)
            }
            (Kind::Gather { axis }, _) => self.gather(head, &inputs, axis),
            (Kind::OneHot, _) if self.meta(head).dtype == DType::F32 => {
                self.one_hot(head, inputs[0])
            }
            (Kind::Random { key }, _) => {
                let counter = self.value(inputs[0]);
                let output = self.new_row_major(head);
                let step = RandomStep {
                    key,
                    counter: counter.view(),
                    output: output.view(),
                };
                self.push(head, Step::Random(step), &[&counter], &[&output]);
            }
            (Kind::Assemble { fill, offsets }, true) => {
                self.assemble(head, &inputs, fill, &offsets)
            }
            _ => self.host(head, &inputs),
        }
        Ok(())
    }

    /// A new row-major buffer as the value of a node.
    fn new_row_major(&mut self, at: usize) -> Strided {
        let meta = self.meta(at).clone();
        let buffer = self.destination(at);
        let value = Strided::row_major(buffer, &meta.shape);
        self.values[at] = Some(value.clone());
        value
    }

    fn view(&mut self, at: usize) -> Strided {
        let input = self.graph.nodes[at].inputs[0];
        let shape = self.meta(at).shape.clone();
        let value = self.value(input);
        match &self.schedule.kinds[at] {
            Kind::View(View::Permute(order)) if planted(Fault::PermuteBackwards) => {
                let mut inverse = vec![0; order.len()];
                order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
                Strided { shape, ..value.permute(&inverse) }
            }
            Kind::View(View::Permute(order)) => value.permute(order),
            Kind::View(View::Broadcast) => value.broadcast(&shape),
            Kind::View(View::Slice { starts, steps }) => value.slice(&shape, starts, steps),
            _ => match value.reshape(&shape) {
                Some(reshaped) => reshaped,
                None => {
                    let dense = self.row_major(input);
                    Strided {
                        shape: shape.clone(),
                        strides: shape::row_major(&shape),
                        ..dense
                    }
                }
            },
        }
    }

    /// The code of elementwise nodes: operands from outside become inputs. Gives the values of the nodes.
    fn splice(
        &mut self,
        maps: &[usize],
        code: &mut CodeBuilder,
        inputs: &mut Vec<usize>,
    ) -> HashMap<usize, usize> {
        let mut known: HashMap<usize, usize> = HashMap::new();
        for &at in maps {
            let node = &self.graph.nodes[at];
            let arguments: Vec<usize> = node
                .inputs
                .iter()
                .map(
                    |&input| match (known.get(&input), self.schedule.classes[input]) {
                        (Some(&value), _) => value,
                        (None, Class::Constant(number)) => code.constant(number as f32),
                        (None, _) => {
                            let number =
                                inputs.iter().position(|&i| i == input).unwrap_or_else(|| {
                                    inputs.push(input);
                                    inputs.len() - 1
                                });
                            code.load(number)
                        }
                    },
                )
                .collect();
            let Kind::Map(op) = &self.schedule.kinds[at] else {
                unreachable!("elementwise nodes have code")
            };
            let value = code.splice(op, &arguments);
            known.insert(at, value);
        }
        known
    }

    /// The order in which to walk a shape: that of the first operand which lies dense and is not broadcast.
    fn walking_order(&self, shape: &[usize], operands: &[Strided]) -> Vec<usize> {
        let dense = |s: &Strided| {
            s.dense_order()
                .filter(|_| s.len() == shape.iter().product::<usize>())
        };
        operands
            .iter()
            .find_map(dense)
            .unwrap_or_else(|| (0..shape.len()).collect())
    }

    /// One step for a group of elementwise nodes. `host` is the node whose kernel has just written its value, in an
    /// epilogue: then the walk follows that value.
    fn map_step(&mut self, maps: &[usize], host: Option<usize>) -> MapStep {
        let mut code = CodeBuilder::default();
        let mut inputs = Vec::new();
        let known = self.splice(maps, &mut code, &mut inputs);
        let shape = self.meta(maps[0]).shape.clone();
        let operands: Vec<Strided> = inputs.iter().map(|&i| self.value(i)).collect();
        let order = match host.and_then(|h| self.values[h].as_ref()) {
            Some(value) => value
                .dense_order()
                .unwrap_or_else(|| (0..shape.len()).collect()),
            None => self.walking_order(&shape, &operands),
        };
        let mut outputs = Vec::new();
        let mut results = Vec::new();
        // An epilogue whose raw value nobody else wants writes over it.
        let mut free_host = host.filter(|&h| {
            let unwanted = self.schedule.consumers[h].iter().all(|c| maps.contains(c));
            (unwanted || planted(Fault::WritesOverRawValueStillWanted)) && !self.is_destined(h)
        });
        for &at in maps {
            let outside = self.schedule.consumers[at]
                .iter()
                .any(|c| !maps.contains(c));
            if !outside && !self.is_destined(at) {
                continue;
            }
            let meta = self.meta(at).clone();
            let value = match free_host {
                _ if self.is_destined(at) => Strided::row_major(self.destination(at), &shape),
                Some(host) if meta.dtype == DType::F32 => {
                    free_host = None;
                    self.values[host]
                        .clone()
                        .unwrap_or_else(|| Strided::row_major(0, &shape))
                }
                _ => Strided::ordered(self.arena(meta.dtype, meta.len()), &shape, &order),
            };
            outputs.push(value.permute(&order).view());
            results.push(known[&at]);
            self.values[at] = Some(value);
        }
        MapStep {
            shape: order.iter().map(|&axis| shape[axis]).collect(),
            inputs: operands.iter().map(|s| s.permute(&order).view()).collect(),
            outputs,
            code: code.finish(&results),
        }
    }

    fn push_map(&mut self, at: usize, step: MapStep) {
        let reads = step.inputs.iter().map(|v| v.buffer).collect();
        let writes = step.outputs.iter().map(|v| v.buffer).collect();
        self.out.steps.push(LoweredStep {
            step: Step::Map(step),
            reads,
            writes,
            node: at,
        });
    }

    /// The epilogue of a kernel and the buffers it touches beyond the kernel's own.
    fn epilogue(
        &mut self,
        head: usize,
        maps: &[usize],
    ) -> (Option<MapStep>, Vec<usize>, Vec<usize>) {
        if maps.is_empty() {
            return (None, Vec::new(), Vec::new());
        }
        let step = self.map_step(maps, Some(head));
        let reads = step.inputs.iter().map(|v| v.buffer).collect();
        let writes = step.outputs.iter().map(|v| v.buffer).collect();
        (Some(step), reads, writes)
    }

    fn push_with_epilogue(
        &mut self,
        head: usize,
        maps: &[usize],
        reads: &[&Strided],
        target: &Strided,
        make: impl FnOnce(Option<MapStep>) -> Step,
    ) {
        let (epilogue, more_reads, more_writes) = self.epilogue(head, maps);
        self.push(head, make(epilogue), reads, &[target]);
        if let Some(last) = self.out.steps.last_mut() {
            last.reads
                .extend(more_reads.into_iter().filter(|&b| b != target.buffer));
            last.writes
                .extend(more_writes.into_iter().filter(|&b| b != target.buffer));
        }
    }

    fn reduce(&mut self, head: usize, input: usize, reduction: Reduction, axes: &[i64]) {
        let shape = self.meta(input).shape.clone();
        let mut axes = crate::ops::reduce::reduced_axes(axes, shape.len()).unwrap_or_default();
        if planted(Fault::ReduceWrongAxis) && axes.len() == 1 && shape.len() > 1 {
            axes[0] = (axes[0] + 1) % shape.len();
        }
        // The elementwise nodes that are computed here.
        let mut maps = Vec::new();
        let mut stack = vec![input];
        while let Some(at) = stack.pop() {
            if self.schedule.inlined[at] && !maps.contains(&at) {
                maps.push(at);
                stack.extend(&self.graph.nodes[at].inputs);
            }
        }
        maps.sort_unstable();
        let mut code = CodeBuilder::default();
        let mut inputs = Vec::new();
        let known = self.splice(&maps, &mut code, &mut inputs);
        let result =
            known
                .get(&input)
                .copied()
                .unwrap_or_else(|| match self.schedule.classes[input] {
                    Class::Constant(number) => code.constant(number as f32),
                    _ => {
                        inputs.push(input);
                        code.load(0)
                    }
                });
        let operands: Vec<Strided> = inputs.iter().map(|&i| self.value(i)).collect();
        let order = self.walking_order(&shape, &operands);
        let output = self.new_row_major(head);
        let kept: Vec<usize> = (0..shape.len())
            .map(|a| if axes.contains(&a) { 1 } else { shape[a] })
            .collect();
        let mut strides = shape::row_major(&kept);
        axes.iter().for_each(|&a| strides[a] = 0);
        let spread = Strided {
            buffer: output.buffer,
            offset: output.offset,
            shape: shape.clone(),
            strides,
        };
        let step = ReduceStep {
            shape: order.iter().map(|&a| shape[a]).collect(),
            reduced: match planted(Fault::ReduceForgetsWalkingOrder) {
                true => (0..shape.len()).map(|a| axes.contains(&a)).collect(),
                false => order.iter().map(|a| axes.contains(a)).collect(),
            },
            inputs: operands.iter().map(|s| s.permute(&order).view()).collect(),
            code: code.finish(&[result]),
            reduction,
            output: spread.permute(&order).view(),
        };
        self.push(
            head,
            Step::Reduce(step),
            &operands.iter().collect::<Vec<_>>(),
            &[&output],
        );
    }

    /// An operand of a product as `[batch, rows, columns]`.
    fn matrices(&mut self, at: usize) -> Strided {
        let value = self.value(at);
        let rank = value.shape.len();
        let batch: usize = value.shape[..rank - 2].iter().product();
        let to = [batch, value.shape[rank - 2], value.shape[rank - 1]];
        match value.reshape(&to) {
            Some(matrices) => matrices,
            None => Strided {
                shape: to.to_vec(),
                strides: shape::row_major(&to),
                ..self.row_major(at)
            },
        }
    }

    fn matmul(&mut self, head: usize, inputs: &[usize], maps: &[usize]) {
        let (mut a, mut b) = (self.matrices(inputs[0]), self.matrices(inputs[1]));
        let shape = self.meta(head).shape.clone();
        let rank = shape.len();
        let mut swapped: Vec<usize> = (0..rank).collect();
        swapped.swap(rank - 2, rank - 1);
        // If all that reads the product is its transpose, compute the transpose: c^T = b^T a^T.
        let transpose = match self.schedule.consumers[head][..] {
            [only] => {
                self.schedule.kinds[only] == Kind::View(View::Permute(swapped.clone()))
                    && maps.is_empty()
            }
            _ => false,
        };
        if transpose {
            if planted(Fault::TransposedProductNotSwapped) && a.shape[1] == b.shape[2] {
                std::mem::swap(&mut a, &mut b);
            }
            (a, b) = (b.permute(&[0, 2, 1]), a.permute(&[0, 2, 1]));
        }
        let (batch, m, k, n) = (a.shape[0], a.shape[1], a.shape[2], b.shape[2]);
        let c = if transpose {
            let buffer = self.arena(DType::F32, batch * m * n);
            let stored = Strided::row_major(
                buffer,
                &swapped.iter().map(|&a| shape[a]).collect::<Vec<_>>(),
            );
            self.values[head] = Some(stored.permute(&swapped));
            stored
        } else {
            self.new_row_major(head)
        };
        let right = if gemm::wants_packing(self.isa, m, n, k, [b.strides[1], b.strides[2]]) {
            let repeat = b.strides[0] == 0 || batch == 1 || planted(Fault::BatchRepeatsFirstMatrix);
            let copies = if repeat { 1 } else { batch };
            let source = Strided {
                shape: vec![copies, k, n],
                ..b.clone()
            };
            let len = copies * gemm::packed_len(self.isa, k, n);
            let panels = Strided::row_major(self.arena(DType::F32, len), &[len]);
            let step = PackMatrixStep {
                b: source.view(),
                packed: panels.view(),
            };
            self.push(head, Step::PackMatrix(step), &[&source], &[&panels]);
            (
                GemmRight::Packed {
                    panels: panels.view(),
                    repeat,
                },
                panels,
            )
        } else {
            (GemmRight::InPlace(b.view()), b)
        };
        let target = Strided {
            shape: vec![batch, m, n],
            strides: shape::row_major(&[batch, m, n]),
            ..c
        };
        self.push_with_epilogue(head, maps, &[&a, &right.1], &target, |epilogue| {
            Step::Gemm(GemmStep {
                a: a.view(),
                b: right.0,
                c: target.view(),
                epilogue,
            })
        });
    }

    fn convolution(&mut self, head: usize, inputs: &[usize], contract: &Contract, maps: &[usize]) {
        let shape_of = |s: &Self, at: usize| -> [usize; 4] {
            s.meta(at).shape.as_slice().try_into().unwrap_or([0; 4])
        };
        let (options, images, filters, output) = match contract {
            Contract::Conv(o) => (
                o,
                shape_of(self, inputs[0]),
                shape_of(self, inputs[1]),
                shape_of(self, head),
            ),
            Contract::ConvInputGradient(o) => (
                o,
                shape_of(self, head),
                shape_of(self, inputs[1]),
                shape_of(self, inputs[0]),
            ),
            Contract::ConvWeightGradient(o) => (
                o,
                shape_of(self, inputs[0]),
                shape_of(self, head),
                shape_of(self, inputs[1]),
            ),
            Contract::MatMul => unreachable!("products are lowered apart"),
        };
        let geometry = geometry(options, images, filters, output);
        if let Contract::ConvWeightGradient(_) = contract {
            return self.weight_gradient(head, inputs, geometry);
        }
        let pass = match contract {
            Contract::Conv(_) => ConvPass::Forward,
            _ if planted(Fault::ConvGradientUsesForwardFilters)
                && geometry.in_channels == geometry.out_channels =>
            {
                ConvPass::Forward
            }
            _ => ConvPass::InputGradient,
        };
        let source = self.channels_last(inputs[0]);
        let packed = self.packed_filters(inputs[1], geometry, pass);
        let shape = self.meta(head).shape.clone();
        let buffer = self.arena(DType::F32, shape.iter().product());
        let value = Strided::ordered(buffer, &shape, &CHANNELS_LAST);
        let target = value.permute(&CHANNELS_LAST);
        let target = Strided {
            strides: shape::row_major(&target.shape),
            ..target
        };
        self.values[head] = Some(value);
        self.push_with_epilogue(head, maps, &[&source, &packed], &target, |epilogue| {
            Step::Conv(ConvStep {
                geometry,
                pass,
                source: source.view(),
                packed: packed.view(),
                target: target.view(),
                epilogue,
            })
        });
    }

    fn packed_filters(&mut self, at: usize, geometry: ConvGeometry, pass: ConvPass) -> Strided {
        let len = conv::packed_len(self.isa, &geometry, pass);
        if let Some(&buffer) = self.packed.get(&(at, geometry, pass)) {
            return Strided::row_major(buffer, &[len]);
        }
        let filters = self.value(at);
        let packed = Strided::row_major(self.arena(DType::F32, len), &[len]);
        let step = PackFiltersStep {
            geometry,
            pass,
            filters: filters.view(),
            packed: packed.view(),
        };
        self.push(at, Step::PackFilters(step), &[&filters], &[&packed]);
        self.packed.insert((at, geometry, pass), packed.buffer);
        packed
    }

    fn weight_gradient(&mut self, head: usize, inputs: &[usize], geometry: ConvGeometry) {
        let (input, gradient) = (self.channels_last(inputs[0]), self.channels_last(inputs[1]));
        let parts = conv::partials(&geometry);
        let [kh, kw] = geometry.kernel;
        let inner = [
            kh,
            kw,
            geometry.in_channels / geometry.groups,
            geometry.out_channels,
        ];
        let len: usize = inner.iter().product();
        let partials = Strided::row_major(
            self.arena(DType::F32, parts * len),
            &[&[parts], &inner[..]].concat(),
        );
        let step = ConvWeightGradientStep {
            geometry,
            input: input.view(),
            output_gradient: gradient.view(),
            partials: partials.view(),
        };
        self.push(
            head,
            Step::ConvWeightGradient(step),
            &[&input, &gradient],
            &[&partials],
        );
        // The sum over the parts lies as the kernel writes it, [KH, KW, C, O]; strides say where [O, C, KH, KW] is.
        let shape = self.meta(head).shape.clone();
        let order = [2, 3, 1, 0];
        let buffer = self.arena(DType::F32, len);
        let value = Strided::ordered(buffer, &shape, &order);
        let flat = Strided::row_major(buffer, &[1, len]).broadcast(&[parts, len]);
        let mut code = CodeBuilder::default();
        let result = code.load(0);
        let sum = ReduceStep {
            shape: vec![parts, len],
            reduced: vec![true, false],
            inputs: vec![
                Strided {
                    shape: vec![parts, len],
                    strides: vec![len as isize, 1],
                    ..partials.clone()
                }
                .view(),
            ],
            code: code.finish(&[result]),
            reduction: Reduction::Sum,
            output: flat.view(),
        };
        self.push(head, Step::Reduce(sum), &[&partials], &[&value]);
        self.values[head] = Some(value);
    }

    fn window(&mut self, head: usize, inputs: &[usize], window: Window, maps: &[usize]) {
        let shape = self.meta(head).shape.clone();
        match window {
            Window::Pool(pooling, options) => {
                let images = self.channels_last(inputs[0]);
                let values = inputs.get(1).map(|&v| self.channels_last(v));
                let geometry = pool_geometry(&options, &self.meta(inputs[0]).shape, &shape);
                // What is flattened next is best written in row-major order.
                let consumers = &self.schedule.consumers[head];
                let flattened = !consumers.is_empty()
                    && consumers
                        .iter()
                        .all(|&c| self.schedule.kinds[c] == Kind::View(View::Reshape));
                let buffer = self.arena(DType::F32, shape.iter().product());
                let output = match flattened {
                    true if planted(Fault::PooledOrderMislabelled) => {
                        self.values[head] = Some(Strided::row_major(buffer, &shape));
                        Strided::ordered(buffer, &shape, &CHANNELS_LAST)
                    }
                    true => Strided::row_major(buffer, &shape),
                    false => Strided::ordered(buffer, &shape, &CHANNELS_LAST),
                };
                let step = PoolStep {
                    geometry,
                    pooling,
                    input: images.view(),
                    values: values.as_ref().map(Strided::view),
                    output: output.permute(&CHANNELS_LAST).view(),
                };
                let reads: Vec<&Strided> = [&images].into_iter().chain(&values).collect();
                self.push(head, Step::Pool(step), &reads, &[&output]);
                self.values[head].get_or_insert(output);
            }
            Window::PoolGradient(pooling, options) => {
                let (input, gradient) = match inputs {
                    [x, g] => (Some(self.channels_last(*x)), *g),
                    _ => (None, inputs[0]),
                };
                let pooled = self.meta(gradient).shape.clone();
                let geometry = pool_geometry(&options, &shape, &pooled);
                let gradient = self.value(gradient);
                let buffer = self.arena(DType::F32, shape.iter().product());
                let value = Strided::ordered(buffer, &shape, &CHANNELS_LAST);
                let target = value.permute(&CHANNELS_LAST);
                let target = Strided {
                    strides: shape::row_major(&target.shape),
                    ..target
                };
                self.values[head] = Some(value);
                let reads: Vec<&Strided> = [&gradient].into_iter().chain(&input).collect();
                self.push_with_epilogue(head, maps, &reads, &target, |epilogue| {
                    Step::PoolGradient(PoolGradientStep {
                        geometry,
                        pooling,
                        input: input.as_ref().map(Strided::view),
                        output_gradient: gradient.permute(&CHANNELS_LAST).view(),
                        input_gradient: target.view(),
                        epilogue,
                    })
                });
            }
        }
    }

    fn softmax(&mut self, head: usize, input: usize, log: bool) {
        let x = self.row_major(input);
        let y = self.new_row_major(head);
        let columns = y.shape.last().copied().unwrap_or(1);
        let rows = y.len().checked_div(columns).unwrap_or(0);
        let flat = |s: &Strided| Strided::row_major(s.buffer, &[rows, columns]);
        let input = Strided {
            offset: x.offset,
            ..flat(&x)
        };
        let step = SoftmaxStep {
            log,
            input: input.view(),
            output: flat(&y).view(),
        };
        self.push(head, Step::Softmax(step), &[&x], &[&y]);
    }

    fn arg_reduce(&mut self, head: usize, input: usize, min: bool, axis: i64) {
        let x = self.value(input);
        let mut axis = shape::axis(axis, x.shape.len()).unwrap_or(0);
        if planted(Fault::ArgReduceWrongAxis) && x.shape.iter().all(|&n| n == x.shape[axis]) {
            axis = (axis + 1) % x.shape.len();
        }
        let order: Vec<usize> = (0..x.shape.len())
            .filter(|&a| a != axis)
            .chain([axis])
            .collect();
        let moved = x.permute(&order);
        let columns = x.shape[axis];
        let rows = x.len().checked_div(columns).unwrap_or(0);
        let matrix = match moved.reshape(&[rows, columns]) {
            Some(matrix) => matrix,
            None => {
                let dense = self.in_order(input, x, &order).permute(&order);
                Strided {
                    shape: vec![rows, columns],
                    strides: vec![columns as isize, 1],
                    ..dense
                }
            }
        };
        let output = self.new_row_major(head);
        let flat = Strided::row_major(output.buffer, &[rows]);
        let step = ArgReduceStep {
            min,
            input: matrix.view(),
            output: flat.view(),
        };
        self.push(head, Step::ArgReduce(step), &[&matrix], &[&output]);
    }

    fn gather(&mut self, head: usize, inputs: &[usize], axis: usize) {
        let (x, indices) = (self.row_major(inputs[0]), self.row_major(inputs[1]));
        let output = self.new_row_major(head);
        let outer: usize = x.shape[..axis].iter().product();
        let inner: usize = x.shape[axis + 1..].iter().product();
        let (length, count) = (x.shape[axis], indices.len());
        let flat = |s: &Strided, shape: &[usize]| Strided {
            offset: s.offset,
            ..Strided::row_major(s.buffer, shape)
        };
        let step = GatherStep {
            input: flat(&x, &[outer, length, inner]).view(),
            indices: flat(&indices, &[count]).view(),
            output: flat(&output, &[outer, count, inner]).view(),
        };
        self.push(head, Step::Gather(step), &[&x, &indices], &[&output]);
    }

    fn one_hot(&mut self, head: usize, labels: usize) {
        let labels = self.row_major(labels);
        let output = self.new_row_major(head);
        let classes = output.shape.last().copied().unwrap_or(0);
        let rows = labels.len();
        let flat = |s: &Strided, shape: &[usize]| Strided {
            offset: s.offset,
            ..Strided::row_major(s.buffer, shape)
        };
        let step = OneHotStep {
            labels: flat(&labels, &[rows]).view(),
            output: flat(&output, &[rows, classes]).view(),
            on: 1.0,
            off: 0.0,
        };
        self.push(head, Step::OneHot(step), &[&labels], &[&output]);
    }

    fn assemble(&mut self, head: usize, inputs: &[usize], fill: f64, offsets: &[Vec<usize>]) {
        let output = self.new_row_major(head);
        let covered: usize = inputs.iter().map(|&i| self.meta(i).len()).sum();
        if covered < output.len() {
            let mut code = CodeBuilder::default();
            let result = code.constant(fill as f32);
            let step = MapStep {
                shape: output.shape.clone(),
                inputs: vec![],
                outputs: vec![output.view()],
                code: code.finish(&[result]),
            };
            self.push(head, Step::Map(step), &[], &[&output]);
        }
        for (&input, starts) in inputs.iter().zip(offsets) {
            let value = self.value(input);
            if value.len() == 0 {
                continue;
            }
            let mut starts = starts.clone();
            if planted(Fault::AssembleForgetsOffset) {
                starts.fill(0);
            }
            let part = output.slice(&value.shape, &starts, &vec![1; starts.len()]);
            self.copy(head, &value, &part);
        }
    }

    /// Anything without a kernel: its reference loop.
    fn host(&mut self, head: usize, inputs: &[usize]) {
        let Source::Op(op) = &self.graph.nodes[head].source else {
            unreachable!("leaves are bound, not run")
        };
        let call = HostCall {
            op: op.clone(),
            inputs: inputs.iter().map(|&i| self.meta(i).clone()).collect(),
            output: self.meta(head).clone(),
            place: self.graph.nodes[head].place(),
        };
        let name = op.name();
        let operands: Vec<Strided> = inputs.iter().map(|&i| self.row_major(i)).collect();
        let output = self.new_row_major(head);
        let dense = |s: &Strided| {
            Strided {
                strides: shape::row_major(&s.shape),
                ..s.clone()
            }
            .view()
        };
        let step = HostStep {
            name,
            inputs: operands.iter().map(dense).collect(),
            outputs: vec![output.view()],
            function: Arc::new(call),
        };
        self.push(
            head,
            Step::Host(step),
            &operands.iter().collect::<Vec<_>>(),
            &[&output],
        );
    }
}

fn geometry(
    options: &ConvOptions,
    images: [usize; 4],
    filters: [usize; 4],
    output: [usize; 4],
) -> ConvGeometry {
    ConvGeometry {
        batch: images[0],
        in_channels: images[1],
        out_channels: filters[0],
        input: [images[2], images[3]],
        output: [output[2], output[3]],
        kernel: [filters[2], filters[3]],
        stride: match planted(Fault::ConvSwapsStride) {
            true => [options.stride[1], options.stride[0]],
            false => options.stride,
        },
        padding: options.padding,
        dilation: options.dilation,
        groups: options.groups,
    }
}

fn pool_geometry(options: &PoolOptions, images: &[usize], output: &[usize]) -> PoolGeometry {
    PoolGeometry {
        batch: images[0],
        channels: images[1],
        input: [images[2], images[3]],
        output: [output[2], output[3]],
        kernel: options.kernel,
        stride: options.stride,
        padding: options.padding,
    }
}
