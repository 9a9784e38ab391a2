//! The boxes that stay of many that overlap: from the highest score on, each that does not overlap too much with one that was
//! taken (ONNX's NonMaxSuppression).

use super::prelude::*;

/// Which boxes are taken.
///
/// ```
/// use zerokara_core::{Suppression, Tensor};
/// let boxes = Tensor::from([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.1, 1.0, 1.1], [0.0, 10.0, 1.0, 11.0]]]);
/// let scores = Tensor::from([[[0.9, 0.75, 0.6]]]);
/// let taken = boxes.non_max_suppression(&scores, &Suppression { most: 3, overlap: 0.5, ..Suppression::default() });
/// assert_eq!(taken.to_vec::<i64>()?, [0, 0, 0, 0, 0, 2]); // image, class, box
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suppression {
    /// The most boxes of one class in one image.
    pub most: usize,
    /// A box is left out if its intersection with one that was taken is a larger share of their union: from 0 to 1.
    pub overlap: f64,
    /// Only boxes with a larger score are taken, if it is there.
    pub score: Option<f64>,
    /// Whether a box is its centre and its size, `[x, y, width, height]`, not two opposite corners, `[y, x, y, x]`.
    pub centred: bool,
}

/// Two opposite corners: the smaller numbers, then the larger ones.
type Corners = [f64; 4];

/// The corners of a box.
fn corners(numbers: &[f64], centred: bool) -> Corners {
    let &[a, b, c, d] = numbers else {
        return [0.0; 4];
    };
    match centred {
        true => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        false => [a.min(c), b.min(d), a.max(c), b.max(d)],
    }
}

/// The share of the union of two boxes that both cover; 0 where one is empty.
fn overlap(a: Corners, b: Corners) -> f64 {
    let area = |[top, left, bottom, right]: Corners| (bottom - top) * (right - left);
    let height = a[2].min(b[2]) - a[0].max(b[0]);
    let width = a[3].min(b[3]) - a[1].max(b[1]);
    let (both, first, second) = (height.max(0.0) * width.max(0.0), area(a), area(b));
    match both > 0.0 && first > 0.0 && second > 0.0 {
        true => both / (first + second - both),
        false => 0.0,
    }
}

impl Tensor {
    /// The boxes that stay of these, `[N, B, 4]`, with scores `[N, C, B]`: i64 `[n, 3]`, for each that is taken the image, the class
    /// and the box, in the order of images, classes, and descending scores (equal ones as they come; NaN is never taken).
    ///
    /// Boxes and scores are evaluated at this call, as the mask of [`Tensor::masked_select`] is.
    #[track_caller]
    pub fn non_max_suppression(&self, scores: &Tensor, how: &Suppression) -> Tensor {
        const NAME: &str = "non_max_suppression";
        let (boxes_are, scores_are) = match (self.meta(), scores.meta()) {
            (Ok(boxes), Ok(scores)) => (boxes, scores),
            (Err(error), _) | (_, Err(error)) => return Tensor::invalid(error),
        };
        let refuse = |reason| Tensor::refuse(NAME, &[self, scores], reason);
        let (&[images, count, 4], &[others, classes, scored]) =
            (boxes_are.shape.as_slice(), scores_are.shape.as_slice())
        else {
            return refuse("needs boxes [N, B, 4] and scores [N, C, B]".into());
        };
        if images != others || count != scored {
            return refuse("boxes and scores are not for the same images and boxes".into());
        }
        if !(boxes_are.is_float() && scores_are.is_float()) {
            return refuse("needs floating-point numbers; cast them first".into());
        }
        if !(0.0..=1.0).contains(&how.overlap) {
            let reason = format!("the overlap is a share from 0 to 1, not {}", how.overlap);
            return refuse(reason);
        }
        let (boxes, scores) = match (self.evaluated(NAME), scores.evaluated(NAME)) {
            (Ok(boxes), Ok(scores)) => (boxes.to_f64s(), scores.to_f64s()),
            (Err(invalid), _) | (_, Err(invalid)) => return invalid,
        };
        let boxes: Vec<Corners> = boxes.chunks(4).map(|b| corners(b, how.centred)).collect();
        let mut taken: Vec<i64> = Vec::new();
        // However many images there are: none of them has boxes.
        let images = if count == 0 { 0 } else { images };
        for image in 0..images {
            let boxes = &boxes[image * count..][..count];
            for class in 0..classes {
                let scores = &scores[(image * classes + class) * count..][..count];
                let counts = |&at: &usize| match how.score {
                    Some(least) => scores[at] > least,
                    None => !scores[at].is_nan(),
                };
                let mut order: Vec<usize> = (0..count).filter(counts).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                let mut stay: Vec<usize> = Vec::new();
                for at in order {
                    if stay.len() == how.most {
                        break;
                    }
                    if stay
                        .iter()
                        .all(|&other| overlap(boxes[at], boxes[other]) <= how.overlap)
                    {
                        stay.push(at);
                        taken.extend([image as i64, class as i64, at as i64]);
                    }
                }
            }
        }
        Tensor::new([taken.len() / 3, 3], taken)
    }
}
