//! What a plan may take: memory, and for graphs from files also work. What is beyond is refused before anything is
//! allocated, with a sentence that says what wanted it.

use crate::{
    Error, Meta, Result, Runtime, Tensor,
    compile::{Binding, Compiled},
    op::{Contract, Kind, Recurrence, Window},
};
use std::{env, fmt};
use zerokara_kernels::plan::{Plan, Region, Step};

/// The environment variable that says how many bytes of memory a plan may take.
const MEMORY: &str = "ZEROKARA_MEMORY";
/// The environment variable that says how many operations a graph from a file may take.
const WORK: &str = "ZEROKARA_WORK";

/// Operations that a graph from a file may take unless another limit is set: minutes of a processor's cores.
const DEFAULT_WORK: f64 = 1e13;

/// Bytes of memory where the system does not say how many it has.
const UNKNOWN_MEMORY: usize = 32 << 30;

/// Operations that count for an element which is read or written: memory is slower than arithmetic.
const WORK_OF_ELEMENT: f64 = 10.0;

/// The limits of a runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Bytes of a plan's arena, of what it prepares, and of its outputs together.
    pub memory: usize,
    /// Operations of one pass through a graph from a file.
    pub work: f64,
}

impl Limits {
    /// The limits that the environment sets; else three quarters of the machine's memory, and the default work.
    pub fn from_environment() -> Result<Self> {
        let memory = match env::var(MEMORY) {
            Ok(word) => parse_bytes(&word).ok_or_else(|| {
                Error::new(format!(
                    "{MEMORY} must be a number of bytes such as 8G, 500M or unlimited, not {word:?}"
                ))
            })?,
            Err(_) => machine_memory() / 4 * 3,
        };
        let work = match env::var(WORK) {
            Ok(word) => parse_work(&word).ok_or_else(|| {
                Error::new(format!(
                    "{WORK} must be a number of operations such as 1e14, or unlimited, not {word:?}"
                ))
            })?,
            Err(_) => DEFAULT_WORK,
        };
        Ok(Self { memory, work })
    }

    /// An error if a plan wants more memory than it may take.
    pub fn check(&self, compiled: &Compiled) -> Result<()> {
        let outputs = (compiled.outputs.iter()).fold(0usize, |sum, meta| {
            sum.saturating_add(meta.bytes().unwrap_or(usize::MAX))
        });
        let Plan {
            arena_bytes,
            prepared_bytes,
            ..
        } = compiled.plan;
        let wanted = [arena_bytes, prepared_bytes]
            .into_iter()
            .fold(outputs, usize::saturating_add);
        if wanted <= self.memory {
            return Ok(());
        }
        let mut what = format!("{} of it for its outputs", Bytes(outputs));
        if let Some((bytes, step)) = largest_value(compiled)
            && let Some(label) = compiled.labels.get(step)
        {
            let layer = label.layer.as_deref().filter(|layer| !layer.is_empty());
            let layer = layer.map(|l| format!(" in layer {l}")).unwrap_or_default();
            let op = label.op;
            what = format!(
                "{} of it for {op}{layer}, at {}",
                Bytes(bytes),
                label.location
            );
        }
        Err(self.refuse(&format!(
            "the computation wants {} of memory, {what}",
            Bytes(wanted)
        )))
    }

    /// An error if a value alone is larger than the memory that a plan may take.
    pub fn check_value(&self, meta: &Meta) -> Result<()> {
        match meta.bytes() {
            Some(bytes) if bytes <= self.memory => Ok(()),
            bytes => Err(self.refuse(&format!(
                "a value of {meta} wants {} of memory",
                Bytes(bytes.unwrap_or(usize::MAX))
            ))),
        }
    }

    fn refuse(&self, what: &str) -> Error {
        Error::new(format!(
            "{what}; the limit is {}: take fewer samples at a time or smaller shapes, or raise the limit ({MEMORY}, a number of bytes such as 64G)",
            Bytes(self.memory)
        ))
    }
}

/// An error where the system did not give memory that the limits allow.
pub(crate) fn no_memory(bytes: usize, what: &str) -> Error {
    Error::new(format!(
        "the system has no {} of memory left for {what}: take fewer samples at a time or smaller shapes, or free memory elsewhere",
        Bytes(bytes)
    ))
}

/// The largest value that the plan makes, in bytes, and the step, counted through the stages, that first touches it.
fn largest_value(compiled: &Compiled) -> Option<(usize, usize)> {
    let plan = &compiled.plan;
    let is_made = |region: &Region| match region {
        Region::Arena(_) | Region::Prepared(_) => true,
        Region::External(e) => matches!(compiled.bindings.get(*e), Some(Binding::Output(_))),
        Region::Local(_) => false,
    };
    let made = plan.buffers.iter().enumerate();
    let (buffer, bytes) = made
        .filter(|(_, buffer)| is_made(&buffer.region))
        .map(|(at, buffer)| (at, buffer.len.saturating_mul(buffer.element.size())))
        .max_by_key(|&(_, bytes)| bytes)?;
    let mut steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    let touches = |step: &Step| {
        let operands = step.operands();
        operands.iter().any(|operand| operand.view.buffer == buffer)
    };
    Some((bytes, steps.position(touches)?))
}

/// Refuses graphs that take more than the limits allow, operation by operation.
///
/// The work of an operation is two for each product that it sums, and ten for each element that it reads or writes.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    spent: f64,
    /// The dearest operation so far, and its work.
    dearest: Option<(String, f64)>,
}

impl Budget {
    /// A budget of the current runtime's limits; of so many times its limit of work.
    ///
    /// # Errors
    /// As [`Runtime::current`].
    pub fn new(times: f64) -> Result<Self> {
        let mut limits = Runtime::current()?.limits();
        limits.work *= times.max(1.0);
        Ok(Self {
            limits,
            spent: 0.0,
            dearest: None,
        })
    }

    /// Counts the operation that a tensor is the result of.
    ///
    /// # Errors
    /// If the tensor is larger than the memory that a plan may take, or all that was counted is more work than the limit.
    pub fn spend(&mut self, tensor: &Tensor) -> Result<()> {
        let meta = tensor.meta()?;
        self.limits.check_value(meta)?;
        let mut work = Work::of(tensor)?;
        for part in tensor.node_view().definition() {
            self.limits.check_value(part.meta()?)?;
            let part = Work::of(&part)?;
            work.products += part.products;
            // Elementwise parts run together, so that the largest is what counts.
            work.elements = work.elements.max(part.elements);
        }
        let work = work.amount();
        self.spent += work;
        if self.dearest.as_ref().is_none_or(|(_, most)| work > *most) {
            let node = tensor.node_view();
            let layer = node.path.filter(|path| !path.is_empty());
            let layer = layer.map(|l| format!(" in layer {l}")).unwrap_or_default();
            self.dearest = Some((format!("{} to {meta}{layer}", node.op.name()), work));
        }
        match &self.dearest {
            Some((dearest, most)) if self.spent > self.limits.work => Err(Error::new(format!(
                "the graph takes {:.1e} operations and more, {most:.1e} of them in {dearest}; the limit for graphs from files is {:.1e}: if you trust the file, raise it ({WORK}, a number such as 1e15)",
                self.spent, self.limits.work
            ))),
            _ => Ok(()),
        }
    }
}

/// The work of an operation.
struct Work {
    /// How many products are summed.
    products: f64,
    /// How many elements are read and written.
    elements: f64,
}

impl Work {
    fn amount(&self) -> f64 {
        2.0 * self.products + WORK_OF_ELEMENT * self.elements
    }

    /// That of the operation that a tensor is the result of; of a composite one, without what it is defined by.
    fn of(tensor: &Tensor) -> Result<Self> {
        let node = tensor.node_view();
        let shape = |i: usize| {
            node.inputs
                .get(i)
                .map_or(Ok(&[][..]), |input| input.shape())
        };
        let count = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
        let output = count(tensor.shape()?);
        let mut elements = output;
        for i in 0..node.inputs.len() {
            elements += count(shape(i)?);
        }
        let products = match node.op.kind() {
            Kind::Leaf => {
                elements = 0.0;
                0.0
            }
            // Only another way to look at what is there.
            Kind::View(_) => {
                elements = output;
                0.0
            }
            Kind::Contract(contract) => match contract {
                Contract::MatMul => output * shape(0)?.last().map_or(0.0, |&k| k as f64),
                Contract::Conv(_) => output * count(shape(1)?.get(1..).unwrap_or(&[])),
                Contract::ConvInputGradient(_) => {
                    count(shape(0)?) * count(shape(1)?.get(1..).unwrap_or(&[]))
                }
                Contract::ConvWeightGradient(_) => {
                    count(shape(1)?) * count(tensor.shape()?.get(1..).unwrap_or(&[]))
                }
            },
            Kind::Recurrent { cell, part } => {
                let rows = count(tensor.shape()?.get(..2).unwrap_or(&[]));
                let hidden = match part {
                    Recurrence::Gradient => shape(0)?.last(),
                    _ => shape(1)?.last(),
                };
                let hidden = hidden.map_or(0.0, |&n| n as f64);
                rows * cell.products() as f64 * hidden * hidden
            }
            Kind::Attention { gradient, .. } => {
                let (keys, values) = (shape(1)?, shape(2)?);
                let width = |shape: &[usize]| shape.last().map_or(0.0, |&n| n as f64);
                let pairs = count(shape(0)?.get(..3).unwrap_or(&[]))
                    * keys.get(1).map_or(0.0, |&n| n as f64);
                let passes = if gradient { 2.5 } else { 1.0 };
                passes * pairs * (width(keys) + width(values))
            }
            Kind::Window(Window::Pool(_, options) | Window::Places(options)) => {
                output * count(&options.kernel)
            }
            Kind::Window(Window::PoolGradient(_, options) | Window::Scatter(options)) => {
                elements * count(&options.kernel)
            }
            _ => 0.0,
        };
        Ok(Self { products, elements })
    }
}

/// A number of bytes as people say it.
pub(crate) struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.0 as f64;
        for unit in ["bytes", "kB", "MB", "GB", "TB"] {
            if number < 1000.0 {
                return match unit {
                    "bytes" => write!(f, "{number} {unit}"),
                    _ => write!(f, "{number:.1} {unit}"),
                };
            }
            number /= 1000.0;
        }
        write!(f, "{number:.0} PB")
    }
}

/// `8G`, `500M`, `64k` or `123456` as a number of bytes; `unlimited` as the largest.
fn parse_bytes(word: &str) -> Option<usize> {
    let word = word.trim().to_ascii_lowercase();
    if word == "unlimited" {
        return Some(usize::MAX);
    }
    let binary = word.ends_with("ib");
    let word = word
        .strip_suffix("ib")
        .or(word.strip_suffix('b'))
        .unwrap_or(&word);
    let end = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    let number: f64 = word[..end].parse().ok()?;
    let power = match word[end..].trim() {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let thousand: f64 = if binary { 1024.0 } else { 1000.0 };
    (number > 0.0).then_some((number * thousand.powi(power)) as usize)
}

/// `1e14` as a number of operations.
fn parse_work(word: &str) -> Option<f64> {
    match word.trim() {
        "unlimited" => Some(f64::INFINITY),
        word => word.parse().ok().filter(|&work: &f64| work > 0.0),
    }
}

/// Bytes of memory that this process may use: the machine's, or what its control group allows.
fn machine_memory() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kilobytes.checked_mul(1024)
    });
    let groups = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let allowed = groups
        .iter()
        .filter_map(|path| read(path)?.trim().parse().ok());
    machine
        .into_iter()
        .chain(allowed)
        .min()
        .unwrap_or(UNKNOWN_MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_said() {
        assert_eq!(parse_bytes("123"), Some(123));
        assert_eq!(parse_bytes("8G"), Some(8_000_000_000));
        assert_eq!(parse_bytes("1.5 GB"), Some(1_500_000_000));
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("unlimited"), Some(usize::MAX));
        for word in ["", "G", "-1", "0", "8X", "many"] {
            assert_eq!(parse_bytes(word), None, "{word}");
        }
        assert_eq!(parse_work("1e14"), Some(1e14));
        assert_eq!(parse_work("-1"), None);
        assert_eq!(parse_work("nan"), None);
        assert_eq!(Bytes(17).to_string(), "17 bytes");
        assert_eq!(Bytes(4_000_000_000_000).to_string(), "4.0 TB");
        assert!(machine_memory() > 1 << 20);
    }
}
