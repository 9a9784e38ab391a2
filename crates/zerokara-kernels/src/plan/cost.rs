//! What a step costs: operations and memory traffic, from its shapes.

use super::{
    AttentionGeometry, Buffer, ConvGeometry, RecurrentGradientStep, RecurrentStep, Region, Step,
    View,
};

impl Step {
    /// Operations of matrix products and convolutions, two for each multiplication with its addition, as the plain
    /// definition has them (padding counts); of other steps 0. A kernel that computes the same with fewer
    /// multiplications may so exceed the CPU's peak.
    pub fn flops(&self) -> u64 {
        match self {
            Step::Gemm(s) => {
                let [batch, m, k] = s.a.shape[..] else {
                    return 0;
                };
                let n = s.c.shape.last().copied().unwrap_or(0);
                2 * product(&[batch, m, k, n])
            }
            Step::Conv(s) => convolution(&s.geometry),
            Step::ConvPool(s) => convolution(&s.geometry),
            Step::ConvWeightGradient(s) => convolution(&s.geometry),
            Step::Attention(s) => attention(&s.inputs.geometry, [1, 1]),
            Step::AttentionGradient(s) => attention(&s.inputs.geometry, [3, 2]),
            Step::Recurrent(RecurrentStep { geometry: g, .. })
            | Step::RecurrentGradient(RecurrentGradientStep { geometry: g, .. }) => {
                2 * product(&[g.steps, g.batch, g.cell.products() * g.hidden, g.hidden])
            }
            Step::Chain(s) => s.slices.iter().flatten().map(Step::flops).sum(),
            _ => 0,
        }
    }

    /// Bytes that the step reads and writes: each operand's distinct elements once, and what a part of the step finds near
    /// not again. What a chain leaves in a thread's own memory does not count.
    pub fn bytes(&self, buffers: &[Buffer]) -> u64 {
        let of = |view: &View| match buffers.get(view.buffer) {
            Some(buffer) if !matches!(buffer.region, Region::Local(_)) => {
                buffer.element.size() as u64 * distinct(view)
            }
            _ => 0,
        };
        let operands = self.far_operands();
        operands.iter().map(|operand| of(operand.view)).sum()
    }
}

fn product(factors: &[usize]) -> u64 {
    factors.iter().map(|&n| n as u64).product()
}

/// The number of elements of a view, repeated ones once.
fn distinct(view: &View) -> u64 {
    let axes = view.shape.iter().zip(&view.strides);
    axes.map(|(&length, &stride)| if stride == 0 { length.min(1) } else { length } as u64)
        .product()
}

fn convolution(g: &ConvGeometry) -> u64 {
    2 * product(&[g.batch, g.output[0], g.output[1]]) * product(&g.filters())
}

/// So many products over the width of the keys and over that of the values, of the keys that each query sees.
fn attention(g: &AttentionGeometry, [keys, values]: [usize; 2]) -> u64 {
    let seen: usize = match g.causal {
        true => (0..g.queries).map(|query| g.seen(query)).sum(),
        false => g.queries * g.keys,
    };
    2 * product(&[g.batch, g.heads, seen, keys * g.width + values * g.values])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::{Code, Instruction},
        plan::Arithmetic,
        plan::{ConvPass, ConvStep, Element, GemmRight, GemmStep, MapStep},
    };

    fn view(buffer: usize, shape: &[usize]) -> View {
        let strides = crate::access::dense_strides(shape);
        View {
            buffer,
            offset: 0,
            shape: shape.to_vec(),
            strides: strides.into_iter().map(|s| s as isize).collect(),
        }
    }

    fn buffers(n: usize) -> Vec<Buffer> {
        let buffer = |i| Buffer {
            element: Element::F32,
            len: 1 << 20,
            region: Region::External(i),
        };
        (0..n).map(buffer).collect()
    }

    #[test]
    fn a_product_with_bias_counts_its_target_once() {
        let mut bias = view(3, &[5, 7]);
        bias.strides = vec![0, 1];
        let epilogue = MapStep {
            shape: vec![5, 7],
            inputs: vec![view(2, &[5, 7]), bias],
            outputs: vec![view(2, &[5, 7])],
            code: Code {
                instructions: vec![Instruction::Load(0), Instruction::Load(1)],
                results: vec![1],
            },
        };
        let step = Step::Gemm(GemmStep {
            a: view(0, &[1, 5, 3]),
            b: GemmRight::InPlace(view(1, &[1, 3, 7])),
            c: view(2, &[1, 5, 7]),
            epilogue: Some(epilogue),
            statistics: None,
        });
        assert_eq!(step.flops(), 2 * 5 * 3 * 7);
        assert_eq!(step.bytes(&buffers(4)), 4 * (5 * 3 + 3 * 7 + 5 * 7 + 7));
    }

    #[test]
    fn a_convolution_counts_every_tap() {
        let geometry = ConvGeometry {
            batch: 2,
            in_channels: 4,
            out_channels: 6,
            input: [5, 5],
            output: [5, 5],
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1].into(),
            dilation: [1, 1],
            groups: 2,
            direct: false,
        };
        let step = Step::Conv(ConvStep {
            geometry,
            pass: ConvPass::Forward,
            arithmetic: Arithmetic::F32,
            source: view(0, &[2, 5, 5, 4]),
            packed: view(1, &[108]),
            finish: None,
            target: view(2, &[2, 5, 5, 6]),
            epilogue: None,
            statistics: None,
        });
        assert_eq!(step.flops(), 2 * 2 * 6 * 25 * 2 * 9);
        assert_eq!(step.bytes(&buffers(3)), 4 * (200 + 108 + 300));
    }
}
