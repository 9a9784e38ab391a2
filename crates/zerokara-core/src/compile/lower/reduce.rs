//! Reductions: one or several in one walk, with what is computed in them before and after.

use super::*;

impl Lowering<'_> {
    /// The reductions of a unit as a step.
    pub(super) fn reduce(&mut self, unit: &Unit) -> Result<()> {
        if let (Some(step), Some(node)) = (self.reduction(unit, None)?, unit.head) {
            self.push(node, Step::Reduce(step));
        }
        Ok(())
    }

    /// The reductions of a unit, all over the same axes, walked in an order or as their operands lie.
    pub(super) fn reduction(
        &mut self,
        unit: &Unit,
        order: Option<&[usize]>,
    ) -> Result<Option<ReduceStep>> {
        let Some(head) = unit.head else {
            return Ok(None);
        };
        let Kind::Reduce { axes, .. } = &self.schedule.kinds[head] else {
            return Ok(None);
        };
        let heads: Vec<usize> = [head].iter().chain(&unit.joined).copied().collect();
        let shape = self.meta(self.graph.nodes[head].inputs[0]).shape.clone();
        let mut axes = crate::ops::reduce::reduced_axes(axes, shape.len()).unwrap_or_default();
        if planted(Fault::ReduceWrongAxis) && axes.len() == 1 && shape.len() > 1 {
            axes[0] = (axes[0] + 1) % shape.len();
        }
        let mut code = CodeBuilder::default();
        let mut inputs = Vec::new();
        let results: Result<Vec<usize>> = heads
            .iter()
            .map(|&head| self.reduced_value(head, &mut code, &mut inputs))
            .collect();
        let mut results = results?;
        if planted(Fault::JoinedReductionsSwapResults) {
            results.reverse();
        }
        let operands: Result<Vec<Strided>> = inputs.iter().map(|&i| self.value(i)).collect();
        let operands = operands?;
        let order = match order {
            Some(order) => order.to_vec(),
            None => self.walking_order(&shape, &operands),
        };
        let kept: Vec<usize> = (0..shape.len())
            .map(|a| if axes.contains(&a) { 1 } else { shape[a] })
            .collect();
        let mut strides = shape::row_major(&kept);
        axes.iter().for_each(|&a| strides[a] = 0);
        let outputs: Vec<Strided> = heads.iter().map(|&h| self.new_row_major(h)).collect();
        let spread = |output: &Strided| Strided {
            buffer: output.buffer,
            offset: output.offset,
            shape: shape.clone(),
            strides: strides.clone(),
        };
        let mut reductions: Vec<Reduction> = heads
            .iter()
            .filter_map(|&head| match self.schedule.kinds[head] {
                Kind::Reduce { reduction, .. } => Some(reduction),
                _ => None,
            })
            .collect();
        if planted(Fault::SwapsReductionKinds) {
            reductions.reverse();
        }
        let mut step = ReduceStep {
            shape: order.iter().map(|&a| shape[a]).collect(),
            reduced: match planted(Fault::ReduceForgetsWalkingOrder) {
                true => (0..shape.len()).map(|a| axes.contains(&a)).collect(),
                false => order.iter().map(|a| axes.contains(a)).collect(),
            },
            inputs: operands.iter().map(|s| s.permute(&order).view()).collect(),
            code: code.finish(&results),
            reductions,
            outputs: outputs
                .iter()
                .map(|o| spread(o).permute(&order).view())
                .collect(),
            epilogue: None,
        };
        // The kept axes, as they come in the walk.
        let number = |axis: usize| (0..axis).filter(|a| !axes.contains(a)).count();
        let kept = order.iter().filter(|a| !axes.contains(a));
        let kept = kept.map(|&axis| number(axis)).collect();
        self.conclude(&mut step, &unit.maps, kept)?;
        if planted(Fault::ReductionForgetsEpilogue) {
            step.epilogue = None;
        }
        Ok(Some(step))
    }

    /// Lets elementwise nodes run on what a reduction gives, walked in this order of the kept axes.
    pub(super) fn conclude(
        &mut self,
        step: &mut ReduceStep,
        maps: &[usize],
        order: Vec<usize>,
    ) -> Result<()> {
        if maps.is_empty() {
            return Ok(());
        }
        step.epilogue = Some(self.map_step(maps, Walk::Order(order))?);
        Ok(())
    }

    /// The code of what a reduction combines, with the elementwise nodes that are computed in it.
    fn reduced_value(
        &mut self,
        head: usize,
        code: &mut CodeBuilder,
        inputs: &mut Vec<usize>,
    ) -> Result<usize> {
        let input = self.graph.nodes[head].inputs[0];
        let maps = inside(self.graph, &self.schedule.inlined, [input]).maps;
        let maps: Vec<usize> = maps.into_iter().collect();
        let known = self.splice(&maps, code, inputs)?;
        Ok(match (known.get(&input), self.schedule.classes[input]) {
            (Some(&value), _) => value,
            (None, Class::Constant(number)) => code.constant(number as f32),
            _ => {
                let number = inputs.iter().position(|&i| i == input);
                let number = number.unwrap_or_else(|| {
                    inputs.push(input);
                    inputs.len() - 1
                });
                code.load(number)
            }
        })
    }
}
