//! Wrong input gets one clear line and an exit code that is not 0.

mod common;

use common::{run, small_run, stderr, stdout, succeed, zerokara};
use std::{fs, path::Path};
use zerokara_nn::Module;
use zerokara_train::SavedModel;

const QUIET: [&str; 5] = ["train", "--quiet", "--limit", "200", "--model"];

/// Runs the command and expects this exit code and one line on standard error that holds all of these words.
#[track_caller]
fn fail(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let output = run(folder, arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert_eq!(stdout(&output), "", "{arguments:?}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    for word in words {
        assert!(
            text.contains(word),
            "{arguments:?}: {word:?} is not in {text}"
        );
    }
    text
}

#[test]
fn unknown_names_list_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fail(
        at,
        &["train", "mnits"],
        1,
        &["mnits", "mnist", "fashion-mnist"],
    );
    fail(
        at,
        &["train", "--model", "resnet99"],
        2,
        &["resnet99", "simple-convnet", "deep-convnet"],
    );
    fail(
        at,
        &["train", "--optimizer", "adamm"],
        2,
        &["adamm", "momentum", "adamw"],
    );
    fail(
        at,
        &["train", "--schedule", "circle"],
        2,
        &["circle", "one-cycle"],
    );
    fail(at, &["bench", "--model", "x"], 2, &["two-layer-net", "all"]);
    fail(at, &["summary", "simpleconv"], 1, &["simple-convnet"]);
    fail(at, &["train", "--colour"], 2, &["--colour"]);
    fail(at, &["trian"], 2, &["trian", "train"]);
    // Nothing was begun.
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);
}

#[test]
fn bf16_is_declined_where_it_cannot_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for command in ["train", "bench"] {
        let named = ["f16", "known precisions are f32, bf16, direct"];
        fail(at, &[command, "--precision", "f16"], 2, &named);
    }
    let two = [
        &["train", "--quiet", "--limit", "200"][..],
        &["bench", "--model", "simple-convnet", "--json"],
    ];
    for arguments in two {
        let decline = |isa: Option<&str>| {
            let mut command = zerokara(at);
            command.args(arguments).args(["--precision", "bf16"]);
            match isa {
                Some(isa) => command.env("ZEROKARA_ISA", isa),
                None => command.env_remove("ZEROKARA_ISA"),
            };
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            let text = stderr(&output);
            assert_eq!(text.lines().count(), 1, "{text}");
            text
        };
        // A CPU without AVX2 says so instead.
        assert!(decline(Some("avx2")).contains("avx2"));
        #[cfg(target_arch = "x86_64")]
        let has_it = is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let has_it = false;
        if !has_it {
            let text = decline(None);
            assert!(text.contains("AVX512-BF16, which this CPU lacks"), "{text}");
            assert!(text.contains("use f32"), "{text}");
        }
    }
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);
}

#[test]
fn impossible_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (option, value) in [
        ("--batch-size", "0"),
        ("--epochs", "0"),
        ("--threads", "0"),
        ("--batch-size", "-5"),
        ("--learning-rate", "nan"),
        ("--learning-rate", "0"),
        ("--weight-decay", "-1"),
        ("--validation", "1.5"),
        ("--seed", "x"),
    ] {
        let argument = format!("{option}={value}");
        fail(at, &["train", &argument], 2, &[option, value]);
    }
    fail(
        at,
        &[
            "train",
            "--validation",
            "70000",
            "--quiet",
            "--model",
            "two-layer-net",
        ],
        1,
        &["70000", "60000"],
    );
}

#[test]
fn folders_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("file"), "").unwrap();
    let mut arguments = QUIET.to_vec();
    arguments.extend(["two-layer-net", "--output", "file"]);
    fail(at, &arguments, 1, &["file", "another path"]);
    *arguments.last_mut().unwrap() = "file/run";
    fail(at, &arguments, 1, &["file"]);
    *arguments.last_mut().unwrap() = "/proc/no-such/run";
    fail(at, &arguments, 1, &["/proc/no-such"]);
}

#[test]
fn models_that_are_missing_damaged_or_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fail(at, &["eval", "none.safetensors"], 1, &["none.safetensors"]);
    fail(at, &["eval", "runs/latest"], 1, &["runs"]);
    fs::create_dir(at.join("empty")).unwrap();
    fail(at, &["eval", "empty"], 1, &["empty", "model.safetensors"]);

    small_run(at, "run");
    let whole = fs::read(at.join("run/model.safetensors")).unwrap();
    let path = at.join("bad.safetensors");
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        fail(at, &["eval", "bad.safetensors"], 1, &["bad.safetensors"]);
    }
    fs::write(&path, "this is no model, whatever its name says").unwrap();
    for command in ["eval", "summary"] {
        fail(at, &[command, "bad.safetensors"], 1, &["bad.safetensors"]);
    }
    fail(
        at,
        &["predict", "bad.safetensors", "x.png"],
        1,
        &["bad.safetensors"],
    );
    // Every byte of the head turned: an error or a model, never a panic (whose exit code is 101).
    let head = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize + 8;
    for byte in (0..head).step_by(head / 40) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x15;
        fs::write(&path, bytes).unwrap();
        let output = common::run(at, &["summary", "bad.safetensors"]);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "byte {byte}: {code:?} {}",
            common::stderr(&output)
        );
    }
}

#[test]
fn pictures_that_are_missing_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    fail(at, &["predict", "run", "none.png"], 1, &["none.png"]);
    fs::write(at.join("text.png"), "no picture").unwrap();
    fail(at, &["predict", "run", "text.png"], 1, &["text.png"]);
    fail(at, &["predict", "run"], 2, &["FILE"]);
}

/// An IDX file of bytes.
fn idx(path: &Path, shape: &[u32], values: &[u8]) {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    for size in shape {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(values);
    fs::write(path, bytes).unwrap();
}

/// A data set of images of this size, labels 0 and 1 in turn.
fn data(folder: &Path, side: u32) {
    fs::create_dir(folder).unwrap();
    for part in ["train", "t10k"] {
        let pixels: Vec<u8> = (0..40 * side * side).map(|i| (i * 7 % 256) as u8).collect();
        let labels: Vec<u8> = (0..40).map(|i| i % 2).collect();
        idx(
            &folder.join(format!("{part}-images-idx3-ubyte")),
            &[40, side, side],
            &pixels,
        );
        idx(
            &folder.join(format!("{part}-labels-idx1-ubyte")),
            &[40],
            &labels,
        );
    }
}

#[test]
fn data_sets_that_are_cut_off_or_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    data(&at.join("small"), 4);
    // A convolution of 5 by 5 needs larger images.
    let text = fail(
        at,
        &["train", "small", "--model", "simple-convnet", "--quiet"],
        1,
        &["simple-convnet", "small", "[1, 4, 4]"],
    );
    assert!(text.contains("conv"), "{text}");
    assert!(!at.join("runs").exists());
    succeed(
        at,
        &[
            "train",
            "small",
            "--quiet",
            "--model",
            "two-layer-net",
            "--epochs",
            "1",
            "--output",
            "run",
        ],
    );
    fail(
        at,
        &["eval", "run", "mnist"],
        1,
        &["[1, 4, 4]", "[1, 28, 28]"],
    );

    let images = at.join("small/train-images-idx3-ubyte");
    let whole = fs::read(&images).unwrap();
    fs::write(&images, &whole[..whole.len() - 3]).unwrap();
    fail(
        at,
        &["train", "small", "--quiet"],
        1,
        &["train-images-idx3-ubyte"],
    );
    fs::write(&images, [&[9u8; 4][..], &whole[4..]].concat()).unwrap();
    fail(
        at,
        &["train", "small", "--quiet"],
        1,
        &["train-images-idx3-ubyte"],
    );
    fs::remove_file(&images).unwrap();
    fail(
        at,
        &["train", "small", "--quiet"],
        1,
        &["train-images-idx3-ubyte"],
    );
}

#[test]
fn a_loss_that_is_not_finite_stops_before_the_update() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = fail(
        at,
        &[
            "train",
            "--quiet",
            "--limit",
            "500",
            "--model",
            "simple-convnet",
            "--optimizer",
            "sgd",
            "--learning-rate",
            "1e30",
            "--schedule",
            "constant",
            "--output",
            "run",
        ],
        1,
        &["at step", "epoch 1", "run/model.safetensors"],
    );
    assert!(text.contains("layer"), "{text}");
    // What is kept is a model of finite numbers; they are so large that its scores are none, which is said.
    let model = SavedModel::load(at.join("run/model.safetensors")).unwrap();
    for (path, values) in model.module().state().unwrap() {
        let finite = values.to_f64s().iter().all(|v| v.is_finite());
        assert!(finite, "{path}");
    }
    let words = ["10,000 of 10,000 samples have no answer", "NaN"];
    fail(at, &["eval", "run", "--json"], 1, &words);
    let metrics = fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    assert!(metrics.lines().count() >= 2, "{metrics}");
}
