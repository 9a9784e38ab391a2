//! Attention and recurrent networks.

use super::*;
use crate::{
    op::{Cell, Recurrence},
    ops::attention::scale_of,
};
use zerokara_kernels::plan;

impl Lowering<'_> {
    /// Attention, or its gradients one behind another.
    pub(super) fn attention(
        &mut self,
        head: usize,
        inputs: &[usize],
        (causal, position, scale): (bool, i64, Option<f64>),
        gradient: bool,
    ) -> Result<()> {
        let (&[query, key, value], rest) = inputs
            .split_first_chunk()
            .ok_or_else(|| self.broken(head, "has no keys and values"))?;
        let (mask, given) = match (rest, gradient) {
            ([], false) => (None, None),
            (&[mask], false) => (Some(mask), None),
            (&[given], true) => (None, Some(given)),
            (&[mask, given], true) => (Some(mask), Some(given)),
            _ => return Err(self.broken(head, "has other inputs than attention")),
        };
        let shapes = [query, key, value].map(|at| self.meta(at).shape.clone());
        let (&[batch, queries, heads, width], &[_, keys, groups, _], &[.., values]) =
            (&shapes[0][..], &shapes[1][..], &shapes[2][..])
        else {
            return Err(self.broken(head, "has inputs of other shapes than attention"));
        };
        let geometry = AttentionGeometry {
            batch,
            queries,
            keys,
            heads,
            groups,
            width,
            values,
            causal,
            position,
            scale: scale_of(scale, width) as f32,
        };
        let mask = match mask {
            Some(mask) => Some(self.value(mask)?.view()),
            None => None,
        };
        let inputs = AttentionInputs {
            geometry,
            query: self.value(query)?.view(),
            key: self.value(key)?.view(),
            value: self.value(value)?.view(),
            mask,
        };
        let Some(given) = given else {
            let output = self.new_row_major(head).view();
            self.push(head, Step::Attention(AttentionStep { inputs, output }));
            return Ok(());
        };
        let output_gradient = self.value(given)?.view();
        let output = self.new_row_major(head);
        let mut offset = output.offset;
        let mut part = |shape: &[usize]| {
            let own = Strided {
                offset,
                ..Strided::row_major(output.buffer, shape)
            };
            offset += own.len();
            own.view()
        };
        let step = AttentionGradientStep {
            query_gradient: part(&shapes[0]),
            key_gradient: part(&shapes[1]),
            value_gradient: part(&shapes[2]),
            inputs,
            output_gradient,
        };
        self.push(head, Step::AttentionGradient(step));
        Ok(())
    }

    /// The value of a node with its last axis dense.
    fn dense_rows(&mut self, at: usize) -> Result<Strided> {
        let value = self.value(at)?;
        match (value.shape.last(), value.strides.last()) {
            (Some(&length), Some(&stride)) if length > 1 && stride != 1 => self.row_major(at),
            _ => Ok(value),
        }
    }

    /// A recurrent network over sequences, its gates, or its gradients.
    pub(super) fn recurrent(
        &mut self,
        head: usize,
        inputs: &[usize],
        cell: Cell,
        part: Recurrence,
    ) -> Result<()> {
        let has_bias = cell == Cell::Gru;
        match part {
            Recurrence::States => {
                let first = 2 + usize::from(has_bias);
                let (initial, mask) = inputs[first..].split_at(cell.states());
                let initial: Result<Vec<Strided>> =
                    initial.iter().map(|&at| self.dense_rows(at)).collect();
                let initial = initial?.iter().map(Strided::view).collect();
                // Who reads the gates of these states has them written along with them.
                let wants = |at: &usize| {
                    let node = &self.graph.nodes[*at];
                    let kind = Kind::Recurrent {
                        cell,
                        part: Recurrence::Gates,
                    };
                    self.schedule.kinds[*at] == kind && node.inputs[..first] == inputs[..first]
                };
                let told = self.schedule.consumers[head].iter().copied().find(wants);
                let gates = told.map(|told| self.new_row_major(told).view());
                let states = self.new_row_major(head).view();
                let first = Some((initial, mask));
                self.recurrent_states(head, inputs, cell, first, (states, gates))
            }
            // Already written with the states.
            Recurrence::Gates if self.values[head].is_some() => Ok(()),
            Recurrence::Gates => {
                let &given = inputs.last().unwrap_or(&head);
                let states = self.dense_rows(given)?.view();
                let gates = Some(self.new_row_major(head).view());
                self.recurrent_states(head, inputs, cell, None, (states, gates))
            }
            Recurrence::Gradient => {
                let weight = self.value(inputs[0])?;
                let panels = self.pack(head, &weight.front()).view();
                let states = self.dense_rows(inputs[1])?;
                let (gates, rest) = match cell.has_gates() {
                    true => (Some(self.dense_rows(inputs[2])?.view()), &inputs[3..]),
                    false => (None, &inputs[2..]),
                };
                let given = self.dense_rows(rest[0])?;
                let mask = match rest.get(1) {
                    Some(&mask) => Some(self.value(mask)?.view()),
                    None => None,
                };
                let geometry = RecurrentGeometry {
                    cell,
                    steps: states.shape[0] - 1,
                    batch: states.shape[1],
                    hidden: weight.shape[1],
                };
                let step = RecurrentGradientStep {
                    geometry,
                    weight: panels,
                    states: states.view(),
                    gates,
                    mask,
                    states_gradient: given.view(),
                    gradient: self.new_row_major(head).view(),
                };
                self.push(head, Step::RecurrentGradient(step));
                Ok(())
            }
        }
    }

    /// The states with the gates, if these are wanted, from the first state and perhaps a mask; or the gates of given states.
    fn recurrent_states(
        &mut self,
        head: usize,
        inputs: &[usize],
        cell: Cell,
        first: Option<(Vec<plan::View>, &[usize])>,
        (states, gates): (plan::View, Option<plan::View>),
    ) -> Result<()> {
        let (x, weight) = (self.dense_rows(inputs[0])?, self.value(inputs[1])?);
        let panels = self.pack(head, &weight.permute(&[1, 0]).front()).view();
        let bias = match cell {
            Cell::Gru => Some(self.row_major(inputs[2])?.view()),
            _ => None,
        };
        let given = first.is_none();
        let (initial, mask) = first.unwrap_or_default();
        let mask = match mask.first() {
            Some(&mask) => Some(self.value(mask)?.view()),
            None => None,
        };
        let geometry = RecurrentGeometry {
            cell,
            steps: x.shape[0],
            batch: x.shape[1],
            hidden: weight.shape[1],
        };
        let step = RecurrentStep {
            geometry,
            inputs: x.view(),
            weight: panels,
            bias,
            initial,
            mask,
            states,
            given,
            gates,
        };
        self.push(head, Step::Recurrent(step));
        Ok(())
    }
}
