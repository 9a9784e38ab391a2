//! Arithmetic of two tensors, element by element, with broadcasting: `+`, `-`, `*`, `/`.
//!
//! | operation | gradient of a | gradient of b |
//! |---|---|---|
//! | `a + b` | `g` | `g` |
//! | `a - b` | `g` | `-g` |
//! | `a * b` | `g b` | `g a` |
//! | `a / b` | `g / b` | `-g (a / b) / b` |
//!
//! The rules see inputs of one shape: [`Tensor::binary`] broadcasts the inputs first, and the gradient of a
//! broadcast sums over the axes that it repeated. Integers, bytes too, wrap around on overflow, as in NumPy and
//! PyTorch, and are not divided but by [`Tensor::quotient`]. Bytes beside integers or floats become those; other types do not mix. A number beside a tensor is made a scalar tensor by the rule of [`scalar`](super::scalar).

use super::{elementwise::elementwise_pair, loops::Number, prelude::*};
use std::ops;

elementwise_pair!(
    /// The operation `add`.
    Add, add, infer::number_binary, Binary::Add, numbers binary |a, b| a.plus(b),
    |call| Gradient::two(call.gradient.clone(), call.gradient.clone())
);

elementwise_pair!(
    /// The operation `subtract`.
    Subtract, subtract, infer::number_binary, Binary::Subtract, numbers binary |a, b| a.minus(b),
    |call| Gradient::two(call.gradient.clone(), -call.gradient)
);

elementwise_pair!(
    /// The operation `multiply`.
    Multiply, multiply, infer::number_binary, Binary::Multiply, numbers binary |a, b| a.times(b),
    |call| Gradient::two(call.gradient * &call.inputs[1], call.gradient * &call.inputs[0])
);

elementwise_pair!(
    /// The operation `divide`; integers are not divided by it, but by `quotient`, or cast first.
    Divide, divide, infer::float_binary, Binary::Divide, floats binary |a, b| a / b,
    |call| {
        let to_a = call.gradient / &call.inputs[1];
        let to_b = -(&to_a * call.output);
        Gradient::two(to_a, to_b)
    }
);

impl Tensor {
    /// An elementwise operation of two tensors that are broadcast to one shape.
    #[track_caller]
    pub(crate) fn binary(op: impl Op, a: &Tensor, b: &Tensor) -> Tensor {
        let (a, b) = Self::broadcast_pair(a, b);
        Tensor::apply(op, &[&a, &b])
    }

    /// Both tensors broadcast to one shape, bytes beside wider numbers as such; unchanged if they do not fit, so that the
    /// operation reports it.
    #[track_caller]
    pub(crate) fn broadcast_pair(a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
        let wider = |d| matches!(d, DType::I64 | DType::F32 | DType::F64);
        match (a.dtype(), b.dtype()) {
            (Ok(DType::U8), Ok(d)) if wider(d) => return Self::broadcast_pair(&a.cast(d), b),
            (Ok(d), Ok(DType::U8)) if wider(d) => return Self::broadcast_pair(a, &b.cast(d)),
            _ => {}
        }
        match (a.shape(), b.shape()) {
            (Ok(x), Ok(y)) if x != y => match shape::broadcast(x, y) {
                // Broadcasting to the other tensor, not to numbers, keeps the graph valid for other batch sizes.
                Some(to) if to == y => (a.broadcast_like(b), b.clone()),
                Some(to) if to == x => (a.clone(), b.broadcast_like(a)),
                Some(to) => (a.broadcast_to(&to), b.broadcast_to(&to)),
                None => (a.clone(), b.clone()),
            },
            _ => (a.clone(), b.clone()),
        }
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr) => {
        impl ops::$trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                Tensor::binary($op, self, other)
            }
        }
        impl ops::$trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                Tensor::binary($op, self, &other)
            }
        }
        impl ops::$trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                Tensor::binary($op, &self, other)
            }
        }
        impl ops::$trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                Tensor::binary($op, &self, &other)
            }
        }
        operator!($trait, $method, $op, f64);
        operator!($trait, $method, $op, i64);
    };
    ($trait:ident, $method:ident, $op:expr, $scalar:ty) => {
        impl ops::$trait<$scalar> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $scalar) -> Tensor {
                let (x, number) = self.beside(other);
                Tensor::binary($op, &x, &number)
            }
        }
        impl ops::$trait<$scalar> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $scalar) -> Tensor {
                let (x, number) = self.beside(other);
                Tensor::binary($op, &x, &number)
            }
        }
        impl ops::$trait<&Tensor> for $scalar {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                let (x, number) = other.beside(self);
                Tensor::binary($op, &number, &x)
            }
        }
        impl ops::$trait<Tensor> for $scalar {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                let (x, number) = other.beside(self);
                Tensor::binary($op, &number, &x)
            }
        }
    };
}
operator!(Add, add, Add);
operator!(Sub, sub, Subtract);
operator!(Mul, mul, Multiply);
operator!(Div, div, Divide);

impl ops::Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        self.negate()
    }
}

impl ops::Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        self.negate()
    }
}
