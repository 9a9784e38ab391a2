//! Convolutions, poolings and what the compiler makes of them, on infinities, NaN, and very large and very small numbers: the
//! compiled engine gives what the interpreter gives, infinity for infinity and NaN for NaN.

use zerokara_core::{
    Arithmetic, Array, DType, Meta, Precision, Program, Runtime, Tensor, eval, gradients,
    interpret,
    op::{ConvOptions, PoolOptions},
};

/// Numbers between -1 and 1, the same for the same seed.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

fn array(shape: &[usize], values: &[f32]) -> Array {
    let mut array = Array::zeros(&Meta::new(shape, DType::F32));
    array.as_mut_slice::<f32>().unwrap().copy_from_slice(values);
    array
}

fn padded(padding: usize) -> ConvOptions {
    ConvOptions {
        padding: [padding; 2].into(),
        ..ConvOptions::default()
    }
}

fn pool(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Tensor {
    x.max_pool2d(PoolOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2].into(),
    })
}

/// A net: its name, the shapes of its leaves, the image first, and its output.
struct Net {
    name: &'static str,
    shapes: Vec<Vec<usize>>,
    output: fn(&[Tensor]) -> Tensor,
    /// Whether the largest of windows are chosen.
    is_pooled: bool,
    /// Whether sums are summed again.
    is_deep: bool,
}

impl Net {
    /// Whether the gradients beside such a number are left to no rounding; if they are not, only the net's output is the
    /// same for all ways of computing.
    fn is_certain(&self, odd: f32, is_direct: bool) -> bool {
        // Which element of a window is the largest: beside 1e30 others are lost, and 1e-40 is lost beside others.
        let knows_places = !self.is_pooled || !odd.is_finite() || odd == 0.0;
        // Whether a gradient from behind is zero, which times infinity is NaN: minimal filtering promises no exact zeros.
        let convolutions = self
            .shapes
            .iter()
            .filter(|shape| shape.get(2..) == Some(&[3, 3]));
        let knows_zeros = is_direct || odd.is_finite() || convolutions.count() < 2;
        knows_places && knows_zeros
    }
}

fn nets() -> Vec<Net> {
    let net = |name, shapes: &[&[usize]], is_pooled, output| Net {
        name,
        shapes: shapes.iter().map(|s| s.to_vec()).collect(),
        output,
        is_pooled,
        is_deep: shapes.len() > 3,
    };
    vec![
        net("3 x 3", &[&[2, 16, 8, 7], &[16, 16, 3, 3]], false, |l| {
            l[0].conv2d(&l[1], padded(1))
        }),
        net(
            "3 x 3 with bias, rectifier and pooling",
            &[&[2, 16, 9, 8], &[19, 16, 3, 3], &[1, 19, 1, 1]],
            true,
            |l| pool(&(l[0].conv2d(&l[1], padded(1)) + &l[2]).relu(), 2, 2, 0),
        ),
        net(
            "a first layer of 5 x 5, pooled, flattened, and a product",
            &[
                &[2, 1, 12, 14],
                &[6, 1, 5, 5],
                &[1, 6, 1, 1],
                &[6 * 4 * 5, 3],
            ],
            true,
            |l| {
                let y = (l[0].conv2d(&l[1], padded(0)) + &l[2]).relu();
                pool(&y, 2, 2, 0).reshape([2, -1]).matmul(&l[3])
            },
        ),
        net(
            "a first layer of 3 x 3 with three channels, pooled",
            &[&[2, 3, 11, 13], &[8, 3, 3, 3], &[1, 8, 1, 1]],
            true,
            |l| pool(&(l[0].conv2d(&l[1], padded(1)) + &l[2]), 2, 2, 0).tanh(),
        ),
        net(
            "an even first layer, pooled in windows of 3 x 3",
            &[&[2, 2, 10, 10], &[5, 2, 2, 3], &[1, 5, 1, 1]],
            true,
            |l| pool(&(l[0].conv2d(&l[1], padded(1)) + &l[2]).relu(), 3, 3, 0),
        ),
        net(
            "strides, dilation and groups",
            &[&[2, 4, 9, 8], &[6, 2, 3, 2]],
            false,
            |l| {
                l[0].conv2d(
                    &l[1],
                    ConvOptions {
                        stride: [2, 1],
                        padding: [2, 1].into(),
                        dilation: [1, 2],
                        groups: 2,
                    },
                )
            },
        ),
        net("overlapping windows", &[&[2, 3, 7, 8]], true, |l| {
            pool(&l[0].relu(), 3, 2, 1)
        }),
        net(
            "two convolutions",
            &[
                &[3, 3, 8, 8],
                &[16, 3, 3, 3],
                &[16, 16, 3, 3],
                &[1, 16, 1, 1],
            ],
            true,
            |l| {
                let y = l[0].conv2d(&l[1], padded(1)).relu();
                pool(&(y.conv2d(&l[2], padded(1)) + &l[3]).relu(), 2, 2, 0)
            },
        ),
    ]
}

/// NaN where NaN belongs, infinities of the right sign, and finite numbers near what they should be, as shares of the largest.
fn assert_same(found: &Array, expected: &Array, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let expected = expected.as_slice::<f32>().unwrap();
    let finite = expected.iter().filter(|x| x.is_finite());
    let largest = finite.fold(0.0f32, |a, b| a.max(b.abs()));
    for (i, (&x, &y)) in found
        .as_slice::<f32>()
        .unwrap()
        .iter()
        .zip(expected)
        .enumerate()
    {
        let fits = match y.is_finite() {
            true => (x - y).abs() <= 3e-5 * largest + 1e-41,
            false => x == y || x.is_nan() && y.is_nan(),
        };
        assert!(fits, "{what}, element {i}: {x} instead of {y}");
    }
}

/// A net with its gradients, compiled in several ways.
struct Compiled {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    programs: Vec<(&'static str, Program, usize)>,
}

impl Compiled {
    fn new(net: &Net) -> Self {
        let named = |(i, shape): (usize, &Vec<usize>)| {
            Tensor::input(format!("leaf{i}"), shape.clone(), DType::F32)
        };
        let mut inputs: Vec<Tensor> = net.shapes.iter().enumerate().map(named).collect();
        let y = (net.output)(&inputs);
        let g = Tensor::input("g", y.shape().unwrap(), DType::F32);
        let loss = (&y * &g).sum();
        // The image last: a first layer's gradients need not be known for it.
        let wanted: Vec<&Tensor> = inputs[1..].iter().chain([&inputs[0]]).collect();
        let gradients = gradients(&loss, &wanted);
        inputs.push(g);
        let outputs: Vec<Tensor> = [y].into_iter().chain(gradients).collect();
        let given: Vec<&Tensor> = inputs.iter().collect();
        let all: Vec<&Tensor> = outputs.iter().collect();
        let few = all.len().max(2) - 1;
        let compile = |count: usize, arithmetic| {
            Program::compile_with(&given, &all[..count], &[], arithmetic).unwrap()
        };
        let programs = vec![
            ("all", compile(all.len(), Arithmetic::F32), all.len()),
            ("filters", compile(few, Arithmetic::F32), few),
            ("forward", compile(1, Arithmetic::F32), 1),
            ("direct", compile(all.len(), Arithmetic::Direct), all.len()),
        ];
        Self {
            inputs,
            outputs,
            programs,
        }
    }

    /// Among the values there is `odd`, if any.
    fn check(&mut self, net: &Net, values: &[Array], odd: Option<f32>, what: &str) {
        let outputs: Vec<&Tensor> = self.outputs.iter().collect();
        let given: Vec<(&Tensor, Array)> = self.inputs.iter().zip(values.to_vec()).collect();
        let expected = interpret(&outputs, &given, Precision::AsWritten).unwrap();
        for (name, program, count) in &mut self.programs {
            let found = program.run(values).unwrap();
            let is_direct = *name == "direct";
            let count = match odd.is_none_or(|odd| net.is_certain(odd, is_direct)) {
                true => *count,
                false => 1,
            };
            for (i, (found, expected)) in found.iter().zip(&expected).take(count).enumerate() {
                assert_same(found, expected, &format!("{what}, {name}, value {i}"));
            }
        }
    }
}

/// The leaves' values, and the output's gradient.
fn values(net: &Net, compiled: &Compiled) -> Vec<Array> {
    let shapes = compiled.inputs.iter().map(|t| t.shape().unwrap().to_vec());
    let value = |(i, shape): (usize, Vec<usize>)| {
        let seed = i as u32 + net.name.len() as u32;
        array(&shape, &numbers(shape.iter().product(), seed))
    };
    shapes.enumerate().map(value).collect()
}

#[test]
fn odd_numbers_one_at_a_time() {
    for net in nets() {
        let mut compiled = Compiled::new(&net);
        let plain = values(&net, &compiled);
        compiled.check(&net, &plain, None, net.name);
        for leaf in 0..plain.len() {
            let len = plain[leaf].as_slice::<f32>().unwrap().len();
            for (number, at) in (0..len).step_by((len / 23).max(1)).enumerate() {
                // A bias added to all of a window may round two sums to the same: then the larger term is chosen.
                let is_bias = net
                    .shapes
                    .get(leaf)
                    .is_some_and(|s| s[..].ends_with(&[1, 1]));
                // Sums of several of the largest would overflow in one order and not in another.
                let large = if net.is_deep { 1e30 } else { 3e38 };
                let odd = [
                    f32::INFINITY,
                    f32::NAN,
                    f32::NEG_INFINITY,
                    -0.0,
                    large,
                    1e-40,
                ];
                let odd = odd[number % if is_bias { 4 } else { 6 }];
                let mut values = plain.clone();
                values[leaf].as_mut_slice::<f32>().unwrap()[at] = odd;
                let what = format!("{}, leaf {leaf}[{at}] = {odd}", net.name);
                compiled.check(&net, &values, Some(odd), &what);
            }
        }
    }
}

#[test]
fn odd_numbers_together_and_everywhere() {
    for net in nets() {
        let mut compiled = Compiled::new(&net);
        let plain = values(&net, &compiled);
        for leaf in 0..plain.len() {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-40] {
                let mut values = plain.clone();
                values[leaf].as_mut_slice::<f32>().unwrap().fill(odd);
                let what = format!("{}, leaf {leaf} all {odd}", net.name);
                compiled.check(&net, &values, Some(odd), &what);
                let mut values = plain.clone();
                let some = values[leaf]
                    .as_mut_slice::<f32>()
                    .unwrap()
                    .iter_mut()
                    .step_by(7);
                some.for_each(|x| *x = odd);
                let what = format!("{}, leaf {leaf} some {odd}", net.name);
                compiled.check(&net, &values, Some(odd), &what);
            }
            // Sparse, tiny.
            let mut values = plain.clone();
            for x in values[leaf].as_mut_slice::<f32>().unwrap() {
                *x = if *x > 0.6 { *x } else { 0.0 };
            }
            compiled.check(
                &net,
                &values,
                None,
                &format!("{}, leaf {leaf} sparse", net.name),
            );
            let mut values = plain.clone();
            values[leaf]
                .as_mut_slice::<f32>()
                .unwrap()
                .iter_mut()
                .for_each(|x| *x *= 1e-39);
            let what = format!("{}, leaf {leaf} tiny", net.name);
            compiled.check(&net, &values, Some(1e-39), &what);
        }
    }
}

/// The instance that shows it: one large number in a corner of zeros reaches its neighbours and nothing else.
#[test]
fn a_large_number_in_a_corner() {
    let w = numbers(16 * 16 * 9, 3);
    let far = |y: &[f32]| -> Vec<f32> {
        let places = y.iter().enumerate();
        let far = places.filter(|(i, _)| i / 12 % 12 > 1 || i % 12 > 1);
        far.map(|(_, &y)| y).filter(|&y| y != 0.0).collect()
    };
    for odd in [1e6, f32::INFINITY] {
        let mut image = vec![0.0f32; 16 * 144];
        image[0] = odd;
        let image = array(&[1, 16, 12, 12], &image);
        let run = |arithmetic| {
            let x = Tensor::input("x", [1, 16, 12, 12], DType::F32);
            let w = Tensor::from(w.clone()).reshape([16, 16, 3, 3]);
            let y = x.conv2d(&w, padded(1));
            let program = Program::compile_with(&[&x], &[&y], &[], arithmetic);
            let images = std::slice::from_ref(&image);
            program.unwrap().run(images).unwrap().remove(0)
        };
        let direct = far(run(Arithmetic::Direct).as_slice::<f32>().unwrap());
        assert!(direct.is_empty(), "{odd}: {direct:?}");
        let fast = far(run(Arithmetic::F32).as_slice::<f32>().unwrap());
        // Beside 1e6, errors of its size; where it is infinite, the direct sum.
        let bound = if odd.is_finite() { 1e6 * 1e-6 } else { 0.0 };
        assert!(fast.iter().all(|y| y.abs() <= bound), "{odd}: {fast:?}");
    }
}

/// A runtime that is asked for direct sums has them in eager evaluation and in programs; the same bits on one thread and many.
#[test]
fn a_runtime_of_direct_sums() {
    let mut image = vec![0.0f32; 16 * 144];
    image[0] = 1e6;
    let x = Tensor::from(image).reshape([1, 16, 12, 12]);
    let w = Tensor::from(numbers(16 * 16 * 9, 3)).reshape([16, 16, 3, 3]);
    let y = || x.conv2d(&w, padded(1));
    let mut bits = Vec::new();
    for threads in [1, 3] {
        let runtime = Runtime::new(threads).unwrap().precision(Arithmetic::Direct);
        runtime.unwrap().install();
        let eager = eval(&[&y()]).unwrap().remove(0);
        let program = Program::compile(&[], &[&y()], &[])
            .unwrap()
            .run(&[])
            .unwrap();
        for y in [&eager, &program[0]] {
            let zeros = y
                .as_slice::<f32>()
                .unwrap()
                .iter()
                .filter(|&&y| y == 0.0)
                .count();
            assert!(zeros >= 16 * 140, "{zeros}");
            let all = y.as_slice::<f32>().unwrap().iter().map(|y| y.to_bits());
            bits.push(all.collect::<Vec<u32>>());
        }
    }
    assert!(bits.iter().all(|b| *b == bits[0]));
    Runtime::new(2).unwrap().install();
}
