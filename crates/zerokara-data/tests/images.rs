//! Pictures as samples: MNIST digits drawn into pictures of many kinds must come back as they were.
#![cfg(all(feature = "images", feature = "mnist"))]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zerokara_data::{Mnist, Pictures, Split, digit_from_image, sample_from_image};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    /// Writes a PNG of pixels with 1 to 4 values each.
    fn png(&self, width: usize, height: usize, values: &[u8]) -> PathBuf {
        let path = self.0.path().join("picture.png");
        std::fs::write(&path, png(width, height, values)).unwrap();
        path
    }
}

fn png(width: usize, height: usize, values: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match values.len() / (width * height) {
        1 => png::ColorType::Grayscale,
        2 => png::ColorType::GrayscaleAlpha,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(values).unwrap();
    writer.finish().unwrap();
    bytes
}

fn test_set() -> Split {
    Mnist::load().unwrap().test.take(200)
}

fn original(split: &Split, index: usize) -> Vec<f32> {
    split.sample(index).iter().map(|x| x / 255.0).collect()
}

/// Mean absolute difference.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

/// A digit enlarged by a whole factor, at a place of a larger picture.
fn enlarge(digit: &[f32], factor: usize, side: usize, top: usize, left: usize) -> Vec<f32> {
    let mut picture = vec![0.0; side * side];
    for y in 0..28 * factor {
        for x in 0..28 * factor {
            picture[(top + y) * side + left + x] = digit[y / factor * 28 + x / factor];
        }
    }
    picture
}

/// Enlarged sharply by a whole factor, moved, dark on light or light on dark: cropping and averaging undo it exactly, up
/// to the rounding to bytes. The one freedom is the centre of mass, which the authors computed before they
/// rounded to bytes: a digit whose centre is at half a pixel may come out moved by one.
#[test]
fn enlarged_digits_come_back() {
    let folder = Folder::new();
    let split = test_set();
    let mut moved = 0;
    for index in 0..split.len() {
        let digit = original(&split, index);
        let picture = enlarge(&digit, 5, 300, 10 + index % 140, 150 - index % 140);
        let dark_on_light = index % 2 == 0;
        let bytes: Vec<u8> = picture
            .iter()
            .map(|x| {
                if dark_on_light {
                    230.0 - 200.0 * x
                } else {
                    20.0 + 200.0 * x
                }
            })
            .map(|x| x.round() as u8)
            .collect();
        let found = digit_from_image(folder.png(300, 300, &bytes), [28, 28]).unwrap();
        if distance(&found, &digit) > 0.01 {
            moved += 1;
            // The same digit elsewhere: as many pixels of each brightness.
            let sorted = |values: &[f32]| {
                let mut values = values.to_vec();
                values.sort_by(f32::total_cmp);
                values
            };
            assert!(
                distance(&sorted(&found), &sorted(&digit)) < 0.01,
                "image {index}"
            );
        }
    }
    assert!(
        moved <= 4,
        "{moved} of {} digits came back elsewhere",
        split.len()
    );
}

/// A picture of 28 × 28 that is an MNIST image already is left as it is.
#[test]
fn mnist_images_are_left_alone() {
    let folder = Folder::new();
    let split = test_set();
    let same = (0..split.len())
        .filter(|&index| {
            let path = folder.png(28, 28, split.bytes(index).unwrap());
            let found = digit_from_image(path, [28, 28]).unwrap();
            distance(&found, &original(&split, index)) < 1e-3
        })
        .count();
    assert!(same >= 196, "{same} of {}", split.len());
}

/// Pictures that Pillow wrote (`tests/pictures/make.py`): what is read is near the image they were made from.
#[test]
fn pictures_of_every_kind_come_back() {
    let seven = original(&test_set(), 0);
    let blank = vec![0.0; 784];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for (name, limit) in [
        ("photo.jpg", 0.02),
        ("photo-grey-progressive.jpg", 0.02),
        ("photo-turned.jpg", 0.02),
        ("photo-cmyk.jpg", 0.02),
        ("palette.png", 0.01),
        ("grey16.png", 0.003),
        ("black-on-transparent.png", 0.003),
        ("white-on-transparent.png", 0.003),
    ] {
        let found = digit_from_image(folder.join(name), [28, 28]).unwrap();
        let found = distance(&found, &seven);
        assert!(found < limit, "{name}: {found}");
    }
    assert!(distance(&blank, &seven) > 0.08);
}

/// A stroke a hundredth of the picture wide is still a stroke: its brightest pixel is 1 and it fills the box.
#[test]
fn thin_strokes_stay_visible() {
    let folder = Folder::new();
    let side = 1000;
    let mut picture = vec![255u8; side * side];
    for y in 100..900 {
        for x in 500..506 {
            picture[y * side + x] = 40;
        }
    }
    let found = digit_from_image(folder.png(side, side, &picture), [28, 28]).unwrap();
    let bright: Vec<usize> = (0..784).filter(|&at| found[at] > 0.99).collect();
    assert_eq!(bright.len(), 20);
    assert_eq!((bright[0] / 28, bright[19] / 28), (4, 23));
    assert!(bright.iter().all(|at| at % 28 == bright[0] % 28));
}

#[test]
fn other_shapes_keep_the_proportions() {
    let folder = Folder::new();
    // A square of ink fills the same share of a larger and of an oblong field.
    let square: Vec<u8> = (0..10_000)
        .map(|at| {
            let inside = |v: usize| (30..70).contains(&v);
            if inside(at / 100) && inside(at % 100) {
                255
            } else {
                0
            }
        })
        .collect();
    let path = folder.png(100, 100, &square);
    for (shape, ink) in [
        ([28, 28], 20 * 20),
        ([56, 56], 40 * 40),
        ([28, 56], 20 * 20),
    ] {
        let found = digit_from_image(&path, shape).unwrap();
        assert_eq!(found.len(), shape[0] * shape[1]);
        assert_eq!(
            found.iter().filter(|&&x| x > 0.99).count(),
            ink,
            "{shape:?}"
        );
    }
    assert_eq!(digit_from_image(&path, [1, 1]).unwrap(), [1.0]);
    for bad in [[0, 28], [28, 5000]] {
        assert!(
            digit_from_image(&path, bad)
                .unwrap_err()
                .to_string()
                .contains("side")
        );
    }
}

#[test]
fn samples_are_resized_by_channel() {
    let folder = Folder::new();
    // Left half red, right half half-transparent blue.
    let pixels: Vec<u8> = (0..8)
        .flat_map(|at| {
            if at % 4 < 2 {
                [255, 0, 0, 255]
            } else {
                [0, 0, 255, 51]
            }
        })
        .collect();
    let path = folder.png(4, 2, &pixels);
    let found = sample_from_image(&path, [3, 1, 2], Pictures::Plain).unwrap();
    let expected = [1.0, 0.8, 0.0, 0.8, 0.0, 1.0];
    assert!(distance(&found, &expected) < 1e-6, "{found:?}");
    let grey = sample_from_image(&path, [1, 1, 2], Pictures::Plain).unwrap();
    assert!(
        distance(&grey, &[0.299, 0.114 + 0.8 * 0.886]) < 1e-6,
        "{grey:?}"
    );
    assert!(
        sample_from_image(&path, [2, 1, 1], Pictures::Plain)
            .unwrap_err()
            .to_string()
            .contains("channel")
    );
}

#[test]
fn blank_pictures_are_errors() {
    let folder = Folder::new();
    let error = |width, height, values: &[u8]| {
        digit_from_image(folder.png(width, height, values), [28, 28])
            .unwrap_err()
            .to_string()
    };
    for level in [0, 128, 255] {
        assert!(error(50, 40, &[level; 2000]).contains("blank"));
        assert!(error(1, 1, &[level]).contains("blank"));
    }
    // All transparent.
    assert!(error(20, 20, &[0; 1600]).contains("blank"));
    // Paper with a slight shade and grain.
    let paper: Vec<u8> = (0..2500).map(|at| 200 + (at * at % 17) as u8).collect();
    assert!(error(50, 50, &paper).contains("blank"));
}

#[test]
fn damaged_and_foreign_files_are_errors() {
    let folder = Folder::new();
    let path = folder.0.path().join("file");
    let error = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let message = digit_from_image(&path, [28, 28]).unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        message
    };
    assert!(error(b"").contains("empty"));
    assert!(
        error(b"%PDF-1.4")
            .contains("is no picture that can be read: PNG, JPEG, BMP, WebP and GIF can")
    );
    for (bytes, format) in [
        (&b"GIF89a"[..], "GIF"),
        (b"BM", "BMP"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
    ] {
        assert!(
            error(bytes).contains(&format!("is a damaged {format} file")),
            "{}",
            error(bytes)
        );
    }
    let absent = digit_from_image(folder.0.path().join("absent"), [28, 28]).unwrap_err();
    assert!(absent.to_string().contains("cannot be opened"));

    let pixels: Vec<u8> = (0..2500).map(|at| (at % 251) as u8).collect();
    let good = png(50, 50, &pixels);
    assert!(error(&good[..good.len() / 2]).contains("damaged PNG"));
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    assert!(error(&bad).contains("damaged PNG"));

    // A header that promises 2³¹ − 1 squared pixels, with a right check sum, as libpng's `pngcheck` computes it.
    let mut huge = good.clone();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut crc = flate2::Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    assert!(error(&huge).contains("too large"));

    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures/photo.jpg");
    let photo = std::fs::read(photo).unwrap();
    assert!(error(&photo[..photo.len() / 2]).contains("damaged JPEG"));
    assert!(error(&photo[..100]).contains("damaged JPEG"));
}

/// Files with bytes changed give a picture or an error, nothing else.
#[test]
fn changed_bytes_never_panic() {
    let folder = Folder::new();
    let path = folder.0.path().join("file");
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    for name in [
        "photo.jpg",
        "photo-grey-progressive.jpg",
        "photo-turned.jpg",
        "palette.png",
    ] {
        let good = std::fs::read(pictures.join(name)).unwrap();
        for round in 0..150 {
            let mut bad = good.clone();
            for _ in 0..1 + next() % 4 {
                // Headers are where most decisions are made.
                let range = if round % 2 == 0 {
                    bad.len()
                } else {
                    700.min(bad.len())
                };
                bad[next() % range] = next() as u8;
            }
            std::fs::write(&path, &bad).unwrap();
            if let Ok(pixels) = digit_from_image(&path, [28, 28]) {
                assert!(pixels.iter().all(|x| (0.0..=1.0).contains(x)));
            }
        }
    }
}

/// Files that Pillow has written (`tools/files.py`): the pixels are those that it was given.
#[test]
fn other_formats_have_the_same_pixels() {
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let read = |name: &str, shape| {
        let pixels = sample_from_image(files.join(name), shape, Pictures::Plain).unwrap();
        pixels
            .iter()
            .map(|p| (p * 255.0).round() as u8)
            .collect::<Vec<u8>>()
    };
    let red = [255, 0, 0, 255, 0, 250];
    let green = [0, 255, 0, 255, 0, 130];
    let blue = [0, 0, 255, 255, 0, 10];
    let upright = [red, green, blue].concat();
    for name in ["colours.bmp", "colours.webp", "colours.gif"] {
        assert_eq!(read(name, [3, 2, 3]), upright, "{name}");
    }
    assert_eq!(read("grey.bmp", [1, 2, 3]), [0, 50, 100, 150, 200, 250]);
    // A quarter turn to the right: the first column, from the bottom, becomes the first row.
    let turned = |c: [u8; 6]| [c[3], c[0], c[4], c[1], c[5], c[2]];
    let turned = [turned(red), turned(green), turned(blue)].concat();
    for name in ["turned.webp", "turned.png"] {
        assert_eq!(read(name, [3, 3, 2]), turned, "{name}");
    }
    // Every cut is an error, or what was read before it.
    let folder = Folder::new();
    for name in ["colours.bmp", "colours.webp", "colours.gif"] {
        let whole = std::fs::read(files.join(name)).unwrap();
        let path = folder.0.path().join(name);
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let _ = sample_from_image(&path, [3, 2, 3], Pictures::Plain);
        }
    }
}

/// What lies over the size on both sides is cut off; proportions stay.
#[test]
fn a_crop_takes_the_middle() {
    let folder = Folder::new();
    let path = folder.0.path().join("wide.png");
    // Columns 0, 10, 20, .. of a picture of 2 x 6 pixels.
    let pixels: Vec<u8> = (0..12).map(|at| (at % 6 * 10) as u8).collect();
    std::fs::write(&path, png(6, 2, &pixels)).unwrap();
    let found = sample_from_image(&path, [1, 2, 2], Pictures::Crop).unwrap();
    let found: Vec<u8> = found.iter().map(|p| (p * 255.0).round() as u8).collect();
    assert_eq!(found, [20, 30, 20, 30]);
}
