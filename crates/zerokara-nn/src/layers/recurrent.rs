//! Recurrent layers: one state that goes along a sequence.

use super::{Dropout, beside};
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::{Meta, Tensor, op::Cell};

/// What a recurrent layer gives.
pub struct RecurrentOutput {
    /// At each position the states h of the last layer, `[N, L, D H]` with D directions; 0 where a mask does not hold.
    pub output: Tensor,
    /// The last states of each layer and direction, `[N, layers D, H]`: h, and of an LSTM c.
    pub states: Vec<Tensor>,
}

/// One direction of one layer.
#[derive(Clone, Debug)]
struct Direction {
    weight: ParameterSlot,
    recurrent: ParameterSlot,
    bias: ParameterSlot,
    /// Of the products with the state, where these are not simply added.
    recurrent_bias: Option<ParameterSlot>,
}

impl Direction {
    #[track_caller]
    fn new(cell: Cell, hidden: usize) -> Self {
        let bound = 1.0 / (hidden.max(1) as f64).sqrt();
        let slot = || ParameterSlot::new(Initializer::Uniform { bound });
        Self {
            weight: slot(),
            recurrent: slot(),
            bias: slot(),
            recurrent_bias: (cell == Cell::Gru).then(slot),
        }
    }

    /// All states `[T + 1, N, S H]` of `x [T, N, I]`.
    fn states(
        &self,
        cell: Cell,
        x: &Tensor,
        first: &[Tensor],
        mask: Option<&Tensor>,
        cx: &mut Context,
    ) -> Tensor {
        let (Ok(meta), Ok(&[_, hidden])) = (x.meta(), first[0].shape()) else {
            return x.clone();
        };
        let &[length, _, inputs] = meta.shape.as_slice() else {
            return x.clone();
        };
        let width = cell.products() * hidden;
        let weight = self.weight.tensor(&beside(meta, [width, inputs]), cx);
        let recurrent = self.recurrent.tensor(&beside(meta, [width, hidden]), cx);
        let bias = self.bias.tensor(&beside(meta, [width]), cx);
        // One product for all positions.
        let products = x.reshape([-1, inputs as i64]).matmul(&weight.t()) + bias;
        let sums = products.reshape([length as i64, -1, width as i64]);
        match (cell, first) {
            (Cell::Lstm, [h, c, ..]) => sums.lstm(&recurrent, [h, c], mask),
            (Cell::Rnn { rectified }, _) => sums.rnn(&recurrent, &first[0], rectified, mask),
            _ => {
                let bias = match &self.recurrent_bias {
                    Some(bias) => bias.tensor(&beside(meta, [width]), cx),
                    None => Tensor::full([width], 0.0, meta.dtype),
                };
                sums.gru(&recurrent, &bias, &first[0], mask)
            }
        }
    }
}

impl Module for Direction {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("weight", &self.weight);
        visitor.part("recurrent", &self.recurrent);
        visitor.part("bias", &self.bias);
        visitor.part("recurrent_bias", &self.recurrent_bias);
    }
}

/// One layer: from the first position to the last, and perhaps back.
#[derive(Clone, Debug)]
struct Layer {
    forward: Direction,
    reverse: Option<Direction>,
}

impl Module for Layer {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("", &self.forward);
        visitor.part("reverse", &self.reverse);
    }
}

/// What all recurrent layers are.
#[derive(Clone, Debug)]
struct Stack {
    place: Place,
    cell: Cell,
    hidden: usize,
    layers: Vec<Layer>,
    bidirectional: bool,
    dropout: Dropout,
    last: bool,
}

impl Stack {
    #[track_caller]
    fn new(kind: &'static str, cell: Cell, hidden: usize) -> Self {
        let mut stack = Self {
            place: Place::new(kind),
            cell,
            hidden,
            layers: Vec::new(),
            bidirectional: false,
            dropout: Dropout::new(0.0),
            last: false,
        };
        stack.make(1);
        stack
    }

    #[track_caller]
    fn make(&mut self, layers: usize) {
        let direction = || Direction::new(self.cell, self.hidden);
        let layer = |_| Layer {
            forward: direction(),
            reverse: self.bidirectional.then(direction),
        };
        self.layers = (0..layers).map(layer).collect();
    }

    /// The layer's error, if the input does not fit.
    fn fault(&self, x: &Meta) -> Option<String> {
        if x.rank() != 3 || !x.is_float() {
            return Some(format!("needs sequences [N, L, C] of floats, not {x}"));
        }
        (self.hidden == 0 || self.layers.is_empty())
            .then(|| "needs at least one layer, and one number in its state".into())
    }

    fn run(
        &self,
        x: &Tensor,
        first: &[Tensor],
        mask: Option<&Tensor>,
        cx: &mut Context,
    ) -> RecurrentOutput {
        let failed = |output: Tensor| RecurrentOutput {
            states: vec![output.clone(); self.cell.states()],
            output,
        };
        let Ok(meta) = x.meta() else {
            return failed(x.clone());
        };
        if let Some(why) = self.fault(meta) {
            return failed(self.place.invalid(why));
        }
        let (samples, length) = (meta.shape[0], meta.shape[1]);
        let directions = 1 + usize::from(self.bidirectional);
        let all = Meta::new(
            [samples, self.layers.len() * directions, self.hidden],
            meta.dtype,
        );
        for state in first {
            match state.meta() {
                Err(_) => return failed(state.clone()),
                Ok(meta) if *meta == all => {}
                Ok(meta) => {
                    return failed(
                        self.place
                            .invalid(format!("its first state must be {all}, not {meta}")),
                    );
                }
            }
        }
        if !first.is_empty() && first.len() != self.cell.states() {
            let why = format!(
                "its state has {} parts, not {}",
                self.cell.states(),
                first.len()
            );
            return failed(self.place.invalid(why));
        }
        let by_time = mask.map(|mask| mask.permute([1, 0]));
        let zero = Tensor::full([samples, self.hidden], 0.0, meta.dtype);
        let mut ends: Vec<Vec<Tensor>> = vec![Vec::new(); self.cell.states()];
        // Positions first, as the operation has them.
        let mut y = x.permute([1, 0, 2]);
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                y = self.dropout.forward(&y, cx);
            }
            let both = [Some(&layer.forward), layer.reverse.as_ref()];
            let mut outputs = Vec::new();
            for (way, direction) in both.into_iter().flatten().enumerate() {
                let at = (number * directions + way) as i64;
                let first: Vec<Tensor> = match first {
                    [] => vec![zero.clone(); self.cell.states()],
                    given => given.iter().map(|state| state.at(1, at)).collect(),
                };
                let turned = |t: &Tensor| match way {
                    0 => t.clone(),
                    _ => t.flip(&[0]),
                };
                let mask = by_time.as_ref().map(turned);
                let output = self.place.run(|| {
                    let states =
                        direction.states(self.cell, &turned(&y), &first, mask.as_ref(), cx);
                    let end = states.at(0, -1);
                    for (state, ends) in ends.iter_mut().enumerate() {
                        ends.push(end.narrow(-1, state * self.hidden, self.hidden));
                    }
                    turned(&states.narrow(0, 1, length).narrow(-1, 0, self.hidden))
                });
                outputs.push(output);
            }
            y = match &outputs[..] {
                [one] => one.clone(),
                _ => Tensor::concat(&outputs.iter().collect::<Vec<_>>(), -1),
            };
        }
        let output = self.place.run(|| {
            let output = y.permute([1, 0, 2]);
            let Some(mask) = mask else { return output };
            let counts = mask.unsqueeze(-1).broadcast_like(&output);
            counts.select(&output, &output.zeros_like())
        });
        let stacked = |ends: &Vec<Tensor>| {
            (self.place).run(|| Tensor::stack(&ends.iter().collect::<Vec<_>>(), 1))
        };
        RecurrentOutput {
            output,
            states: ends.iter().map(stacked).collect(),
        }
    }

    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let run = self.run(x, &[], None, cx);
        if !self.last {
            return run.output;
        }
        let directions = 1 + usize::from(self.bidirectional);
        let Ok(&[_, all, hidden]) = run.states[0].shape() else {
            return run.output;
        };
        self.place.run(|| {
            let last = run.states[0].narrow(1, all - directions, directions);
            last.reshape([-1, (directions * hidden) as i64])
        })
    }
}

impl Module for Stack {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("layers", &self.layers);
        if self.layers.len() > 1 {
            visitor.part("dropout", &self.dropout);
        }
    }
}

macro_rules! recurrent {
    ($(#[$doc:meta])* $type:ident, $name:literal, $cell:expr) => {
        $(#[$doc])*
        ///
        /// Each layer, and each direction of it, has a `weight [P H, C]` for its input, a weight `recurrent [P H, H]` for the
        /// state before, and a `bias [P H]`; they begin as uniform draws up to `1 / sqrt(H)`. The whole sequence is one
        /// operation. States begin as zeros.
        #[derive(Clone, Debug)]
        pub struct $type(Stack);

        impl $type {
            /// One layer with this many numbers in its state, from the first position to the last.
            #[track_caller]
            pub fn new(hidden: usize) -> Self {
                Self(Stack::new($name, $cell, hidden))
            }

            /// This many layers, one on the states of the other.
            #[track_caller]
            pub fn layers(mut self, layers: usize) -> Self {
                self.0.make(layers);
                self
            }

            /// Whether each layer also goes from the last position to the first; its output has both states, `2 H`.
            #[track_caller]
            pub fn bidirectional(mut self, bidirectional: bool) -> Self {
                self.0.bidirectional = bidirectional;
                self.0.make(self.0.layers.len());
                self
            }

            /// The share of what goes from layer to layer that is dropped in training.
            #[track_caller]
            pub fn dropout(mut self, ratio: f64) -> Self {
                self.0.dropout = Dropout::new(ratio);
                self
            }

            /// Whether [`Forward::forward`] gives the state behind the whole sequence alone, `[N, D H]`, not that at each
            /// position.
            pub fn last(mut self, last: bool) -> Self {
                self.0.last = last;
                self
            }

            /// The states of sequences `[N, L, C]`, from first states `[N, layers D, H]` (none: zeros; those of an LSTM are h
            /// and c), where a mask `[N, L]` of truth values says which positions there are; a sample stays as it is where it
            /// does not hold.
            pub fn run(
                &self,
                x: &Tensor,
                first: &[Tensor],
                mask: Option<&Tensor>,
                cx: &mut Context,
            ) -> RecurrentOutput {
                self.0.run(x, first, mask, cx)
            }
        }

        impl Module for $type {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                self.0.visit(visitor);
            }
        }

        impl Forward for $type {
            fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
                self.0.forward(x, cx)
            }
        }
    };
}

recurrent! {
    /// The plain recurrent layer (Elman, 1990), `[N, L, C] -> [N, L, D H]`: `h' = tanh(weight x + recurrent h + bias)`, P is 1;
    /// the book's second volume has it in chapter 5 (`TimeRNN`).
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Context, Forward, Rnn};
    /// let layer = Rnn::new(8).bidirectional(true);
    /// let x = Tensor::ones([2, 5, 3]);
    /// layer.build(&x, 0)?;
    /// assert_eq!(layer.forward(&x, &mut Context::evaluate()).shape()?, [2, 5, 16]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "TimeRNN")]
    Rnn, "Rnn", Cell::Rnn { rectified: false }
}
recurrent! {
    /// Long short-term memory (Hochreiter and Schmidhuber, 1997), `[N, L, C] -> [N, L, D H]`, with gates i, f, g, o, so that P
    /// is 4 ([`Tensor::lstm`] has the formulas; the book's second volume has it in chapter 6, `TimeLSTM`).
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Context, Forward, Lstm};
    /// let layer = Lstm::new(8).layers(2);
    /// let x = Tensor::ones([2, 5, 3]);
    /// layer.build(&x, 0)?;
    /// let cx = &mut Context::evaluate();
    /// assert_eq!(layer.forward(&x, cx).shape()?, [2, 5, 8]);
    /// // In two parts, with the states carried over.
    /// let first = layer.run(&x.narrow(1, 0, 3), &[], None, cx);
    /// let second = layer.run(&x.narrow(1, 3, 2), &first.states, None, cx);
    /// let whole = layer.run(&x, &[], None, cx);
    /// assert_eq!(second.states[1].to_vec::<f32>()?, whole.states[1].to_vec::<f32>()?);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "TimeLSTM")]
    Lstm, "Lstm", Cell::Lstm
}
recurrent! {
    /// Gated recurrent units (Cho et al., 2014), `[N, L, C] -> [N, L, D H]`, with gates r, z, n, so that P is 3
    /// ([`Tensor::gru`] has the formulas), and a `recurrent_bias [3 H]` beside the bias.
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Context, Forward, Gru};
    /// let layer = Gru::new(8).last(true);
    /// let x = Tensor::ones([2, 5, 3]);
    /// layer.build(&x, 0)?;
    /// assert_eq!(layer.forward(&x, &mut Context::evaluate()).shape()?, [2, 8]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Gru, "Gru", Cell::Gru
}
