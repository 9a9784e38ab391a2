//! A second back end of logical plans, by the reference loops.
//!
//! It runs what [`Logical`] says, unit by unit: the graph after all rules, with values that are computed anew for each reader, in
//! the order of the schedule, storing parameters in place. Where it is right and the compiled engine is not, the fault lies in
//! lowering or behind it; where both are wrong in the same way, in a rule or in the schedule.

use crate::{
    Array, Error, Parameter, Precision, Result, Tensor,
    compile::{
        Target, logical_program,
        rewriting::Count,
        schedule::{
            Logical,
            fusion::{Class, Unit, inside},
        },
    },
    graph::Source,
    interpreter::apply,
    op::Kind,
    ops::reduce::reduced_axes,
};
use std::collections::{BTreeSet, HashMap};

/// The values of the outputs, and of the parameters after their updates.
///
/// # Errors
/// If the plan reads what is not there; the error of a reference loop.
pub fn run(
    outputs: &[&Tensor],
    updates: &[(Parameter, Tensor)],
    target: Target,
) -> Result<Vec<Array>> {
    let logical = logical_program(outputs, updates, target, &mut Count::new()?)?;
    let mut device = Device::of(&logical);
    for unit in &logical.schedule.units {
        device.unit(unit)?;
    }
    let values = logical.graph.outputs[..outputs.len()].iter();
    let values = values.map(|&output| device.value(output));
    let stored = updates.iter().map(|(parameter, _)| device.cell(parameter));
    values.chain(stored).collect()
}

struct Device<'a> {
    logical: &'a Logical,
    /// What is in memory.
    values: Vec<Option<Array>>,
    /// The parameters' values, by identity.
    cells: HashMap<u64, Array>,
    /// The views of each replaced parameter: they see what is stored there.
    views: HashMap<u64, Vec<usize>>,
}

impl<'a> Device<'a> {
    fn of(logical: &'a Logical) -> Self {
        let mut device = Self {
            logical,
            values: vec![None; logical.graph.nodes.len()],
            cells: HashMap::new(),
            views: HashMap::new(),
        };
        let stored: BTreeSet<u64> = logical.request.stores.values().copied().collect();
        // The parameter that each leaf or view shows.
        let mut shows: Vec<Option<u64>> = vec![None; logical.graph.nodes.len()];
        for (at, node) in logical.graph.nodes.iter().enumerate() {
            match &node.source {
                Source::Parameter(parameter, value) => {
                    device.cells.insert(parameter.id(), value.clone());
                    shows[at] = Some(parameter.id()).filter(|id| stored.contains(id));
                }
                Source::Value(_) | Source::Input(_) => {}
                Source::Op(_) if logical.schedule.classes[at] == Class::View => {
                    shows[at] = shows[node.inputs[0]];
                }
                Source::Op(_) => {}
            }
            if let Some(parameter) = shows[at] {
                device.views.entry(parameter).or_default().push(at);
            }
        }
        device
    }

    /// The value of a node; none if no unit has given it yet.
    fn value(&self, at: usize) -> Result<Array> {
        let node = &self.logical.graph.nodes[at];
        let missing = || Error::new(format!("{at} is read before it is there{}", node.place()));
        match (&node.source, &self.values[at]) {
            (_, Some(value)) => Ok(value.clone()),
            (Source::Value(value), None) => Ok(value.clone()),
            (Source::Parameter(parameter, _), None) => self.cell(parameter),
            (Source::Op(_), None) => match self.logical.schedule.classes[at] {
                Class::Constant(number) => {
                    let mut value = Array::try_zeros(&node.meta)?;
                    value.set(number);
                    Ok(value)
                }
                _ => Err(missing()),
            },
            (Source::Input(_), None) => Err(missing()),
        }
    }

    fn cell(&self, parameter: &Parameter) -> Result<Array> {
        let value = self.cells.get(&parameter.id());
        value
            .cloned()
            .ok_or_else(|| Error::new("a parameter is not bound"))
    }

    fn compute(&self, at: usize) -> Result<Array> {
        let node = &self.logical.graph.nodes[at];
        let Source::Op(op) = &node.source else {
            return self.value(at);
        };
        let inputs: Result<Vec<Array>> = node.inputs.iter().map(|&i| self.value(i)).collect();
        let inputs = inputs?;
        let inputs: Vec<&Array> = inputs.iter().collect();
        apply(&**op, &node.meta, &inputs, Precision::AsWritten, || {
            node.place()
        })
    }

    /// Computes a unit: what is computed inside its reductions, which nobody else sees, its nodes, and then stores.
    fn unit(&mut self, unit: &Unit) -> Result<()> {
        let Logical {
            graph,
            request,
            schedule,
            ..
        } = self.logical;
        let mut together = unit.statistics.iter().map(|unit| &**unit).chain([unit]);
        together.try_for_each(|unit| self.check(unit))?;
        let own: BTreeSet<usize> = unit.nodes().copied().collect();
        let inputs = own.iter().flat_map(|&at| &graph.nodes[at].inputs);
        let inner = inside(graph, &schedule.inlined, inputs.copied()).maps;
        let mut stored = Vec::new();
        // The nodes of the graph stand in an order in which none needs a later one.
        for &at in own.union(&inner) {
            let value = self.compute(at)?;
            if let Some(&parameter) = request.stores.get(&at) {
                stored.push((parameter, value.clone()));
            }
            self.values[at] = Some(value);
        }
        for at in inner {
            self.values[at] = None;
        }
        for (parameter, value) in stored {
            self.cells.insert(parameter, value);
            let views = self.views.get(&parameter).cloned().unwrap_or_default();
            for at in views {
                let is_op = matches!(graph.nodes[at].source, Source::Op(_));
                if is_op && self.values[at].is_some() {
                    self.values[at] = Some(self.compute(at)?);
                }
            }
        }
        Ok(())
    }

    /// What back ends are promised of a unit: its reductions are over the same axes of the same shape, in one walk.
    fn check(&self, unit: &Unit) -> Result<()> {
        let walk = |at: usize| {
            let Kind::Reduce { axes, .. } = &self.logical.schedule.kinds[at] else {
                return None;
            };
            let input = self.logical.graph.nodes[at].inputs[0];
            let shape = &self.logical.graph.nodes[input].meta.shape;
            Some((shape, reduced_axes(axes, shape.len())))
        };
        let mut walks = unit.head.iter().chain(&unit.joined).map(|&at| walk(at));
        let first = walks.next().flatten();
        match walks.flatten().all(|other| Some(other) == first) {
            true => Ok(()),
            false => Err(Error::new("reductions of different walks are joined")),
        }
    }
}
