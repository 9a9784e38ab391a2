//! Pictures as data sets.

use super::{DataOptions, ImageFile, ImageFiles, assembled, evenly};
use crate::columns::Columns;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::image::{check_sample_shape, picture_bytes};
use crate::picture::Picture;
use crate::pictures::Pictures;
use crate::source::Lazy;
use crate::split::Split;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use zerokara_core::{Array, Arrays, DType, Port};

/// Pictures that are looked at for their sizes and colours.
const LOOKED_AT: usize = 200;
/// The side that pictures are brought to, if they are larger.
const SIDE: usize = 64;
/// Stretching changes proportions by no more than this.
const MOST_STRETCH: f64 = 1.25;

/// A data set of these pictures.
pub(super) fn open(
    files: ImageFiles,
    name: String,
    path: &Path,
    options: &DataOptions,
) -> Result<Dataset> {
    let mut notes = vec![format!(
        "{} pictures of {} classes",
        files.all().count(),
        files.classes.len()
    )];
    if files.others > 0 {
        notes.push(format!(
            "{} files are no pictures, and are left out",
            files.others
        ));
    }
    let look = Look::at(&files, options)?;
    let shape = [look.channels, look.size[0], look.size[1]];
    check_sample_shape(&shape)?;
    notes.push(format!(
        "each is brought to {} x {} pixels ({}), in {}",
        shape[1],
        shape[2],
        look.fit.in_words(),
        if shape[0] == 3 { "colour" } else { "grey" }
    ));
    let mut unreadable = Vec::new();
    let mut read = |files: &[ImageFile]| -> Result<Split> {
        let (split, bad) = split(files, shape, look.fit, options)?;
        unreadable.extend(bad);
        Ok(split)
    };
    let whole = read(&files.train)?;
    let own = [read(&files.validation)?, read(&files.test)?];
    if whole.is_empty() {
        return Err(Error::file(
            path,
            "no picture of the training part can be read",
        ));
    }
    if !unreadable.is_empty() {
        const SHOWN: usize = 5;
        let more = match unreadable.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        unreadable.truncate(SHOWN);
        notes.push(format!(
            "left out, since they cannot be read: {}{more}",
            unreadable.join("; ")
        ));
    }
    let mut dataset = assembled(name, path, whole, own, files.classes, options)?;
    dataset.pictures = look.fit;
    dataset.notes = notes;
    Ok(dataset)
}

/// All pictures as samples of a model of these classes; those of the test part alone, if there is one.
pub(super) fn like(
    files: &ImageFiles,
    class_names: &[String],
    shape: [usize; 3],
    fit: Pictures,
    options: &DataOptions,
) -> Result<Split> {
    check_sample_shape(&shape)?;
    let part = if files.test.is_empty() {
        &files.train
    } else {
        &files.test
    };
    let number = |file: &ImageFile| {
        let name = &files.classes[file.class];
        let class = class_names.iter().position(|known| known == name);
        let class = class.ok_or_else(|| {
            Error::file(
                &file.path,
                format_args!(
                    "the model does not know the class {name:?}; it knows {}",
                    class_names.join(", ")
                ),
            )
        })?;
        Ok(ImageFile {
            path: file.path.clone(),
            class,
        })
    };
    let part: Vec<ImageFile> = part.iter().map(number).collect::<Result<_>>()?;
    Ok(split(&part, shape, fit, options)?.0)
}

/// What pictures look like, as far as it is not said.
struct Look {
    size: [usize; 2],
    channels: usize,
    fit: Pictures,
}

impl Look {
    fn at(files: &ImageFiles, options: &DataOptions) -> Result<Self> {
        let all: Vec<&ImageFile> = files.all().collect();
        let some = evenly(all.len(), LOOKED_AT);
        let seen: Vec<Option<(usize, usize, bool)>> = at_once(some.len(), |at| {
            let picture = Picture::read(&all[some[at]].path).ok()?;
            Some((picture.height, picture.width, picture.has_colour()))
        });
        let seen: Vec<(usize, usize, bool)> = seen.into_iter().flatten().collect();
        let Some(&(height, width, _)) = seen.first() else {
            // The first one's own error says why.
            Picture::read(&all[0].path)?;
            return Err(Error::new(
                "none of the pictures that were looked at can be read",
            ));
        };
        let alike = seen.iter().all(|&(h, w, _)| (h, w) == (height, width));
        let size = options
            .size
            .unwrap_or(match alike && height.max(width) <= SIDE {
                true => [height, width],
                false => [SIDE, SIDE],
            });
        let proportion = size[0] as f64 / size[1] as f64;
        let stretch = |&(h, w, _): &(usize, usize, bool)| {
            let ratio = h as f64 / w as f64 / proportion;
            ratio.max(1.0 / ratio)
        };
        let fit = options.fit.unwrap_or(
            match seen.iter().all(|seen| stretch(seen) <= MOST_STRETCH) {
                true => Pictures::Plain,
                false => Pictures::Crop,
            },
        );
        let colour = seen.iter().any(|(_, _, has_colour)| *has_colour);
        let channels = options.channels.unwrap_or(if colour { 3 } else { 1 });
        Ok(Look {
            size,
            channels,
            fit,
        })
    }
}

/// Pictures as samples, and those that cannot be read, each with why.
fn split(
    files: &[ImageFile],
    shape: [usize; 3],
    fit: Pictures,
    options: &DataOptions,
) -> Result<(Split, Vec<String>)> {
    if files.is_empty() {
        return Ok((Split::empty(), Vec::new()));
    }
    let values = shape.iter().product::<usize>();
    let fits = (values as u64).saturating_mul(files.len() as u64) <= options.memory;
    match fits {
        true => in_memory(files, shape, fit, options),
        false => on_demand(files, shape, fit, options),
    }
}

fn in_memory(
    files: &[ImageFile],
    shape: [usize; 3],
    fit: Pictures,
    options: &DataOptions,
) -> Result<(Split, Vec<String>)> {
    let done = AtomicUsize::new(0);
    let read: Vec<Result<Vec<u8>>> = at_once(files.len(), |at| {
        let bytes = picture_bytes(&files[at].path, shape, fit);
        tell(options, &done, files.len());
        bytes
    });
    let (good, bad) = readable(read, options)?;
    let labels: Vec<i64> = good.iter().map(|(at, _)| files[*at].class as i64).collect();
    let mut pixels = Vec::with_capacity(good.len() * shape.iter().product::<usize>());
    for (_, bytes) in good {
        pixels.extend_from_slice(&bytes);
    }
    let whole = [&[labels.len()], &shape[..]].concat();
    let columns = Columns::new()
        .with("x", Array::new(whole, pixels))
        .with("t", Array::new([labels.len()], labels));
    Ok((Split::of(columns)?, bad))
}

/// Pictures that are decoded whenever they are wanted. Whether all can be read is found out once, beforehand, by their headers.
fn on_demand(
    files: &[ImageFile],
    shape: [usize; 3],
    fit: Pictures,
    options: &DataOptions,
) -> Result<(Split, Vec<String>)> {
    let done = AtomicUsize::new(0);
    let looked: Vec<Result<()>> = at_once(files.len(), |at| {
        let path = &files[at].path;
        let head = imagesize::size(path);
        tell(options, &done, files.len());
        // The decoders know more files than who reads their headers.
        head.map(|_| ())
            .or_else(|_| Picture::read(path).map(|_| ()))
    });
    let (good, bad) = readable(looked, options)?;
    let good: Vec<ImageFile> = good.into_iter().map(|(at, ())| files[at].clone()).collect();
    let labels: Vec<i64> = good.iter().map(|file| file.class as i64).collect();
    let ports = [
        Port::new("x", DType::U8, shape),
        Port::new("t", DType::I64, [] as [usize; 0]),
    ];
    let source = Lazy::new(good.len(), ports, move |index| {
        let file = &good[index];
        let pixels = picture_bytes(&file.path, shape, fit)?;
        Ok(Arrays::from_iter([
            ("x", Array::new(shape, pixels)),
            ("t", Array::new([], vec![file.class as i64])),
        ]))
    });
    Ok((Split::of(source.classes("t", labels))?, bad))
}

/// What was read, each with its file's number, and why others could not be.
type Readable<T> = (Vec<(usize, T)>, Vec<String>);

/// What was read of the files, with their numbers, and why the others could not be; the first of these is an error unless they are
/// to be left out.
fn readable<T>(read: Vec<Result<T>>, options: &DataOptions) -> Result<Readable<T>> {
    let (mut good, mut bad) = (Vec::with_capacity(read.len()), Vec::new());
    for (at, read) in read.into_iter().enumerate() {
        match read {
            Ok(value) => good.push((at, value)),
            Err(error) if options.skip_unreadable => bad.push(error.to_string()),
            Err(error) => {
                return Err(Error::new(format!(
                    "{error} (with skip_unreadable, such pictures are left out)"
                )));
            }
        }
    }
    Ok((good, bad))
}

fn tell(options: &DataOptions, done: &AtomicUsize, all: usize) {
    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(tell) = &options.reading {
        tell(count, all);
    }
}

/// Makes so many values on all threads, in order.
fn at_once<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(count.max(1));
    let next = AtomicUsize::new(0);
    let made: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    own.push((at, make(at)));
                }
                made.lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .append(&mut own);
            });
        }
    });
    let mut made = made
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    made.sort_unstable_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, value)| value).collect()
}
