//! The command at its edges: outputs that are no files, arguments that are no text, numbers that nobody can mean, and what
//! is told beside the result.

mod common;

use common::{run, small_run, stderr, stdout, succeed, zerokara};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Runs the command and expects this exit code and one line on standard error; the line.
#[track_caller]
fn fail(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(folder, arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    text
}

const GRAPH: [&str; 3] = ["graph", "two-layer-net", "-o"];

#[test]
fn a_dash_is_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let names: &[&str] = if cfg!(unix) {
        &["-", "/dev/stdout"]
    } else {
        &["-"]
    };
    for name in names {
        let output = run(at, &[&GRAPH[..], &[name]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        // The picture alone; what is told about it goes elsewhere.
        let picture = stdout(&output);
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(stderr(&output).contains("14 nodes"), "{}", stderr(&output));
    }
    assert_eq!(fs::read_dir(at).unwrap().count(), 0, "no file of that name");
    for arguments in [
        &["train", "--output", "-"][..],
        &["search", "--output", "-"],
        &["lab", "softmax", "--out", "-"],
        &["lab", "softmax", "--pictures", "-"],
    ] {
        assert!(fail(at, arguments, 2).contains("a folder is needed"));
    }
}

#[test]
fn an_ending_that_the_format_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["two.png", "two.pdf", "two.svg.gz"] {
        let text = fail(at, &[&GRAPH[..], &[name]].concat(), 2);
        assert!(text.contains(name) && text.contains(".svg"), "{text}");
    }
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);
    for name in ["two", "two.SVG", "v1.2.svg"] {
        succeed(at, &[&GRAPH[..], &[name]].concat());
        assert!(at.join(name).is_file(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_links_and_devices_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let kind = |name: &str| fs::symlink_metadata(at.join(name)).unwrap().file_type();
    assert!(
        Command::new("mkfifo")
            .arg(at.join("pipe.fifo"))
            .status()
            .unwrap()
            .success()
    );
    let reader = Command::new("cat")
        .arg(at.join("pipe.fifo"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(succeed(at, &[&GRAPH[..], &["pipe.fifo"]].concat()), "");
    let read = reader.wait_with_output().unwrap().stdout;
    assert!(read.starts_with(b"<svg") && read.ends_with(b"</svg>\n"));
    assert!(kind("pipe.fifo").is_fifo());

    // A reader who has seen enough: no error, and the pipe is there still.
    let mut reader = Command::new("sh")
        .args(["-c", "exec head -c 10 < pipe.fifo"])
        .current_dir(at)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let output = run(
        at,
        &[
            "graph",
            "resnet20",
            "--backward",
            "--input",
            "3,32,32",
            "-o",
            "pipe.fifo",
        ],
    );
    reader.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(kind("pipe.fifo").is_fifo());

    // Only who may make devices makes one like /dev/full; never the system's own.
    let made = Command::new("mknod")
        .args([at.join("full").to_str().unwrap(), "c", "1", "7"])
        .stderr(Stdio::null())
        .status();
    let works = || {
        fs::OpenOptions::new()
            .write(true)
            .open(at.join("full"))
            .is_ok()
    };
    if made.is_ok_and(|status| status.success()) && works() {
        let text = fail(at, &[&GRAPH[..], &["full"]].concat(), 1);
        assert!(text.contains("full") && text.contains("space"), "{text}");
        assert!(kind("full").is_char_device());
    }

    symlink("target.svg", at.join("link.svg")).unwrap();
    succeed(at, &[&GRAPH[..], &["link.svg"]].concat());
    assert!(kind("link.svg").is_symlink() && kind("target.svg").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn what_standard_output_cannot_take_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // Opened by the test, for writing alone: nothing can be replaced through it.
    for arguments in [
        &["--help"][..],
        &["summary", "lenet5", "--input", "1,32,32"],
        &["graph", "lenet5", "--input", "1,32,32", "-o", "-"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = zerokara(folder.path())
            .args(arguments)
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).contains("standard output"),
            "{}",
            stderr(&output)
        );
    }
    // An open file goes on where it is.
    let path = folder.path().join("log.svg");
    fs::write(&path, "before\n").unwrap();
    let log = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut command = zerokara(folder.path());
    let output = command
        .args(GRAPH)
        .arg("/dev/stdout")
        .stdout(log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\n<svg") && text.ends_with("</svg>\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn arguments_need_not_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let odd = OsStr::from_bytes(b"od\xffd");
    let told = |arguments: &[&OsStr], code: i32| -> String {
        let output = zerokara(at).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains("panic"), "{text}");
        text + &stdout(&output)
    };
    let words = |line: &'static str| line.split(' ').map(OsStr::new).collect::<Vec<_>>();
    // A run in such a folder, from training to its picture.
    let train = words("train --quiet --model two-layer-net --limit 100 --epochs 1 --output");
    told(&[&train[..], &[odd]].concat(), 0);
    let model = at.join(odd).join("model.safetensors");
    assert!(model.is_file());
    for command in ["eval", "summary"] {
        assert!(told(&[OsStr::new(command), odd], 0).contains("two-layer-net"));
    }
    let drawn = OsStr::from_bytes(b"\xfe.svg");
    told(
        &[
            OsStr::new("graph"),
            model.as_os_str(),
            OsStr::new("-o"),
            drawn,
        ],
        0,
    );
    assert!(at.join(drawn).is_file());
    let lab = words("lab softmax --quick --out");
    told(&[&lab[..], &[odd]].concat(), 0);
    // Where nothing has such a name, one line says so.
    let none = OsStr::from_bytes(b"no\xfe");
    for line in [
        "train",
        "eval",
        "summary",
        "graph",
        "lab",
        "bench --model",
        "train --seed",
        "train --model",
        "",
    ] {
        let line = words(line).into_iter().filter(|word| !word.is_empty());
        let arguments: Vec<&OsStr> = line.chain([none]).collect();
        let output = zerokara(at).args(&arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{arguments:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(text.starts_with("error: "), "{arguments:?}: {text}");
    }
    assert!(told(&[OsStr::new("predict"), odd, none], 1).contains("no\u{fffd}"));
    for variable in ["ZEROKARA_THREADS", "ZEROKARA_ISA"] {
        let output = zerokara(at)
            .args(["eval"])
            .arg(odd)
            .env(variable, none)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{variable}: {text}");
        assert!(
            text.contains(variable) && text.lines().count() == 1,
            "{text}"
        );
    }
    let mut list = zerokara(at);
    let output = list
        .arg("lab")
        .env("LC_ALL", OsStr::from_bytes(b"ja\xff"))
        .output()
        .unwrap();
    assert!(output.status.success() && stdout(&output).contains("ソフトマックス"));
}

#[test]
fn numbers_tell_their_range() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let huge = "1000000000000000000000";
    let cases: &[(&str, &str, &[&str], &str)] = &[
        (
            "train",
            "--epochs",
            &["0", "-1", "1.5", "1000001", huge, "x", ""],
            "1 to 1,000,000",
        ),
        (
            "train",
            "--batch-size",
            &["0", "-1", "1000000000", huge],
            "1 to 1,000,000",
        ),
        (
            "train",
            "--learning-rate",
            &[
                "0", "-1", "-0.1", "nan", "inf", "-inf", "1e400", "1e39", "1e-60",
            ],
            "above 0, from 1e-45 to 3e38",
        ),
        (
            "train",
            "--weight-decay",
            &["-1", "NaN", "1e400", "-inf"],
            "0 or a number from 1e-45 to 3e38",
        ),
        ("train", "--clip-norm", &["0", "-2", "inf"], "above 0"),
        (
            "search",
            "--trials",
            &["0", "-1", "2.5"],
            "from 1 to 100,000",
        ),
        ("search", "--parallel", &["0", "-1", "257"], "from 1 to 256"),
        (
            "train",
            "--validation",
            &["-0.1", "1.5", "-3", "nan"],
            "from 0 to below 1",
        ),
        (
            "train",
            "--early-stopping",
            &["0", "-1", huge],
            "1 to 1,000,000",
        ),
        (
            "train",
            "--seed",
            &["-1", "0.5", huge, "--quiet"],
            "0 to 18446744073709551615",
        ),
        (
            "train",
            "--threads",
            &["0", "-1", "2000000", huge],
            "1 to 1,024",
        ),
        ("eval", "--threads", &["2000000"], "1 to 1,024"),
        ("bench", "--threads", &["2000000"], "1 to 1,024"),
        (
            "bench",
            "--batch-size",
            &["0", "-1", "1000000000", huge],
            "1 to 1,000,000",
        ),
        (
            "bench",
            "--seconds",
            &["0", "-1", "nan", "inf", "1e400", "1e9"],
            "above 0, up to 86400",
        ),
        (
            "graph",
            "--batch",
            &["0", "-1", "1000000000", huge],
            "1 to 1,000,000",
        ),
        (
            "summary",
            "--input",
            &["0", "-1", "-28", huge],
            "1 to 16,777,216",
        ),
        (
            "summary",
            "--classes",
            &["0", "-1", "1000000000", huge],
            "1 to 100,000",
        ),
        (
            "lab",
            "--seed",
            &["-1", "x", huge],
            "0 to 18446744073709551615",
        ),
    ];
    for (command, option, values, range) in cases {
        for value in *values {
            let text = fail(at, &[command, option, value], 2);
            assert!(
                text.contains(option) && text.contains(range),
                "{option} {value}: {text}"
            );
            assert!(
                value.is_empty() || text.contains(value),
                "{option} {value}: {text}"
            );
            let joined = format!("{option}={value}");
            assert!(fail(at, &[command, &joined], 2).contains(range), "{joined}");
        }
    }
    let text = fail(at, &["summary", "two-layer-net", "--input", "5000,5000"], 1);
    assert!(text.contains("16,777,216 values"), "{text}");
    for (lab, option) in [
        ("loss", "batch"),
        ("training", "iterations"),
        ("depth", "channels"),
    ] {
        let option = format!("--{option}");
        for value in ["0", "-1", huge] {
            let text = fail(at, &["lab", lab, &option, value], 2);
            assert!(
                text.contains("a whole number from 1 to 1,000,000"),
                "{text}"
            );
        }
    }
    let output = zerokara(at)
        .args(["bench"])
        .env("ZEROKARA_THREADS", "2000000")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ZEROKARA_THREADS") && stderr(&output).contains("1 to 1024"));
    assert_eq!(fs::read_dir(at).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn one_picture_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    let mut encoder = png::Encoder::new(fs::File::create(at.join("a.png")).unwrap(), 28, 28);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..28 * 28)
        .map(|i| {
            if (6..22).contains(&(i / 28)) && (13..16).contains(&(i % 28)) {
                10
            } else {
                240
            }
        })
        .collect();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
    fs::copy(at.join("a.png"), at.join("c.png")).unwrap();
    fs::write(at.join("bad.png"), "no picture").unwrap();
    for json in [&["--json"][..], &[]] {
        let pictures = ["predict", "run", "a.png", "bad.png", "c.png", "missing.png"];
        let output = run(at, &[&pictures[..], json].concat());
        assert_eq!(output.status.code(), Some(1));
        let (told, wrong) = (stdout(&output), stderr(&output));
        assert!(told.contains("a.png") && told.contains("c.png"), "{told}");
        assert!(!told.contains("bad.png"), "{told}");
        let wrong: Vec<&str> = wrong.lines().collect();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            wrong[0].contains("bad.png") && wrong[1].contains("missing.png"),
            "{wrong:?}"
        );
        assert!(wrong[2].contains("2 of 4"), "{wrong:?}");
        if !json.is_empty() {
            let read =
                |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["image"].clone();
            let images: Vec<_> = told.lines().map(read).collect();
            assert_eq!(images, ["a.png", "c.png"]);
        }
    }
    assert!(fail(at, &["predict", "run", "bad.png"], 1).contains("bad.png"));
}

#[test]
fn a_run_without_a_model_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut child = zerokara(at)
        .args(["train", "--model", "deep-convnet", "--batch-size", "10"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = at.join("runs/latest/metrics.jsonl");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while fs::read_to_string(&metrics).map_or(true, |text| text.is_empty()) {
        assert!(
            std::time::Instant::now() < end,
            "no step within two minutes"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = fs::read_dir(at.join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let run = run.into_iter().find(|name| name != "latest").unwrap();
    let run = format!("runs/{}", run.to_str().unwrap());
    for name in ["runs/latest", &run] {
        for command in ["eval", "summary", "graph"] {
            let text = fail(at, &[command, name], 1);
            assert!(
                text.contains("has no model yet") && text.contains("step"),
                "{text}"
            );
            assert!(text.contains("train again"), "{text}");
        }
    }
    // The page of a run that ended well is there under the link too.
    let train = [
        "train",
        "--quiet",
        "--model",
        "two-layer-net",
        "--limit",
        "100",
        "--epochs",
        "1",
    ];
    succeed(at, &train);
    assert!(succeed(at, &["eval", "runs/latest"]).starts_with("two-layer-net"));
    if cfg!(unix) {
        assert!(at.join("runs/latest/report.html").is_file());
    }
    // Text files of older versions are read and replaced.
    fs::remove_file(at.join("runs/latest")).unwrap();
    fs::write(at.join("runs/latest"), format!("{}\n", &run[5..])).unwrap();
    assert!(fail(at, &["eval", "runs/latest"], 1).contains("has no model yet"));
    succeed(at, &train);
    assert!(succeed(at, &["eval", "runs/latest"]).starts_with("two-layer-net"));
}

#[test]
fn settings_that_do_not_do_what_they_seem_to_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |options: &[&str]| {
        let fixed = [
            "train",
            "--model",
            "two-layer-net",
            "--limit",
            "200",
            "--epochs",
            "1",
        ];
        let output = run(at, &[&fixed[..], options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let told = stderr(&output);
        told.lines()
            .filter(|line| line.starts_with("note: "))
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(
        train(&[
            "--validation",
            "0.2",
            "--early-stopping",
            "3",
            "--threads",
            "1"
        ]),
        [""; 0]
    );
    let told = train(&["--early-stopping", "3"]);
    assert!(
        told.len() == 1 && told[0].contains("--validation"),
        "{told:?}"
    );
    let told = train(&["--batch-size", "201"]);
    assert!(told.len() == 1 && told[0].contains("all 200"), "{told:?}");
    assert_eq!(train(&["--batch-size", "200"]), [""; 0]);
    let told = train(&["--threads", &(cores + 1).to_string()]);
    assert!(
        told.len() == 1 && told[0].contains("cores") || cores == 1,
        "{told:?}"
    );
    assert_eq!(
        train(&["--early-stopping", "3", "--batch-size", "900", "--quiet"]),
        [""; 0]
    );
}
