//! Named columns: in memory, made on demand, of one size or of many, from the source to what a step is fed.

use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use zerokara_core::{Array, Arrays, Axis, DType, Port};
use zerokara_data::{
    Augment, Columns, Failure, Feed, Lazy, Loader, Normalization, Pad, Position, Split,
};

/// Sample `i` is `1 + i % 5` tokens `i`, and the number `i` as a target.
fn tokens(index: usize) -> Vec<i64> {
    vec![index as i64; 1 + index % 5]
}

fn port() -> Port {
    Port::new("tokens", DType::I64, ["length"])
}

fn sample(index: usize) -> Arrays {
    let tokens = tokens(index);
    Arrays::from([
        ("tokens", Array::new([tokens.len()], tokens)),
        ("t", Array::new([], vec![index as i64])),
    ])
}

fn stored(n: usize) -> Split {
    let texts = (0..n).map(tokens).map(|ids| Array::new([ids.len()], ids));
    let columns = Columns::new()
        .ragged(port(), texts)
        .with("t", Array::new([n], (0..n as i64).collect::<Vec<_>>()));
    Split::of(columns).unwrap()
}

fn lazy(n: usize) -> Split {
    let columns = [port(), Port::new("t", DType::I64, [] as [usize; 0])];
    let source = Lazy::new(n, columns, |index| Ok(sample(index)))
        .lengths("tokens", (0..n).map(|i| 1 + i % 5).collect());
    Split::of(source).unwrap()
}

fn feeds(loader: &Loader) -> Vec<Feed> {
    let mut feeder = loader.feeder();
    let mut feeds = Vec::new();
    while let Some(feed) = feeder.next_feed().unwrap() {
        feeds.push(feed.clone());
    }
    feeds
}

proptest! {
    /// Whether samples are in memory or made by any number of threads, an epoch is the same, and from any of its positions on
    /// it is the rest.
    #[test]
    fn a_position_is_followed_by_the_same_batches(
        n in 1usize..60, batch_size in 1usize..20, epoch in 0u64..5, workers in 0usize..5,
        drop_last: bool, bucket: bool, cut: prop::sample::Index,
    ) {
        let loader = |split: &Split| {
            let loader = Loader::new(split, batch_size).unwrap().shuffle(7).drop_last(drop_last);
            let loader = loader.pad("tokens", Pad::with(-1.0).multiple_of(2).mask()).unwrap();
            let mut loader = match bucket {
                true => loader.bucket("tokens", 3).unwrap(),
                false => loader,
            };
            loader.set_epoch(epoch);
            loader.workers(workers)
        };
        let whole = feeds(&loader(&stored(n)));
        prop_assert_eq!(whole.len(), loader(&stored(n)).len());
        prop_assert_eq!(&feeds(&loader(&lazy(n))), &whole);
        let batch = cut.index(whole.len() + 1);
        for split in [stored(n), lazy(n)] {
            let mut rest = loader(&split);
            rest.set_epoch(epoch + 1);
            rest.seek(Position { epoch, batch: batch as u64 }).unwrap();
            prop_assert_eq!(&feeds(&rest)[..], &whole[batch..]);
        }
        let mut seen = Vec::new();
        for (at, feed) in whole.iter().enumerate() {
            prop_assert_eq!(&loader(&lazy(n)).feed(at).unwrap(), feed);
            let tokens = feed.inputs.find("tokens").unwrap();
            let mask = feed.inputs.find("tokens_mask").unwrap();
            prop_assert_eq!(tokens.shape(), mask.shape());
            let longest = feed.indices.iter().map(|i| 1 + i % 5).max().unwrap();
            prop_assert_eq!(tokens.shape()[1], longest.next_multiple_of(2));
            let length = tokens.shape()[1];
            for (at, &index) in feed.indices.iter().enumerate() {
                for place in 0..length {
                    let there = place < 1 + index % 5;
                    let (x, m) = (tokens.as_slice::<i64>().unwrap(), mask.as_bools().unwrap());
                    prop_assert_eq!(x[at * length + place], if there { index as i64 } else { -1 });
                    prop_assert_eq!(m[at * length + place], u8::from(there));
                }
                prop_assert_eq!(feed.targets.find("t").unwrap().as_slice::<i64>().unwrap()[at], index as i64);
                seen.push(index);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), if drop_last { n / batch_size.min(n) * batch_size.min(n) } else { n });
    }
}

#[test]
fn columns_of_every_type_are_fed_as_they_are() {
    let columns = Columns::new()
        .with(
            "image",
            Array::new([3, 1, 1, 2], vec![0u8, 255, 51, 102, 1, 2]),
        )
        .with("age", Array::new([3], vec![1.5f32, 2.5, 3.5]))
        .with(
            "exact",
            Array::new([3, 2], vec![0.1f64, 0.2, 0.3, 0.4, 0.5, 0.6]),
        )
        .with("flag", Array::new([3], vec![true, false, true]))
        .with("author", Array::new([3], vec![7i64, 8, 9]))
        .with("score", Array::new([3, 1], vec![1.0f32, 2.0, 3.0]));
    let split = Split::of(columns).unwrap();
    assert!(split.target_ports().is_empty());
    let split = split
        .inputs(["author", "image", "exact", "flag"])
        .unwrap()
        .targets(["score"])
        .unwrap()
        .subset(&[2, 0])
        .unwrap();
    let loader = Loader::new(&split, 2).unwrap();
    let said: Vec<String> = loader.input_ports().iter().map(Port::to_string).collect();
    assert_eq!(
        said,
        [
            "author: i64 [batch]",
            "image: f32 [batch, 1, 1, 2]",
            "exact: f64 [batch, 2]",
            "flag: bool [batch]"
        ]
    );
    let feed = loader.feed(0).unwrap();
    assert_eq!(
        feed.inputs.names().collect::<Vec<_>>(),
        ["author", "image", "exact", "flag"]
    );
    assert_eq!(
        feed.inputs
            .find("author")
            .unwrap()
            .as_slice::<i64>()
            .unwrap(),
        [9, 7]
    );
    assert_eq!(
        feed.inputs
            .find("image")
            .unwrap()
            .as_slice::<f32>()
            .unwrap(),
        [1.0 / 255.0, 2.0 / 255.0, 0.0, 1.0]
    );
    assert_eq!(
        feed.inputs
            .find("exact")
            .unwrap()
            .as_slice::<f64>()
            .unwrap(),
        [0.5, 0.6, 0.1, 0.2]
    );
    assert_eq!(
        feed.inputs.find("flag").unwrap().as_bools().unwrap(),
        [1, 1]
    );
    assert_eq!(
        feed.targets
            .find("score")
            .unwrap()
            .as_slice::<f32>()
            .unwrap(),
        [3.0, 1.0]
    );
    let raw = loader.raw().feed(0).unwrap();
    assert_eq!(
        raw.inputs.find("image").unwrap().as_slice::<u8>().unwrap(),
        [1, 2, 0, 255]
    );
    assert_eq!(
        split.column("author").unwrap().as_slice::<i64>().unwrap(),
        [9, 7]
    );
    assert_eq!(split.at(0).unwrap().find("score").unwrap().to_f64s(), [3.0]);
}

/// A column may be given and learned, as autoencoders have it.
#[test]
fn a_column_is_input_and_target() {
    let columns = Columns::new().with("x", Array::new([2, 1], vec![1.0f32, 2.0]));
    for split in [
        Split::of(columns.clone())
            .unwrap()
            .inputs(["x"])
            .unwrap()
            .targets(["x"]),
        Split::of(columns.clone())
            .unwrap()
            .targets(["x"])
            .unwrap()
            .inputs(["x"]),
    ] {
        let feed = Loader::new(&split.unwrap(), 2).unwrap().feed(0).unwrap();
        assert_eq!(feed.inputs, feed.targets);
    }
    let learned = Split::of(columns).unwrap().targets(["x"]).unwrap();
    assert!(learned.input_ports().is_empty());
}

#[test]
fn images_of_many_sizes_are_padded_along_both_axes() {
    let image = |h: usize, w: usize| Array::new([1, h, w], vec![1.0f32; h * w]);
    let port = Port::new(
        "image",
        DType::F32,
        [Axis::from(1), Axis::from("height"), Axis::from("width")],
    );
    let columns = Columns::new().ragged(port, [image(1, 2), image(2, 1), image(0, 0)]);
    let loader = Loader::new(&Split::of(columns).unwrap(), 3).unwrap();
    let error = loader.feed(0).unwrap_err().to_string();
    assert!(
        error.contains("differ in the height") && error.contains("Loader::pad"),
        "{error}"
    );
    let loader = loader
        .pad("image", Pad::with(9.0).mask_as(DType::F32))
        .unwrap();
    let feed = loader.feed(0).unwrap();
    let (x, mask) = (
        feed.inputs.find("image").unwrap(),
        feed.inputs.find("image_mask").unwrap(),
    );
    assert_eq!(
        (x.shape(), mask.shape()),
        (&[3, 1, 2, 2][..], &[3, 2, 2][..])
    );
    let (one, none) = (1.0, 9.0);
    assert_eq!(
        x.as_slice::<f32>().unwrap(),
        [
            one, one, none, none, one, none, one, none, none, none, none, none
        ]
    );
    assert_eq!(
        mask.as_slice::<f32>().unwrap(),
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    );
}

#[test]
fn what_cannot_be_padded_is_said() {
    let split = stored(6);
    let loader = Loader::new(&split, 6).unwrap();
    let error = |loader: zerokara_data::Result<Loader>| loader.unwrap_err().to_string();
    let pad = |pad| error(loader.clone().pad("tokens", pad));
    assert!(
        error(loader.clone().pad("words", Pad::with(0.0))).contains("no input or target \"words\"")
    );
    assert!(error(loader.clone().pad("t", Pad::with(0.0))).contains("of one size"));
    assert!(pad(Pad::with(0.5)).contains("whole numbers"));
    assert!(pad(Pad::with(0.0).multiple_of(0)).contains("multiple of 0"));
    assert!(pad(Pad::with(0.0).to(6).multiple_of(4)).contains("no multiple"));
    let short = loader.clone().pad("tokens", Pad::with(0.0).to(4)).unwrap();
    let told = short.feed(0).unwrap_err().to_string();
    assert!(told.contains("length 5 is longer than 4"), "{told}");
    assert!(error(loader.clone().bucket("tokens", 0)).contains("0 batches"));
    let unknown = Split::of(Lazy::new(3, [port()], |_| Err("never".into()))).unwrap();
    let unknown = Loader::new(&unknown, 1).unwrap();
    assert!(error(unknown.bucket("tokens", 2)).contains("not known without making them"));
    // Two columns of one length have one rule.
    let texts = || (0..2).map(tokens).map(|ids| Array::new([ids.len()], ids));
    let next = Port::new("next", DType::I64, ["length"]);
    let columns = Columns::new().ragged(port(), texts()).ragged(next, texts());
    let split = Split::of(columns).unwrap().targets(["next"]).unwrap();
    let loader = Loader::new(&split, 2)
        .unwrap()
        .pad("tokens", Pad::with(0.0).multiple_of(8))
        .unwrap();
    assert!(error(loader.clone().pad("next", Pad::with(0.0))).contains("length in common"));
    let feed = loader
        .pad("next", Pad::with(-1.0).multiple_of(8).mask())
        .unwrap()
        .feed(0)
        .unwrap();
    assert_eq!(
        feed.targets.names().collect::<Vec<_>>(),
        ["next", "next_mask"]
    );
    assert_eq!(feed.targets.find("next").unwrap().shape(), [2, 8]);
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let error = |columns: Columns| Split::of(columns).unwrap_err().to_string();
    let three = || Array::new([3], vec![0i64; 3]);
    let one = Columns::new().with("a", three());
    assert!(
        error(one.clone().with("b", Array::new([2], vec![0i64; 2])))
            .contains("2 samples, but column \"a\" has 3")
    );
    assert!(error(one.clone().with("a", three())).contains("two columns are named \"a\""));
    assert!(error(one.clone().with("", three())).contains("no name"));
    assert!(error(one.clone().with("b", Array::new([4], vec![0i64; 3]))).contains("3 elements"));
    assert!(error(one.clone().with("b", Array::new([], vec![0i64]))).contains("[N, ...]"));
    assert!(
        error(one.clone().with("b", Array::new([3, 0], vec![0i64; 0]))).contains("length of 0")
    );
    let wrong = Columns::new().ragged(port(), [Array::new([1], vec![0.5f32])]);
    assert!(error(wrong).contains("sample 0, f32[1]"));
    let lengths = |lengths: [usize; 2]| lengths.map(|n| Array::new([n], vec![0i64; n]));
    let next = Port::new("next", DType::I64, ["length"]);
    let uneven = Columns::new()
        .ragged(port(), lengths([1, 2]))
        .ragged(next, lengths([1, 3]));
    assert!(error(uneven).contains("sample 1: length is 2"));
    let split = stored(3);
    assert!(
        split
            .clone()
            .inputs(["x"])
            .unwrap_err()
            .to_string()
            .contains("no column \"x\"")
    );
    assert!(
        split
            .clone()
            .inputs(["t", "t"])
            .unwrap_err()
            .to_string()
            .contains("named twice")
    );
    assert!(
        split
            .column("tokens")
            .unwrap_err()
            .to_string()
            .contains("differ in size")
    );
    assert!(
        split
            .at(3)
            .unwrap_err()
            .to_string()
            .contains("sample 3 is out of range")
    );
}

/// What a source makes is held against what it says, and each fault is told with the sample.
#[test]
fn a_source_that_errs_is_an_error_at_its_batch() {
    let texts = |make: fn(usize) -> Result<Arrays, Failure>| {
        let next = Port::new("next", DType::I64, ["length"]);
        let split = Split::of(Lazy::new(5, [port(), next], make)).unwrap();
        let loader = Loader::new(&split, 1).unwrap().workers(3);
        let mut feeder = loader.feeder();
        for _ in 0..2 {
            feeder.next_feed().unwrap().unwrap();
        }
        let error = feeder.next_feed().unwrap_err().to_string();
        // Whoever asks again is told again, and the position stays.
        assert_eq!(feeder.next_feed().unwrap_err().to_string(), error);
        assert_eq!(feeder.position().batch, 2);
        error
    };
    fn both(n: usize, m: usize) -> Result<Arrays, Failure> {
        let ids = |n| Array::new([n], vec![0i64; n]);
        Ok(Arrays::from([("tokens", ids(n)), ("next", ids(m))]))
    }
    let error = texts(|i| if i < 2 { both(1, 1) } else { both(1, 2) });
    assert!(
        error.starts_with("sample 2: length is 1 in the column tokens"),
        "{error}"
    );
    let error = texts(|i| if i < 2 { both(1, 1) } else { Ok(Arrays::new()) });
    assert!(
        error.contains("sample 2: there is no value for the column tokens"),
        "{error}"
    );
    let error = texts(|i| {
        if i < 2 {
            both(1, 1)
        } else {
            Err(format!("line {i} is empty").into())
        }
    });
    assert_eq!(error, "sample 2: line 2 is empty");
    let error = texts(|i| {
        if i < 2 {
            both(1, 1)
        } else {
            panic!("broken {i}")
        }
    });
    assert_eq!(error, "sample 2: the source panicked: broken 2");
    let error = texts(|i| {
        if i < 2 {
            both(1, 1)
        } else {
            Ok(both(1, 1)?.with("next", Array::new([1], vec![0.5f32])))
        }
    });
    assert!(
        error.contains("f32[1] does not fit the column next: i64 [length]"),
        "{error}"
    );
}

/// Several samples are in the making at once, while a step is at work.
#[test]
fn samples_are_made_by_several_threads_ahead_of_the_step() {
    let threads = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (threads.clone(), busy, most.clone());
    let source = Lazy::new(40, [Port::new("x", DType::I64, [1])], move |index| {
        let (threads, busy, most) = &seen;
        most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        threads.lock().unwrap().insert(std::thread::current().id());
        std::thread::sleep(std::time::Duration::from_millis(5));
        busy.fetch_sub(1, Ordering::SeqCst);
        Ok(Arrays::one("x", Array::new([1], vec![index as i64])))
    });
    let loader = Loader::new(&Split::of(source).unwrap(), 4)
        .unwrap()
        .workers(4);
    let order: Vec<usize> = feeds(&loader)
        .into_iter()
        .flat_map(|feed| feed.indices)
        .collect();
    assert_eq!(order, (0..40).collect::<Vec<_>>());
    assert!(most.load(Ordering::SeqCst) > 1);
    assert!(
        !threads
            .lock()
            .unwrap()
            .contains(&std::thread::current().id())
    );
}

/// Two sets of arrays take turns and are used again; what somebody still holds is not written to.
#[test]
fn what_is_held_keeps_its_values() {
    let split = Split::new((0..40).collect::<Vec<u8>>(), &[1], vec![0; 40]).unwrap();
    let mut feeder = Loader::new(&split, 10).unwrap().feeder();
    let kept: Vec<Feed> = (0..4)
        .map(|_| feeder.next_feed().unwrap().unwrap().clone())
        .collect();
    for (at, feed) in kept.iter().enumerate() {
        let x = feed.inputs.find("x").unwrap().as_slice::<f32>().unwrap();
        assert_eq!(x[3], (at * 10 + 3) as f32 / 255.0);
    }
    assert!(feeder.next_feed().unwrap().is_none());
}

/// Bytes that are normalized in a graph have the bits of those normalized on the host; so has the feed of a loader.
#[test]
fn a_graph_normalizes_to_the_same_bits() {
    let pixels: Vec<u8> = (0..=255).cycle().take(4 * 2 * 64).collect();
    let split = Split::new(pixels, &[2, 8, 8], vec![0; 4]).unwrap();
    for normalization in [
        Normalization::none(),
        Normalization::unit(),
        Normalization::unit()
            .standard(&[0.1307], &[0.3081])
            .unwrap(),
        Normalization::unit()
            .standard(&[0.1307, 0.7], &[0.3081, 0.1])
            .unwrap(),
        Normalization::divided_by(3.0)
            .unwrap()
            .standard(&[1.0, 7.0], &[0.7, 3.0])
            .unwrap(),
    ] {
        let host = Loader::new(&split, 4)
            .unwrap()
            .normalization(normalization.clone())
            .unwrap();
        let raw = host.clone().raw().feed(0).unwrap();
        let bytes = raw.inputs.find("x").unwrap();
        assert_eq!(bytes.dtype(), DType::U8);
        let in_graph = normalization.tensor(&bytes.clone().into()).eval().unwrap();
        let on_host = host.feed(0).unwrap();
        assert!(
            in_graph.is_identical(on_host.inputs.find("x").unwrap()),
            "{normalization:?}"
        );
        assert_eq!(
            host.batch(0).unwrap().images,
            in_graph.as_slice::<f32>().unwrap()
        );
    }
    let three = Normalization::unit()
        .standard(&[0.0; 3], &[1.0; 3])
        .unwrap();
    let x = zerokara_core::Tensor::zeros([1, 2, 2, 2]);
    assert!(
        three
            .tensor(&x)
            .eval()
            .unwrap_err()
            .to_string()
            .contains("3 means")
    );
}

/// The thin form and the general one are one machine: pixels, labels and augmentation agree.
#[test]
fn batches_are_feeds() {
    let pixels: Vec<u8> = (0..20 * 25).map(|at| (at * 7 % 251) as u8).collect();
    let split = Split::new(pixels, &[1, 5, 5], (0..20).collect()).unwrap();
    let normalization = Normalization::unit().standard(&[0.5], &[0.5]).unwrap();
    let loader = Loader::new(&split, 8)
        .unwrap()
        .shuffle(3)
        .normalization(normalization.clone())
        .unwrap();
    let augment = Augment::new(5).shift(1).rotate(20.0).unwrap();
    for loader in [loader.clone(), loader.augment(augment).unwrap()] {
        for (batch, feed) in loader.iter().zip(feeds(&loader)) {
            assert_eq!(
                batch.images,
                feed.inputs.find("x").unwrap().as_slice::<f32>().unwrap()
            );
            assert_eq!(
                batch.labels,
                feed.targets.find("t").unwrap().as_slice::<i64>().unwrap()
            );
            assert_eq!(
                (batch.shape, batch.indices),
                (vec![feed.len(), 1, 5, 5], feed.indices)
            );
        }
        // Of the raw scale, the same pictures up to rounding.
        let raw = loader.clone().raw().feed(0).unwrap();
        let mut raw: Vec<f32> = raw
            .inputs
            .find("x")
            .unwrap()
            .to_f64s()
            .iter()
            .map(|&x| x as f32)
            .collect();
        normalization.apply(&mut raw, 1).unwrap();
        let batch = loader.batch(0).unwrap().images;
        assert!(raw.iter().zip(&batch).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
