//! The reader of IDX files, fed with good, cut, long and absurd files.

use std::io::Write;

use proptest::prelude::*;
use zerokara_data::idx::{self, Idx, Values};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn message(bytes: &[u8]) -> String {
    idx::from_bytes(bytes).unwrap_err().to_string()
}

fn images() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend(1..=12);
    bytes
}

#[test]
fn reads_what_the_format_says() {
    let expected = Idx {
        shape: vec![2, 2, 3],
        values: Values::U8((1..=12).collect()),
    };
    assert_eq!(idx::from_bytes(&images()).unwrap(), expected);
    assert_eq!(idx::from_bytes(&gzip(&images())).unwrap(), expected);
    let shorts = [0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xfe, 0x01, 0x00];
    assert_eq!(
        idx::from_bytes(&shorts).unwrap().values,
        Values::I16(vec![-2, 256])
    );
    let float = [0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0];
    assert_eq!(
        idx::from_bytes(&float).unwrap().values,
        Values::F32(vec![1.0])
    );
    let nothing = [0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(idx::from_bytes(&nothing).unwrap().shape, [0, 5]);
}

#[test]
fn every_cut_is_an_error() {
    let plain = images();
    for length in 0..plain.len() {
        message(&plain[..length]);
    }
    let packed = gzip(&plain);
    for length in 0..packed.len() {
        message(&packed[..length]);
    }
    assert!(message(&plain[..20]).contains("cut short"));
    assert!(message(&plain[..10]).contains("header"));
    assert!(message(&packed[..packed.len() - 3]).contains("gzip"));
}

#[test]
fn every_wrong_header_is_an_error() {
    let changed = |at: usize, to: u8| {
        let mut bytes = images();
        bytes[at] = to;
        message(&bytes)
    };
    assert!(changed(0, 1).contains("not an IDX file"));
    assert!(changed(1, 1).contains("not an IDX file"));
    assert!(changed(2, 7).contains("type 07"));
    assert!(changed(3, 0).contains("dimensions"));
    assert!(changed(3, 200).contains("dimensions"));
    assert!(changed(7, 1).contains("goes on"));
    assert!(changed(7, 3).contains("cut short"));
    let mut long = images();
    long.push(0);
    assert!(message(&long).contains("goes on after the 12 bytes"));
    assert!(message(b"<!DOCTYPE html>").contains("not an IDX file"));
}

/// Headers that announce terabytes, and one that overflows 64 bits, are refused at once; one that announces 4 GiB, the
/// limit, with nothing behind it costs no memory.
#[test]
fn absurd_sizes_are_refused() {
    let header = |sizes: &[u32]| {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        sizes
            .iter()
            .for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend([1, 2, 3]);
        bytes
    };
    assert!(message(&header(&[u32::MAX, 784])).contains("absurd"));
    assert!(message(&header(&[u32::MAX; 8])).contains("absurd"));
    assert!(message(&header(&[1 << 31, 2])).contains("cut short"));
}

#[test]
fn damage_within_gzip_is_an_error() {
    let bytes: Vec<u8> = [0, 0, 8, 1, 0, 0, 0x10, 0]
        .into_iter()
        .chain((0..4096u32).map(|x| (x * x % 251) as u8))
        .collect();
    let packed = gzip(&bytes);
    idx::from_bytes(&packed).unwrap();
    for at in (10..packed.len()).step_by(37).chain([packed.len() - 5]) {
        let mut bad = packed.clone();
        bad[at] ^= 0x40;
        assert!(idx::from_bytes(&bad).is_err(), "byte {at}");
    }
}

/// What `gunzip` (1.12) does: members are joined, zeros and anything that is no member behind the end are ignored.
#[test]
fn what_follows_a_gzip_stream_is_ignored_as_gunzip_does() {
    let whole = images();
    let good = idx::from_bytes(&whole).unwrap();
    let packed = gzip(&whole);
    for end in [
        &[0; 1][..],
        &[0; 512],
        &[0; 70_000],
        b"trailing",
        b"\x1f",
        b"\0\0\x1f",
    ] {
        let padded = [&packed[..], end].concat();
        assert_eq!(idx::from_bytes(&padded).unwrap(), good, "{}", end.len());
    }
    // From a file, whose reader gives it out in pieces.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("padded.gz");
    std::fs::write(&path, [&packed[..], &[0; 100_000]].concat()).unwrap();
    assert_eq!(idx::read(&path).unwrap(), good);

    let (first, second) = whole.split_at(9);
    let (first, second) = (gzip(first), gzip(second));
    assert_eq!(
        idx::from_bytes(&[&first[..], &second].concat()).unwrap(),
        good
    );
    let apart = [&first[..], &[0; 9], &second, &[0; 9]].concat();
    assert_eq!(idx::from_bytes(&apart).unwrap(), good);
    // A member that is not whole is no end.
    let cut = [&first[..], &second[..second.len() - 3]].concat();
    assert!(message(&cut).contains("gzip"));
    let mut damaged = [&first[..], &second].concat();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    assert!(message(&damaged).contains("gzip"));
    // More contents than the header of IDX announces are still wrong.
    assert!(message(&[&packed[..], &gzip(b"more")].concat()).contains("goes on"));
    assert!(message(&gzip(&[&whole[..], b"\0"].concat())).contains("goes on"));
}

#[test]
fn errors_of_files_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut-images");
    std::fs::write(&path, &images()[..20]).unwrap();
    let error = idx::read(&path).unwrap_err().to_string();
    assert!(
        error.contains("cut-images") && error.contains("12 bytes"),
        "{error}"
    );
    let error = idx::read(folder.path().join("absent"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("absent") && error.contains("cannot be opened"),
        "{error}"
    );
}

fn contents() -> impl Strategy<Value = Idx> {
    proptest::collection::vec(0usize..5, 1..=4).prop_flat_map(|shape| {
        let length: usize = shape.iter().product();
        let values = prop_oneof![
            proptest::collection::vec(any::<u8>(), length).prop_map(Values::U8),
            proptest::collection::vec(any::<i8>(), length).prop_map(Values::I8),
            proptest::collection::vec(any::<i16>(), length).prop_map(Values::I16),
            proptest::collection::vec(any::<i32>(), length).prop_map(Values::I32),
            proptest::collection::vec(-1e30f32..1e30, length).prop_map(Values::F32),
            proptest::collection::vec(-1e300f64..1e300, length).prop_map(Values::F64),
        ];
        values.prop_map(move |values| Idx {
            shape: shape.clone(),
            values,
        })
    })
}

proptest! {
    #[test]
    fn written_files_are_read_back(contents in contents()) {
        let bytes = contents.to_bytes().unwrap();
        prop_assert_eq!(&idx::from_bytes(&bytes).unwrap(), &contents);
        prop_assert_eq!(&idx::from_bytes(&gzip(&bytes)).unwrap(), &contents);
    }

    /// Any bytes at all give contents or an error.
    #[test]
    fn no_bytes_make_it_panic(start in 0usize..3, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let prefix: &[u8] = [&[][..], &[0, 0, 8][..], &[0x1f, 0x8b, 8][..]][start];
        if let Ok(idx) = idx::from_bytes(&[prefix, &bytes].concat()) {
            prop_assert_eq!(idx.shape.iter().product::<usize>(), idx.values.len());
        }
    }
}
