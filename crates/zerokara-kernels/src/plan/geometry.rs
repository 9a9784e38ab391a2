//! Sizes and options of convolutions and poolings.

use super::{Padding, countable};

/// Sizes and options of a two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Images in the batch, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Height and width of the input, H and W.
    pub input: [usize; 2],
    /// Height and width of the output, Y and X.
    pub output: [usize; 2],
    /// Height and width of the filters, KH and KW.
    pub kernel: [usize; 2],
    /// Steps of the filter, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 2],
    /// Number of groups that C and O are cut into.
    pub groups: usize,
    /// Whether all sums are direct ([`Arithmetic::Direct`](super::Arithmetic::Direct)): no fewer multiplications than the definition has.
    pub direct: bool,
}

impl ConvGeometry {
    /// Whether the sizes belong together: nothing but the batch is zero, channels divide into groups, the output is of
    /// the size that input, filters, stride, padding and dilation give, and the address space holds the images.
    pub fn is_consistent(&self) -> bool {
        let channels = self.groups > 0
            && self.in_channels > 0
            && self.out_channels > 0
            && self.in_channels.is_multiple_of(self.groups)
            && self.out_channels.is_multiple_of(self.groups);
        let countable = |images: [usize; 2], channels: usize| {
            countable(&[self.batch, channels, images[0], images[1]])
        };
        channels
            && countable(self.input, self.in_channels)
            && countable(self.output, self.out_channels)
            && (0..2).all(|i| {
                let whole = [
                    self.input[i],
                    self.output[i],
                    self.kernel[i],
                    self.stride[i],
                    self.dilation[i],
                ];
                !whole.contains(&0)
                    && self
                        .room(i)
                        .is_some_and(|room| room / self.stride[i] + 1 == self.output[i])
            })
    }

    /// The shape of the images of the input, channels last.
    pub fn input_images(&self) -> [usize; 4] {
        [self.batch, self.input[0], self.input[1], self.in_channels]
    }

    /// The shape of the images of the output, channels last.
    pub fn output_images(&self) -> [usize; 4] {
        let [height, width] = self.output;
        [self.batch, height, width, self.out_channels]
    }

    /// The shape of the filters, `[O, C / groups, KH, KW]`.
    pub fn filters(&self) -> [usize; 4] {
        let channels = self.in_channels / self.groups.max(1);
        [self.out_channels, channels, self.kernel[0], self.kernel[1]]
    }

    /// The position of the input along an axis that tap `tap` of output position `at` reads; none beyond the input.
    #[inline(always)]
    pub(crate) fn source(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let padded = at * self.stride[axis] + tap * self.dilation[axis];
        let position = padded.checked_sub(self.padding.before[axis])?;
        (position < self.input[axis]).then_some(position)
    }

    /// How far the filter can move along an axis of the padded input.
    fn room(&self, axis: usize) -> Option<usize> {
        let padded = self.padding.along(axis)?.checked_add(self.input[axis])?;
        let last_tap = (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?;
        padded.checked_sub(last_tap)?.checked_sub(1)
    }
}

/// Which of the two dense passes a convolution kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvPass {
    /// From the input `[N, C, H, W]` to the output `[N, O, Y, X]`.
    Forward,
    /// From the output's gradient to the input's gradient: the transposed map.
    InputGradient,
}

/// Sizes and options of a two-dimensional pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolGeometry {
    /// Images in the batch, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// Height and width of the input, H and W.
    pub input: [usize; 2],
    /// Height and width of the output, Y and X.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, down and across.
    pub stride: [usize; 2],
    /// Padding around the input.
    pub padding: Padding,
}

impl PoolGeometry {
    /// Whether the sizes belong together: nothing but the batch is zero, every window touches the image (the padding is
    /// smaller than the window), and the last one begins within the padded image. The output may be one larger than the
    /// windows that fit (rounding up).
    pub fn is_consistent(&self) -> bool {
        let countable =
            |images: [usize; 2]| countable(&[self.batch, self.channels, images[0], images[1]]);
        self.channels > 0
            && countable(self.input)
            && countable(self.output)
            && (0..2).all(|i| {
                let sizes = [
                    self.input[i],
                    self.output[i],
                    self.kernel[i],
                    self.stride[i],
                ];
                !sizes.contains(&0)
                    && self.padding.before[i].max(self.padding.behind[i]) < self.kernel[i]
                    && (self.output[i] - 1)
                        .checked_mul(self.stride[i])
                        .filter(|last| last.checked_add(self.kernel[i]).is_some())
                        .is_some_and(|last| {
                            last < self.input[i].saturating_add(self.padding.before[i])
                        })
            })
    }

    /// First position and the one after the last that window `at` covers on an axis, within the image.
    #[inline(always)]
    pub(crate) fn window(&self, axis: usize, at: usize) -> (usize, usize) {
        let start = at * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.padding.before[axis]);
        (
            start.saturating_sub(self.padding.before[axis]),
            end.min(self.input[axis]),
        )
    }

    /// The shape of the images of the input, channels last.
    pub fn input_images(&self) -> [usize; 4] {
        [self.batch, self.input[0], self.input[1], self.channels]
    }

    /// The shape of the images of the output, channels last.
    pub fn output_images(&self) -> [usize; 4] {
        [self.batch, self.output[0], self.output[1], self.channels]
    }

    /// Whether the place of each window's largest element fits a byte.
    pub fn has_byte_places(&self) -> bool {
        self.kernel[0].saturating_mul(self.kernel[1]) <= 256
    }

    /// Numbers in one image of the input, and of the output.
    pub(crate) fn image_lens(&self) -> (usize, usize) {
        let len = |[height, width]: [usize; 2]| height * width * self.channels;
        (len(self.input), len(self.output))
    }

    /// Whether no two windows share a position.
    pub(crate) fn is_disjoint(&self) -> bool {
        (0..2).all(|i| self.stride[i] >= self.kernel[i])
    }

    /// The number of positions that window `at` is averaged over: those in the image, or in the padded image.
    #[inline(always)]
    pub(crate) fn averaged(&self, count_padding: bool, at: [usize; 2]) -> usize {
        let length = |axis: usize| {
            if count_padding {
                let start = at[axis] * self.stride[axis];
                let end = start + self.kernel[axis];
                let Padding { before, behind } = self.padding;
                end.min(self.input[axis] + before[axis] + behind[axis]) - start
            } else {
                let (start, end) = self.window(axis, at[axis]);
                end - start
            }
        };
        length(0) * length(1)
    }
}

/// How a pooling window is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest element of the window; padding never wins, the first NaN does.
    Max,
    /// The mean; padding counts as zeros if `count_padding`, else it is left out of the divisor. What a window covers
    /// beyond the padded image never counts.
    Average {
        /// Whether padding counts in the divisor.
        count_padding: bool,
    },
    /// The element of `values` at the place of the window's largest element of `input`.
    SelectAtMax,
}

/// Sizes and options of attention: queries `[N, L, H, D]`, keys `[N, S, G, D]`, values `[N, S, G, E]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionGeometry {
    /// N
    pub batch: usize,
    /// L
    pub queries: usize,
    /// S
    pub keys: usize,
    /// H, a multiple of G.
    pub heads: usize,
    /// G: heads `g H / G` to `(g + 1) H / G - 1` have the keys and values of head g.
    pub groups: usize,
    /// D
    pub width: usize,
    /// E
    pub values: usize,
    /// Whether query i sees the keys up to number `position + i` alone.
    pub causal: bool,
    /// Where among the keys the first query stands.
    pub position: i64,
    /// What scores are multiplied by.
    pub scale: f32,
}

impl AttentionGeometry {
    /// `[N, L, H, D]`
    pub fn query(&self) -> [usize; 4] {
        [self.batch, self.queries, self.heads, self.width]
    }

    /// `[N, S, G, D]`
    pub fn key(&self) -> [usize; 4] {
        [self.batch, self.keys, self.groups, self.width]
    }

    /// `[N, S, G, E]`
    pub fn value(&self) -> [usize; 4] {
        [self.batch, self.keys, self.groups, self.values]
    }

    /// `[N, H, L, S]`
    pub fn mask(&self) -> [usize; 4] {
        [self.batch, self.heads, self.queries, self.keys]
    }

    /// `[N, L, H, E]`
    pub fn output(&self) -> [usize; 4] {
        [self.batch, self.queries, self.heads, self.values]
    }

    /// How many keys a query sees: the first ones.
    #[inline(always)]
    pub(crate) fn seen(&self, query: usize) -> usize {
        match self.causal {
            false => self.keys,
            true => {
                let last = self.position.saturating_add_unsigned(query as u64);
                usize::try_from(last.saturating_add(1)).map_or(0, |n| n.min(self.keys))
            }
        }
    }
}

/// What a step of a recurrent network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = tanh(x + p)`, or rectified.
    Rnn {
        /// `max(x + p, 0)` instead of tanh.
        rectified: bool,
    },
    /// Long short-term memory (Hochreiter and Schmidhuber, 1997), with gates i, f, g, o.
    Lstm,
    /// Gated recurrent unit (Cho et al., 2014), with gates r, z, n; r after the product.
    Gru,
}

impl Cell {
    /// S: how often the state has H numbers: h, and of an Lstm c.
    pub const fn states(self) -> usize {
        match self {
            Cell::Lstm => 2,
            Cell::Rnn { .. } | Cell::Gru => 1,
        }
    }

    /// P: how often a step takes H numbers from its input, and from the state before.
    pub const fn products(self) -> usize {
        match self {
            Cell::Rnn { .. } => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// Whether the gradient needs gates beside the states, `4 H` numbers.
    pub const fn has_gates(self) -> bool {
        !matches!(self, Cell::Rnn { .. })
    }

    /// Q: how often the gradient has H numbers at each step.
    pub const fn gradients(self) -> usize {
        match self {
            Cell::Rnn { .. } => 1,
            Cell::Lstm | Cell::Gru => 4,
        }
    }
}

/// Sizes of a recurrent network over sequences `[T, N, ..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrentGeometry {
    /// What a step does.
    pub cell: Cell,
    /// T
    pub steps: usize,
    /// N
    pub batch: usize,
    /// H
    pub hidden: usize,
}

impl RecurrentGeometry {
    /// `[T, N, P H]`
    pub fn inputs(&self) -> [usize; 3] {
        [self.steps, self.batch, self.cell.products() * self.hidden]
    }

    /// `[T + 1, N, S H]`
    pub fn states(&self) -> [usize; 3] {
        [self.steps + 1, self.batch, self.cell.states() * self.hidden]
    }

    /// `[T, N, 4 H]`
    pub fn gates(&self) -> [usize; 3] {
        [self.steps, self.batch, 4 * self.hidden]
    }

    /// `[T + 1, N, Q H]`
    pub fn gradient(&self) -> [usize; 3] {
        [
            self.steps + 1,
            self.batch,
            self.cell.gradients() * self.hidden,
        ]
    }
}
