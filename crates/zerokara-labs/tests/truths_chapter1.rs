//! What the lab of chapter 1 states, once more through the library: NumPy's results for the same arrays.

use zerokara::prelude::*;

fn matrix() -> Tensor {
    Tensor::from([[51.0, 55.0], [14.0, 19.0], [0.0, 4.0]])
}

#[test]
fn arithmetic_goes_element_by_element() {
    let (x, y) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from([2.0, 4.0, 6.0]));
    assert_eq!((&x + &y).to_vec::<f32>().unwrap(), [3.0, 6.0, 9.0]);
    assert_eq!((&x * &y).to_vec::<f32>().unwrap(), [2.0, 8.0, 18.0]);
    assert_eq!((&x / &y).to_vec::<f32>().unwrap(), [0.5; 3]);
}

#[test]
fn rows_and_numbers_are_repeated() {
    let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let row = Tensor::from([10.0, 20.0]);
    assert_eq!((&a * &row).to_vec::<f32>().unwrap(), [10.0, 40.0, 30.0, 80.0]);
    assert_eq!((&a * 10.0).to_vec::<f32>().unwrap(), [10.0, 20.0, 30.0, 40.0]);
    assert!((&a + Tensor::from([1.0, 2.0, 3.0])).eval().is_err());
}

#[test]
fn shapes_change_without_the_order_and_axes_with_it() {
    let x = matrix();
    assert_eq!(x.reshape([2, 3]).to_vec::<f32>().unwrap(), x.to_vec::<f32>().unwrap());
    let turned = x.t().to_vec::<f32>().unwrap();
    assert_eq!(turned, [51.0, 14.0, 0.0, 55.0, 19.0, 4.0]);
}

#[test]
fn reductions_take_the_named_axis_away() {
    let x = matrix();
    assert_eq!(x.sum_axes(&[0], false).to_vec::<f32>().unwrap(), [65.0, 78.0]);
    assert_eq!(x.sum_axes(&[1], false).to_vec::<f32>().unwrap(), [106.0, 33.0, 4.0]);
}

#[test]
fn values_never_change() {
    let x = matrix();
    let y = &x + 1.0;
    assert_eq!(x.to_vec::<f32>().unwrap()[0], 51.0);
    assert_eq!(y.to_vec::<f32>().unwrap()[0], 52.0);
}
