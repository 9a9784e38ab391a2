//! The MNIST data set of handwritten digits, compressed, inside the crate: 60,000 training and 10,000 test images of
//! 28 × 28 pixels, each with its label from 0 to 9.
//!
//! Pixels are bytes, 0 for the dark background and 255 for the brightest ink, row by row from the top left.
//! [`load`] unpacks everything with two threads; [`train`] and [`test()`] unpack one part. What was unpacked is
//! compared with its SHA-256, so damaged data are an [`Error`] and never a silent change.
//!
//! ```
//! let mnist = zerokara_mnist::load()?;
//! assert_eq!(mnist.train_images.len(), 60_000 * 28 * 28);
//! assert_eq!(mnist.train_labels[0], 5);
//! # Ok::<(), zerokara_mnist::Error>(())
//! ```
//!
//! The data are by Yann LeCun and Corinna Cortes, licence CC BY-SA 3.0 (`LICENSE-MNIST`).

use std::fmt;

use sha2::{Digest, Sha256};

/// Number of training images: 60,000.
pub const TRAIN: usize = 60_000;
/// Number of test images: 10,000.
pub const TEST: usize = 10_000;
/// Height and width of an image: 28 pixels.
pub const SIDE: usize = 28;
/// Pixels of an image: 28 · 28 = 784.
pub const PIXELS: usize = SIDE * SIDE;

/// The whole data set, as [`load`] returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MnistBytes {
    /// Pixels of the training images, `[60000, 28, 28]`.
    pub train_images: Vec<u8>,
    /// Labels of the training images, 60,000 digits from 0 to 9.
    pub train_labels: Vec<u8>,
    /// Pixels of the test images, `[10000, 28, 28]`.
    pub test_images: Vec<u8>,
    /// Labels of the test images, 10,000 digits from 0 to 9.
    pub test_labels: Vec<u8>,
}

/// One part of the data set, as [`train`] and [`test()`] return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Pixels, `[N, 28, 28]`.
    pub images: Vec<u8>,
    /// `N` digits from 0 to 9.
    pub labels: Vec<u8>,
}

/// The data inside the program are damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A packed file and what it must unpack to.
struct Frame {
    name: &'static str,
    packed: &'static [u8],
    sha256: &'static str,
}

/// The training images are two frames so that two threads can unpack them.
static TRAIN_IMAGES: [Frame; 2] = [
    Frame {
        name: "first half of the training images",
        packed: include_bytes!("../data/train-images-1.zst"),
        sha256: "9f891d49308fa39b43868ba24455606f1680335269eb8e1cbf20f66a45f2d241",
    },
    Frame {
        name: "second half of the training images",
        packed: include_bytes!("../data/train-images-2.zst"),
        sha256: "472f2ea6f00bb4671420b2c6ee506b89ce801f9e4ec1b68b4e8b8dadb622bc80",
    },
];

static TEST_IMAGES: Frame = Frame {
    name: "test images",
    packed: include_bytes!("../data/test-images.zst"),
    sha256: "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
};

/// The labels of the training images, then those of the test images.
static LABELS: Frame = Frame {
    name: "labels",
    packed: include_bytes!("../data/labels.zst"),
    sha256: "671ff9d70b4811116d55c3dd479efa7a981e2e62753ef7a6d5c15fea81e63d27",
};

impl Frame {
    /// Fills `out`, whose length must be that of the contents, and checks it.
    fn unpack(&self, out: &mut [u8]) -> Result<(), Error> {
        let damaged = |why: String| {
            Error(format!(
                "MNIST: the {} inside this program are damaged ({why}); build or install it again",
                self.name
            ))
        };
        let length = zstd_safe::decompress(&mut *out, self.packed)
            .map_err(|code| damaged(zstd_safe::get_error_name(code).to_string()))?;
        if length != out.len() {
            return Err(damaged(format!(
                "{length} bytes unpacked where {} were expected",
                out.len()
            )));
        }
        if hex(&Sha256::digest(&*out)) != self.sha256 {
            return Err(damaged("the SHA-256 differs".to_string()));
        }
        Ok(())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn labels() -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut train = vec![0; TRAIN + TEST];
    LABELS.unpack(&mut train)?;
    let test = train.split_off(TRAIN);
    Ok((train, test))
}

fn test_images() -> Result<Vec<u8>, Error> {
    let mut images = vec![0; TEST * PIXELS];
    TEST_IMAGES.unpack(&mut images)?;
    Ok(images)
}

/// Unpacks the training images with one more thread, and does `also` on the calling one.
fn train_images<T>(also: impl FnOnce() -> Result<T, Error>) -> Result<(Vec<u8>, T), Error> {
    let mut images = vec![0; TRAIN * PIXELS];
    let (first, second) = images.split_at_mut(TRAIN * PIXELS / 2);
    let spawned = std::thread::scope(|scope| {
        let helper = std::thread::Builder::new()
            .name("mnist".to_string())
            .spawn_scoped(scope, || TRAIN_IMAGES[0].unpack(first));
        let here = TRAIN_IMAGES[1].unpack(second).and_then(|()| also());
        let there = helper.ok().map(|helper| {
            helper
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        here.map(|value| (value, there))
    });
    let (value, there) = spawned?;
    match there {
        Some(result) => result?,
        // The platform gave no thread.
        None => TRAIN_IMAGES[0].unpack(first)?,
    }
    Ok((images, value))
}

/// Unpacks the training and the test set.
///
/// # Errors
///
/// The data inside the program are damaged: they do not unpack, or their SHA-256 differs.
///
/// # Example
///
/// ```
/// let mnist = zerokara_mnist::load()?;
/// assert_eq!(mnist.test_labels[..5], [7, 2, 1, 0, 4]);
/// # Ok::<(), zerokara_mnist::Error>(())
/// ```
pub fn load() -> Result<MnistBytes, Error> {
    let (train_images, ((train_labels, test_labels), test_images)) =
        train_images(|| Ok((labels()?, test_images()?)))?;
    Ok(MnistBytes {
        train_images,
        train_labels,
        test_images,
        test_labels,
    })
}

/// Unpacks the training set only: 60,000 images and labels.
///
/// # Errors
///
/// The data inside the program are damaged: they do not unpack, or their SHA-256 differs.
///
/// # Example
///
/// ```
/// let train = zerokara_mnist::train()?;
/// assert_eq!(train.labels[..5], [5, 0, 4, 1, 9]);
/// # Ok::<(), zerokara_mnist::Error>(())
/// ```
pub fn train() -> Result<Part, Error> {
    let (images, (labels, _)) = train_images(labels)?;
    Ok(Part { images, labels })
}

/// Unpacks the test set only: 10,000 images and labels, in a seventh of the time of [`train`].
///
/// # Errors
///
/// The data inside the program are damaged: they do not unpack, or their SHA-256 differs.
///
/// # Example
///
/// ```
/// let test = zerokara_mnist::test()?;
/// assert_eq!(test.images.len(), 10_000 * 28 * 28);
/// # Ok::<(), zerokara_mnist::Error>(())
/// ```
pub fn test() -> Result<Part, Error> {
    Ok(Part {
        images: test_images()?,
        labels: labels()?.1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The four files as they were published, of which anyone may take the sums: header, then contents.
    #[test]
    fn the_published_files_are_inside() {
        let mnist = load().unwrap();
        let file = |dimensions: &[u32], bytes: &[u8]| {
            let mut hash = Sha256::new();
            hash.update([0, 0, 8, dimensions.len() as u8]);
            for size in dimensions {
                hash.update(size.to_be_bytes());
            }
            hash.update(bytes);
            hex(&hash.finalize())
        };
        assert_eq!(
            file(&[60_000, 28, 28], &mnist.train_images),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        );
        assert_eq!(
            file(&[60_000], &mnist.train_labels),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        );
        assert_eq!(
            file(&[10_000, 28, 28], &mnist.test_images),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        );
        assert_eq!(
            file(&[10_000], &mnist.test_labels),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        );
    }

    /// Mean and deviation of the training pixels as everyone quotes them, and the published counts of the classes.
    #[test]
    fn known_facts() {
        let train = train().unwrap();
        assert_eq!(train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        let count = train.images.len() as f64;
        let (sum, squares) = train
            .images
            .iter()
            .fold((0u64, 0u64), |(sum, squares), &x| {
                (sum + u64::from(x), squares + u64::from(x) * u64::from(x))
            });
        let mean = sum as f64 / count / 255.0;
        let deviation = (squares as f64 / count / (255.0 * 255.0) - mean * mean).sqrt();
        assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
        assert!((deviation - 0.3081).abs() < 5e-5, "{deviation}");

        let counts = |labels: &[u8]| {
            let mut counts = [0; 10];
            labels.iter().for_each(|&digit| counts[digit as usize] += 1);
            counts
        };
        assert_eq!(
            counts(&train.labels),
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        );
        assert_eq!(
            counts(&test().unwrap().labels),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        );
    }

    #[test]
    fn the_parts_are_those_of_the_whole() {
        let mnist = load().unwrap();
        let (train, test) = (train().unwrap(), test().unwrap());
        assert!(mnist.train_images == train.images && mnist.train_labels == train.labels);
        assert!(mnist.test_images == test.images && mnist.test_labels == test.labels);
    }

    #[test]
    fn damage_is_an_error() {
        let good = TEST_IMAGES.packed;
        let unpack = |packed: Vec<u8>, length: usize| {
            let frame = Frame {
                packed: packed.leak(),
                ..TEST_IMAGES
            };
            frame
                .unpack(&mut vec![0; length])
                .map_err(|e| e.to_string())
        };
        let whole = TEST * PIXELS;
        assert_eq!(unpack(good.to_vec(), whole), Ok(()));
        // Bits flipped in the header, in the tables, and deep in the literals, where zstd itself may see nothing.
        for at in [0, 5, 20, good.len() / 3, good.len() / 2, good.len() - 1] {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            let error = unpack(bad, whole).unwrap_err();
            assert!(
                error.contains("test images") && error.contains("again"),
                "{error}"
            );
        }
        for length in [0, 1, 1000, good.len() - 1] {
            assert!(unpack(good[..length].to_vec(), whole).is_err());
        }
        // The wrong length of the contents.
        assert!(unpack(good.to_vec(), whole - 1).is_err());
        assert!(unpack(good.to_vec(), whole + 1).is_err());
        // Other contents, well packed.
        let mut other = vec![0; 100_000];
        let length =
            zstd_safe::compress(other.as_mut_slice(), vec![0; whole].as_slice(), 1).unwrap();
        other.truncate(length);
        assert!(unpack(other, whole).unwrap_err().contains("SHA-256"));
    }
}
