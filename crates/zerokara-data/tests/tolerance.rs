//! Picture files that are not quite as they should be, and that usual readers read: libjpeg (djpeg of libjpeg-turbo),
//! Pillow and libpng give the same pixels as for the file without the fault, or refuse where data are lost.
#![cfg(feature = "images")]

use std::path::Path;

use zerokara_data::{Pictures, sample_from_image};

const PHOTOS: [&str; 4] = [
    "photo.jpg",
    "photo-grey-progressive.jpg",
    "photo-turned.jpg",
    "photo-cmyk.jpg",
];

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    std::fs::write(&path, bytes).unwrap();
    sample_from_image(path, [3, 60, 70], Pictures::Plain).map_err(|error| error.to_string())
}

/// Where the segments of a JPEG file begin, up to the start of scan.
fn segments(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![2];
    while let Some(&start) = starts.last()
        && bytes[start + 1] != 0xda
    {
        let length = usize::from(u16::from_be_bytes([bytes[start + 2], bytes[start + 3]]));
        starts.push(start + 2 + length);
    }
    starts
}

fn with(bytes: &[u8], at: usize, more: &[u8]) -> Vec<u8> {
    [&bytes[..at], more, &bytes[at..]].concat()
}

#[test]
fn bytes_between_the_segments_of_a_jpeg_are_passed_over() {
    for name in PHOTOS {
        let good = file(name);
        let expected = read(&good).unwrap();
        for at in segments(&good) {
            for stray in [
                &[0, 0][..],
                &[0; 300],
                b"some words",
                // Fill bytes; a stuffed byte of data; markers without contents.
                &[0xff, 0xff, 0xff],
                &[0x12, 0xff, 0, 0x34],
                &[0xff, 0xd3],
                &[0xff, 0x01, 7],
            ] {
                let found = read(&with(&good, at, stray));
                assert_eq!(found.as_ref(), Ok(&expected), "{name}, at {at}: {stray:x?}");
            }
        }
    }
}

#[test]
fn what_follows_the_end_of_a_jpeg_is_ignored_and_the_end_not_missed() {
    for name in PHOTOS {
        let good = file(name);
        let expected = read(&good).unwrap();
        assert_eq!(good[good.len() - 2..], [0xff, 0xd9]);
        for end in [
            &[0; 70_000][..],
            b"a telephone's own data",
            &good[..500],
            &good,
        ] {
            let found = read(&[&good[..], end].concat());
            assert_eq!(found.as_ref(), Ok(&expected), "{name}: {} bytes", end.len());
        }
        for missing in 1..=2 {
            let found = read(&good[..good.len() - missing]);
            assert_eq!(found.as_ref(), Ok(&expected), "{name}: {missing} missing");
        }
    }
    // Where pixels are missing, the picture would be wrong.
    for name in ["photo.jpg", "photo-turned.jpg", "photo-cmyk.jpg"] {
        let good = file(name);
        for missing in [40, 400, good.len() / 2] {
            let error = read(&good[..good.len() - missing]).unwrap_err();
            assert!(error.contains("damaged JPEG"), "{name}, {missing}: {error}");
        }
    }
}

/// Segments that no decoder of pixels needs may hold anything.
#[test]
fn application_segments_that_make_no_sense_are_ignored() {
    let good = file("photo.jpg");
    let expected = read(&good).unwrap();
    for marker in [0xe1, 0xe2, 0xe3, 0xec, 0xed, 0xef, 0xfe] {
        for contents in [
            &b""[..],
            b"x",
            b"Exif\0\0",
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"ICC_PROFILE\0\x01",
            b"http://ns.adobe.com/xap/1.0/\0<",
            b"Photoshop 3.0\x008BIM\xff",
        ] {
            let length = (contents.len() as u16 + 2).to_be_bytes();
            let segment = [&[0xff, marker][..], &length, contents].concat();
            let found = read(&with(&good, 2, &segment));
            assert_eq!(found.as_ref(), Ok(&expected), "{marker:x} {contents:x?}");
        }
    }
}

#[test]
fn headers_cut_anywhere_are_errors() {
    for name in PHOTOS {
        let good = file(name);
        for length in 3..segments(&good).last().unwrap() + 4 {
            assert!(read(&good[..length]).is_err(), "{name}: {length} bytes");
        }
    }
}

/// A chunk of PNG.
fn chunk(kind: &[u8; 4], contents: &[u8], damage: u32) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(contents);
    let sum = (sum.sum() ^ damage).to_be_bytes();
    [
        &(contents.len() as u32).to_be_bytes()[..],
        kind,
        contents,
        &sum,
    ]
    .concat()
}

#[test]
fn ancillary_chunks_and_what_follows_a_png_are_no_part_of_the_picture() {
    for name in ["palette.png", "grey16.png", "black-on-transparent.png"] {
        let good = file(name);
        let expected = read(&good).unwrap();
        // Behind the header, which takes 8 + 25 bytes.
        for more in [
            chunk(b"tEXt", b"Comment\0words", 0),
            chunk(b"tEXt", b"Comment\0words", 1),
            chunk(b"zTXt", b"Comment\0\0no compressed data", 0),
            chunk(b"iCCP", b"profile\0\0no profile", 0),
            chunk(b"eXIf", b"II", 0),
            chunk(b"prVt", b"of somebody's own", 0),
            chunk(b"pHYs", &[1; 9], 3),
        ] {
            let found = read(&with(&good, 33, &more));
            assert_eq!(found.as_ref(), Ok(&expected), "{name}: {more:x?}");
        }
        let trailing = [&good[..], &[0; 1000], b"words"].concat();
        assert_eq!(read(&trailing).as_ref(), Ok(&expected), "{name}");
        // Without its last chunk, of 12 bytes, no pixel is missing.
        assert_eq!(
            read(&good[..good.len() - 12]).as_ref(),
            Ok(&expected),
            "{name}"
        );
    }
}
