//! Sequences of different lengths turned round: of each sample, the first `lengths[n]` elements along the axis of time come in
//! the opposite order, and those behind stay where they are. It is its own inverse, and its own gradient.

use super::{along::Along, indices, prelude::*};

/// The operation, on data and the lengths `[N]` (i64).
#[derive(Debug)]
pub struct ReverseSequence {
    batch_axis: i64,
    time_axis: i64,
}

attributes!(ReverseSequence: batch_axis, time_axis);

impl ReverseSequence {
    /// The axes of samples and of time.
    fn axes(&self, rank: usize) -> Result<[usize; 2], String> {
        let axes = [
            shape::axis(self.batch_axis, rank)?,
            shape::axis(self.time_axis, rank)?,
        ];
        match axes[0] == axes[1] {
            true => Err("samples and time need an axis each".into()),
            false => Ok(axes),
        }
    }
}

impl Op for ReverseSequence {
    fn name(&self) -> &'static str {
        "reverse_sequence"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, lengths] = infer::arity(inputs)?;
        indices::check(lengths)?;
        let [batch, _] = self.axes(x.rank())?;
        if lengths.shape != [x.shape[batch]] {
            return Err(format!(
                "needs one length for each of {} samples, not {:?}",
                x.shape[batch], lengths.shape
            ));
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let op = ReverseSequence { ..*self };
        indices::gradient(call, op)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, lengths) = (inputs[0], inputs[1].slice::<i64>());
        let [batch, time] = self.axes(x.shape().len())?;
        let (samples, times) = (Along::axis(batch, x.shape()), Along::axis(time, x.shape()));
        let length_of = |&length: &i64| {
            usize::try_from(length)
                .ok()
                .filter(|&length| length <= times.length)
                .ok_or_else(|| format!("a sequence of {length} of {} steps", times.length))
        };
        let lengths: Vec<usize> = lengths.iter().map(length_of).collect::<Result<_, _>>()?;
        let pairs = (0..x.len()).map(|to| {
            let [_, sample, _] = samples.index(to);
            let [outer, at, inner] = times.index(to);
            let from = match at < lengths[sample] {
                true => lengths[sample] - 1 - at,
                false => at,
            };
            (times.position([outer, from, inner]), to)
        });
        loops::copy(x, output, pairs);
        Ok(())
    }
}

impl Tensor {
    /// Sequences turned round: of each sample along `batch_axis`, the first `lengths[n]` elements (i64) along `time_axis` come in the
    /// opposite order, and those behind stay. A length beyond the axis is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let y = x.reverse_sequence(&Tensor::from([2, 3]), 0, 1);
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 1.0, 3.0, 6.0, 5.0, 4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn reverse_sequence(&self, lengths: &Tensor, batch_axis: i64, time_axis: i64) -> Tensor {
        let op = ReverseSequence {
            batch_axis,
            time_axis,
        };
        Tensor::apply(op, &[self, lengths])
    }
}
