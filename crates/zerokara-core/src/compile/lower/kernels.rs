//! Pooling, softmax, gathers and the other kernels; reference loops for what has none.

use super::*;

impl Lowering<'_> {
    pub(super) fn window(&mut self, head: usize, inputs: &[usize], window: Window, maps: &[usize]) {
        let shape = self.meta(head).shape.clone();
        match window {
            Window::Pool(pooling, options) => {
                let images = self.channels_last(inputs[0]);
                // A second input: what to select from, or what is added to a maximum later.
                let (mut values, mut added) = (None, None);
                match (inputs.get(1), pooling) {
                    (Some(&second), Pooling::Max) => {
                        let second = self.value(second).broadcast(&shape);
                        added = Some(second.permute(&CHANNELS_LAST));
                    }
                    (Some(&second), _) => values = Some(self.channels_last(second)),
                    (None, _) => {}
                }
                let geometry = pool_geometry(&options, &self.meta(inputs[0]).shape, &shape);
                let flattened = self.is_flattened(head, maps);
                let buffer = self.arena(DType::F32, shape.iter().product());
                let output = match flattened {
                    true => Strided::row_major(buffer, &shape),
                    false => Strided::ordered(buffer, &shape, &CHANNELS_LAST),
                };
                self.values[head] = Some(match planted(Fault::PooledOrderMislabelled) {
                    true => Strided::row_major(buffer, &shape),
                    false => output.clone(),
                });
                let places = self.new_places(inputs[0], pooling, options, &geometry);
                let reads = [&images].into_iter().chain(&values).chain(&added);
                let reads: Vec<&Strided> = reads.collect();
                self.push_with_epilogue(head, maps, &reads, &output, |epilogue| {
                    Step::Pool(PoolStep {
                        geometry,
                        pooling,
                        input: images.view(),
                        values: values.as_ref().map(Strided::view),
                        added: added.as_ref().map(Strided::view),
                        output: output.permute(&CHANNELS_LAST).view(),
                        places: places.as_ref().map(Strided::view),
                        epilogue,
                    })
                });
                if let (Some(places), Some(step)) = (places, self.out.steps.last_mut()) {
                    step.writes.push(places.buffer);
                }
            }
            Window::PoolGradient(pooling, options) => {
                let &gradient = inputs.last().unwrap_or(&head);
                // Only for the largest there are two inputs, and what was pooled tells where the largest is.
                let known = self.places.get(&(inputs[0], options)).cloned();
                let (input, places) = match (inputs.len(), known) {
                    (2, Some(places)) => (None, Some(places)),
                    (2, None) => (Some(self.channels_last(inputs[0])), None),
                    _ => (None, None),
                };
                let pooled = self.meta(gradient).shape.clone();
                let geometry = pool_geometry(&options, &shape, &pooled);
                let gradient = self.value(gradient);
                let target = self.new_images(head);
                let told = input.iter().chain(&places);
                let reads: Vec<&Strided> = [&gradient].into_iter().chain(told).collect();
                self.push_with_epilogue(head, maps, &reads, &target, |epilogue| {
                    Step::PoolGradient(PoolGradientStep {
                        geometry,
                        pooling,
                        input: input.as_ref().map(Strided::view),
                        places: places.as_ref().map(Strided::view),
                        output_gradient: gradient.permute(&CHANNELS_LAST).view(),
                        input_gradient: target.view(),
                        epilogue,
                    })
                });
            }
        }
    }

    /// Whether what a kernel writes, after its epilogue, is flattened next: then row-major order is best. Elementwise
    /// readers take any order.
    fn is_flattened(&self, head: usize, maps: &[usize]) -> bool {
        let written = [head].into_iter().chain(maps.iter().copied());
        let readers = written.flat_map(|at| &self.schedule.consumers[at]);
        let readers: Vec<usize> = readers.filter(|c| !maps.contains(c)).copied().collect();
        let flattens = |&c: &usize| self.schedule.kinds[c] == Kind::View(View::Reshape);
        let either = |c: &usize| flattens(c) || self.schedule.classes[*c] == Class::Map;
        readers.iter().any(flattens) && readers.iter().all(either)
    }

    /// Where a max pooling of this node tells its gradient which elements were largest, if it has a gradient.
    fn new_places(
        &mut self,
        input: usize,
        pooling: Pooling,
        options: PoolOptions,
        geometry: &PoolGeometry,
    ) -> Option<Strided> {
        let has_gradient = |&c: &usize| {
            let kind = &self.schedule.kinds[c];
            *kind == Kind::Window(Window::PoolGradient(Pooling::Max, options))
                && self.graph.nodes[c].inputs[0] == input
        };
        let told = pooling == Pooling::Max
            && geometry.has_byte_places()
            && self.schedule.consumers[input].iter().any(has_gradient);
        if !told {
            return None;
        }
        let shape = [
            geometry.batch,
            geometry.output[0],
            geometry.output[1],
            geometry.channels,
        ];
        let buffer = self.arena(DType::Bool, shape.iter().product());
        let places = Strided::row_major(buffer, &shape);
        self.places.insert((input, options), places.clone());
        Some(places)
    }

    pub(super) fn softmax(&mut self, head: usize, input: usize, log: bool) {
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

    pub(super) fn arg_reduce(&mut self, head: usize, input: usize, min: bool, axis: i64) {
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

    pub(super) fn gather(&mut self, head: usize, inputs: &[usize], axis: usize) {
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

    pub(super) fn one_hot(&mut self, head: usize, labels: usize) {
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

    pub(super) fn assemble(
        &mut self,
        head: usize,
        inputs: &[usize],
        fill: f64,
        offsets: &[Vec<usize>],
    ) {
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
    pub(super) fn host(&mut self, head: usize, inputs: &[usize]) {
        let Source::Op(op) = &self.graph.nodes[head].source else {
            unreachable!("leaves are bound, not run")
        };
        let metas = inputs.iter().map(|&i| self.meta(i).clone()).collect();
        let call = HostCall::new(op.clone(), metas, self.meta(head).clone());
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
