//! Pixels brought to another size: along an axis that shrinks, the mean of what a pixel covers; along one that grows, linear
//! interpolation.

/// Pixels `[to[0], to[1]]`, each of `L` values, of a picture `[from[0], from[1]]` (height, width) whose row `y` is written by
/// `line(y, row)`.
///
/// Rows first, which are whole vectors to a CPU, and of which only one is kept at a time; then columns.
pub(crate) fn scaled<const L: usize>(
    from: [usize; 2],
    to: [usize; 2],
    line: impl Fn(usize, &mut [[f32; L]]),
) -> Vec<[f32; L]> {
    let [rows, columns] = [0, 1].map(|axis| shares(from[axis], to[axis]));
    let mut pixels = Vec::with_capacity(to[0] * to[1]);
    let mut row = vec![[0.0; L]; from[1]];
    let mut sum = row.clone();
    for (first, weights) in &rows {
        sum.fill([0.0; L]);
        for (y, weight) in (*first..).zip(weights) {
            line(y, &mut row);
            let values = row.as_flattened().iter();
            let sums = sum.as_flattened_mut().iter_mut();
            sums.zip(values).for_each(|(s, v)| *s += weight * v);
        }
        for (first, weights) in &columns {
            let mut pixel = [0.0; L];
            for (values, weight) in sum[*first..].iter().zip(weights) {
                let all = pixel.iter_mut().zip(values);
                all.for_each(|(s, v)| *s += weight * v);
            }
            pixels.push(pixel);
        }
    }
    pixels
}

/// For each of `to` pixels, the first of the `from` pixels that it is made of, and their shares, which sum to 1.
fn shares(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let shrunk = |pixel: usize| {
        let (begin, end) = (pixel as f64 * scale, (pixel + 1) as f64 * scale);
        let first = begin as usize;
        let last = (end.ceil() as usize).min(from);
        let covered =
            |at: usize| (end.min((at + 1) as f64) - begin.max(at as f64)).max(0.0) / scale;
        (first, (first..last).map(|at| covered(at) as f32).collect())
    };
    let grown = |pixel: usize| {
        let centre = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
        let first = centre as usize;
        let share = (centre - first as f64) as f32;
        match first + 1 < from && share > 0.0 {
            true => (first, vec![1.0 - share, share]),
            false => (first, vec![1.0]),
        }
    };
    match from > to {
        true => (0..to).map(shrunk).collect(),
        false => (0..to).map(grown).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(values: &[&[f32]], height: usize, width: usize) -> Vec<f32> {
        let from = [values.len(), values[0].len()];
        let pixels = scaled(from, [height, width], |y, row: &mut [[f32; 1]]| {
            row.as_flattened_mut().copy_from_slice(values[y]);
        });
        pixels.into_flattened()
    }

    #[test]
    fn shrinking_averages_what_is_covered() {
        let square: [&[f32]; 2] = [&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]];
        assert_eq!(resized(&square, 1, 2), [3.5, 5.5]);
        // 3 to 2: each takes one pixel and half of the middle one.
        let line = resized(&[&[0.0, 3.0, 9.0]], 1, 2);
        assert!((line[0] - 1.0).abs() < 1e-6 && (line[1] - 7.0).abs() < 1e-6);
        assert_eq!(resized(&[&[0.0], &[3.0]], 1, 1), [1.5]);
    }

    #[test]
    fn growing_interpolates() {
        let line: [&[f32]; 1] = [&[0.0, 1.0]];
        assert_eq!(resized(&line, 1, 4), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(resized(&line, 2, 2), [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn shares_sum_to_one() {
        let sizes = [
            (1, 1),
            (1, 7),
            (7, 1),
            (5, 5),
            (1000, 28),
            (29, 28),
            (28, 29),
        ];
        for (from, to) in sizes {
            let pixels = shares(from, to);
            assert_eq!(pixels.len(), to);
            for (first, shares) in pixels {
                assert!(first + shares.len() <= from);
                let sum: f32 = shares.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}: {sum}");
            }
        }
    }

    #[test]
    fn what_is_of_the_size_already_stays_to_the_bit() {
        let values: [&[f32]; 3] = [&[0.1, 255.0], &[f32::MIN_POSITIVE, 3.3], &[-1.0, 7e9]];
        assert_eq!(resized(&values, 3, 2), values.concat());
    }
}
