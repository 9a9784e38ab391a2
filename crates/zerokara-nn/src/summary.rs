//! Summaries: the layers of a model with their shapes, parameters and work.

use crate::{
    Context, Mode, Model, Part, Visitor, model::traced, record::Samples, replay::nodes,
    train_step::trace::in_outputs,
};
use std::{collections::HashMap, fmt};
use zerokara_core::{
    DType, Result, Tensor,
    op::{Contract, Kind, View},
};

/// One layer of a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The layer's path; empty for what belongs to no layer.
    pub path: String,
    /// The kind of layer, or its last operation.
    pub kind: String,
    /// The shape of its output.
    pub output: Vec<usize>,
    /// Number of elements of its parameters that training changes.
    pub parameters: usize,
    /// Additions and multiplications of its matrix products and convolutions, for the whole batch.
    pub flops: u64,
}

/// The layers of a model in the order in which they are applied.
///
/// ```
/// use zerokara_core::{DType, Meta};
/// use zerokara_nn::{Forward, Sequential, Summary};
/// let model = Sequential::new().linear(100).relu().linear(10);
/// let sample = Meta::new([1, 784], DType::F32);
/// model.build(&sample, 0)?;
/// let summary = Summary::of(&model, &sample)?;
/// assert_eq!(summary.rows[0].flops, 2 * 784 * 100);
/// println!("{summary}");
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The layers.
    pub rows: Vec<SummaryRow>,
    /// Number of elements of all buffers.
    pub buffers: usize,
}

impl Summary {
    /// The summary of a model that has been built, for an input like the sample, in training; in evaluation, where layers
    /// such as dropout are left out, if it is too small to be trained on: one row for batch normalization.
    ///
    /// # Errors
    /// If the model has not been built or does not take the sample.
    pub fn of<M: Model + ?Sized>(model: &M, sample: &dyn Samples) -> Result<Self> {
        let parameters = model.named_parameters()?;
        let buffers = model.buffers()?.iter().map(|b| b.meta().len()).sum();
        let mut kinds: HashMap<String, &'static str> = HashMap::new();
        let mut sink = |path: &str, part: Part<'_>| {
            if let Part::Layer(place) = part {
                kinds.insert(path.to_string(), place.kind());
            }
        };
        model.visit(&mut Visitor::new(&mut sink));

        let inputs = traced(&sample.metas()?, None);
        let pass = |mode| {
            let mut cx = Context::new(mode, 0, Tensor::input("step", [], DType::I64));
            in_outputs(|| model.apply(&inputs, &mut cx))
        };
        let outputs = match pass(Mode::Train) {
            Ok(outputs) => outputs,
            Err(_) => pass(Mode::Evaluate)?,
        };
        let outputs: Vec<&Tensor> = outputs.values().collect();

        let mut rows: Vec<SummaryRow> = Vec::new();
        let mut by_path: HashMap<String, usize> = HashMap::new();
        for tensor in nodes(&outputs) {
            let node = tensor.node_view();
            if node.op.kind() == Kind::Leaf || node.value.is_some() {
                continue;
            }
            // A number beside a tensor, and its spreading, are part of what takes them.
            let spread = matches!(node.op.kind(), Kind::View(View::Broadcast) | Kind::Fill(_));
            if node.path.is_none() && spread {
                continue;
            }
            let path = node.path.unwrap_or("").to_string();
            let shape = tensor.shape()?.to_vec();
            let mut flops = flops_of(&tensor)?;
            for part in node.definition() {
                flops = flops.saturating_add(flops_of(&part)?);
            }
            match by_path.get(&path).map(|&at| &mut rows[at]) {
                Some(row) => {
                    row.output = shape;
                    row.flops = row.flops.saturating_add(flops);
                    if !kinds.contains_key(&path) {
                        row.kind = node.op.name().to_string();
                    }
                }
                None => {
                    by_path.insert(path.clone(), rows.len());
                    rows.push(SummaryRow {
                        kind: kinds.get(&path).unwrap_or(&node.op.name()).to_string(),
                        path,
                        output: shape,
                        parameters: 0,
                        flops,
                    });
                }
            }
        }
        for (path, parameter) in &parameters {
            let layer = path.rsplit_once('.').map_or("", |(layer, _)| layer);
            let count = parameter.meta().len();
            let known = by_path.get(layer).copied();
            // A layer that is the whole model stands under its kind.
            match known.or((rows.len() == 1).then_some(0)) {
                Some(at) => rows[at].parameters += count,
                None => {
                    by_path.insert(layer.to_string(), rows.len());
                    rows.push(SummaryRow {
                        path: layer.to_string(),
                        kind: "parameters".into(),
                        output: Vec::new(),
                        parameters: count,
                        flops: 0,
                    });
                }
            }
        }
        Ok(Self { rows, buffers })
    }

    /// Number of elements of all parameters that training changes.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// Additions and multiplications of all matrix products and convolutions, for the whole batch.
    pub fn flops(&self) -> u64 {
        let flops = self.rows.iter().map(|row| row.flops);
        flops.fold(0, u64::saturating_add)
    }
}

/// Two for each product that a contraction sums.
fn flops_of(tensor: &Tensor) -> Result<u64> {
    let node = tensor.node_view();
    let Kind::Contract(contract) = node.op.kind() else {
        return Ok(0);
    };
    let count = |shape: &[usize]| {
        let lengths = shape.iter().map(|&n| n as u64);
        lengths.fold(1, u64::saturating_mul)
    };
    let output = count(tensor.shape()?);
    let input = |i: usize| node.inputs.get(i).map_or(Ok(&[][..]), |t| t.shape());
    let per_filter = |w: &[usize]| count(w.get(1..).unwrap_or(&[]));
    let products = match contract {
        Contract::MatMul => {
            output.saturating_mul(count(input(0)?.last().map_or(&[], std::slice::from_ref)))
        }
        Contract::Conv(_) => output.saturating_mul(per_filter(input(1)?)),
        Contract::ConvInputGradient(_) => count(input(0)?).saturating_mul(per_filter(input(1)?)),
        Contract::ConvWeightGradient(_) => {
            count(input(1)?).saturating_mul(per_filter(tensor.shape()?))
        }
    };
    Ok(products.saturating_mul(2))
}

/// 1234567 as `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut found = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            found.push(',');
        }
        found.push(digit);
    }
    found
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![["layer", "kind", "output", "parameters", "FLOPs"].map(String::from)];
        for row in &self.rows {
            lines.push([
                if row.path.is_empty() {
                    "-".into()
                } else {
                    row.path.clone()
                },
                row.kind.clone(),
                format!("{:?}", row.output),
                grouped(row.parameters as u64),
                grouped(row.flops),
            ]);
        }
        lines.push([
            "total".into(),
            String::new(),
            String::new(),
            grouped(self.parameters() as u64),
            grouped(self.flops()),
        ]);
        let width = |column: usize| lines.iter().map(|l| l[column].len()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let rule = "-".repeat(widths.iter().sum::<usize>() + 8);
        for (i, line) in lines.iter().enumerate() {
            if i == 1 || i + 1 == lines.len() {
                writeln!(f, "{rule}")?;
            }
            let [a, b, c, d, e] = line;
            let [wa, wb, wc, wd, we] = widths;
            let text = format!("{a:wa$}  {b:wb$}  {c:wc$}  {d:>wd$}  {e:>we$}");
            writeln!(f, "{}", text.trim_end())?;
        }
        if self.buffers > 0 {
            writeln!(f, "and {} numbers in buffers", grouped(self.buffers as u64))?;
        }
        Ok(())
    }
}
