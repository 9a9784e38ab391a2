//! Pooling, softmax, gathers and the other kernels; reference loops for what has none.

use super::*;

impl Lowering<'_> {
    pub(super) fn window(
        &mut self,
        head: usize,
        inputs: &[usize],
        window: Window,
        unit: &Unit,
    ) -> Result<()> {
        match window {
            Window::Pool(pooling, options) => {
                let told = unit.joined.first().copied();
                self.pool(head, inputs, (pooling, options), told, &unit.maps)
            }
            // No pooling of the same values is wanted: its output goes nowhere.
            Window::Places(options) => {
                self.pool(head, inputs, (Pooling::Max, options), Some(head), &[])
            }
            Window::PoolGradient(pooling, options) => {
                let input = match pooling {
                    Pooling::Max => Some(self.channels_last(inputs[0])?),
                    _ => None,
                };
                let told = (input, None);
                self.pool_gradient(head, inputs, (pooling, options), told, &unit.maps)
            }
            Window::Scatter(options) => {
                let told = (None, Some(self.value(inputs[0])?));
                self.pool_gradient(head, inputs, (Pooling::Max, options), told, &unit.maps)
            }
        }
    }

    /// A pooling; `told` is the node of its places.
    fn pool(
        &mut self,
        head: usize,
        inputs: &[usize],
        (pooling, options): (Pooling, PoolOptions),
        told: Option<usize>,
        maps: &[usize],
    ) -> Result<()> {
        let shape = self.meta(head).shape.clone();
        let images = self.channels_last(inputs[0])?;
        // A second input: what to select from, or what is added to a maximum later.
        let (mut values, mut added) = (None, None);
        match (inputs.get(1), pooling) {
            (Some(&second), Pooling::Max) => {
                let second = self.value(second)?.broadcast(&shape);
                added = Some(second.permute(&CHANNELS_LAST));
            }
            (Some(&second), _) => values = Some(self.channels_last(second)?),
            (None, _) => {}
        }
        let geometry = pool_geometry(&options, &self.meta(inputs[0]).shape, &shape);
        let buffer = self.arena(DType::F32, shape.iter().product());
        let output = match self.is_flattened(head, maps) {
            true => Strided::row_major(buffer, &shape),
            false => Strided::ordered(buffer, &shape, &CHANNELS_LAST),
        };
        if told != Some(head) {
            self.values[head] = Some(match planted(Fault::PooledOrderMislabelled) {
                true => Strided::row_major(buffer, &shape),
                false => output.clone(),
            });
        }
        // A byte for each.
        let places = told.map(|told| {
            let buffer = self.arena(DType::Bool, shape.iter().product());
            let places = Strided::ordered(buffer, &shape, &CHANNELS_LAST);
            self.values[told] = Some(places.clone());
            places
        });
        let epilogue = self.epilogue(head, maps)?;
        let step = PoolStep {
            geometry,
            pooling,
            input: images.view(),
            values: values.as_ref().map(Strided::view),
            added: added.as_ref().map(Strided::view),
            output: output.permute(&CHANNELS_LAST).view(),
            places: places.as_ref().map(|p| p.permute(&CHANNELS_LAST).view()),
            epilogue,
        };
        self.push(head, Step::Pool(step));
        Ok(())
    }

    /// A pooling's gradient, of a maximum with the pooling's input or its places.
    fn pool_gradient(
        &mut self,
        head: usize,
        inputs: &[usize],
        (pooling, options): (Pooling, PoolOptions),
        (input, places): (Option<Strided>, Option<Strided>),
        maps: &[usize],
    ) -> Result<()> {
        let &gradient = inputs.last().unwrap_or(&head);
        let pooled = self.meta(gradient).shape.clone();
        let geometry = pool_geometry(&options, &self.meta(head).shape, &pooled);
        let gradient = self.value(gradient)?;
        let target = self.new_images(head);
        let epilogue = self.epilogue(head, maps)?;
        let step = PoolGradientStep {
            geometry,
            pooling,
            input: input.as_ref().map(Strided::view),
            places: places.as_ref().map(|p| p.permute(&CHANNELS_LAST).view()),
            output_gradient: gradient.permute(&CHANNELS_LAST).view(),
            input_gradient: target.view(),
            epilogue,
        };
        self.push(head, Step::PoolGradient(step));
        Ok(())
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

    pub(super) fn softmax(&mut self, head: usize, input: usize, log: bool) -> Result<()> {
        let x = self.row_major(input)?;
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
        self.push(head, Step::Softmax(step));
        Ok(())
    }

    pub(super) fn arg_reduce(
        &mut self,
        head: usize,
        input: usize,
        min: bool,
        axis: i64,
    ) -> Result<()> {
        let x = self.value(input)?;
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
        self.push(head, Step::ArgReduce(step));
        Ok(())
    }

    pub(super) fn gather(&mut self, head: usize, inputs: &[usize], axis: usize) -> Result<()> {
        let (x, indices) = (self.row_major(inputs[0])?, self.row_major(inputs[1])?);
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
        self.push(head, Step::Gather(step));
        Ok(())
    }

    pub(super) fn one_hot(&mut self, head: usize, labels: usize) -> Result<()> {
        let labels = self.row_major(labels)?;
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
        self.push(head, Step::OneHot(step));
        Ok(())
    }

    pub(super) fn assemble(
        &mut self,
        head: usize,
        inputs: &[usize],
        fill: f64,
        offsets: &[Vec<usize>],
    ) -> Result<()> {
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
            self.push(head, Step::Map(step));
        }
        for (&input, starts) in inputs.iter().zip(offsets) {
            let value = self.value(input)?;
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
        Ok(())
    }

    /// Anything without a kernel: its reference loop.
    pub(super) fn host(&mut self, head: usize, inputs: &[usize]) -> Result<()> {
        let Source::Op(op) = &self.graph.nodes[head].source else {
            return Err(self.broken(head, "is a leaf, and has nothing to run"));
        };
        let metas = inputs.iter().map(|&i| self.meta(i).clone()).collect();
        let call = HostCall::new(op.clone(), metas, self.meta(head).clone());
        let name = op.name();
        let operands: Result<Vec<Strided>> = inputs.iter().map(|&i| self.row_major(i)).collect();
        let operands = operands?;
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
        self.push(head, Step::Host(step));
        Ok(())
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
