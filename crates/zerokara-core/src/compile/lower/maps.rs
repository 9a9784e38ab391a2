//! Elementwise groups and epilogues.

use super::*;

impl Lowering<'_> {
    /// The code of elementwise nodes: operands from outside become inputs. Gives the values of the nodes.
    pub(super) fn splice(
        &mut self,
        maps: &[usize],
        code: &mut CodeBuilder,
        inputs: &mut Vec<usize>,
    ) -> Result<HashMap<usize, usize>> {
        let mut known: HashMap<usize, usize> = HashMap::new();
        for &at in maps {
            let node = &self.graph.nodes[at];
            let arguments: Vec<usize> = node
                .inputs
                .iter()
                .map(
                    |&input| match (known.get(&input), self.schedule.classes[input]) {
                        (Some(&value), _) => value,
                        (None, Class::Constant(number)) => code.constant(number as f32),
                        (None, _) => {
                            let number =
                                inputs.iter().position(|&i| i == input).unwrap_or_else(|| {
                                    inputs.push(input);
                                    inputs.len() - 1
                                });
                            code.load(number)
                        }
                    },
                )
                .collect();
            let Kind::Map(op) = &self.schedule.kinds[at] else {
                return Err(self.broken(at, "has no elementwise code"));
            };
            let value = code.splice(op, &arguments);
            known.insert(at, value);
        }
        Ok(known)
    }

    /// The order in which to walk a shape: that of the first operand which lies dense and is not broadcast.
    pub(super) fn walking_order(&self, shape: &[usize], operands: &[Strided]) -> Vec<usize> {
        let dense = |s: &Strided| {
            s.dense_order()
                .filter(|_| s.len() == shape.iter().product::<usize>())
        };
        operands
            .iter()
            .find_map(dense)
            .unwrap_or_else(|| (0..shape.len()).collect())
    }

    /// One step for a group of elementwise nodes.
    pub(super) fn map_step(&mut self, maps: &[usize], walk: Walk) -> Result<MapStep> {
        let mut code = CodeBuilder::default();
        let mut inputs = Vec::new();
        let known = self.splice(maps, &mut code, &mut inputs)?;
        let shape = self.meta(maps[0]).shape.clone();
        let operands: Result<Vec<Strided>> = inputs.iter().map(|&i| self.value(i)).collect();
        let operands = operands?;
        let (order, host) = match walk {
            Walk::Free => (self.walking_order(&shape, &operands), None),
            Walk::Order(order) => (order, None),
            Walk::Host(host) => {
                let dense = self.values[host].as_ref().and_then(Strided::dense_order);
                let order = dense.unwrap_or_else(|| (0..shape.len()).collect());
                (order, Some(host))
            }
        };
        let mut outputs = Vec::new();
        let mut results = Vec::new();
        // The nodes of a unit are in order.
        let inside = |c: &usize| maps.binary_search(c).is_ok();
        // An epilogue whose raw value nobody else wants writes over it.
        let mut free_host = host.filter(|&h| {
            let unwanted = self.schedule.consumers[h].iter().all(&inside);
            (unwanted || planted(Fault::WritesOverRawValueStillWanted)) && !self.is_destined(h)
        });
        for &at in maps {
            let outside = !self.schedule.consumers[at].iter().all(&inside);
            if !outside && !self.is_destined(at) {
                continue;
            }
            let meta = self.meta(at).clone();
            let value = match free_host {
                _ if self.is_destined(at) => Strided::row_major(self.destination(at), &shape),
                Some(host) if meta.dtype == DType::F32 => {
                    free_host = None;
                    self.values[host]
                        .clone()
                        .unwrap_or_else(|| Strided::row_major(0, &shape))
                }
                _ => Strided::ordered(self.arena(meta.dtype, meta.len()), &shape, &order),
            };
            outputs.push(value.permute(&order).view());
            results.push(known[&at]);
            self.values[at] = Some(value);
        }
        Ok(MapStep {
            shape: order.iter().map(|&axis| shape[axis]).collect(),
            inputs: operands.iter().map(|s| s.permute(&order).view()).collect(),
            outputs,
            code: code.finish(&results),
        })
    }

    /// Elementwise code that runs behind a kernel, if there are nodes for it.
    pub(super) fn epilogue(&mut self, head: usize, maps: &[usize]) -> Result<Option<MapStep>> {
        match maps.is_empty() {
            true => Ok(None),
            false => self.map_step(maps, Walk::Host(head)).map(Some),
        }
    }
}
