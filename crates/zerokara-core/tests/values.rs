//! Values never change: whatever is set, run and looked at in between, in whatever order, an expression has the value of
//! what was current when it was built.

use zerokara_core::{Array, DType, Parameter, Program, Tensor, grad};

/// Knuth's linear congruential generator: numbers below `n`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
}

const N: usize = 3;

type Values = [f32; N];

fn map2(a: Values, b: Values, f: impl Fn(f32, f32) -> f32) -> Values {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Looks at a tensor in one of the ways there are.
fn look(random: &mut Random, tensor: &Tensor, expected: Values, what: &str) {
    match random.below(4) {
        0 => assert_eq!(
            tensor.eval().unwrap().as_slice::<f32>().unwrap(),
            expected,
            "{what}"
        ),
        1 => assert_eq!(tensor.to_vec::<f32>().unwrap(), expected, "{what}"),
        2 => assert_eq!(
            tensor.to_string(),
            Tensor::from(expected).to_string(),
            "{what}"
        ),
        _ => {
            let sum: f64 = expected.iter().map(|&v| v as f64).sum();
            assert_eq!(tensor.sum().item().unwrap(), sum, "{what}");
        }
    }
}

/// Two parameters and a step `p <- p - gradient of sum(p x)`, `q <- q + p`, with a second program that only reads. All
/// numbers are small integers, so that every sum is exact.
fn interleave(seed: u64) {
    let random = &mut Random(seed);
    let mut now: [Values; 2] = [[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]];
    let p = Parameter::new("p", &Tensor::from(now[0])).unwrap();
    let q = Parameter::new("q", &Tensor::from(now[1])).unwrap();
    let x = Tensor::input("x", [N], DType::F32);
    let (p0, q0) = (p.tensor(), q.tensor());
    let loss = (&p0 * &x).sum();
    let updates = [(p.clone(), &p0 - grad(&loss, &p0)), (q.clone(), &q0 + &p0)];
    let step = Program::compile(&[&x], &[&loss], &updates).unwrap();
    let reader = Program::compile(&[], &[&(&p0 + &q0)], &[]).unwrap();
    drop((p0, q0));

    let mut expressions: Vec<(Tensor, Values)> = Vec::new();
    let mut arrays: Vec<(Array, Values)> = Vec::new();
    for action in 0..80 {
        let what = format!("seed {seed}, action {action}");
        match random.below(12) {
            0 => expressions.push((p.tensor(), now[0])),
            1 => {
                let value = map2(now[0], now[1], |p, q| p * 2.0 + q);
                expressions.push((p.tensor() * 2.0 + q.tensor(), value));
            }
            2 => {
                let p = p.tensor();
                let value = map2(now[0], now[1], |p, _| 2.0 * p + 1.0);
                expressions.push((grad(&(p.square().sum() + p.sum()), &p), value));
            }
            3 if !expressions.is_empty() => {
                // Builds upon what was built before, seen or not, and on what is current now.
                let (old, value) = expressions[random.below(expressions.len())].clone();
                let value = map2(value, now[1], |old, q| old - q);
                expressions.push((&old - q.tensor(), value));
            }
            4 => {
                arrays.push((p.value(), now[0]));
                arrays.push((q.value(), now[1]));
            }
            5 => {
                now[0] = std::array::from_fn(|_| random.below(9) as f32 - 4.0);
                p.set(&Tensor::from(now[0])).unwrap();
            }
            6 => {
                // A value computed from the old one.
                now[1] = map2(now[1], now[0], |q, p| -q + p);
                q.set(&(-q.tensor() + p.tensor())).unwrap();
            }
            7 | 8 => {
                let input: Values = std::array::from_fn(|_| random.below(7) as f32 - 3.0);
                let outputs = step.run(&[Array::new([N], input.to_vec())]).unwrap();
                let loss: f32 = map2(now[0], input, |p, x| p * x).iter().sum();
                assert_eq!(outputs[0].as_slice::<f32>().unwrap(), [loss], "{what}");
                now = [
                    map2(now[0], input, |p, x| p - x),
                    map2(now[1], now[0], |q, p| q + p),
                ];
                let read = reader.run(&[]).unwrap();
                let sum = map2(now[0], now[1], |p, q| p + q);
                assert_eq!(read[0].as_slice::<f32>().unwrap(), sum, "{what}");
                arrays.push((read[0].clone(), sum));
            }
            9 if !expressions.is_empty() => {
                let at = random.below(expressions.len());
                expressions.swap_remove(at);
            }
            10 if !arrays.is_empty() => {
                let at = random.below(arrays.len());
                arrays.swap_remove(at);
            }
            _ if !expressions.is_empty() => {
                let (tensor, value) = expressions[random.below(expressions.len())].clone();
                look(random, &tensor, value, &what);
            }
            _ => {}
        }
        assert_eq!(p.value().as_slice::<f32>().unwrap(), now[0], "{what}");
        for (array, value) in &arrays {
            assert_eq!(array.as_slice::<f32>().unwrap(), value, "{what}");
        }
    }
    for (tensor, value) in &expressions {
        look(random, tensor, *value, &format!("seed {seed}, at the end"));
    }
}

#[test]
fn any_order_of_looking_setting_and_running() {
    (0..60).for_each(interleave);
}

/// A step writes in place when nobody holds the old value, else beside it.
#[test]
fn a_step_copies_only_what_somebody_holds() {
    let p = Parameter::new("p", &Tensor::from([1.0, 2.0])).unwrap();
    let update = p.tensor() * 2.0;
    let step = Program::compile(&[], &[], &[(p.clone(), update)]).unwrap();
    let address = |array: &Array| array.as_slice::<f32>().unwrap().as_ptr();
    step.run(&[]).unwrap();
    let first = address(&p.value());
    step.run(&[]).unwrap();
    assert_eq!(address(&p.value()), first, "written in place");
    let held = p.tensor();
    step.run(&[]).unwrap();
    assert_ne!(address(&p.value()), first, "somebody holds the old value");
    assert_eq!(held.to_vec::<f32>().unwrap(), [4.0, 8.0]);
    assert_eq!(p.tensor().to_vec::<f32>().unwrap(), [8.0, 16.0]);
}
