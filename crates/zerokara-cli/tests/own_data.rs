//! Data of one's own, from a file or a folder to answers, without writing code: what the guide tells, command by command.

mod common;

use common::{run, stderr, succeed, zerokara};
use serde_json::Value;
use std::{fs, io::Write, path::Path, process::Stdio};
use tempfile::TempDir;

/// What a command says that fails: one line.
fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(!output.status.success(), "{arguments:?} succeeds");
    let said = stderr(&output);
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    errors[0].to_string()
}

/// Flowers whose kind follows from their sizes, but for some noise; some sizes are missing.
fn flowers(folder: &Path) {
    let mut state = 7u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    let mut text = String::from("id,length,width,colour,picked,species\n");
    for at in 0..120 {
        let kind = at % 3;
        let length = match at % 17 {
            5 => String::new(),
            _ => format!("{:.2}", 2.0 + 2.0 * kind as f64 + noise()),
        };
        let width = 1.0 + kind as f64 + noise();
        let colour = ["red", "blue", "white"][at / 3 % 3];
        text += &format!(
            "{},{length},{width:.2},{colour},2024-0{}-11,{}\n",
            at + 1,
            1 + at % 7,
            ["iris", "lily", "rose"][kind]
        );
    }
    fs::write(folder.join("flowers.csv"), text).unwrap();
}

/// Pictures of bright and of dark ground.
fn photos(folder: &Path) {
    for at in 0..24u32 {
        let (class, base) = if at % 2 == 0 {
            ("day", 190)
        } else {
            ("night", 30)
        };
        let path = folder.join("photos").join(class);
        fs::create_dir_all(&path).unwrap();
        let pixels: Vec<u8> = (0..16 * 16u32)
            .flat_map(|i| [base + (i * at % 40) as u8, base, base + 20])
            .collect();
        let file = fs::File::create(path.join(format!("{at}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 16, 16);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&pixels)
            .unwrap();
    }
}

#[test]
fn a_table_becomes_a_model_in_use() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    flowers(at);
    let said = succeed(at, &["data", "flowers.csv"]);
    for words in [
        "training    96 samples",
        "test        24 samples",
        "id       identifiers  left out",
        "picked   dates        input",
        "species  categories   target",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let json: Value =
        serde_json::from_str(&succeed(at, &["data", "flowers.csv", "--json"])).unwrap();
    assert_eq!(
        (&json["samples"]["test"], &json["classes"][2]["training"]),
        (&24.into(), &32.into())
    );
    succeed(at, &["data", "flowers.csv", "--page", "flowers.html"]);
    assert!(
        fs::read_to_string(at.join("flowers.html"))
            .unwrap()
            .contains("How often each class comes")
    );

    succeed(at, &["new", "flowers.csv", "--output", "flowers.toml"]);
    let recipe = fs::read_to_string(at.join("flowers.toml")).unwrap();
    assert!(
        recipe.contains("path = \"flowers.csv\"") && recipe.contains("[optimizer]"),
        "{recipe}"
    );
    assert!(
        fail(at, &["new", "flowers.csv", "--output", "flowers.toml"])
            .contains("--force overwrites it")
    );
    succeed(
        at,
        &[
            "new",
            "flowers.csv",
            "--output",
            "flowers.toml",
            "--force",
            "--set",
            "epochs=30",
        ],
    );

    let said = succeed(at, &["train", "flowers.toml", "--output", "run", "--quiet"]);
    let accuracy: f64 = said.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(accuracy > 0.9, "{said}");
    // The run's own recipe does it again, to the bit.
    succeed(
        at,
        &["train", "run/recipe.toml", "--output", "again", "--quiet"],
    );
    let model = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(model("run"), model("again"));
    // A flag wins over --set, and this over the recipe.
    let described = |arguments: &[&str]| {
        let all = [
            &["train", "flowers.toml", "--quiet", "--output", "other"],
            arguments,
        ]
        .concat();
        succeed(at, &all);
        let text = fs::read_to_string(at.join("other/run.json")).unwrap();
        fs::remove_dir_all(at.join("other")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["description"].clone()
    };
    assert_eq!(described(&[])["epochs"], 30);
    assert_eq!(described(&["--set", "epochs=3"])["epochs"], 3);
    let both = described(&[
        "--set",
        "epochs=3",
        "--epochs",
        "2",
        "--learning-rate",
        "0.5",
    ]);
    assert_eq!(
        (
            &both["epochs"],
            &both["optimizer"]["learning_rate"],
            &both["optimizer"]["name"]
        ),
        (&2.into(), &0.5.into(), &"adamw".into())
    );

    // Evaluation takes the same rows as training did, or others.
    let said = succeed(at, &["eval", "run"]);
    assert!(
        said.starts_with("layers on flowers: test accuracy") && said.contains("of 24)"),
        "{said}"
    );
    let said = succeed(at, &["eval", "run", "flowers.csv"]);
    assert!(said.contains("of 120)"), "{said}");

    // The sizes tell the kind; colours and dates are drawn by chance.
    let said = succeed(at, &["explain", "run", "flowers.csv", "--json"]);
    let explained: Value = serde_json::from_str(&said).unwrap();
    let columns = explained["columns"].as_array().unwrap();
    assert_eq!(
        (&explained["measure"], columns.len()),
        (&"accuracy".into(), 4)
    );
    let named = |at: usize| columns[at]["column"].as_str().unwrap();
    assert!(
        ["length", "width"].contains(&named(0)) && ["length", "width"].contains(&named(1)),
        "{said}"
    );
    assert!(columns[0]["importance"].as_f64().unwrap() > 0.1, "{said}");
    let page = fs::read_to_string(at.join("explain.html")).unwrap();
    assert!(page.contains("How much worse accuracy gets") && page.contains("</html>"));

    // Rows go in as CSV, in any order of columns, without the target, and come out as CSV.
    fs::write(
        at.join("new.csv"),
        "width;length;colour;picked\n1,0;2,1;green;2024-05-11\n3,1;;?;2024-05-11\n",
    )
    .unwrap();
    let said = succeed(at, &["predict", "run", "new.csv"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "width,length,colour,picked,species,probability");
    assert!(
        lines[1].contains(",iris,") && lines[2].contains(",rose,"),
        "{said}"
    );
    let mut asked = zerokara(at)
        .args(["predict", "run", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asked
        .stdin
        .take()
        .unwrap()
        .write_all(b"length,width,colour,picked\n6.1,3.0,red,2024-01-01\n")
        .unwrap();
    let answer = asked.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(
        (&answer["prediction"], &answer["row"]["length"]),
        (&"rose".into(), &"6.1".into())
    );
    for (text, why) in [
        (
            "length,width,colour\n1,2,red\n",
            "there is no column \"picked\"",
        ),
        (
            "length,width,colour,picked\nlong,2,red,2024-01-01\n",
            "row 1: column \"length\": \"long\" is not a number",
        ),
        ("length,width,colour,picked\n", "no rows"),
    ] {
        fs::write(at.join("bad.csv"), text).unwrap();
        let said = fail(at, &["predict", "run", "bad.csv"]);
        assert!(said.contains("bad.csv: ") && said.contains(why), "{said}");
    }

    // One row that cannot be read does not keep the others from being answered, and stays in its place.
    let rows = "{\"length\": 6.1, \"width\": 3.0, \"colour\": \"red\", \"picked\": \"2024-01-01\"}\n\
                {\"length\": \"long\", \"width\": 3.0, \"colour\": \"red\", \"picked\": null}\n\
                {\"picked\": \"2024-01-01\", \"colour\": \"red\", \"width\": 3.0, \"length\": 6.1}\n";
    fs::write(at.join("rows.jsonl"), rows).unwrap();
    for json in [false, true] {
        let more: &[&str] = if json { &["--json"] } else { &[] };
        let asked = zerokara(at)
            .args([&["predict", "run", "rows.jsonl"], more].concat())
            .output()
            .unwrap();
        let (out, error) = (
            String::from_utf8(asked.stdout).unwrap(),
            String::from_utf8(asked.stderr).unwrap(),
        );
        assert_eq!(asked.status.code(), Some(1), "{error}");
        assert!(
            error.contains("rows.jsonl: row 2: column \"length\"")
                && error.contains("1 of 3 rows could not be answered for"),
            "{error}"
        );
        let lines: Vec<&str> = out.lines().collect();
        match json {
            false => {
                assert_eq!(lines.len(), 4, "{out}");
                assert_eq!(lines[2], "long,3.0,red,,,", "{out}");
                assert!(lines[1] == lines[3] && lines[1].contains(",rose,"), "{out}");
            }
            true => {
                let answers: Vec<Value> = lines
                    .iter()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect();
                assert_eq!(answers[0], answers[2]);
                assert_eq!(answers[0]["prediction"], "rose");
                assert!(
                    answers[1]["error"]
                        .as_str()
                        .unwrap()
                        .contains("is not a number"),
                    "{out}"
                );
            }
        }
    }
}

#[test]
fn numbers_are_learned_in_their_own_unit() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let rows: String = (0..100)
        .map(|i| {
            format!(
                "{},{},{}\n",
                i % 11,
                ["a", "b"][i % 2],
                1000.25 + 100.0 * (i % 11) as f64
            )
        })
        .collect();
    fs::write(at.join("rents.csv"), format!("rooms,kind,rent\n{rows}")).unwrap();
    let said = succeed(
        at,
        &[
            "train",
            "rents.csv",
            "--output",
            "run",
            "--quiet",
            "--epochs",
            "60",
        ],
    );
    assert!(
        said.starts_with("test rmse ") && said.contains(", r2 0.9"),
        "{said}"
    );
    fs::write(at.join("new.csv"), "rooms,kind\n5,a\n").unwrap();
    let said = succeed(at, &["predict", "run", "new.csv"]);
    let rent: f64 = said
        .lines()
        .nth(1)
        .unwrap()
        .rsplit(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((rent - 1500.25).abs() < 60.0, "{said}");
    assert!(succeed(at, &["eval", "run"]).contains(", r2 0.9"));
}

#[test]
fn a_folder_of_pictures_becomes_a_model_in_use() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    photos(at);
    fs::write(at.join("photos/day/torn.png"), b"\x89PNG").unwrap();
    let said = fail(at, &["train", "photos"]);
    assert!(said.contains("torn.png: is a damaged PNG file"), "{said}");
    let said = succeed(
        at,
        &[
            "data",
            "photos",
            "--page",
            "photos.html",
            "--augment",
            "changed.svg",
        ],
    );
    assert!(said.contains("night        10           0     2"), "{said}");
    fs::remove_file(at.join("photos/day/torn.png")).unwrap();
    for (file, words) in [
        ("photos.html", "data:image/png"),
        ("changed.svg", "data:image/png"),
    ] {
        assert!(
            fs::read_to_string(at.join(file)).unwrap().contains(words),
            "{file}"
        );
    }
    succeed(
        at,
        &[
            "new",
            "photos",
            "--set",
            "epochs=4",
            "--set",
            "augment.flip=true",
        ],
    );
    let said = succeed(at, &["train", "recipe.toml", "--output", "run", "--quiet"]);
    assert!(said.starts_with("test accuracy 1.0000"), "{said}");
    let said = succeed(at, &["predict", "run", "photos/night", "--json"]);
    assert_eq!(said.lines().count(), 12);
    for line in said.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["name"], "night", "{line}");
    }
    let said = succeed(
        at,
        &[
            "explain",
            "run",
            "photos/night/1.png",
            "--json",
            "--output",
            "why.html",
        ],
    );
    let explained: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&explained["name"], &explained["shape"]),
        (&"night".into(), &serde_json::json!([16, 16]))
    );
    for map in ["occlusion", "saliency"] {
        let values: Vec<f64> = serde_json::from_value(explained[map].clone()).unwrap();
        assert_eq!(values.len(), 256);
        assert!(values.iter().all(|value| value.is_finite()), "{map}");
    }
    assert!(
        fs::read_to_string(at.join("why.html"))
            .unwrap()
            .contains("data:image/png")
    );
    assert!(fail(at, &["explain", "run", "none.png"]).contains("none.png"));
    // A picture of another size and format is brought to the model's.
    assert!(succeed(at, &["eval", "run", "photos"]).contains("(24 of 24)"));
    fs::create_dir_all(at.join("photos/dusk")).unwrap();
    fs::copy(at.join("photos/day/0.png"), at.join("photos/dusk/0.png")).unwrap();
    let said = fail(at, &["eval", "run", "photos"]);
    assert!(
        said.contains("the model does not know the class \"dusk\""),
        "{said}"
    );
}

#[test]
fn mistakes_in_recipes_are_told_with_their_place() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    flowers(at);
    fs::write(
        at.join("r.toml"),
        "[data]\npath = \"flowers.csv\"\n\n[optimiser]\nname = \"adam\"\n",
    )
    .unwrap();
    let said = fail(at, &["train", "r.toml"]);
    assert_eq!(
        said.trim(),
        "error: r.toml:4:2: there is no field \"optimiser\" in recipes; did you mean \"optimizer\"?"
    );
    let said = fail(at, &["train", "flowers.csv", "--set", "data.target=kind"]);
    assert!(
        said.contains("flowers.csv: there is no column \"kind\"; there are "),
        "{said}"
    );
    let said = fail(at, &["train", "missing.toml"]);
    assert!(
        said.contains("missing.toml: the recipe cannot be read"),
        "{said}"
    );
    let schema: Value = serde_json::from_str(&succeed(at, &["new", "--schema"])).unwrap();
    assert_eq!(schema["title"], "Zerokara recipe");
}

/// The commands of the chapter, one after the other, in a folder with what it speaks of.
#[test]
fn every_command_of_the_guide_runs() {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/en/src/own_data.md");
    let chapter = fs::read_to_string(chapter).unwrap();
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    flowers(at);
    photos(at);
    fs::write(
        at.join("new-rows.csv"),
        "length,width,colour,picked\n4.1,2.0,red,2024-05-11\n",
    )
    .unwrap();
    let blocks = chapter
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() > 9, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        succeed(at, &arguments);
    }
    let model = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(model("flowers-run"), model("again"));
}
