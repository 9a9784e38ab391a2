//! What chapter 2's lab states, through the library.

use zerokara::prelude::*;

const INPUTS: [[f32; 2]; 4] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];

fn gate(x: &Tensor, w1: f32, w2: f32, b: f64) -> Tensor {
    (x.matmul(&Tensor::from([[w1], [w2]])) + b).step()
}

fn outputs(y: &Tensor) -> Vec<f32> {
    y.to_vec::<f32>().unwrap()
}

#[test]
fn gates_have_the_books_truth_tables() {
    let x = Tensor::from(INPUTS);
    // Weights and biases of pages 26 and 27.
    assert_eq!(outputs(&gate(&x, 0.5, 0.5, -0.7)), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(outputs(&gate(&x, -0.5, -0.5, 0.7)), [1.0, 1.0, 1.0, 0.0]);
    assert_eq!(outputs(&gate(&x, 0.5, 0.5, -0.2)), [0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn two_layers_make_xor() {
    let x = Tensor::from(INPUTS);
    let s = Tensor::concat(&[&gate(&x, -0.5, -0.5, 0.7), &gate(&x, 0.5, 0.5, -0.2)], 1);
    assert_eq!(s.shape().unwrap(), [4, 2]);
    assert_eq!(outputs(&gate(&s, 0.5, 0.5, -0.7)), [0.0, 1.0, 1.0, 0.0]);
}

#[test]
fn one_perceptron_makes_fourteen_of_the_sixteen_gates() {
    let x = Tensor::from(INPUTS);
    let steps = || (-4..=4).map(|i| i as f32 / 2.0);
    let mut found = std::collections::BTreeSet::new();
    for w1 in steps() {
        for w2 in steps() {
            let columns: Vec<f32> = steps().collect();
            let y = (x.matmul(&Tensor::from([[w1], [w2]])) + Tensor::from(columns)).step();
            let y = outputs(&y);
            for column in 0..9 {
                found.insert((0..4).map(|i| y[i * 9 + column] as u8).collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(found.len(), 14);
    assert!(!found.contains(&vec![0, 1, 1, 0]) && !found.contains(&vec![1, 0, 0, 1]));
}
