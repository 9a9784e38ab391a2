//! Products of matrices and convolutions.

use super::*;

/// Rows of the left operand from which on panels of the right one, if they are made once for all runs, are faster than
/// reading it in place.
const PREPARED_ROWS: usize = 12;

/// Whether a product is cut into whole rows, which can be reduced while they are near.
fn takes_statistics(isa: Isa, product: &GemmStep) -> bool {
    let &[batch, m, n] = &product.c.shape[..] else {
        return false;
    };
    let k = product.a.shape[2];
    batch == 1 && gemm::whole_rows(isa, &GemmShape { batch, m, n, k })
}

impl Lowering<'_> {
    /// An operand of a product as `[batch, rows, columns]`.
    pub(super) fn matrices(&mut self, at: usize) -> Result<Strided> {
        let value = self.value(at)?;
        let rank = value.shape.len();
        let batch: usize = value.shape[..rank - 2].iter().product();
        let to = [batch, value.shape[rank - 2], value.shape[rank - 1]];
        Ok(match value.reshape(&to) {
            Some(matrices) => matrices,
            None => Strided {
                shape: to.to_vec(),
                strides: shape::row_major(&to),
                ..self.row_major(at)?
            },
        })
    }

    pub(super) fn matmul(&mut self, head: usize, inputs: &[usize], maps: &[usize]) -> Result<()> {
        let (mut a, mut b) = (self.matrices(inputs[0])?, self.matrices(inputs[1])?);
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
        if planted(Fault::BatchRepeatsFirstMatrix) {
            b.strides[0] = 0;
        }
        let (batch, m, k, n) = (a.shape[0], a.shape[1], a.shape[2], b.shape[2]);
        let parts = gemm::depth_parts(&GemmShape { batch, m, n, k });
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
        if parts > 1 {
            return self.product_in_parts(head, parts, [a, b, c], maps);
        }
        let packs = gemm::wants_packing(self.isa, m, n, k, [b.strides[1], b.strides[2]])
            || (m >= PREPARED_ROWS && k * n > 0 && self.is_constant(b.buffer));
        let right = if packs {
            let repeat = b.strides[0] == 0 || batch == 1;
            let copies = if repeat { 1 } else { batch };
            let source = Strided {
                shape: vec![copies, k, n],
                ..b.clone()
            };
            let panels = self.pack(head, &source).view();
            GemmRight::Packed { panels, repeat }
        } else {
            GemmRight::InPlace(b.view())
        };
        let target = Strided {
            shape: vec![batch, m, n],
            strides: shape::row_major(&[batch, m, n]),
            ..c
        };
        let epilogue = self.epilogue(head, maps)?;
        let step = GemmStep {
            a: a.view(),
            b: right,
            c: target.view(),
            epilogue,
            statistics: None,
        };
        self.push(head, Step::Gemm(step));
        Ok(())
    }

    /// The panels of right operands `[copies, k, n]`.
    pub(super) fn pack(&mut self, head: usize, b: &Strided) -> Strided {
        let len = b.shape[0] * gemm::packed_len(self.isa, b.shape[1], b.shape[2]);
        let panels = Strided::row_major(self.arena(DType::F32, len), &[len]);
        let step = PackMatrixStep {
            b: b.view(),
            packed: panels.view(),
        };
        self.push(head, Step::PackMatrix(step));
        panels
    }

    /// Whether a buffer mostly holds the same from run to run, so that what is made of it alone is prepared once: a
    /// parameter that the program keeps, or what one step makes of such.
    fn is_constant(&self, buffer: usize) -> bool {
        let kept = |b: usize| self.out.buffers[b].external.map(|e| self.out.fixed[e]);
        let mut writers = self.out.steps.iter().filter(|s| s.writes.contains(&buffer));
        self.out.is_program
            && match (kept(buffer), writers.next(), writers.next()) {
                (Some(kept), ..) => kept,
                (None, Some(only), None) => only.reads.iter().all(|&b| kept(b) == Some(true)),
                _ => false,
            }
    }

    /// A single product `c = a b` whose sums are cut into parts: as many products over a part of the depth each, and
    /// their sum.
    fn product_in_parts(
        &mut self,
        head: usize,
        parts: usize,
        [a, b, c]: [Strided; 3],
        maps: &[usize],
    ) -> Result<()> {
        let (m, k, n) = (a.shape[1], a.shape[2], b.shape[2]);
        let depth = k / parts;
        let cut = |operand: &Strided, axis: usize, shape: [usize; 3]| Strided {
            shape: shape.to_vec(),
            strides: vec![
                operand.strides[axis] * depth as isize,
                operand.strides[1],
                operand.strides[2],
            ],
            ..*operand
        };
        let (a, b) = (cut(&a, 2, [parts, m, depth]), cut(&b, 1, [parts, depth, n]));
        let shape = [parts, m, n];
        let right = match self.is_constant(b.buffer) {
            true => GemmRight::Packed {
                panels: self.pack(head, &b).view(),
                repeat: false,
            },
            false => GemmRight::InPlace(b.view()),
        };
        let products = Strided::row_major(self.arena(DType::F32, parts * m * n), &shape);
        let step = GemmStep {
            a: a.view(),
            b: right,
            c: products.view(),
            epilogue: None,
            statistics: None,
        };
        self.push(head, Step::Gemm(step));
        let sum = Strided {
            shape: shape.to_vec(),
            strides: vec![0, n as isize, 1],
            ..c
        };
        let mut step = sum_over_first(products.view(), sum.view());
        self.conclude(&mut step, maps, vec![0, 1])?;
        self.push(head, Step::Reduce(step));
        Ok(())
    }

    pub(super) fn convolution(
        &mut self,
        head: usize,
        inputs: &[usize],
        contract: &Contract,
        unit: &Unit,
    ) -> Result<()> {
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
            Contract::MatMul => return self.matmul(head, inputs, &unit.maps),
        };
        let direct = self.request.arithmetic == Arithmetic::Direct;
        let geometry = geometry(options, images, filters, output, direct);
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
        let source = self.images(inputs[0], &geometry)?;
        let packed = self.packed_filters(inputs[1], geometry, pass)?;
        let target = self.new_images(head);
        let arithmetic = conv::arithmetic(self.isa, &geometry, pass, self.request.arithmetic);
        let epilogue = self.epilogue(head, &unit.maps)?;
        let step = ConvStep {
            geometry,
            pass,
            arithmetic,
            source: source.view(),
            packed: packed.view(),
            finish: None,
            target: target.view(),
            epilogue,
            statistics: None,
        };
        self.push(head, Step::Conv(step));
        Ok(())
    }

    /// Images as a convolution reads them, `[N, H, W, C]`: depthwise convolutions read planes as well as channels.
    fn images(&mut self, at: usize, geometry: &ConvGeometry) -> Result<Strided> {
        if conv::depthwise::applies(geometry) {
            let images = self.value(at)?.permute(&CHANNELS_LAST);
            if images.strides[2] == 1 || images.strides[3] == 1 {
                return Ok(images);
            }
        }
        self.channels_last(at)
    }

    /// Puts reductions into the convolution or the product that was lowered last; by themselves where it has no place for
    /// them.
    pub(super) fn statistics(&mut self, unit: &Unit) -> Result<()> {
        let host = self.out.steps.len() - 1;
        let order: &[usize] = match &self.out.steps[host].step {
            Step::Conv(_) => &CHANNELS_LAST,
            Step::Gemm(product) if takes_statistics(self.isa, product) => &[0, 1],
            _ => return self.reduce(unit),
        };
        let Some(step) = self.reduction(unit, Some(order))? else {
            return Ok(());
        };
        let host = &mut self.out.steps[host];
        if let Step::Conv(ConvStep { statistics, .. }) | Step::Gemm(GemmStep { statistics, .. }) =
            &mut host.step
        {
            *statistics = Some(Box::new(step));
        }
        host.name_operands();
        Ok(())
    }

    pub(super) fn packed_filters(
        &mut self,
        at: usize,
        geometry: ConvGeometry,
        pass: ConvPass,
    ) -> Result<Strided> {
        let len = conv::packed_len(self.isa, &geometry, pass);
        if let Some(&buffer) = self.packed.get(&(at, geometry, pass)) {
            return Ok(Strided::row_major(buffer, &[len]));
        }
        let filters = self.value(at)?;
        let packed = Strided::row_major(self.arena(DType::F32, len), &[len]);
        let step = PackFiltersStep {
            geometry,
            pass,
            arithmetic: conv::arithmetic(self.isa, &geometry, pass, self.request.arithmetic),
            filters: filters.view(),
            packed: packed.view(),
        };
        self.push(at, Step::PackFilters(step));
        self.packed.insert((at, geometry, pass), packed.buffer);
        Ok(packed)
    }

    pub(super) fn weight_gradient(
        &mut self,
        head: usize,
        inputs: &[usize],
        geometry: ConvGeometry,
    ) -> Result<()> {
        let input = self.images(inputs[0], &geometry)?;
        let gradient = self.images(inputs[1], &geometry)?;
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
        let wanted = self.request.arithmetic;
        let step = ConvWeightGradientStep {
            geometry,
            arithmetic: conv::weight_gradient_arithmetic(self.isa, &geometry, wanted),
            input: input.view(),
            output_gradient: OutputGradient::Stored(gradient.view()),
            partials: partials.view(),
        };
        self.push(head, Step::ConvWeightGradient(step));
        // The sum over the parts lies as the kernel writes it, [KH, KW, C, O]; strides say where [O, C, KH, KW] is.
        let shape = self.meta(head).shape.clone();
        let order = [2, 3, 1, 0];
        let buffer = self.arena(DType::F32, len);
        let value = Strided::ordered(buffer, &shape, &order);
        let flat = Strided::row_major(buffer, &[1, len]).broadcast(&[parts, len]);
        let rows = Strided::row_major(partials.buffer, &[parts, len]);
        let sum = sum_over_first(rows.view(), flat.view());
        self.push(head, Step::Reduce(sum));
        self.values[head] = Some(value);
        Ok(())
    }
}

fn geometry(
    options: &ConvOptions,
    images: [usize; 4],
    filters: [usize; 4],
    output: [usize; 4],
    direct: bool,
) -> ConvGeometry {
    let stride = match planted(Fault::ConvSwapsStride) {
        true => [options.stride[1], options.stride[0]],
        false => options.stride,
    };
    // A step beyond the padded image is as good as one to its end, and there are no more phases than that.
    let padded = |axis: usize| images[2 + axis] + options.padding.along(axis).unwrap_or(0);
    ConvGeometry {
        batch: images[0],
        in_channels: images[1],
        out_channels: filters[0],
        input: [images[2], images[3]],
        output: [output[2], output[3]],
        kernel: [filters[2], filters[3]],
        stride: [0, 1].map(|axis| stride[axis].min(padded(axis))),
        padding: options.padding,
        dilation: options.dilation,
        groups: options.groups,
        direct,
    }
}
