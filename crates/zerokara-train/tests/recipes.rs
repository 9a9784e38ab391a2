//! Recipes: what they say, what is wrong with them, and runs that follow them.

use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;
use zerokara_data::{Amount, Dataset, Split};
use zerokara_train::{Pace, Recipe, RunDescription, Sampling, Setup};

/// What is said of a text.
fn error_of(text: &str) -> String {
    Recipe::parse(text, "r.toml").unwrap_err().to_string()
}

/// Points left and right of a half.
fn sides() -> Dataset {
    let points: Vec<f32> = (0..60).map(|i| i as f32 / 60.0).collect();
    let all = Split::new(points, &[1], (0..60).map(|i| i64::from(i >= 30)).collect()).unwrap();
    Dataset::new("sides", all.clone(), all, ["left", "right"]).unwrap()
}

#[test]
fn mistakes_are_told_with_their_place_and_the_nearest_name() {
    for (text, said) in [
        (
            "epohcs = 3\n",
            "r.toml:1:1: there is no field \"epohcs\" in recipes; did you mean \"epochs\"?",
        ),
        (
            "epochs = -3\n",
            "r.toml:1:10: epochs is -3; it must be a whole number from 1 to 1000000",
        ),
        (
            "epochs = 2.5\n",
            "r.toml:1:10: epochs is 2.5; it must be a whole number from 1 to 1000000",
        ),
        (
            "\n\nepochs = \"ten\"",
            "r.toml:3:10: epochs is \"ten\"; it must be a whole number from 1 to 1000000",
        ),
        (
            "schedule = \"one_cycle\"",
            "r.toml:1:12: schedule is \"one_cycle\"; did you mean \"one-cycle\"?",
        ),
        (
            "validation = 1.5",
            "r.toml:1:14: validation is 1.5; it must be a number from 0 to 1",
        ),
        (
            "validation = true",
            "r.toml:1:14: validation is true; it must be a whole number from 0 on or a number from 0 to 1",
        ),
        (
            "[optimizer]\nname = \"adma\"",
            "r.toml:2:8: optimizer.name is \"adma\"; did you mean \"adam\"?",
        ),
        (
            "[optimizer]\nname = \"qqqqq\"",
            "r.toml:2:8: optimizer.name is \"qqqqq\"; known are sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, radam, lamb, lion, muon",
        ),
        (
            "[optimizer]\nname = \"sgd\"\nbeta1 = 0.9",
            "r.toml:3:1: there is no field \"beta1\" in optimizer; known are learning_rate, weight_decay",
        ),
        (
            "[optimizer]\nlearning_rate = 0",
            "r.toml:2:17: optimizer.learning_rate is 0; it must be a number above 0",
        ),
        (
            "optimizer = 3",
            "r.toml:1:13: optimizer is 3; it must be a table",
        ),
        (
            "[data]\ncolums = { a = \"number\" }",
            "r.toml:2:1: there is no field \"colums\" in data; did you mean \"columns\"?",
        ),
        (
            "[data.columns]\na = \"numbr\"",
            "r.toml:2:5: data.columns.a is \"numbr\"; did you mean \"number\"?",
        ),
        (
            "[data]\nsize = [32]",
            "r.toml:2:8: data.size has 1 items; it must have 2",
        ),
        (
            "[model]\nlayers = [\"flatten\", \"rleu\"]",
            "r.toml:2:22: model.layers[1] is \"rleu\"; did you mean \"relu\"?",
        ),
        (
            "[model]\nlayers = [\n  { layer = \"conv2d\", filters = 8, kernel = 3 },\n  { layer = \"residual\", layers = [\"relo\"] },\n]",
            "r.toml:4:35: model.layers[1].layers[0] is \"relo\"; did you mean \"relu\"?",
        ),
        (
            "[model]\nlayers = [{ layer = \"linear\", neurons = 3 }]",
            "r.toml:2:31: there is no field \"neurons\" in model.layers[0]; known are outputs, bias",
        ),
        (
            "[[callbacks]]\nname = \"early_stoping\"",
            "r.toml:2:8: callbacks[0].name is \"early_stoping\"; did you mean \"early_stopping\"?",
        ),
        (
            "seed = 99999999999999999999",
            "r.toml:1:8: seed is too large a number",
        ),
        ("seed = inf", "r.toml:1:8: seed is no finite number"),
        (
            "[data]\npath = 2024-01-01",
            "r.toml:2:8: data.path is a date, which no field takes; put it in quotes",
        ),
    ] {
        assert_eq!(error_of(text), said);
    }
    assert!(error_of("a = [1,").starts_with("r.toml:1:"));
    assert!(error_of("epochs = 1\nepochs = 2").contains("r.toml:2:"));
}

#[test]
fn what_is_set_wins() {
    let mut recipe = Recipe::parse(
        "epochs = 7\n[optimizer]\nname = \"sgd\"\nlearning_rate = 0.5",
        "r.toml",
    )
    .unwrap();
    recipe.set("optimizer.learning_rate=0.25").unwrap();
    recipe.set("batch_size = 16").unwrap();
    recipe.set("data.name=sides").unwrap();
    recipe
        .set("model.layers=['flatten', {layer = 'linear', outputs = 4}, 'tanh', 'linear']")
        .unwrap();
    recipe.set("model.layers[1].outputs=5").unwrap();
    let run = recipe.description(&sides()).unwrap();
    assert_eq!(run.optimizer, Setup::new("sgd", [("learning_rate", 0.25)]));
    assert_eq!(
        (run.epochs, run.batch_size, run.model.layers.len()),
        (7, 16, 4)
    );
    assert_eq!(run.model.layers[1].settings["outputs"], 5);
    for (text, said) in [
        (
            "epochs",
            "--set epochs: a field and its value are needed, such as optimizer.learning_rate=1e-3",
        ),
        (
            "epochz=3",
            "--set epochz=3: there is no field \"epochz\" in recipes; did you mean \"epochs\"?",
        ),
        (
            "epochs=many",
            "--set epochs=many: epochs is \"many\"; it must be a whole number from 1 to 1000000",
        ),
        (
            "model.layers[9]=relu",
            "--set model.layers[9]=relu: there is no item 9: there are 4, numbered from 0",
        ),
        (
            ".=1",
            "--set .=1: \".\" is no path of a field, such as optimizer.learning_rate",
        ),
        (
            "model.layers[x]=1",
            "--set model.layers[x]=1: \"layers[x]\" has no number between brackets, such as layers[0]",
        ),
        (
            "epochs.deep=1",
            "--set epochs.deep=1: deep cannot be set in what is no table",
        ),
    ] {
        assert_eq!(recipe.clone().set(text).unwrap_err().to_string(), said);
    }
    // An optimizer of another name brings its own rate, unless one is set.
    let mut other = Recipe::new();
    other.set("optimizer.name=sgd").unwrap();
    let run = other.description(&sides()).unwrap();
    assert_eq!(run.optimizer, Setup::new("sgd", [("learning_rate", 0.1)]));
    let wrong = other.set("optimizer.momentum=0.9").unwrap_err().to_string();
    assert!(
        wrong.contains("there is no field \"momentum\" in optimizer"),
        "{wrong}"
    );
}

#[test]
fn a_written_recipe_is_the_same_run() {
    let data = sides();
    let mut recipe = Recipe::new();
    for text in [
        "data.name=sides",
        "data.columns={\"a b\" = \"ignore\", c = \"number\"}",
        "data.target=\"say \\\"so\\\"\"",
        "validation=0.25",
        "callbacks=[{name = 'early_stopping', patience = 3}]",
        "groups=[{parameters = ['*.bias'], weight_decay = 0.0}]",
        "clipping.norm=2.5",
        "augment.shift=2",
        "checkpoint_every=5steps",
        "schedule=cosine",
        "optimizer.learning_rate=1e-7",
        "seed=18446744073709551615",
        "model.layers=[{layer='residual', layers=['relu', {layer='linear', outputs=1}], shortcut=['tanh']}, 'linear']",
    ] {
        recipe.set(text).unwrap();
    }
    let run = recipe.description(&data).unwrap();
    let text = Recipe::written(&run, &["A recipe".into()]).unwrap();
    let again = Recipe::parse(&text, "r.toml")
        .unwrap()
        .description(&data)
        .unwrap();
    assert_eq!(again, run, "{text}");
    assert_eq!(run.validation, Some(Amount::Fraction(0.25)));
    // The same through JSON, which run folders keep.
    let json = serde_json::to_value(&run).unwrap();
    assert_eq!(serde_json::from_value::<RunDescription>(json).unwrap(), run);
    let plain = RunDescription {
        schedule: Pace::Constant,
        ..RunDescription::new("lenet5", "mnist")
    };
    let text = Recipe::written(&plain, &[]).unwrap();
    assert_eq!(
        text.lines().filter(|line| line.starts_with('[')).count(),
        4,
        "{text}"
    );
}

/// Every field that a description is written with is one that recipes may have, and the schema knows it.
#[test]
fn the_schema_knows_every_field() {
    let schema = Recipe::schema();
    let properties = schema["properties"].as_object().unwrap();
    let run = serde_json::to_value(RunDescription::new("lenet5", "mnist")).unwrap();
    for name in run.as_object().unwrap().keys() {
        let known = &properties[name];
        assert!(known["description"].is_string(), "{name}");
    }
    let optimizers = properties["optimizer"]["oneOf"].as_array().unwrap();
    let names: Vec<&Value> = optimizers
        .iter()
        .map(|kind| &kind["properties"]["name"]["const"])
        .collect();
    assert_eq!(names, RunDescription::OPTIMIZERS);
    assert_eq!(
        schema["$defs"]["layer"]["anyOf"][1]["oneOf"][0]["properties"]["layer"],
        json!({"const": "linear"})
    );
    assert_eq!(
        properties["optimizer"]["oneOf"][0]["additionalProperties"],
        json!(false)
    );
}

#[test]
fn a_table_is_trained_on_from_its_recipe_and_again_to_the_bit() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..80)
        .map(|i| {
            format!(
                "{},{},{}\n",
                i % 9,
                ["a", "b"][i % 2],
                50.0 + 3.0 * (i % 9) as f64 + (i % 2) as f64
            )
        })
        .collect();
    fs::write(
        folder.path().join("costs.csv"),
        format!("size,kind,cost\n{rows}"),
    )
    .unwrap();
    let path = folder.path().join("costs.toml");
    fs::write(&path, "epochs = 60\nseed = 3\n[data]\npath = \"costs.csv\"\n[optimizer]\nname = \"adam\"\nlearning_rate = 0.01\n").unwrap();

    // Paths begin at the recipe's folder.
    let train = |path: &std::path::Path, into: &str| {
        let recipe = Recipe::read(path).unwrap();
        let data = recipe.data().unwrap().load().unwrap();
        let run = recipe.description(&data).unwrap();
        run.trainer(&data)
            .unwrap()
            .run_folder(folder.path().join(into))
            .quiet()
            .fit(&data)
            .unwrap()
    };
    let run = train(&path, "first");
    let measure = |name| run.test().measure(name).unwrap();
    // Costs lie between 50 and 75; the loss is that of scaled numbers, the measures are in the data's unit.
    assert!(
        measure("rmse") < 2.0 && measure("r2") > 0.9,
        "{:?}",
        run.test().measures
    );
    let answers = run.model().task().unwrap();
    assert_eq!(answers.settings().len(), 2);
    let resolved = folder.path().join("first/recipe.toml");
    let again = train(&resolved, "second");
    let bytes = |name: &str| fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
    assert_eq!(bytes("first"), bytes("second"));
    assert_eq!(again.losses(), run.losses());
    assert_eq!(run.model().card().target, "cost");

    fs::write(&path, "[model]\nname = \"lenet5\"\n").unwrap();
    let why = Recipe::read(&path).unwrap().data().unwrap_err().to_string();
    assert!(why.contains("does not say which data"), "{why}");
}

/// Runs of version 1 kept settings in a table of their own.
#[test]
fn a_description_of_version_1_is_read() {
    let folder = TempDir::new().unwrap();
    let described = json!({
        "version": 1,
        "model": {"name": "lenet5", "own": false},
        "data": {"name": "digits", "own": false, "folder": "/data/digits"},
        "task": {"name": "softmax_cross_entropy", "settings": {"label_smoothing": 0.1}},
        "optimizer": {"name": "adam", "settings": {"learning_rate": 0.5}},
        "schedule": "one-cycle", "epochs": 4, "batch_size": 10, "validation": {"share": 0.5},
        "groups": [{"name": "a.* or b.*", "settings": {"frozen": 1.0}}],
        "callbacks": [{"name": "early_stopping", "settings": {"patience": 2.0}}]
    });
    fs::write(
        folder.path().join("run.json"),
        json!({"description": described}).to_string(),
    )
    .unwrap();
    let run =
        RunDescription::read(&zerokara_train::run_folder::RunFolder::at(folder.path())).unwrap();
    assert_eq!(run.version, 2);
    assert_eq!(run.optimizer, Setup::new("adam", [("learning_rate", 0.5)]));
    assert_eq!(
        run.task,
        Setup::new("softmax_cross_entropy", [("label_smoothing", 0.1)])
    );
    assert_eq!(
        (run.data.path.as_deref(), run.validation),
        (Some("/data/digits"), Some(Amount::Fraction(0.5)))
    );
    assert_eq!(
        run.callbacks,
        [Setup::new("early_stopping", [("patience", 2.0)])]
    );
    assert!(run.groups[0].frozen && run.groups[0].parameters == ["a.*", "b.*"]);
}

/// Three classes, of which the last has one sample in ten.
fn uneven(channels: usize) -> Dataset {
    let labels: Vec<i64> = (0..40)
        .map(|i| if i % 10 == 0 { 2 } else { i % 2 })
        .collect();
    let all = Split::new(vec![7u8; 40 * channels * 64], &[channels, 8, 8], labels).unwrap();
    Dataset::new("uneven", all.clone(), all, ["a", "b", "c"]).unwrap()
}

#[test]
fn classes_are_balanced_by_numbers_that_the_recipe_keeps() {
    let text = "class_weights = \"balanced\"\nsampling = \"balanced\"\nema = 0.99\n[data]\nname = \"uneven\"\n";
    let run = Recipe::parse(text, "r.toml")
        .unwrap()
        .description(&uneven(1))
        .unwrap();
    assert_eq!((run.ema, run.sampling), (Some(0.99), Sampling::Balanced));
    // 40 samples in 3 classes, of 16, 20 and 4.
    let expected = [40.0 / 48.0, 40.0 / 60.0, 40.0 / 12.0];
    assert!(
        run.class_weights
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-12)
    );
    let written = Recipe::written(&run, &[]).unwrap();
    let again = Recipe::parse(&written, "again.toml").unwrap();
    assert_eq!(again.description(&uneven(1)).unwrap(), run);
    assert!(run.trainer(&uneven(1)).is_ok());

    let other = RunDescription {
        task: Setup::new("mean_squared_error", []),
        ..run
    };
    let error = other.trainer(&uneven(1)).err().unwrap().to_string();
    assert!(
        error.contains(
            "class_weights go with the losses softmax_cross_entropy and negative_log_likelihood"
        ),
        "{error}"
    );
    for (text, said) in [
        ("ema = 1.0\n", "r.toml:1:7: ema is 1"),
        ("sampling = \"balance\"\n", "did you mean \"balanced\"?"),
        ("class_weights = \"even\"\n", "r.toml:1:17"),
        ("class_weights = [1, -1]\n", "r.toml:1:21"),
    ] {
        let found = error_of(text);
        assert!(found.contains(said), "{found}");
    }
}

/// Momentum where there is time for many steps, AdamW else, and what suits it where the recipe names another.
#[test]
fn pictures_are_learned_by_what_suits_their_number() {
    let described = |side: usize, samples: usize, text: &str| {
        let labels = (0..samples as i64).map(|i| i % 2).collect();
        let bytes = vec![7u8; samples * 3 * side * side];
        let all = Split::new(bytes, &[3, side, side], labels).unwrap();
        let data = Dataset::new("photos", all.clone(), all, ["a", "b"]).unwrap();
        let text = format!("{text}\n[data]\nname = \"photos\"\n");
        let recipe = Recipe::parse(&text, "r.toml").unwrap();
        recipe.description(&data).unwrap()
    };
    let many = described(8, 12_000, "");
    assert_eq!(many.optimizer.name, "nesterov");
    assert_eq!(many.task.settings["label_smoothing"], 0.1);
    let said = described(8, 12_000, "loss = { name = \"softmax_cross_entropy\" }");
    assert_eq!(said.task, Setup::new("softmax_cross_entropy", []));
    let few = described(8, 400, "");
    assert_eq!(
        (&*few.optimizer.name, few.task.settings.len()),
        ("adamw", 0)
    );
    let own = described(8, 12_000, "optimizer = { name = \"lion\" }");
    assert_eq!(own.optimizer, Setup::new("lion", [("learning_rate", 2e-4)]));
}

/// Another loss for numbers learns them scaled, as the usual one does.
#[test]
fn numbers_are_scaled_for_whichever_loss() {
    let values: Vec<f32> = (0..40).map(|i| (i % 2) as f32 * 20.0 + 100.0).collect();
    let columns = zerokara_data::Columns::new()
        .with("x", zerokara_core::Array::new([40, 2], vec![0.5f32; 80]))
        .with("t", zerokara_core::Array::new([40, 1], values));
    let all = Split::of(columns).unwrap();
    let data = Dataset::new("costs", all.clone(), all, [] as [&str; 0]).unwrap();
    for (name, own) in [
        ("mean_squared_error", None),
        ("mean_absolute_error", None),
        ("huber", Some(0.5)),
    ] {
        let delta = own.map_or(String::new(), |delta| format!("delta = {delta}\n"));
        let text = format!("[data]\nname = \"costs\"\n[loss]\nname = \"{name}\"\n{delta}");
        let recipe = Recipe::parse(&text, "r.toml").unwrap();
        let run = recipe.description(&data).unwrap();
        let mut expected = Setup::new(name, [("mean", 110.0), ("std", 10.0)]);
        expected
            .settings
            .extend(own.map(|delta| ("delta".to_string(), delta)));
        assert_eq!(run.task, expected);
        assert!(run.trainer(&data).is_ok());
    }
}

#[test]
fn colour_pictures_are_mirrored_and_shifted_unless_the_recipe_says_otherwise() {
    let described = |text: &str, channels| {
        let text = format!("{text}\n[data]\nname = \"uneven\"\n");
        let recipe = Recipe::parse(&text, "r.toml").unwrap();
        recipe.description(&uneven(channels)).unwrap()
    };
    let usual = described("seed = 4", 3);
    let changes = serde_json::to_value(&usual.augment).unwrap();
    assert_eq!(
        (&changes["flip"], &changes["shift_share"], &changes["seed"]),
        (&true.into(), &0.125.into(), &4.into())
    );
    assert_eq!(described("", 1).augment, None);
    // An empty table says that nothing is changed, and goes on saying so.
    let plain = described("augment = {}", 3);
    assert!(
        plain
            .augment
            .as_ref()
            .is_some_and(|augment| !augment.changes())
    );
    let written = Recipe::written(&plain, &[]).unwrap();
    let again = Recipe::parse(&written, "again.toml").unwrap();
    assert_eq!(again.description(&uneven(3)).unwrap(), plain);
    let own = described("augment = { degrees = 5.0 }", 3);
    assert_eq!(own.augment.unwrap().to_string(), "turn by up to 5°");
}
