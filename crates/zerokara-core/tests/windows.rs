//! What must hold of operations that slide and resize, whatever the numbers.

use zerokara_core::{
    Array, Result, Tensor, grad,
    op::{
        Conv1dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
        Interpolation, ResizeOptions, WindowOptions,
    },
    same_padding,
};

fn noise(key: u64, shape: &[usize]) -> Tensor {
    Tensor::normal(key, &Tensor::from(0i64), shape)
}

fn count(n: usize) -> Tensor {
    Tensor::from((0..n).map(|i| i as f32).collect::<Vec<f32>>())
}

/// `<conv(x), y> = <x, conv_transpose(y)>` with the same filters.
#[test]
fn a_transposed_convolution_is_the_transpose() -> Result<()> {
    let (x, w) = (noise(1, &[2, 3, 7, 6]), noise(2, &[4, 3, 3, 2]));
    let options = ConvOptions {
        stride: [2, 1],
        padding: [1, 0].into(),
        ..ConvOptions::default()
    };
    let forward = x.conv2d(&w, options);
    let y = noise(3, forward.shape()?);
    let back = ConvTranspose2dOptions {
        stride: options.stride,
        padding: options.padding,
        ..ConvTranspose2dOptions::default()
    };
    let transposed = y.conv_transpose2d(&w, back);
    assert_eq!(transposed.shape()?, x.shape()?);
    let (a, b) = ((forward * &y).sum().item()?, (x * transposed).sum().item()?);
    assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{a} {b}");
    Ok(())
}

/// A filter of one slice convolves each slice by itself.
#[test]
fn volumes_of_one_slice_are_images() -> Result<()> {
    let (x, w) = (noise(1, &[2, 4, 3, 5, 6]), noise(2, &[6, 2, 1, 3, 3]));
    let y = x.conv3d(
        &w,
        Conv3dOptions {
            padding: [0, 1, 1, 0, 1, 1],
            groups: 2,
            ..Conv3dOptions::default()
        },
    );
    let options = ConvOptions {
        padding: 1.into(),
        groups: 2,
        ..ConvOptions::default()
    };
    for z in 0..3 {
        let slice = x.at(2, z).conv2d(&w.squeeze(2), options);
        assert!((y.at(2, z) - slice).abs().max().item()? < 1e-4);
    }
    Ok(())
}

/// Outside of the input there is nothing that an infinity of the filter could be multiplied by.
#[test]
fn what_lies_outside_is_not_multiplied() -> Result<()> {
    let x = Tensor::ones([1, 1, 2, 2, 2]);
    let mut filter = vec![1.0f32; 27];
    filter[13] = f32::INFINITY; // the middle
    let w = Tensor::from(Array::new([1, 1, 3, 3, 3], filter));
    let options = Conv3dOptions {
        padding: [1; 6],
        ..Conv3dOptions::default()
    };
    let y = x.conv3d(&w, options);
    assert!(y.to_vec::<f32>()?.iter().all(|&v| v == f32::INFINITY));
    let mut filter = vec![1.0f32; 3];
    filter[0] = f32::INFINITY;
    let w = Tensor::from(Array::new([1, 1, 3], filter));
    let y = Tensor::ones([1, 1, 3]).conv1d(&w, Conv1dOptions::default().causal(3));
    assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, f32::INFINITY]);
    Ok(())
}

/// Places that have no weight are not read.
#[test]
fn what_has_no_weight_is_not_read() -> Result<()> {
    let x = Tensor::from([1.0, f32::INFINITY, 2.0, 3.0]);
    let y = x.resize(ResizeOptions::scales(Interpolation::Cubic, [1.0]));
    assert_eq!(y.to_vec::<f32>()?, x.to_vec::<f32>()?);
    let y = x.resize(ResizeOptions::scales(Interpolation::Linear, [2.0]));
    let found = y.to_vec::<f32>()?;
    assert_eq!(found[0], 1.0);
    assert!(found[1..5].iter().all(|v| *v == f32::INFINITY), "{found:?}");
    assert_eq!(found[5..], [2.25, 2.75, 3.0]);
    Ok(())
}

/// Of equal elements of a window the first has the gradient, dilated or not.
#[test]
fn the_first_largest_element_has_the_gradient() -> Result<()> {
    let x = Tensor::ones([1, 1, 3, 4]);
    for dilation in [vec![], vec![2, 1], vec![1, 2], vec![2, 2]] {
        let options = WindowOptions {
            stride: vec![9, 9],
            dilation,
            ..WindowOptions::new([2, 2])
        };
        let g = grad(&x.max_pool(options).sum(), &x).to_vec::<f32>()?;
        assert_eq!((g[0], g.iter().sum::<f32>()), (1.0, 1.0), "{g:?}");
    }
    Ok(())
}

#[test]
fn adaptive_pooling_of_sizes_that_divide_is_a_pooling() -> Result<()> {
    let x = count(24).reshape([1, 1, 4, 6]);
    let mean = x.adaptive_avg_pool2d([2, 3]).to_vec::<f32>()?;
    assert_eq!(mean, [3.5, 5.5, 7.5, 15.5, 17.5, 19.5]);
    let largest = x.adaptive_max_pool2d([2, 3]).to_vec::<f32>()?;
    assert_eq!(largest, [7.0, 9.0, 11.0, 19.0, 21.0, 23.0]);
    Ok(())
}

#[test]
fn sizes_that_are_asked_for_are_given() -> Result<()> {
    for (input, kernel, stride, dilation) in
        [(7, 3, 1, 1), (7, 4, 2, 2), (5, 1, 3, 1), (1, 5, 2, 1)]
    {
        for upper in [true, false] {
            let padding = same_padding(input, kernel, stride, dilation, upper)?;
            let options = Conv1dOptions {
                stride,
                padding,
                dilation,
                groups: 1,
            };
            let y = Tensor::zeros([1, 1, input]).conv1d(&Tensor::zeros([1, 1, kernel]), options);
            assert_eq!(y.shape()?, [1, 1, input.div_ceil(stride)]);
            let options = ConvTranspose1dOptions {
                stride,
                dilation,
                ..ConvTranspose1dOptions::default()
            };
            for output in [input, input * stride, input * stride + 9] {
                let options = options.fitted(input, kernel, output, upper)?;
                let y = Tensor::zeros([1, 1, input])
                    .conv_transpose1d(&Tensor::zeros([1, 1, kernel]), options);
                assert_eq!(y.shape()?, [1, 1, output]);
            }
        }
    }
    Ok(())
}
