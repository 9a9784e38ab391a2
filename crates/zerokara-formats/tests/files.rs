//! Files: what is written is read, other readers read it too, and what is damaged is an error of one line.

use std::{collections::BTreeMap, fs, sync::Arc};
use zerokara_core::{Array, Attributes, DType, Meta, Port, Signature, Tensor};
use zerokara_formats::{model, *};
use zerokara_nn::{record::*, *};

/// A residual block of a user's own.
#[derive(Module, Clone)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm2d,
    conv2: Conv2d,
    norm2: BatchNorm2d,
}

impl Forward for Block {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let y = self.norm1.forward(&self.conv1.forward(x, cx), cx).relu();
        (self.norm2.forward(&self.conv2.forward(&y, cx), cx) * 0.1f64 + x).relu()
    }
}

fn trained() -> (Sequential, Meta) {
    let block = Block {
        conv1: Conv2d::new(3, 3).padding(1),
        norm1: BatchNorm2d::new(),
        conv2: Conv2d::new(3, 3).padding(1),
        norm2: BatchNorm2d::new(),
    };
    let model = Sequential::new()
        .conv2d(3, 3)
        .add(block)
        .dropout(0.2)
        .global_avg_pool2d()
        .linear(4);
    let sample = Meta::new([1, 2, 6, 6], DType::F32);
    model.build(&sample, 1).unwrap();
    train(Arc::new(model.clone()), 2);
    (model, sample)
}

fn batch(n: usize) -> (Array, Array) {
    let x = Tensor::uniform(5, &Tensor::from(n as i64), [n, 2, 6, 6])
        .eval()
        .unwrap();
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 4).collect();
    (x, Array::new([n], labels.as_slice()))
}

fn train(model: Arc<dyn Forward>, steps: usize) -> Vec<f64> {
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model, loss, Arc::new(Adam::new(0.01))).unwrap();
    let (x, t) = batch(11);
    (0..steps)
        .map(|_| step.step(&x, &t, 0.01).unwrap().loss)
        .collect()
}

fn info() -> ModelInfo {
    ModelInfo {
        architecture: Some("blocks".into()),
        dataset: Some("mnist".into()),
        task: Some(TaskInfo {
            name: "softmax_cross_entropy".into(),
            settings: vec![("label_smoothing".into(), 0.1)],
        }),
        preprocessing: [(
            "x".to_string(),
            serde_json::json!({"mean": [0.1307, 1.0 / 3.0], "std": [0.3081, 1e-300], "of": "bytes"}),
        )]
        .into(),
        classes: [(
            "t".to_string(),
            ["zero", "一", "two", "\"three\""]
                .map(String::from)
                .to_vec(),
        )]
        .into(),
        notes: BTreeMap::from([("epochs".into(), "3".into())]),
    }
}

#[test]
fn a_saved_model_runs_at_any_batch_and_trains_on() {
    let (model, sample) = trained();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.safetensors");
    let record = trace(&model, &sample).unwrap();
    save_model(&path, &record, &info()).unwrap();
    let (loaded, found) = load_model(&path).unwrap();
    assert_eq!(loaded, record);
    assert_eq!(found, info());

    let rebuilt = Arc::new(GraphModule::new(loaded).unwrap());
    let model = Arc::new(model);
    let predict = |m: Arc<dyn Forward>, n| Predictor::new(m).unwrap().predict(&batch(n).0).unwrap();
    for n in [1, 37] {
        let (a, b) = (predict(model.clone(), n), predict(rebuilt.clone(), n));
        assert_eq!(a.shape(), [n, 4]);
        assert_eq!(a, b);
    }
    let losses = train(model.clone(), 5);
    assert_eq!(losses, train(rebuilt.clone(), 5));
    assert_eq!(model.state().unwrap(), rebuilt.state().unwrap());

    // Saved over the old file; nothing else is left in the folder.
    save_model(&path, &rebuilt.record(), &info()).unwrap();
    let (again, _) = load_model(&path).unwrap();
    assert_eq!(
        again.parameters[0].value,
        model.parameters().unwrap()[0].value()
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn sample_file() -> SafeTensors {
    SafeTensors {
        tensors: vec![
            ("i".into(), Array::new([2, 1], vec![-1i64, i64::MAX])),
            ("d".into(), Array::new([], vec![f64::NEG_INFINITY])),
            ("f".into(), Array::new([3], vec![1.5f32, -0.0, 1e-40])),
            ("none".into(), Array::zeros(&Meta::new([0, 4], DType::F32))),
            (
                "b".into(),
                Array::new([2], vec![1.0f32, 0.0]).cast(DType::Bool),
            ),
        ],
        metadata: BTreeMap::from([("k".into(), "v \"ü\"".into())]),
    }
}

#[test]
fn bytes_are_those_of_the_format() {
    let bytes = sample_file().to_bytes().unwrap();
    assert_eq!(SafeTensors::from_bytes(&bytes).unwrap(), sample_file());
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    assert_eq!(bytes.len(), 8 + length + 16 + 8 + 12 + 2);
    assert_eq!(bytes[8 + length..][..8], (-1i64).to_le_bytes());
    assert_eq!(bytes[bytes.len() - 2..], [1, 0]);
}

#[test]
fn files_of_the_reference_implementation_are_read() {
    // What safetensors 0.8.0 for Python gives for
    // save({"a": np.arange(3, dtype=np.float32), "b": np.array([[7]])}, {"who": "python"}).
    let header = br#"{"__metadata__":{"who":"python"},"b":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[3],"data_offsets":[8,20]}}  "#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(7i64.to_le_bytes());
    for v in [0f32, 1.0, 2.0] {
        bytes.extend(v.to_le_bytes());
    }
    let file = SafeTensors::from_bytes(&bytes).unwrap();
    assert_eq!(
        file.get("a").unwrap(),
        &Array::new([3], vec![0f32, 1.0, 2.0])
    );
    assert_eq!(file.get("b").unwrap(), &Array::new([1, 1], vec![7i64]));
    assert_eq!(file.metadata["who"], "python");
    let error = model::from_file(file).unwrap_err().to_string();
    assert_eq!(
        error,
        "the file holds tensors but no graph: it was not saved by zerokara"
    );
}

#[test]
fn every_cut_and_every_damage_is_an_error() {
    let bytes = sample_file().to_bytes().unwrap();
    for length in 0..bytes.len() {
        let error = SafeTensors::from_bytes(&bytes[..length])
            .unwrap_err()
            .to_string();
        assert!(!error.contains('\n') && !error.is_empty(), "{error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let error = SafeTensors::from_bytes(&longer).unwrap_err().to_string();
    assert_eq!(error, "there are 1 bytes after the last tensor");

    let of = |header: &str, data: &[u8]| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        SafeTensors::from_bytes(&bytes).unwrap_err().to_string()
    };
    let cases = [
        ("[]", "no JSON object"),
        ("{", "no JSON ("),
        (
            r#"{"__metadata__":{"a":1}}"#,
            "holds something that is no text",
        ),
        (
            r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#,
            "elements of type F16 are not supported",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            "does not take the bytes from 0 to 4",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            "does not take the bytes from 4 to 0",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
            "shape: -1 is no size",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
            "does not take the bytes",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1]}}"#,
            "data_offsets is missing",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
            "must be two numbers",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "overlap others or leave a gap",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            "the bytes of tensor a are not all there",
        ),
        (
            r#"{"a":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}"#,
            "a truth value cannot be 9",
        ),
    ];
    for (header, expected) in cases {
        let error = of(header, &[9, 9, 9, 9]);
        assert!(error.contains(expected), "{header}: {error}");
    }
    let png = SafeTensors::from_bytes(b"\x89PNG\r\n\x1a\n0000IHDR")
        .unwrap_err()
        .to_string();
    assert!(png.starts_with("this is no safetensors file"), "{png}");

    let mut twice = sample_file();
    twice.tensors.push(twice.tensors[0].clone());
    assert!(
        twice
            .to_bytes()
            .unwrap_err()
            .to_string()
            .contains("two tensors have the name i")
    );
}

#[test]
fn damaged_graphs_and_missing_files_say_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let error = load_model(&path).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read ") && error.contains("m.safetensors"),
        "{error}"
    );

    let (model, sample) = trained();
    let record = trace(&model, &sample).unwrap();
    let good = model::to_file(&record, &info()).unwrap();
    let damage = |change: &dyn Fn(&mut SafeTensors)| {
        let mut file = good.clone();
        change(&mut file);
        file.write(&path).unwrap();
        let error = load_model(&path).unwrap_err().to_string();
        assert!(error.contains("m.safetensors: "), "{error}");
        error
    };
    let graph = |file: &mut SafeTensors, from: &str, to: &str| {
        let text = &file.metadata["zerokara.graph"];
        assert!(text.contains(from), "{text}");
        let text = text.replace(from, to);
        file.metadata.insert("zerokara.graph".into(), text);
    };
    let error = damage(&|f| graph(f, r#""version":2"#, r#""version":3"#));
    assert!(
        error.contains("its graph is of version 3, and this program reads versions up to 2"),
        "{error}"
    );
    let error = damage(&|f| graph(f, r#""operations":1"#, r#""operations":9"#));
    assert!(
        error.contains("its operations are of version 9, and this program reads versions up to 1"),
        "{error}"
    );
    let error = damage(&|f| graph(f, r#""version":2"#, r#""version":0"#));
    assert!(error.contains("there is no version 0"), "{error}");
    let error = damage(&|f| drop(f.tensors.remove(0)));
    assert!(error.contains("there is no tensor conv1.weight"), "{error}");
    let error = damage(&|f| f.tensors.push(("x".into(), Array::new([1], vec![1f32]))));
    assert!(
        error.contains("there is a tensor x that the graph does not know"),
        "{error}"
    );
    let error = damage(&|f| graph(f, r#""input":"x""#, r#""is":"output""#));
    assert!(error.contains("is no kind of node"), "{error}");
    let error = damage(&|f| graph(f, r#""input":"x""#, r#""input":"z""#));
    assert!(
        error.contains("names the input z, which there is not"),
        "{error}"
    );
    let error = damage(&|f| graph(f, "{", "["));
    assert!(error.contains("its graph is damaged"), "{error}");
    let error = damage(&|f| {
        f.metadata
            .insert("zerokara.info".into(), r#"{"classes":{"t":[1]}}"#.into());
    });
    assert!(
        error.contains("its info is damaged: t: 1 is no text"),
        "{error}"
    );

    // A folder that is not there.
    let nowhere = folder.path().join("no/m.safetensors");
    let error = save_model(&nowhere, &record, &info())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot write "), "{error}");
}

/// A model of zeros of both signs, NaN and ends of ranges, as constants and as attributes.
#[derive(Clone)]
struct Ends;

impl Module for Ends {
    fn visit(&self, _: &mut Visitor<'_>) {}
}

impl Forward for Ends {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        let one = x.sum() * 0.0 + 1.0;
        let mut parts = Vec::new();
        for number in [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324,
            f64::MAX,
        ] {
            // A constant of the graph, of either type, and an attribute.
            let wide = Tensor::scalar(number, DType::F64);
            let narrow = one.clone() / number;
            let filled = one.reciprocal() / one.full_like(number);
            parts.push((wide.cast(DType::F32) * 1.0).reshape([1]));
            parts.push(
                (wide.reciprocal() * &one.cast(DType::F64))
                    .cast(DType::F32)
                    .reshape([1]),
            );
            parts.extend([narrow.reshape([1]), filled.reshape([1])]);
        }
        for number in [(1 << 53) + 1, i64::MIN, i64::MAX] {
            let same = (one.cast(DType::I64) * number).equal(&Tensor::from(number));
            parts.push(same.cast(DType::F32).reshape([1]));
        }
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    }
}

#[test]
fn numbers_are_saved_to_the_bit() {
    let sample = Tensor::ones([3]);
    let record = trace(&Ends, &sample).unwrap();
    let bytes = model::to_file(&record, &ModelInfo::default())
        .unwrap()
        .to_bytes()
        .unwrap();
    let (loaded, _) = model::from_file(SafeTensors::from_bytes(&bytes).unwrap()).unwrap();
    let rebuilt = GraphModule::new(loaded).unwrap();
    let mut cx = Context::evaluate();
    let before = Ends.forward(&sample, &mut cx).eval().unwrap();
    let after = rebuilt.forward(&sample, &mut cx).eval().unwrap();
    let bits = |a: &Array| -> Vec<u32> {
        let all = a.as_slice::<f32>().unwrap().iter();
        all.map(|v| if v.is_nan() { 1 } else { v.to_bits() })
            .collect()
    };
    assert_eq!(bits(&before), bits(&after));
    let found = after.as_slice::<f32>().unwrap();
    // 1 / 0 and 1 / -0, three ways each.
    assert_eq!(found[1..4], [f32::INFINITY; 3]);
    assert_eq!(found[5..8], [f32::NEG_INFINITY; 3]);
    assert!(found[4].is_sign_negative() && found[4] == 0.0);
    assert_eq!(found[28..], [1.0; 3]);
}

#[test]
fn attributes_are_saved_to_the_bit() {
    let numbers = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        -f64::INFINITY,
        5e-324,
        f64::MAX,
        0.1,
        1e22,
    ];
    let mut attributes = Attributes::none();
    for (i, number) in numbers.into_iter().enumerate() {
        attributes = attributes.with(format!("float{i}"), number);
    }
    for (i, number) in [(1i64 << 53) + 1, i64::MIN, i64::MAX, 0]
        .into_iter()
        .enumerate()
    {
        attributes = attributes.with(format!("int{i}"), number);
    }
    attributes = attributes
        .with("ints", &[i64::MIN, -1, i64::MAX][..])
        .with("none", &[0i64; 0][..])
        .with("floats", numbers.to_vec())
        .with("no_floats", Vec::<f64>::new())
        .with("bools", vec![true, false])
        .with("no_bools", Vec::<bool>::new())
        .with("texts", vec!["a".to_string(), "b \"c\"".to_string()])
        .with("no_texts", Vec::<String>::new())
        .with("wide", Array::new([3], vec![i64::MIN, 0, i64::MAX]))
        .with(
            "narrow",
            Array::new([2, 2], vec![0.0f32, -0.0, f32::INFINITY, 1e-40]),
        )
        .with("bytes", Array::new([2, 1], vec![0u8, 255]));
    let node = |source| NodeRecord {
        source,
        layer: None,
    };
    let graph = GraphRecord {
        nodes: vec![node(NodeSource::Op {
            name: "fill".into(),
            attributes: attributes.into(),
            inputs: Vec::new(),
        })],
        outputs: vec![0],
        updates: Vec::new(),
    };
    let record = ModelRecord {
        signature: Signature {
            inputs: vec![Port::new("x", DType::F32, [1])],
            outputs: vec![Port::new("y", DType::F32, [1])],
            states: Vec::new(),
        },
        lengths: Lengths::new(),
        evaluate: graph.clone(),
        train: graph,
        parameters: Vec::new(),
        constants: Vec::new(),
    };
    let file = model::to_file(&record, &ModelInfo::default()).unwrap();
    let read = SafeTensors::from_bytes(&file.to_bytes().unwrap()).unwrap();
    // Attributes are equal if their bits are.
    assert_eq!(model::from_file(read.clone()).unwrap().0, record);
    for (from, to) in [
        (r#"{"tensor":1}"#, r#"{"tensor":6}"#),
        (r#"{"tensor":1}"#, r#"{"tensor":-1}"#),
        (r#"{"floats":[]}"#, r#"{"floats":[1]}"#),
        (r#"{"bools":[]}"#, r#"{"bools":["true"]}"#),
        (r#"{"texts":[]}"#, r#"{"texts":[1]}"#),
        (r#"{"texts":[]}"#, r#"{"words":["a"]}"#),
        (r#""tensors":6"#, r#""tensors":7"#),
        (r#""tensors":6"#, r#""tensors":5"#),
    ] {
        let mut bad = read.clone();
        let text = &bad.metadata["zerokara.graph"];
        assert!(text.contains(from), "{from} {text}");
        let text = text.replacen(from, to, 1);
        bad.metadata.insert("zerokara.graph".into(), text);
        assert!(model::from_file(bad).is_err(), "{to}");
    }
    let info = ModelInfo {
        task: Some(TaskInfo {
            name: "mine".into(),
            settings: vec![("share".into(), f64::NAN)],
        }),
        ..ModelInfo::default()
    };
    let error = model::to_file(&record, &info).map(|_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("share of the task mine must be finite, not NaN"),
        "{error}"
    );
}

#[test]
fn an_invalid_array_is_not_written() {
    let mut file = SafeTensors::default();
    file.tensors
        .push(("x".into(), Array::new([3], vec![1.0f32])));
    let error = file.to_bytes().map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("[3]") && error.contains("files.rs"),
        "{error}"
    );
}

/// Python's and Rust's readers take the last of two keys, others the first: one file would be two models.
#[test]
fn a_key_that_is_there_twice_is_an_error_that_names_it() {
    let of = |header: &str| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 8]);
        SafeTensors::from_bytes(&bytes)
    };
    let entry = |start: usize| {
        let end = start + 4;
        format!(r#"{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
    };
    let (first, second) = (entry(0), entry(4));
    assert!(of(&format!(r#"{{"a":{first},"b":{second}}}"#)).is_ok());
    for (header, key) in [
        (
            format!(r#"{{"weight":{first},"weight":{second}}}"#),
            "weight",
        ),
        (
            format!(r#"{{"weight":{first},"b":{second},"weight":{first}}}"#),
            "weight",
        ),
        // The same name, spelt otherwise.
        (
            format!(r#"{{"weight":{first},"w\u0065ight":{second}}}"#),
            "weight",
        ),
        (
            format!(r#"{{"a":{first},"b":{second},"__metadata__":{{"k":"1","k":"2"}}}}"#),
            "k",
        ),
        (
            format!(r#"{{"__metadata__":{{}},"a":{first},"b":{second},"__metadata__":{{}}}}"#),
            "__metadata__",
        ),
        (
            r#"{"a":{"dtype":"F64","dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#.into(),
            "dtype",
        ),
        (
            r#"{"a":{"dtype":"F64","shape":[9],"shape":[1],"data_offsets":[0,8]}}"#.into(),
            "shape",
        ),
    ] {
        let error = of(&header).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{key:?} is there twice")),
            "{header}: {error}"
        );
        assert!(!error.contains("no safetensors file"), "{error}");
    }

    // Within the texts of a model.
    let (model, sample) = trained();
    let record = trace(&model, &sample).unwrap();
    let good = model::to_file(&record, &info()).unwrap();
    for (text, from, to, key) in [
        (
            "zerokara.graph",
            r#""version":2"#,
            r#""version":2,"version":2"#,
            "version",
        ),
        (
            "zerokara.graph",
            r#""trainable":true"#,
            r#""trainable":true,"trainable":false"#,
            "trainable",
        ),
        (
            "zerokara.graph",
            r#"["stride","#,
            r#"["stride",[2,2]],["stride","#,
            "stride",
        ),
        (
            "zerokara.info",
            r#""epochs":"3""#,
            r#""epochs":"3","epochs":"4""#,
            "epochs",
        ),
        (
            "zerokara.info",
            r#""dataset":"#,
            r#""dataset":"x","dataset":"#,
            "dataset",
        ),
    ] {
        let mut file = good.clone();
        let before = &file.metadata[text];
        assert!(before.contains(from), "{before}");
        let after = before.replacen(from, to, 1);
        file.metadata.insert(text.into(), after);
        let error = model::from_file(file).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{key:?} is there twice")),
            "{error}"
        );
    }
}

#[test]
fn bytes_that_two_tensors_share_or_none_has_are_errors() {
    let of = |entries: &[(&str, usize, usize)], data: usize| {
        let entries = entries.iter().map(|(name, start, end)| {
            let n = end - start;
            format!(r#""{name}":{{"dtype":"BOOL","shape":[{n}],"data_offsets":[{start},{end}]}}"#)
        });
        let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data]);
        SafeTensors::from_bytes(&bytes).map_err(|e| e.to_string())
    };
    assert!(of(&[("a", 0, 4), ("b", 4, 8), ("none", 4, 4)], 8).is_ok());
    for (entries, data, expected) in [
        (
            &[("a", 0, 4), ("b", 2, 8)][..],
            8,
            "overlap others or leave a gap",
        ),
        (
            &[("a", 0, 4), ("b", 0, 4)],
            4,
            "overlap others or leave a gap",
        ),
        (
            &[("a", 0, 4), ("b", 5, 8)],
            8,
            "overlap others or leave a gap",
        ),
        (&[("a", 1, 4)], 4, "overlap others or leave a gap"),
        (&[("a", 0, 4)], 5, "after the last tensor"),
        (&[("a", 0, 4)], 3, "are not all there"),
    ] {
        let error = of(entries, data).unwrap_err();
        assert!(error.contains(expected), "{entries:?}: {error}");
    }
}

#[test]
fn errors_do_not_command_the_terminal_that_shows_them() {
    let header = r#"{"a\u001b[31m\u009b2J":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    let error = SafeTensors::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains(r"tensor a\u001b[31m\u009b2J"), "{error}");
    assert!(!error.contains(char::is_control), "{error:?}");
}
