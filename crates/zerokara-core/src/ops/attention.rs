//! Scaled dot-product attention (Vaswani et al., 2017): of each query a mean of the values, weighted by how well their keys go
//! with it.
//!
//! With queries `q [N, L, H, D]`, keys `k [N, S, G, D]`, values `v [N, S, G, E]`, head by head:
//!
//! ```text
//! s[i, j] = scale sum over d of q[i, d] k[j, d] + mask[i, j]
//! p[i, j] = e^s[i, j] / sum over l of e^s[i, l]
//! o[i, e] = sum over j of p[i, j] v[j, e]
//! ```
//!
//! With g the gradient of o: `dv[j] = sum over i of p[i, j] g[i]`, `dp[i, j] = g[i] v[j]`, and through the softmax
//! `ds[i, j] = p[i, j] (dp[i, j] - sum over l of p[i, l] dp[i, l])`, `dq = scale ds k`, `dk = scale ds^T q`.
//!
//! A pair without weight has no terms in any of these sums, whatever the key and its value hold. A query that sees no key gives
//! zeros.

use super::prelude::*;
use loops::Real;

/// Options of [`Tensor::attention`].
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// Whether query i sees the keys up to number `position + i` alone, none that come later.
    pub causal: bool,
    /// Where among the keys the first query stands, if `causal`; 0 unless there are keys from before.
    pub position: i64,
    /// What scores are multiplied by; `1 / sqrt(D)` if it is not told.
    pub scale: Option<f64>,
    /// For each pair `[N, H, L, S]`, or what broadcasts to that: truth values, false where a query does not see a key; or
    /// numbers that are added to the scores, -inf where it does not.
    pub mask: Option<Tensor>,
}

impl AttentionOptions {
    /// Each query sees itself and what is before it.
    pub fn causal() -> Self {
        Self {
            causal: true,
            ..Self::default()
        }
    }

    /// With this mask.
    pub fn mask(self, mask: &Tensor) -> Self {
        Self {
            mask: Some(mask.clone()),
            ..self
        }
    }
}

/// The operation, of queries, keys, values, and perhaps a mask `[N, H, L, S]`.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    causal: bool,
    position: i64,
    scale: Option<f64>,
}

attributes!(Attention: causal, position, scale);

/// What scores are multiplied by, of keys so wide.
pub(crate) fn scale_of(told: Option<f64>, width: usize) -> f64 {
    told.unwrap_or(1.0 / (width.max(1) as f64).sqrt())
}

/// The sizes of attention.
struct Sizes {
    n: usize,
    l: usize,
    s: usize,
    h: usize,
    g: usize,
    d: usize,
    e: usize,
}

impl Sizes {
    fn of(q: &[usize], k: &[usize], v: &[usize]) -> Result<Self, String> {
        let (&[n, l, h, d], &[m, s, g, width], &[o, t, i, e]) = (q, k, v) else {
            return Err(
                "needs queries [N, L, H, D], keys [N, S, G, D] and values [N, S, G, E]".into(),
            );
        };
        if (m, s, g) != (o, t, i) || n != m {
            return Err(format!(
                "queries {q:?}, keys {k:?} and values {v:?} must be of one batch, keys and values of one length and as many heads"
            ));
        }
        if d != width {
            return Err(format!(
                "queries are {d} wide, keys {width}; they must be equal"
            ));
        }
        match g == 0 && h > 0 || g > 0 && !h.is_multiple_of(g) {
            true => Err(format!(
                "{h} heads of queries cannot share {g} heads of keys evenly"
            )),
            false => Ok(Self {
                n,
                l,
                s,
                h,
                g,
                d,
                e,
            }),
        }
    }

    /// The head of keys and values that a head of queries has.
    fn group(&self, head: usize) -> usize {
        head * self.g / self.h
    }
}

impl Attention {
    /// Shape and type of the output, from queries, keys, values and what else there is but the output's gradient.
    fn output(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let ([q, k, v], mask) = inputs
            .split_first_chunk()
            .ok_or("takes queries, keys and values")?;
        infer::floats(q, k)?;
        infer::floats(q, v)?;
        let x = Sizes::of(&q.shape, &k.shape, &v.shape)?;
        match mask {
            [] => {}
            [mask] if mask.dtype != DType::Bool && mask.dtype != q.dtype => {
                return Err(format!(
                    "the mask must hold truth values, or {}, not {}",
                    q.dtype, mask.dtype
                ));
            }
            [mask] if mask.shape == [x.n, x.h, x.l, x.s] => {}
            [mask] => {
                return Err(format!(
                    "the mask {mask} is not one of {:?}, for each pair of each head",
                    [x.n, x.h, x.l, x.s]
                ));
            }
            _ => return Err("takes queries, keys, values and a mask".into()),
        }
        Ok(Meta::new([x.n, x.l, x.h, x.e], q.dtype))
    }

    fn scale(&self, width: usize) -> f64 {
        scale_of(self.scale, width)
    }

    /// What the compiler is told.
    fn options(&self, gradient: bool) -> Kind {
        Kind::Attention {
            causal: self.causal,
            position: self.position,
            scale: self.scale,
            gradient,
        }
    }

    /// How many keys query i sees, the mask aside.
    fn seen(&self, i: usize, keys: usize) -> usize {
        match self.causal {
            false => keys,
            true => {
                let last = self.position.saturating_add_unsigned(i as u64);
                usize::try_from(last.saturating_add(1)).map_or(0, |n| n.min(keys))
            }
        }
    }

    /// The keys that a query sees with their weights, those that are not 0.
    fn weights<T: Real>(
        &self,
        x: &Sizes,
        [q, k]: [&[T]; 2],
        mask: Option<&Array>,
        [n, h, i]: [usize; 3],
    ) -> Vec<(usize, f64)> {
        let group = x.group(h);
        let scale = self.scale(x.d);
        let query = &q[((n * x.l + i) * x.h + h) * x.d..][..x.d];
        let scores = (0..self.seen(i, x.s)).map(|j| {
            let pair = ((n * x.h + h) * x.l + i) * x.s + j;
            let added = match mask {
                None => 0.0,
                Some(mask) if mask.dtype() == DType::Bool => match mask.bools()[pair] {
                    0 => f64::NEG_INFINITY,
                    _ => 0.0,
                },
                Some(mask) => mask.slice::<T>()[pair].wide(),
            };
            if added == f64::NEG_INFINITY {
                return added;
            }
            let key = &k[((n * x.s + j) * x.g + group) * x.d..][..x.d];
            let products = query.iter().zip(key).map(|(q, k)| q.wide() * k.wide());
            products.sum::<f64>() * scale + added
        });
        let scores: Vec<f64> = scores.collect();
        let most = scores
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, loops::maximum);
        if most == f64::NEG_INFINITY {
            return Vec::new();
        }
        let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let total: f64 = powers.iter().sum();
        let weights = powers.iter().map(|e| e / total).enumerate();
        weights.filter(|&(_, p)| p != 0.0).collect()
    }

    /// The weights of all pairs `[N, H, L, S]`, and keys and values for each head of queries, `[N, H, S, ..]`: the definition.
    fn defined(&self, inputs: &[Tensor]) -> Option<(Tensor, [Tensor; 3])> {
        let ([q, k, v], mask) = inputs.split_first_chunk()?;
        let x = Sizes::of(q.shape().ok()?, k.shape().ok()?, v.shape().ok()?).ok()?;
        let heads = |t: &Tensor, width: usize| {
            let shape = [x.n, x.s, x.g, x.h / x.g.max(1), width];
            let repeated = t.unsqueeze(3).broadcast_to(&shape);
            let all = [x.n as i64, x.s as i64, x.h as i64, width as i64];
            repeated.reshape_exactly(&all).permute([0, 2, 1, 3])
        };
        let (q, k, v) = (q.permute([0, 2, 1, 3]), heads(k, x.d), heads(v, x.e));
        let products = q.matmul(&k.t());
        let mut scores = &products * products.full_like(self.scale(x.d));
        let mut seen = None;
        if self.causal {
            let queries = Tensor::arange(self.position, self.position + x.l as i64, 1);
            let keys = Tensor::arange(0, x.s as i64, 1);
            let both = |t: Tensor| t.broadcast_to(&[x.l, x.s]);
            let before = both(queries.unsqueeze(1)).greater_equal(&both(keys.unsqueeze(0)));
            seen = Some(before.broadcast_like(&scores));
        }
        match mask {
            [mask] if mask.dtype().ok()? == DType::Bool => {
                seen = Some(match seen {
                    Some(seen) => seen.logical_and(mask),
                    None => mask.clone(),
                });
            }
            [mask] => scores = scores + mask,
            _ => {}
        }
        let never = scores.full_like(f64::NEG_INFINITY);
        if let Some(seen) = seen {
            scores = seen.select(&scores, &never);
        }
        // Of a query that sees nothing, the weights are 0 and not those of a softmax.
        let none = scores
            .max_axes(&[-1], true)
            .broadcast_like(&scores)
            .equal(&never);
        let zero = scores.zeros_like();
        let weights = none.select(&zero, &none.select(&zero, &scores).softmax());
        Some((weights, [q, k, v]))
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.output(inputs)
    }

    fn kind(&self) -> Kind {
        self.options(false)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [q, k, v, mask @ ..] = call.inputs else {
            return Gradient::Forbidden("attention takes queries, keys and values");
        };
        let all: Vec<&Tensor> = call.inputs.iter().chain([call.gradient]).collect();
        let flat = Tensor::apply(AttentionGradient(*self), &all);
        let mut start = 0;
        let mut next = |like: &Tensor| {
            let Ok(meta) = like.meta() else {
                return like.clone();
            };
            let lengths: Vec<i64> = meta.shape.iter().map(|&n| n as i64).collect();
            let own = flat.narrow(0, start, meta.len());
            start += meta.len();
            own.reshape_exactly(&lengths)
        };
        let mut gradients = vec![Some(next(q)), Some(next(k)), Some(next(v))];
        // Of a mask that is added, pair by pair, which nobody needs in most cases, and then nobody computes.
        gradients.extend(mask.iter().map(|mask| match mask.dtype() {
            Ok(DType::Bool) | Err(_) => None,
            Ok(_) => {
                let (weights, [_, _, v]) = self.defined(call.inputs)?;
                Some(through_softmax(&weights, &v, call.gradient))
            }
        }));
        Gradient::Of(gradients)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let ([q, k, v], mask) = inputs
            .split_first_chunk()
            .ok_or("takes queries, keys and values")?;
        let x = Sizes::of(q.shape(), k.shape(), v.shape())?;
        loops::floats!(q.dtype(), T => {
            let (q, k, v) = (q.slice::<T>(), k.slice::<T>(), v.slice::<T>());
            for (row, o) in output.slice_mut::<T>().chunks_mut(x.e.max(1)).enumerate() {
                let (n, i, h) = (row / (x.l * x.h), row / x.h % x.l, row % x.h);
                let weights = self.weights(&x, [q, k], mask.first().copied(), [n, h, i]);
                for (e, o) in o.iter_mut().enumerate() {
                    let value = |j: usize| v[((n * x.s + j) * x.g + x.group(h)) * x.e + e].wide();
                    *o = T::narrow(weights.iter().map(|&(j, p)| p * value(j)).sum());
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (weights, [_, _, v]) = self.defined(inputs)?;
        Some(weights.matmul(&v).permute([0, 2, 1, 3]))
    }
}

/// The gradient of the scores `[N, H, L, S]`, scaled and with what is added, from weights, values `[N, H, S, E]` and the output's
/// gradient `[N, L, H, E]`.
fn through_softmax(weights: &Tensor, v: &Tensor, g: &Tensor) -> Tensor {
    let of_weights = g.permute([0, 2, 1, 3]).matmul(&v.t());
    let mean = (weights * &of_weights).sum_axes(&[-1], true);
    weights * (&of_weights - mean.broadcast_like(&of_weights))
}

/// The gradients with respect to queries, keys and values, one behind another in one row of numbers; its inputs are those of
/// [`Attention`] and the output's gradient.
#[derive(Debug)]
pub struct AttentionGradient(pub Attention);

impl Op for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.0.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (given, inputs) = inputs.split_last().ok_or("takes the output's gradient")?;
        let output = self.0.output(inputs)?;
        infer::same(&output, given)?;
        let all: usize = inputs[..3].iter().map(Meta::len).sum();
        Ok(Meta::new([all], output.dtype))
    }

    fn kind(&self) -> Kind {
        self.0.options(true)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (given, inputs) = inputs.split_last().ok_or("takes the output's gradient")?;
        let ([q, k, v], mask) = inputs
            .split_first_chunk()
            .ok_or("takes queries, keys and values")?;
        let x = Sizes::of(q.shape(), k.shape(), v.shape())?;
        let scale = self.0.scale(x.d);
        let keys_from = q.len();
        let values_from = keys_from + k.len();
        loops::floats!(q.dtype(), T => {
            let (q, k, v, g) = (q.slice::<T>(), k.slice::<T>(), v.slice::<T>(), given.slice::<T>());
            loops::summed::<T>(output, |sums| {
                for row in 0..x.n * x.l * x.h {
                    let (n, i, h) = (row / (x.l * x.h), row / x.h % x.l, row % x.h);
                    let weights = self.0.weights(&x, [q, k], mask.first().copied(), [n, h, i]);
                    let pair = |j: usize| (n * x.s + j) * x.g + x.group(h);
                    let given = &g[row * x.e..][..x.e];
                    let of_weight = |j: usize| -> f64 {
                        let value = &v[pair(j) * x.e..][..x.e];
                        given.iter().zip(value).map(|(g, v)| g.wide() * v.wide()).sum()
                    };
                    let mean: f64 = weights.iter().map(|&(j, p)| p * of_weight(j)).sum();
                    for &(j, p) in &weights {
                        let score = p * (of_weight(j) - mean) * scale;
                        for d in 0..x.d {
                            sums[row * x.d + d] += score * k[pair(j) * x.d + d].wide();
                            sums[keys_from + pair(j) * x.d + d] += score * q[row * x.d + d].wide();
                        }
                        for (e, g) in given.iter().enumerate() {
                            sums[values_from + pair(j) * x.e + e] += p * g.wide();
                        }
                    }
                }
                Ok(())
            })
        })
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (given, inputs) = inputs.split_last()?;
        let (weights, [q, k, v]) = self.0.defined(inputs)?;
        let x = Sizes::of(
            inputs[0].shape().ok()?,
            inputs[1].shape().ok()?,
            inputs[2].shape().ok()?,
        )
        .ok()?;
        let scores = through_softmax(&weights, &v, given);
        let scores = &scores * scores.full_like(self.0.scale(x.d));
        let given = given.permute([0, 2, 1, 3]);
        // Heads of queries that share keys add up.
        let shared = |t: Tensor, width: usize| {
            let each = x.h / x.g.max(1);
            let lengths = [x.n, x.g, each, x.s, width].map(|n| n as i64);
            t.reshape_exactly(&lengths).sum_axes(&[2], false)
        };
        let flat = |t: Tensor| t.permute([0, 2, 1, 3]).reshape([-1]);
        let parts = [
            flat(scores.matmul(&k)),
            flat(shared(scores.t().matmul(&q), x.d)),
            flat(shared(weights.t().matmul(&given), x.e)),
        ];
        Some(Tensor::concat(&[&parts[0], &parts[1], &parts[2]], 0))
    }
}

impl Tensor {
    /// Scaled dot-product attention, `softmax(scale q k^T + mask) v` head by head (Vaswani et al., 2017): of queries
    /// `[N, L, H, D]` (the tensor itself), keys `[N, S, G, D]` and values `[N, S, G, E]` the means `[N, L, H, E]`. G divides H:
    /// neighbouring heads of queries share keys and values (Ainslie et al., 2023), all of them if G is 1.
    ///
    /// It is one operation, forward and backward, and takes memory that grows with the length, not with its square. A query
    /// that sees no key gives zeros. The last axes hold what heads are wide: `x.reshape([n, l, h, d])` makes them of
    /// `[N, L, H D]`.
    ///
    /// ```
    /// # use zerokara_core::{AttentionOptions, Tensor};
    /// let q = Tensor::from([[1.0, 0.0], [0.0, 1.0]]).reshape([1, 2, 1, 2]);
    /// let v = Tensor::from([1.0, 3.0]).reshape([1, 2, 1, 1]);
    /// let all = q.attention(&Tensor::zeros([1, 2, 1, 2]), &v, &AttentionOptions::default());
    /// assert_eq!(all.to_vec::<f32>()?, [2.0, 2.0]); // all keys go equally well
    /// let causal = q.attention(&Tensor::zeros([1, 2, 1, 2]), &v, &AttentionOptions::causal());
    /// assert_eq!(causal.to_vec::<f32>()?, [1.0, 2.0]); // the first sees itself alone
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "scaled_dot_product_attention")]
    #[track_caller]
    pub fn attention(&self, keys: &Tensor, values: &Tensor, options: &AttentionOptions) -> Tensor {
        let op = Attention {
            causal: options.causal,
            position: options.position,
            scale: options.scale,
        };
        let Some(mask) = &options.mask else {
            return Tensor::apply(op, &[self, keys, values]);
        };
        match (self.shape(), keys.shape()) {
            (Ok(&[n, l, h, _]), Ok(&[_, s, _, _])) => {
                let mask = mask.broadcast_to(&[n, h, l, s]);
                Tensor::apply(op, &[self, keys, values, &mask])
            }
            _ => Tensor::apply(op, &[self, keys, values, mask]),
        }
    }
}
