//! What the scattering operations have in common: how an update is joined with what is there, and the gradients of that.
//!
//! With y the output, g its gradient, and `y[place]` what an update u finds at its place:
//!
//! | reduction | gradient of the data | gradient of an update |
//! |---|---|---|
//! | `none` | g where nothing was written, else 0 | `g[place]` of the last at a place, else 0 |
//! | `add` | g | `g[place]` |
//! | `mul` | g times all updates at the place | `g[place]` times the data and the other updates there |
//! | `max`, `min` | g where it is y, shared among all that are | the same |

use super::{fields::Field, prelude::*};
use loops::{Number, Real};

/// How an update is joined with what is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reducer {
    /// It takes the place.
    None,
    /// Their sum.
    Add,
    /// Their product.
    Mul,
    /// The larger.
    Max,
    /// The smaller.
    Min,
}

impl Reducer {
    const ALL: [Reducer; 5] = [
        Reducer::None,
        Reducer::Add,
        Reducer::Mul,
        Reducer::Max,
        Reducer::Min,
    ];

    /// Its name, which is ONNX's.
    pub fn name(self) -> &'static str {
        match self {
            Reducer::None => "none",
            Reducer::Add => "add",
            Reducer::Mul => "mul",
            Reducer::Max => "max",
            Reducer::Min => "min",
        }
    }
}

impl Field for Reducer {
    fn read(attributes: &Attributes, name: &str) -> Result<Self, String> {
        let text = attributes.text(name)?;
        let found = Self::ALL.into_iter().find(|r| r.name() == text);
        found.ok_or_else(|| format!("attribute {name} is none, add, mul, max or min, not {text:?}"))
    }

    fn write(&self, attributes: Attributes, name: &'static str) -> Attributes {
        attributes.with(name, self.name())
    }
}

/// An error unless data and updates are of one type, which can be reduced so.
pub fn check(data: &Meta, updates: &Meta, reducer: Reducer) -> Result<(), String> {
    infer::same_type(data, updates)?;
    if data.dtype == DType::Bool && reducer != Reducer::None {
        return Err(format!("truth values have no reduction {}", reducer.name()));
    }
    Ok(())
}

/// The output starts as the data; then the update at `from` is joined with what is at `to`, pair by pair.
pub fn scatter(
    data: &Array,
    updates: &Array,
    output: &mut Array,
    reducer: Reducer,
    pairs: impl Iterator<Item = Result<(usize, usize), String>>,
) -> Result<(), String> {
    *output = data.clone();
    if reducer == Reducer::None {
        let pairs: Vec<(usize, usize)> = pairs.collect::<Result<_, _>>()?;
        loops::copy(updates, output, pairs.into_iter());
        return Ok(());
    }
    match data.dtype() {
        DType::I64 | DType::U8 => loops::integers!(data.dtype(), T => {
            let (u, y) = (updates.slice::<T>(), output.slice_mut::<T>());
            for pair in pairs {
                let (from, to) = pair?;
                y[to] = match reducer {
                    Reducer::Add => y[to].plus(u[from]),
                    Reducer::Mul => y[to].times(u[from]),
                    Reducer::Max => y[to].max(u[from]),
                    Reducer::Min => y[to].min(u[from]),
                    Reducer::None => u[from],
                };
            }
        }),
        dtype => loops::floats!(dtype, T => {
            let u = updates.slice::<T>();
            // In double precision, and rounded once.
            let mut y: Vec<f64> = data.slice::<T>().iter().map(|y| y.wide()).collect();
            for pair in pairs {
                let (from, to) = pair?;
                let u = u[from].wide();
                y[to] = match reducer {
                    Reducer::Add => y[to] + u,
                    Reducer::Mul => y[to] * u,
                    Reducer::Max => loops::maximum(y[to], u),
                    Reducer::Min => loops::minimum(y[to], u),
                    Reducer::None => u,
                };
            }
            let out = output.slice_mut::<T>().iter_mut();
            out.zip(y).for_each(|(out, y)| *out = T::narrow(y));
        }),
    }
    Ok(())
}

/// The gradients of data, indices and updates. `gather` takes what lies at the places of the updates, `scatter` scatters
/// updates into data.
pub fn gradient(
    call: &Call<'_>,
    reducer: Reducer,
    gather: impl Fn(&Tensor) -> Tensor,
    scatter: impl Fn(&Tensor, &Tensor, Reducer) -> Tensor,
) -> Gradient {
    let [data, _, updates] = call.inputs else {
        return Gradient::Forbidden("takes data, indices and updates");
    };
    if !data.meta().is_ok_and(Meta::is_float) {
        return Gradient::Zero;
    }
    let (g, y) = (call.gradient, call.output);
    let nothing = updates.zeros_like();
    let (to_data, to_updates) = match reducer {
        Reducer::None => {
            // Of updates at one place the last is there in the end, whose number is the largest.
            let number = numbered(updates);
            let last = gather(&scatter(
                &data.zeros_like().cast(DType::I64),
                &number,
                Reducer::None,
            ));
            (
                scatter(g, &nothing, Reducer::None),
                last.equal(&number).select(&gather(g), &nothing),
            )
        }
        Reducer::Add => (g.clone(), gather(g)),
        Reducer::Mul => {
            let ones = data.full_like(1.0);
            let is_zero = updates.equal(&nothing);
            let others = is_zero.select(&updates.full_like(1.0), updates);
            // The product of all that are not 0, which can be divided by any of them.
            let product = scatter(data, &others, Reducer::Mul);
            let count = is_zero.cast(DType::F32);
            let zeros = scatter(&data.zeros_like().cast(DType::F32), &count, Reducer::Add);
            let alone = gather(&zeros).equal(&count);
            let rest = gather(&(g * product)) / others;
            (
                g * scatter(&ones, updates, Reducer::Mul),
                alone.select(&rest, &nothing),
            )
        }
        Reducer::Max | Reducer::Min => {
            let number = |truth: Tensor| truth.cast(data.dtype().unwrap_or(DType::F32));
            let of_data = number(data.equal(y));
            let of_updates = number(updates.equal(&gather(y)));
            let count = scatter(&of_data, &of_updates, Reducer::Add);
            // Where there is NaN, nothing is equal.
            let share = g / count.maximum(&count.full_like(1.0));
            (&share * of_data, gather(&share) * of_updates)
        }
    };
    Gradient::Of(vec![Some(to_data), None, Some(to_updates)])
}

/// The numbers 1, 2, 3, .. in the shape of a tensor, i64.
fn numbered(x: &Tensor) -> Tensor {
    let Ok(meta) = x.meta() else {
        return x.clone();
    };
    let lengths: Vec<i64> = meta.shape.iter().map(|&n| n as i64).collect();
    let ones = Tensor::full([meta.len()], 1.0, DType::I64);
    ones.cumsum(0).reshape_exactly(&lengths)
}
