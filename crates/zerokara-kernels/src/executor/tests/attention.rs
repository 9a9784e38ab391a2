//! Attention and its gradient against the definition, pair by pair in double precision.

use super::*;
use crate::{
    plan::{AttentionGeometry, AttentionGradientStep, AttentionInputs, AttentionStep},
    rounding::bound,
};

/// How operands lie: as they are named, as a part of `[N, L, 3, H, D]`, or the last axis slowest.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Dense,
    Joined,
    Turned,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Masked {
    No,
    /// A number for each pair, some of them -inf.
    Added,
    /// A truth value for each key, the same for all heads and queries; sample 0 sees nothing at all.
    Keys,
}

/// A view `[n, l, h, d]` on a buffer, which is returned with room around.
fn operand(
    random: &mut Random,
    buffer: usize,
    shape: [usize; 4],
    layout: Layout,
) -> (View, Storage) {
    let [n, l, h, d] = shape;
    let len = shape.iter().product::<usize>();
    let signed = |x: [usize; 4]| x.map(|x| x as isize);
    let (offset, strides, room) = match layout {
        Layout::Dense => (0, signed([l * h * d, h * d, d, 1]), len),
        Layout::Joined => (
            if len == 0 { 0 } else { h * d },
            signed([l * 3 * h * d, 3 * h * d, d, 1]),
            3 * len,
        ),
        Layout::Turned => (len.min(1), signed([l * h, h, 1, n * l * h]), len + 1),
    };
    let view = view(buffer, offset, &shape, &strides);
    (view, Storage::from(random.floats(room)))
}

struct Case {
    geometry: AttentionGeometry,
    inputs: AttentionInputs,
    given: View,
    buffers: Vec<Storage>,
}

fn case(geometry: AttentionGeometry, layout: Layout, masked: Masked, seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let g = &geometry;
    let (query, a) = operand(random, 0, g.query(), layout);
    let (key, b) = operand(random, 1, g.key(), layout);
    let (value, c) = operand(random, 2, g.value(), layout);
    let (given, d) = operand(random, 3, g.output(), layout);
    let [n, h, l, s] = g.mask();
    let (mask, e) = match masked {
        Masked::No => (None, Storage::zeros(Element::F32, 0)),
        Masked::Added => {
            let numbers = random.floats(n * h * l * s).into_iter();
            let numbers = numbers.map(|x| if x > 0.7 { f32::NEG_INFINITY } else { x });
            let view = dense(4, 0, &g.mask());
            (Some(view), Storage::from(numbers.collect::<Vec<f32>>()))
        }
        Masked::Keys => {
            let truths = (0..n * s).map(|i| u8::from(i >= s && random.below(3) > 0));
            let view = view(4, 0, &g.mask(), &[s as isize, 0, 0, 1]);
            let mut truth = Storage::zeros(Element::Bool, n * s);
            let Some(all) = truth.bools_mut() else {
                panic!("truth values")
            };
            truths.zip(all).for_each(|(from, to)| *to = from);
            (Some(view), truth)
        }
    };
    let zeros = |shape: [usize; 4]| Storage::from(vec![7.0f32; shape.iter().product()]);
    let buffers = vec![
        a,
        b,
        c,
        d,
        e,
        zeros(g.output()),
        zeros(g.query()),
        zeros(g.key()),
        zeros(g.value()),
    ];
    let inputs = AttentionInputs {
        geometry,
        query,
        key,
        value,
        mask,
    };
    Case {
        geometry,
        inputs,
        given,
        buffers,
    }
}

impl Case {
    fn attention(&self) -> Step {
        Step::Attention(AttentionStep {
            inputs: self.inputs.clone(),
            output: dense(5, 0, &self.geometry.output()),
        })
    }

    fn gradient(&self) -> Step {
        let g = &self.geometry;
        Step::AttentionGradient(AttentionGradientStep {
            inputs: self.inputs.clone(),
            output_gradient: self.given.clone(),
            query_gradient: dense(6, 0, &g.query()),
            key_gradient: dense(7, 0, &g.key()),
            value_gradient: dense(8, 0, &g.value()),
        })
    }

    fn at(&self, view: &View, index: [usize; 4]) -> f64 {
        let offsets = index.iter().zip(&view.strides);
        let at = view.offset as isize + offsets.map(|(&i, s)| i as isize * s).sum::<isize>();
        element(&self.buffers[view.buffer], at as usize)
    }

    /// Checks the output and the gradients against the definition.
    fn check(&self, after: &[Storage], context: &str) {
        let g = &self.geometry;
        let each = g.heads / g.groups;
        let x = &self.inputs;
        let scale = f64::from(g.scale);
        let (mut dk, mut dv) = (
            vec![Sum::default(); g.key().iter().product()],
            vec![Sum::default(); g.value().iter().product()],
        );
        // What an error of a score comes to in its weight, in parts of it: scores are sums of so many products.
        let loose = |size: f64| 4.0 * bound(g.width + 4, 1.0 + size);
        let mut slack: f64 = 0.0;
        let near = |got: f64, expected: f64, allowed: f64, what: &str| {
            let fits = (got - expected).abs() <= allowed || got.is_nan() && expected.is_nan();
            assert!(fits, "{what}: {got} for {expected} +- {allowed}: {context}");
        };
        for n in 0..g.batch {
            for h in 0..g.heads {
                for i in 0..g.queries {
                    let seen: Vec<(usize, f64, f64)> = (0..g.keys)
                        .filter(|&j| !g.causal || (j as i64) <= g.position + i as i64)
                        .filter_map(|j| {
                            let added = match &x.mask {
                                None => 0.0,
                                Some(mask) => match self.buffers[4].element() {
                                    Element::F32 => self.at(mask, [n, h, i, j]),
                                    _ if self.at(mask, [n, h, i, j]) == 0.0 => f64::NEG_INFINITY,
                                    _ => 0.0,
                                },
                            };
                            let terms = (0..g.width).map(|d| {
                                self.at(&x.query, [n, i, h, d])
                                    * self.at(&x.key, [n, j, h / each, d])
                            });
                            let sum: Sum = terms.collect();
                            let score = sum.value * scale + added;
                            let size = sum.size * scale.abs() + added.abs();
                            (added != f64::NEG_INFINITY).then_some((j, score, size))
                        })
                        .collect();
                    let most = seen.iter().fold(f64::NEG_INFINITY, |m, s| m.max(s.1));
                    let total: f64 = seen.iter().map(|s| (s.1 - most).exp()).sum();
                    let weights: Vec<(usize, f64)> = seen
                        .iter()
                        .map(|s| (s.0, (s.1 - most).exp() / total))
                        .collect();
                    let size = seen.iter().fold(0.0f64, |m, s| m.max(s.2));
                    slack = slack.max(loose(size));
                    for e in 0..g.values {
                        let terms = weights
                            .iter()
                            .map(|&(j, p)| p * self.at(&x.value, [n, j, h / each, e]));
                        let sum: Sum = terms.collect();
                        let at = ((n * g.queries + i) * g.heads + h) * g.values + e;
                        let allowed = sum.bound() + slack * sum.size;
                        near(element(&after[5], at), sum.value, allowed, "output");
                    }
                    let through = |j: usize| -> Sum {
                        let terms = (0..g.values).map(|e| {
                            self.at(&self.given, [n, i, h, e])
                                * self.at(&x.value, [n, j, h / each, e])
                        });
                        terms.collect()
                    };
                    let mut mean = Sum::default();
                    for &(j, p) in &weights {
                        mean.join(through(j).times(p));
                    }
                    let scored: Vec<(usize, Sum)> = weights
                        .iter()
                        .map(|&(j, p)| {
                            let mut sum = through(j);
                            sum.join(mean.times(-1.0));
                            (j, sum.times(p * scale))
                        })
                        .collect();
                    for d in 0..g.width {
                        let mut sum = Sum::default();
                        for &(j, s) in &scored {
                            let key = self.at(&x.key, [n, j, h / each, d]);
                            sum.join(s.times(key));
                            let at = ((n * g.keys + j) * g.groups + h / each) * g.width + d;
                            dk[at].join(s.times(self.at(&x.query, [n, i, h, d])));
                        }
                        let at = ((n * g.queries + i) * g.heads + h) * g.width + d;
                        let allowed = sum.bound() + slack * sum.size;
                        near(element(&after[6], at), sum.value, allowed, "queries");
                    }
                    for &(j, p) in &weights {
                        for e in 0..g.values {
                            let at = ((n * g.keys + j) * g.groups + h / each) * g.values + e;
                            dv[at].add(p * self.at(&self.given, [n, i, h, e]));
                        }
                    }
                }
            }
        }
        for (of, sums, what) in [(7, dk, "keys"), (8, dv, "values")] {
            for (at, sum) in sums.iter().enumerate() {
                let allowed = sum.bound() + slack * sum.size;
                near(element(&after[of], at), sum.value, allowed, what);
            }
        }
    }
}

/// `[N, L, S, H, G, D, E]`
fn geometry(sizes: [usize; 7], causal: Option<i64>) -> AttentionGeometry {
    let [batch, queries, keys, heads, groups, width, values] = sizes;
    AttentionGeometry {
        batch,
        queries,
        keys,
        heads,
        groups,
        width,
        values,
        causal: causal.is_some(),
        position: causal.unwrap_or(0),
        scale: 1.0 / (width.max(1) as f32).sqrt(),
    }
}

fn run(case: &Case, isa: Isa) -> Vec<Storage> {
    let mut after = run_plan(&single(case.attention(), &case.buffers), isa, &case.buffers);
    let plan = single(case.gradient(), &case.buffers);
    for (to, from) in after
        .iter_mut()
        .zip(run_plan(&plan, isa, &case.buffers))
        .skip(6)
    {
        *to = from;
    }
    after
}

#[test]
fn attention_and_its_gradients() {
    let cases = [
        ([1, 1, 1, 1, 1, 1, 1], None, Masked::No),
        ([2, 5, 7, 2, 2, 3, 5], None, Masked::No),
        ([2, 5, 7, 2, 2, 3, 5], None, Masked::Keys),
        ([2, 5, 7, 2, 1, 3, 5], None, Masked::Added),
        ([1, 70, 70, 2, 2, 16, 16], Some(0), Masked::No),
        ([1, 70, 70, 4, 2, 33, 20], Some(0), Masked::Added),
        ([2, 33, 65, 3, 1, 9, 17], Some(32), Masked::Keys),
        // The first queries see nothing.
        ([1, 9, 6, 1, 1, 4, 4], Some(-3), Masked::No),
        ([1, 300, 40, 2, 1, 8, 8], None, Masked::No),
        ([1, 3, 300, 1, 1, 40, 8], Some(297), Masked::No),
        ([2, 130, 300, 1, 1, 64, 24], None, Masked::Added),
        ([2, 0, 3, 2, 2, 4, 4], None, Masked::No),
        ([2, 3, 0, 2, 2, 4, 4], None, Masked::No),
        ([2, 3, 4, 2, 2, 0, 4], None, Masked::No),
        ([2, 3, 4, 2, 2, 4, 0], None, Masked::No),
    ];
    for (sizes, causal, masked) in cases {
        for layout in [Layout::Dense, Layout::Joined, Layout::Turned] {
            let case = case(geometry(sizes, causal), layout, masked, 5);
            for isa in Isa::available() {
                let context = format!("{sizes:?} {causal:?} {masked:?} {layout:?} {}", isa.name());
                case.check(&run(&case, isa), &context);
            }
        }
    }
}

#[test]
fn a_query_that_sees_nothing_gives_zeros() {
    let case = case(
        geometry([2, 3, 4, 2, 2, 4, 4], None),
        Layout::Dense,
        Masked::Keys,
        3,
    );
    for isa in Isa::available() {
        let after = run(&case, isa);
        for (of, len) in [(5, 24), (6, 24), (7, 32), (8, 32)] {
            let numbers = after[of].f32s().unwrap();
            assert!(
                numbers[..len].iter().all(|&x| x == 0.0),
                "{of}: {numbers:?}"
            );
            assert!(
                numbers[len..].iter().any(|&x| x != 0.0),
                "{of}: {numbers:?}"
            );
        }
    }
}

/// Infinities and NaN in keys and values that nobody sees are in no sum; others are where the definition has them.
#[test]
fn what_is_not_seen_may_be_anything() {
    for planted in [f32::INFINITY, f32::NAN] {
        for of in [1, 2] {
            let mut case = case(
                geometry([2, 6, 9, 2, 2, 4, 4], Some(2)),
                Layout::Dense,
                Masked::No,
                8,
            );
            // Key 8 of the last sample, head 1, is seen by nobody; key 5 by the last three queries.
            let at = |key: usize| ((9 + key) * 2 + 1) * 4;
            let clean = case.buffers[of].clone();
            case.buffers[of].f32s_mut().unwrap()[at(8)] = planted;
            for isa in Isa::available() {
                let after = run(&case, isa);
                let context = format!("unseen {planted} in {of}, {}", isa.name());
                case.check(&after, &context);
                for storage in &after[5..] {
                    assert!(
                        storage.f32s().unwrap().iter().all(|x| x.is_finite()),
                        "{context}"
                    );
                }
            }
            case.buffers[of] = clean;
            case.buffers[of].f32s_mut().unwrap()[at(5)] = planted;
            for isa in Isa::available() {
                let after = run(&case, isa);
                let output = after[5].f32s().unwrap();
                for (i, row) in output.chunks(4).enumerate() {
                    let (sample, query, head) = (i / 12, i / 2 % 6, i % 2);
                    let is_met = sample == 1 && head == 1 && query >= 3;
                    assert_eq!(
                        row.iter().all(|x| x.is_finite()),
                        !is_met,
                        "{of} {planted} {i}"
                    );
                }
            }
        }
    }
}

#[test]
fn heads_that_do_not_go_together_are_refused() {
    let case = case(
        geometry([1, 2, 2, 4, 2, 2, 2], None),
        Layout::Dense,
        Masked::No,
        1,
    );
    let mut geometry = case.geometry;
    geometry.heads = 3;
    let inputs = AttentionInputs {
        geometry,
        query: dense(0, 0, &geometry.query()),
        ..case.inputs.clone()
    };
    let step = Step::Attention(AttentionStep {
        inputs,
        output: dense(5, 0, &geometry.output()),
    });
    let error = Executor::new(&single(step, &case.buffers), Isa::Portable).err();
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert!(
        message.contains("3 heads cannot share 2 evenly"),
        "{message}"
    );
}
